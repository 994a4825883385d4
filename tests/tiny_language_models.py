# SPDX-FileCopyrightText: The Mem4Nav stack developers
# SPDX-License-Identifier: Apache-2.0
"""Language models of two layers with random weights and a tokenizer of their own, for tests; nothing is fetched."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from mem4nav.backbones.mllm_language import LanguageSize, new_language_model, new_tokenizer

SPREAD = 0.2


def save_tiny_model(folder: Path, texts: Sequence[str], positions: int = 1024, kind: str = "llama") -> Path:
    """Write one into ``folder``, its words learnt from ``texts``."""
    if kind == "llama":
        size = LanguageSize(width=32, layers=2, heads=2, words=500, positions=positions, spread=SPREAD)
        return new_language_model(folder, texts, size, seed=0)
    from transformers import GPT2Config, GPT2LMHeadModel

    tokenizer = new_tokenizer(texts, 500)
    tokenizer.save_pretrained(folder)
    config = GPT2Config(
        vocab_size=len(tokenizer),
        n_positions=positions,
        n_embd=32,
        n_layer=2,
        n_head=2,
        initializer_range=SPREAD,
        bos_token_id=None,
        eos_token_id=0,
    )
    GPT2LMHeadModel(config).save_pretrained(folder)
    return folder
