# SPDX-FileCopyrightText: The Mem4Nav stack developers
# SPDX-License-Identifier: Apache-2.0
"""Level of detail: one Gaussian that stands for all inside a cell, where these would be dust."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from slam.gaussian_map import cells
from slam.gaussian_map.detail import merged
from slam.gaussian_map.storage import Storage
from slam.splatting.gaussians import Gaussians


class StandIns:
    """Made when asked for, kept by cell, and made anew after something inside has changed."""

    def __init__(self, storage: Storage) -> None:
        self._storage = storage
        self._keys = np.zeros(0, np.uint64)
        self._values = Gaussians.zeros(0, storage.columns.values.harmonics.shape[1])
        self._count = 0

    @property
    def used(self) -> bool:
        """Whether any was ever asked for; until then nobody has to tell what changes."""
        return self._count > 0

    @property
    def nbytes(self) -> int:
        """Bytes held."""
        return sum(array.nbytes for array in (*self._values, self._keys))

    def take(self, entries: NDArray[np.int64]) -> Gaussians:
        """For the cells in these slots of the table, which hold some Gaussians each."""
        table = self._storage.cells
        stale = np.unique(entries[table.stood[entries] <= 0])
        if len(stale):
            self._make(stale)
        return self._values.take(table.stood[entries] - 1)

    def _make(self, entries: NDArray[np.int64]) -> None:
        table = self._storage.cells
        new = entries[table.stood[entries] == 0]
        self._make_room(len(new))
        numbers = np.arange(self._count, self._count + len(new))
        table.stood[new], self._keys[numbers] = -1 - numbers, table.keys[new]
        self._count += len(new)
        rows, groups = np.empty((2, -int(table.values[entries].sum())), np.int64)
        cells.rows_inside(table, table.keys[entries], rows, groups)
        table.stood[entries] *= -1
        self._values.put(table.stood[entries] - 1, merged(self._storage.columns.values.take(rows), groups))

    def _make_room(self, count: int) -> None:
        """Those whose cells are no more go first; then there is room for twice as many as are needed."""
        if self._count + count <= len(self._keys):
            return
        table, slots = self._storage.cells, np.empty(self._count, np.int64)
        cells.standing(table, self._keys[: self._count], slots)
        kept = np.flatnonzero(slots >= 0)
        table.stood[slots[kept]] = np.sign(table.stood[slots[kept]]) * np.arange(1, len(kept) + 1)
        keys, values = self._keys[kept], self._values.take(kept)
        self._count = len(kept)
        capacity = max(len(self._keys), 2 * (self._count + count))
        self._keys = np.zeros(capacity, np.uint64)
        self._values = Gaussians.zeros(capacity, values.harmonics.shape[1])
        self._keys[: self._count] = keys
        self._values.put(slice(self._count), values)
