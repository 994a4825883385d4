# SPDX-FileCopyrightText: The Mem4Nav stack developers
# SPDX-License-Identifier: Apache-2.0
"""Rows of Gaussians, the cells that they own and the leaves that they hang on, which grow and change together."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from slam.errors import ConfigError, MapError
from slam.gaussian_map import cells, leaves
from slam.gaussian_map.columns import Columns
from slam.gaussian_map.leaves import BORN, DEAD, RELEASED, TAKEN
from slam.gaussian_map.map_config import GaussianMapConfig
from slam.octree import ORPHANS, PlaneMap
from slam.splatting.gaussians import Gaussians

Ints = NDArray[np.integer]


class Storage:
    """Where a Gaussian map keeps its Gaussians.

    Attributes:
        plane_map: whose octree it is.
        rows: where each belongs; see ``leaves.Rows``.
        cells: the hash table of taken cells; see ``cells.Cells``.
        columns: what is known of each; see ``columns.Columns``.
    """

    def __init__(self, plane_map: PlaneMap, config: GaussianMapConfig) -> None:
        """Empty, and the octree's lists too.

        Raises:
            ConfigError: where cells would not nest in leaves, or keys would not reach far.
        """
        self.coarsest, self.finest, depth = config.min_level, config.max_level, plane_map.config.max_depth
        if not depth <= self.coarsest <= self.finest <= 15:
            raise ConfigError(
                f"cells of levels {self.coarsest} to {self.finest} under leaves of depth {depth}: min_level has to be "
                "at least the octree's max_depth, and max_level at least min_level and at most 15"
            )
        self.plane_map = plane_map
        self.rows, self.cells = leaves.empty(1024), cells.empty(4096)
        self.columns = Columns.zeros(1024, config.coefficients)
        plane_map.arrays.heads[:] = -1
        plane_map.arrays.counters[ORPHANS] = 0

    def __len__(self) -> int:
        """Number of Gaussians."""
        return int(self.rows.counters[TAKEN] - self.rows.counters[RELEASED])

    @property
    def capacity(self) -> int:
        """Number of rows that there is room for."""
        return len(self.rows.keys)

    @property
    def nbytes(self) -> int:
        """Bytes held, without the octree's."""
        return sum(array.nbytes for array in (*self.rows, *self.cells, *self.columns.arrays()))

    def held(self) -> NDArray[np.int64]:
        """(N,) ascending rows that hold a Gaussian."""
        return np.flatnonzero(self.rows.levels[: self.rows.counters[TAKEN]] != DEAD)

    def alive(self, rows: Ints) -> NDArray[np.int64]:
        """Those of these rows that hold a Gaussian, ascending and each once."""
        rows = np.unique(np.asarray(rows, np.int64))
        return rows[self.rows.levels[rows] != DEAD]

    def keys_of(self, points: NDArray[np.floating], levels: Ints) -> NDArray[np.uint64]:
        """Keys of the cells of these levels round these points.

        Raises:
            MapError: for levels that the map does not have.
        """
        levels = np.asarray(levels, np.int64)
        if len(levels) and not self.coarsest <= levels.min() <= levels.max() <= self.finest:
            found = f"{levels.min()} to {levels.max()}"
            raise MapError(f"Gaussians of levels {found}: this map has {self.coarsest} to {self.finest} (max_level)")
        out = np.empty(len(points), np.uint64)
        voxel = self.plane_map.config.voxel_m
        cells.cell_keys(np.ascontiguousarray(points, np.float64), levels, voxel, self.finest, out)
        return out

    def centres(self, rows: Ints) -> NDArray[np.float64]:
        """(N, 3) of the cells, metres."""
        out = np.empty((len(rows), 3))
        cells.cell_centres(self.rows.keys[rows], self.plane_map.config.voxel_m, self.finest, out)
        return out

    def roots(self, rows: Ints) -> NDArray[np.int64]:
        """(N, 3) indices of the root voxels."""
        out = np.empty((len(rows), 3), np.int64)
        cells.root_indices(self.rows.keys[rows], self.finest, out)
        return out

    def enter(self, keys: NDArray[np.uint64], gaussians: Gaussians, seen: Ints | int) -> NDArray[np.int64]:
        """Rows (N,) that hold these Gaussians from now on, -1 where the cell was not free."""
        self._make_room(len(keys))
        rows = np.empty(len(keys), np.int64)
        least = self.plane_map.rules.min_points
        leaves.claim(self.plane_map.arrays, self.cells, self.rows, keys, self.finest, self.coarsest, least, rows)
        taken = np.flatnonzero(rows >= 0)
        self.columns.start(rows[taken], gaussians.take(taken), np.broadcast_to(seen, len(keys))[taken])
        return rows

    def release(self, rows: NDArray[np.int64], hanging: bool = True) -> None:
        """Let rows go; ``hanging`` is False for orphans."""
        leaves.release(self.plane_map.arrays, self.cells, self.rows, rows, hanging)

    def bear_again(self, rows: Ints) -> None:
        """Give Gaussians new numbers of birth."""
        born = self.rows.counters[BORN]
        self.rows.births[rows] = np.arange(born, born + len(rows))
        self.rows.counters[BORN] += len(rows)

    def orphans(self) -> NDArray[np.int64]:
        """(N,) ascending rows whose nodes were released since the last call: to be released before anything else."""
        if not self.plane_map.arrays.counters[ORPHANS]:
            return np.empty(0, np.int64)
        out = np.empty(len(self), np.int64)
        return np.sort(out[: leaves.orphans(self.plane_map.arrays, self.rows, out)])

    def settle(self) -> None:
        """Move rows down from nodes that have split."""
        count = leaves.unsettled(self.plane_map.arrays, self.rows)
        if count:
            self.plane_map.make_room(count)
            leaves.settle(self.plane_map.arrays, self.rows, self.finest, self.plane_map.rules.min_points)

    def _make_room(self, count: int) -> None:
        self.plane_map.make_room(count)
        if len(self) + count > self.capacity:
            capacity = max(2 * self.capacity, len(self) + count)
            self.rows, self.columns = self.rows.grown(capacity), self.columns.grown(capacity)
        entries = int(self.cells.counters[0]) + count * (1 + self.finest)
        if 2 * entries > len(self.cells.keys):
            old, self.cells = self.cells, cells.empty(1 << (2 * entries - 1).bit_length())
            cells.rehash(old, self.cells)
