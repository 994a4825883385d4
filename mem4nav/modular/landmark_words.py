# SPDX-FileCopyrightText: The Mem4Nav stack developers
# SPDX-License-Identifier: Apache-2.0
"""Labels of landmarks and words of instructions as vectors of one space."""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Sequence
from functools import lru_cache

import numpy as np
from numpy.typing import NDArray

from mem4nav.modular.labels import read_label
from mem4nav.modular.mentions import Rarity, kind_phrases
from mem4nav.modular.words import stems_of

DIMENSION = 256
_KIND_SHARE = 0.5


class LandmarkWords:
    """Labels and phrases as unit vectors that are near where they share telling words.

    Each stem has a fixed pseudo-random direction (a hashed bag of words, Weinberger et al., ICML 2009), weighted by its
    rarity; a label holds the words of its kind too, so that "church" finds a place of worship.

    Args:
        rarity: how telling each stem is.
    """

    dimension = DIMENSION

    def __init__(self, rarity: Rarity) -> None:
        self._rarity = rarity
        self._labels: dict[str, NDArray[np.float32]] = {}

    def encode(self, texts: Sequence[str]) -> NDArray[np.float32]:
        """(N, DIMENSION) vectors of labels."""
        return np.array([self._label(text) for text in texts], np.float32).reshape(-1, DIMENSION)

    def phrase(self, stems: Iterable[str]) -> NDArray[np.float32]:
        """(DIMENSION,) vector of some words of an instruction."""
        return self._sum([(stem, 1.0) for stem in stems])

    def _label(self, label: str) -> NDArray[np.float32]:
        if label not in self._labels:
            said = read_label(label)
            kinds = {stem for phrase in kind_phrases(said.category, said.cuisine) for stem in phrase}
            kinds |= set(stems_of(said.colour))
            named = stems_of(said.name)
            parts = [(stem, 1.0) for stem in named]
            parts += [(stem, _KIND_SHARE if named else 1.0) for stem in sorted(kinds - set(named))]
            self._labels[label] = self._sum(parts)
        return self._labels[label]

    def _sum(self, parts: Sequence[tuple[str, float]]) -> NDArray[np.float32]:
        total = np.zeros(DIMENSION, np.float32)
        for stem, share in parts:
            total += share * max(self._rarity(stem), 0.1) * _direction(stem)
        length = float(np.linalg.norm(total))
        return total / np.float32(length) if length > 1e-6 else _direction("")


@lru_cache(maxsize=65536)
def _direction(stem: str) -> NDArray[np.float32]:
    seed = int.from_bytes(hashlib.blake2b(stem.encode(), digest_size=8).digest(), "little")
    vector = np.random.default_rng(seed).standard_normal(DIMENSION).astype(np.float32)
    return vector / np.linalg.norm(vector)
