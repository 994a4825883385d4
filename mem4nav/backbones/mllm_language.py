# SPDX-FileCopyrightText: The Mem4Nav stack developers
# SPDX-License-Identifier: Apache-2.0
"""A new small language model and its tokenizer, in a folder like those of published ones."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch


@dataclass(frozen=True, slots=True)
class LanguageSize:
    """Size of a new language model.

    Attributes:
        width: of its hidden states.
        layers: of the transformer.
        heads: of attention.
        words: of the tokenizer's vocabulary, at most.
        positions: tokens that it reads at once.
        spread: standard deviation of the random weights.
    """

    width: int = 64
    layers: int = 4
    heads: int = 4
    words: int = 2000
    positions: int = 1024
    spread: float = 0.02


def new_language_model(folder: Path, texts: Iterable[str], size: LanguageSize, seed: int) -> Path:
    """Write a Llama with random weights and a tokenizer whose words are learnt from ``texts`` into ``folder``."""
    from transformers import LlamaConfig, LlamaForCausalLM

    tokenizer = new_tokenizer(texts, size.words)
    tokenizer.save_pretrained(folder)
    config = LlamaConfig(
        vocab_size=len(tokenizer),
        hidden_size=size.width,
        intermediate_size=4 * size.width,
        num_hidden_layers=size.layers,
        num_attention_heads=size.heads,
        max_position_embeddings=size.positions,
        initializer_range=size.spread,
        bos_token_id=None,
        eos_token_id=0,
    )
    with torch.random.fork_rng():
        torch.manual_seed(seed)
        LlamaForCausalLM(config).save_pretrained(folder)
    return folder


def new_tokenizer(texts: Iterable[str], most_words: int) -> Any:
    """A tokenizer of transformers that reads any text: bytes, joined to words that are frequent in ``texts``."""
    from tokenizers import Tokenizer, decoders, models, pre_tokenizers, trainers
    from transformers import PreTrainedTokenizerFast

    words = Tokenizer(models.BPE())
    words.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    words.decoder = decoders.ByteLevel()
    bytes_ = pre_tokenizers.ByteLevel.alphabet()
    words.train_from_iterator(
        texts,
        trainers.BpeTrainer(
            vocab_size=most_words, special_tokens=["<end>"], initial_alphabet=bytes_, show_progress=False
        ),
    )
    return PreTrainedTokenizerFast(tokenizer_object=words, eos_token="<end>")
