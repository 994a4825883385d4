# SPDX-FileCopyrightText: The Mem4Nav stack developers
# SPDX-License-Identifier: Apache-2.0
"""What a Gaussian map knows of each row beside its place."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from numba import njit
from numpy.typing import NDArray

from slam.splatting.gaussians import Gaussians

WEIGHT, ERROR, GRADIENT, LOOKS = 0, 1, 2, 3
"""Columns of ``statistics``, fading sums over looks: contribution (px), contribution times residual, gradient on the
screen (1/px), number of looks. See ``slam.gaussian_map.refine``."""


class Columns(NamedTuple):
    """C rows."""

    values: Gaussians
    first: Gaussians
    second: Gaussians
    steps: NDArray[np.int32]  # (C,)
    seen: NDArray[np.int32]  # (C,)
    statistics: NDArray[np.float32]  # (C, 4)

    @classmethod
    def zeros(cls, capacity: int, coefficients: int) -> Columns:
        """Room for so many."""
        parts = [Gaussians.zeros(capacity, coefficients) for _ in range(3)]
        steps, seen = np.zeros(capacity, np.int32), np.zeros(capacity, np.int32)
        return cls(parts[0], parts[1], parts[2], steps, seen, np.zeros((capacity, 4), np.float32))

    def grown(self, capacity: int) -> Columns:
        """The same with more room."""
        out = Columns.zeros(capacity, self.values.harmonics.shape[1])
        for new, old in zip(out.arrays(), self.arrays(), strict=True):
            new[: len(old)] = old
        return out

    def start(self, rows: NDArray[np.integer], values: Gaussians, seen: NDArray[np.integer] | int) -> None:
        """New Gaussians in these rows, that no optimiser has touched."""
        self.values.put(rows, values)
        self.rest(rows)
        self.seen[rows] = seen
        self.statistics[rows] = 0.0

    def rest(self, rows: NDArray[np.integer]) -> None:
        """The optimiser starts anew on these."""
        for array in (*self.first, *self.second, self.steps):
            array[rows] = 0

    def arrays(self) -> list[NDArray]:
        """All of them."""
        return [*self.values, *self.first, *self.second, self.steps, self.seen, self.statistics]


@njit(cache=True)
def _copy(target, to, source, which):
    for i in range(len(to)):
        for k in range(target.shape[1]):
            target[to[i], k] = source[which[i], k]


def copy_rows(target: Gaussians, to: NDArray[np.int64], source: Gaussians, which: NDArray[np.int64]) -> None:
    """Put the rows ``which`` of one in the rows ``to`` of the other; several times faster than by fancy indices."""
    for new, old in zip(target, source, strict=True):
        _copy(new.reshape(len(new), -1), to, old.reshape(len(old), -1), which)
