# SPDX-FileCopyrightText: The Mem4Nav stack developers
# SPDX-License-Identifier: Apache-2.0
"""What is asked of a memory, by embedding or in words: either gives every entry a cosine."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from mem4nav.memory.observations import Ids, Observations
from mem4nav.memory.short_term import ShortTerm
from mem4nav.memory.vectors import Found, best


class ByVector:
    """Entries whose embedding is like this (D,) unit vector."""

    def __init__(self, vector: NDArray[np.float32], observations: Observations) -> None:
        self._vector, self._observations = vector, observations

    def of_short_term(self, short_term: ShortTerm) -> NDArray[np.float32]:
        """(K,) cosine of each entry held there."""
        return short_term.vectors[: len(short_term)] @ self._vector

    def of(self, entries: Ids) -> NDArray[np.float32]:
        """(N,) cosine of each of these entries."""
        return self._observations.vectors.get(entries) @ self._vector

    def nearest(self, count: int) -> Found:
        """The entries of highest cosine, forgotten ones among them."""
        return self._observations.vectors.search(self._vector, count)


class ByLabel:
    """Entries whose label is like the words: ``likeness`` (L,) of each label of the memory."""

    def __init__(self, likeness: NDArray[np.float32], observations: Observations) -> None:
        self._likeness, self._observations = likeness, observations

    def of_short_term(self, short_term: ShortTerm) -> NDArray[np.float32]:
        """(K,) cosine of each entry held there."""
        return self.of(short_term.entries[: len(short_term)])

    def of(self, entries: Ids) -> NDArray[np.float32]:
        """(N,) cosine of each of these entries."""
        return self._likeness[self._observations.rows["label"][entries]]

    def nearest(self, count: int) -> Found:
        """The entries of highest cosine, forgotten ones among them."""
        return best(self._likeness[self._observations.rows["label"]], count)
