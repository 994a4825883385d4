# SPDX-FileCopyrightText: The Mem4Nav stack developers
# SPDX-License-Identifier: Apache-2.0
"""Short-term memory: what was just seen, relative to the node of the topology graph where one is."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray


class ShortTerm:
    """The last K entries, but for those that earned their place.

    Attributes:
        entries: (K,) numbers of the entries held; only the first ``len`` count, as in all arrays here.
        vectors: (K, D) float32 their embeddings.
        relative: (K, 3) float64 metres from ``origin``, the current node's position in map.
    """

    def __init__(self, size: int, dimension: int, frequency_weight: float) -> None:
        self.entries = np.empty(size, np.int64)
        self.vectors = np.empty((size, dimension), np.float32)
        self.relative = np.empty((size, 3))
        self.origin = np.zeros(3)
        self._steps, self._hits = np.empty(size, np.int64), np.empty(size, np.int64)
        self._weight = frequency_weight
        self._count = 0

    def __len__(self) -> int:
        return self._count

    def put(
        self, entries: NDArray[np.int64], vectors: NDArray[np.float32], positions: NDArray[np.float64], step: int
    ) -> None:
        """Take in (N,) entries of one step; those that must go for them are of least use (``_least_useful``)."""
        size = len(self.entries)
        entries, vectors, positions = entries[-size:], vectors[-size:], positions[-size:]
        free = min(size - self._count, len(entries))
        rows = np.arange(self._count, self._count + free)
        if free < len(entries):
            rows = np.concatenate([rows, self._least_useful(len(entries) - free, step)])
        self.entries[rows], self.vectors[rows], self.relative[rows] = entries, vectors, positions - self.origin
        self._steps[rows], self._hits[rows] = step, 0
        self._count += free

    def _least_useful(self, count: int, step: int) -> NDArray[np.int64]:
        """Rows of the argmin of lambda * frequency - (1 - lambda) * age; of equals the oldest row first."""
        n = self._count
        use = self._weight * self._hits[:n] - (1.0 - self._weight) * (step - self._steps[:n])
        return np.argsort(use, kind="stable")[:count]

    def move_to(self, origin: NDArray[np.float64]) -> None:
        """Another node is the current one, or it was moved: entries keep their places in map."""
        self.relative[: self._count] += self.origin - origin
        self.origin = origin.copy()

    def place(self, entries: NDArray[np.int64], positions: NDArray[np.float64]) -> None:
        """Corrected positions (N, 3) of (N,) entries, ascending; others are left."""
        rows, found = self._rows_of(entries)
        self.relative[rows] = positions[found] - self.origin

    def drop(self, entries: NDArray[np.int64]) -> None:
        """Let go of (N,) entries, ascending, where they are here."""
        rows, _ = self._rows_of(entries)
        kept = np.setdiff1d(np.arange(self._count), rows)
        for array in (self.entries, self.vectors, self.relative, self._steps, self._hits):
            array[: len(kept)] = array[kept]
        self._count = len(kept)

    def near(self, position: NDArray[np.float64] | None, radius: float) -> NDArray[np.int64]:
        """Rows within so many metres of a place in map; all of them without a place."""
        if position is None:
            return np.arange(self._count)
        away = self.relative[: self._count] - (position - self.origin)
        return np.flatnonzero(np.einsum("nd,nd->n", away, away) <= radius * radius)

    def count_hits(self, rows: NDArray[np.int64]) -> None:
        """These were of use."""
        self._hits[rows] += 1

    def _rows_of(self, entries: NDArray[np.int64]) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
        held = self.entries[: self._count]
        at = np.searchsorted(entries, held)
        rows = np.flatnonzero((at < len(entries)) & (np.take(entries, at, mode="clip") == held) if len(entries) else [])
        return rows, at[rows]


class NoShortTerm(ShortTerm):
    """That forgets at once."""

    def put(
        self, entries: NDArray[np.int64], vectors: NDArray[np.float32], positions: NDArray[np.float64], step: int
    ) -> None:
        """Let them pass."""
