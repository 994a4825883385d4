# SPDX-FileCopyrightText: The Mem4Nav stack developers
# SPDX-License-Identifier: Apache-2.0
"""Text as a vector without a trained model: a bag of words, hashed (Weinberger et al., ICML 2009)."""

from __future__ import annotations

import hashlib
import re
from collections.abc import Sequence
from functools import lru_cache

import numpy as np
from numpy.typing import NDArray

_COMMON = frozenset(
    re.findall(
        r"\w+",
        "a an and are as at be by for from go going has have in into is it its now of on or so that the then there "
        "this to until up was where which will with you your",
    )
)


class HashedWords:
    """Unit vectors in which texts are near where they share words; the same on every machine.

    Args:
        dimension: numbers in a vector.
    """

    def __init__(self, dimension: int = 256) -> None:
        self.dimension = dimension

    def encode(self, texts: Sequence[str]) -> NDArray[np.float32]:
        """(N, dimension) unit vectors; a text without words becomes the first axis."""
        vectors = np.zeros((len(texts), self.dimension), np.float32)
        for vector, text in zip(vectors, texts, strict=True):
            for word in _words(text):
                place, sign = _slot(word, self.dimension)
                vector[place] += sign
        vectors[~vectors.any(axis=1), 0] = 1.0
        return vectors / np.linalg.norm(vectors, axis=1, keepdims=True)


def _words(text: str) -> list[str]:
    words = re.findall(r"\w+", text.lower())
    return [word for word in words if word not in _COMMON] or words


@lru_cache(maxsize=65536)
def _slot(word: str, dimension: int) -> tuple[int, float]:
    number = int.from_bytes(hashlib.blake2b(word.encode("utf-8", "replace"), digest_size=8).digest(), "little")
    return (number >> 1) % dimension, 1.0 if number & 1 else -1.0
