# SPDX-FileCopyrightText: The Mem4Nav stack developers
# SPDX-License-Identifier: Apache-2.0
"""A language model of two layers with random weights and a tokenizer of its own, for tests; nothing is fetched."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path


def save_tiny_model(folder: Path, texts: Sequence[str], positions: int = 1024, kind: str = "llama") -> Path:
    """Write one into ``folder``, its words learnt from ``texts``."""
    import torch
    from tokenizers import Tokenizer, decoders, models, pre_tokenizers, trainers
    from transformers import GPT2Config, GPT2LMHeadModel, LlamaConfig, LlamaForCausalLM, PreTrainedTokenizerFast

    tokenizer = Tokenizer(models.BPE())
    tokenizer.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    tokenizer.decoder = decoders.ByteLevel()
    alphabet = pre_tokenizers.ByteLevel.alphabet()
    trainer = trainers.BpeTrainer(
        vocab_size=500, special_tokens=["<end>"], initial_alphabet=alphabet, show_progress=False
    )
    tokenizer.train_from_iterator(texts, trainer)
    PreTrainedTokenizerFast(tokenizer_object=tokenizer, eos_token="<end>").save_pretrained(folder)
    words = tokenizer.get_vocab_size()
    torch.manual_seed(0)
    if kind == "gpt2":
        model = GPT2LMHeadModel(
            GPT2Config(vocab_size=words, n_positions=positions, n_embd=32, n_layer=2, n_head=2, initializer_range=0.2)
        )
    else:
        model = LlamaForCausalLM(
            LlamaConfig(
                vocab_size=words,
                hidden_size=32,
                intermediate_size=64,
                num_hidden_layers=2,
                num_attention_heads=2,
                max_position_embeddings=positions,
                initializer_range=0.2,
            )
        )
    model.save_pretrained(folder, safe_serialization=True)
    return folder
