# SPDX-FileCopyrightText: The Mem4Nav stack developers
# SPDX-License-Identifier: Apache-2.0
"""Level of detail: one Gaussian that stands for all below a node of the octree, where these would be dust."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from slam.gaussian_map import traversal
from slam.gaussian_map.detail import merged
from slam.gaussian_map.storage import Storage
from slam.octree import BELOW, FRESH
from slam.splatting.gaussians import Gaussians


class StandIns:
    """Made when asked for, kept by node, and made anew after something below has changed."""

    def __init__(self, storage: Storage) -> None:
        self._storage = storage
        self._values = Gaussians.zeros(0, storage.columns.values.harmonics.shape[1])

    @property
    def used(self) -> bool:
        """Whether any was ever asked for; until then nobody has to mark what changes."""
        return self._values.size > 0

    @property
    def nbytes(self) -> int:
        """Bytes held."""
        return sum(array.nbytes for array in self._values)

    def take(self, nodes: NDArray[np.int64]) -> Gaussians:
        """Of these nodes, which hold some Gaussians each."""
        a = self._storage.plane_map.arrays
        if self._values.size < len(a.meta):
            self._values = Gaussians.zeros(len(a.meta), self._values.harmonics.shape[1])
            a.gaussians[:, FRESH] = 0
        stale = np.unique(nodes[(a.gaussians[nodes, FRESH] == 0) & (a.gaussians[nodes, BELOW] > 0)])
        if len(stale):
            rows, groups = np.empty((2, int(a.gaussians[stale, BELOW].sum())), np.int64)
            traversal.subtrees(a, self._storage.rows, stale, rows, groups)
            self._values.put(stale, merged(self._storage.columns.values.take(rows), groups))
            a.gaussians[stale, FRESH] = 1
        return self._values.take(nodes)
