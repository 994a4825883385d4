# SPDX-FileCopyrightText: The Mem4Nav stack developers
# SPDX-License-Identifier: Apache-2.0
"""The Gaussian map: Gaussians in the leaves of the plane map's octree, one to a cell, in rows that are used again.

It follows the plane map: where a leaf has split, its Gaussians move down; where the sweep has released voxels, theirs
leave memory for an archive by region, on disk where a region store is given, and come back with ``recall``.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any
from weakref import WeakSet

import numpy as np
from numpy.typing import NDArray

from slam.errors import ConfigError, MapError
from slam.gaussian_map import cells, leaves, traversal
from slam.gaussian_map.archive import Archive, MemoryRegions, Packed, Regions, joined
from slam.gaussian_map.columns import Columns, copy_rows
from slam.gaussian_map.detail import merged, quartered
from slam.gaussian_map.leaves import BORN, DEAD, RELEASED, TAKEN
from slam.gaussian_map.map_config import GaussianMapConfig
from slam.octree import BELOW, FRESH, ORPHANS, PlaneMap
from slam.splatting.gaussians import Gaussians, concatenated
from slam.splatting.view import View

Ints = NDArray[np.integer]


class GaussianMap:
    """The Gaussians of one segment, in the octree of its plane map, which may have but one Gaussian map.

    A Gaussian's cell stays the one that it was seeded in, wherever optimisation moves its mean.

    Attributes:
        plane_map: whose octree it is.
        config: settings.
        regions: the region store that was given, or None.
        windows: those that hold rows now, with newer values: asked to ``write_back(rows)`` before these are used.
    """

    def __init__(
        self, plane_map: PlaneMap, config: GaussianMapConfig | None = None, regions: Regions | None = None
    ) -> None:
        """An empty map.

        Raises:
            ConfigError: for levels that do not fit the octree of planes or the range of keys.
        """
        self.plane_map, self.config, self.regions = plane_map, config or GaussianMapConfig(), regions
        self._voxel = plane_map.config.voxel_m
        self._coarsest, self._finest = _levels(self.config, plane_map)
        self._rows, self._cells = leaves.empty(1024), cells.empty(4096)
        self._columns = Columns.zeros(1024, self.config.coefficients)
        self._stand_ins = Gaussians.zeros(0, self.config.coefficients)
        self._region_voxels = max(1, round(self.config.region_m / self._voxel))
        self._archive: Archive | None = None
        if regions is not None or self.config.keep_released:
            side_m = self._region_voxels * self._voxel
            self._archive = Archive(MemoryRegions() if regions is None else regions, side_m, self.config.waiting)
        self.windows: WeakSet[Any] = WeakSet()
        plane_map.arrays.gaussians[:] = (-1, 0, 0)
        plane_map.arrays.counters[ORPHANS] = 0

    # what there is

    def __len__(self) -> int:
        """Number of Gaussians in memory, without stand-ins."""
        return int(self._rows.counters[TAKEN] - self._rows.counters[RELEASED])

    @property
    def capacity(self) -> int:
        """Number of rows that there is room for; rows are below."""
        return len(self._rows.keys)

    @property
    def nbytes(self) -> int:
        """Bytes held, with those of the archive in memory, without the plane map's."""
        arrays = [*self._rows, *self._cells, *self._columns.arrays(), *self._stand_ins]
        return sum(array.nbytes for array in arrays) + (self._archive.nbytes if self._archive else 0)

    @property
    def births(self) -> NDArray[np.int64]:
        """(C,) a number for the Gaussian of each row that no other has had; -1 for rows that hold none."""
        return self._rows.births

    @property
    def keys(self) -> NDArray[np.uint64]:
        """(C,) keys of the cells; see ``slam.gaussian_map.cells``."""
        return self._rows.keys

    @property
    def levels(self) -> NDArray[np.uint8]:
        """(C,) levels of the cells."""
        return self._rows.levels

    @property
    def nodes(self) -> NDArray[np.int32]:
        """(C,) nodes of the plane map's octree that the Gaussians hang on."""
        return self._rows.nodes

    @property
    def sunk(self) -> NDArray[np.bool_]:
        """(C,) whether the plane under the Gaussian was split since; may be written."""
        return self._rows.sunk

    @property
    def seen(self) -> NDArray[np.int32]:
        """(C,) last keyframe that saw each; may be written."""
        return self._columns.seen

    @property
    def statistics(self) -> NDArray[np.float32]:
        """(C, 5) what rendering has shown of each, see ``slam.gaussian_map.columns``; may be written."""
        return self._columns.statistics

    def rows_in_memory(self) -> NDArray[np.int64]:
        """(N,) ascending."""
        return np.flatnonzero(self._rows.levels[: self._rows.counters[TAKEN]] != DEAD)

    def level_of(self, size_m: NDArray[np.floating]) -> NDArray[np.int64]:
        """(N,) levels whose cells come nearest to the wanted sizes (N,), as ratios."""
        level = np.log2(self._voxel / np.maximum(size_m, 1e-9)).round().astype(np.int64)
        return np.clip(level, self._coarsest, self._finest)

    def side_of(self, levels: Ints | int) -> NDArray[np.float64]:
        """Sides of the cells of these levels, metres."""
        return self._voxel / 2.0 ** np.asarray(levels)

    # Gaussians in and out

    def free(self, points: NDArray[np.floating], levels: Ints) -> NDArray[np.bool_]:
        """(N,) whether the cell of each level (N,) round each point (N, 3) may be seeded.

        It may not where it is taken, or lies in a taken one, or has a taken one inside, or is beyond the range of keys.
        """
        self.forget()
        keys, out = self._keys(points, levels), np.empty(len(points), np.bool_)
        cells.which_free(self._cells, keys, self._finest, self._coarsest, out)
        return out

    def add(self, gaussians: Gaussians, levels: Ints, seen: int) -> NDArray[np.int64]:
        """Seed Gaussians in the cells round their means; where one is not free (see ``free``) it is refused.

        Args:
            levels: (N,) of the cells. Of two seeds for one cell the first is taken.
            seen: number of the keyframe.

        Returns:
            (M,) rows of those taken.
        """
        rows = self._enter(self._keys(gaussians.means, levels), gaussians, seen)
        return rows[rows >= 0]

    def take(self, rows: Ints) -> Gaussians:
        """Copies of these, in their last values; also of the stand-ins that ``visible`` names by negative numbers."""
        rows = np.asarray(rows)
        nodes = -1 - rows[rows < 0]
        self._ask_windows(None if len(nodes) else rows)
        out = self._columns.values.take(np.maximum(rows, 0))
        if len(nodes):
            self._refresh(np.unique(nodes))
            out.put(np.flatnonzero(rows < 0), self._stand_ins.take(nodes))
        return out

    def put(self, rows: Ints, values: Gaussians) -> None:
        """Change Gaussians from outside the optimiser: it starts anew on them, and windows read them anew."""
        self._columns.values.put(rows, values)
        self._columns.rest(rows)
        born = self._rows.counters[BORN]
        self._rows.births[rows] = np.arange(born, born + len(rows))
        self._rows.counters[BORN] += len(rows)
        self._changed(rows)

    def read(self, rows: Ints) -> tuple[Gaussians, tuple[Gaussians, Gaussians], NDArray[np.int32]]:
        """Copies of values, first and second moments, and steps, as the map has them."""
        c = self._columns
        return c.values.take(rows), (c.first.take(rows), c.second.take(rows)), c.steps[rows]

    def write_back(
        self, rows: Ints, slots: Ints, buffers: tuple[Gaussians, Gaussians, Gaussians], steps: NDArray[np.int32]
    ) -> None:
        """What the optimiser has made of these rows: these slots of values, first and second moments, and steps."""
        for part, new in zip(self._columns[:3], buffers, strict=True):
            copy_rows(part, rows, new, slots)
        self._columns.steps[rows] = steps[slots]
        self._changed(rows)

    def remove(self, rows: Ints) -> None:
        """Let Gaussians go for good; rows that hold none are passed over."""
        self.forget()
        rows = np.unique(np.asarray(rows, np.int64))
        self._release(rows[self._rows.levels[rows] != DEAD], True)

    def split(self, rows: Ints) -> NDArray[np.int64]:
        """Put four Gaussians one level finer in the place of each, side by side in its plane; not of the finest level.

        Opacity, colour and the last keyframe stay; moments, steps and statistics begin anew.

        Returns:
            (M,) rows of the new ones.
        """
        self.forget()
        rows = np.unique(np.asarray(rows, np.int64))
        rows = rows[self._rows.levels[rows] < self._finest]
        children, offsets = quartered(self.take(rows))
        keys = np.empty((len(rows), 4), np.uint64)
        cells.child_keys(self._rows.keys[rows], offsets.reshape(-1, 4, 3), keys)
        seen = np.repeat(self.seen[rows], 4)
        self._release(rows, True)
        return self._enter(keys.reshape(-1), children, seen)

    def families(self, parents: NDArray[np.uint64]) -> NDArray[np.int32]:
        """(P, 8) rows in the cells one level finer inside these; -1 where there is none, or some are finer still."""
        out = np.empty((len(parents), 8), np.int32)
        cells.children_of(self._cells, parents, out)
        return out

    def merge(self, parents: NDArray[np.uint64]) -> NDArray[np.int64]:
        """Put one Gaussian of the same moments in the place of all in the cells one level finer inside each of these.

        Args:
            parents: (P,) different keys of cells, not finer ones than the coarsest; those without ``families`` are
                passed over.

        Returns:
            (M,) rows of the new ones.
        """
        self.forget()
        families = self.families(parents)
        some = (families >= 0).any(axis=1)
        families, parents = families[some], parents[some]
        which, _ = np.nonzero(families >= 0)
        rows = families[families >= 0]
        if not len(rows):
            return np.empty(0, np.int64)
        coarser = merged(self.take(rows), which)
        seen = np.maximum.reduceat(self.seen[rows], np.flatnonzero(np.diff(which, prepend=-1)))
        self._release(rows.astype(np.int64), True)
        return self._enter(parents, coarser, seen)

    # what may be seen

    def visible(self, views: Sequence[View], reach_m: float, detail_px: float = 0.0) -> NDArray[np.int64]:
        """Gaussians that may show in any of the views; nothing hides another.

        Args:
            reach_m: farther ones are left out.
            detail_px: nodes of the octree that appear smaller than this, and hold several, are each represented by one
                Gaussian of the same moments. 0: none are.

        Returns:
            (M,) ascending rows; -1 - node for a stand-in. Stand-ins are to be rendered (``take``), not optimised.
        """
        self.settle()
        c, out = self._columns, np.empty(len(self), np.int64)
        frustum, margin = traversal.frusta(views), 1.5 * self._voxel / 2**self._coarsest
        shapes = (c.values.means, c.values.log_scales)
        n = traversal.visible(
            self.plane_map.arrays,
            self._rows,
            shapes,
            frustum,
            self._voxel,
            float(reach_m),
            margin,
            float(detail_px),
            out,
        )
        return np.sort(out[:n])

    def gaussians(self) -> Gaussians:
        """All, also those in the archive: those in memory by row, then the regions in order. No stand-ins."""
        parts = [self.take(self.rows_in_memory())]
        parts += [Gaussians(*(packed[name] for name in Gaussians._fields)) for packed in self._archive or ()]
        return concatenated(parts)

    # following the plane map

    def forget(self) -> int:
        """Follow the plane map's sweep: Gaussians of released voxels go to the archive; returns their number.

        They keep values, cells, statistics and last keyframes; the optimiser's moments and steps are dropped.
        """
        a = self.plane_map.arrays
        if not a.counters[ORPHANS]:
            return 0
        out = np.empty(len(self), np.int64)
        rows = np.sort(out[: leaves.orphans(a, self._rows, out)])
        if self._archive is not None:
            places = np.empty((len(rows), 3), np.int64)
            cells.root_indices(self._rows.keys[rows], self._finest, places)
            self._archive.take_in(self._packed(rows), places // self._region_voxels)
        self._release(rows, False)
        return len(rows)

    def settle(self) -> None:
        """Follow the plane map: ``forget``, and move Gaussians down from nodes that have split."""
        self.forget()
        count = leaves.unsettled(self.plane_map.arrays, self._rows)
        if count:
            self.plane_map.make_room(count)
            leaves.settle(self.plane_map.arrays, self._rows, self._finest, self.plane_map.rules.min_points)

    def recall(self, position: NDArray[np.float64]) -> int:
        """Bring back the regions that lie within the plane map's reach of a position (3,); returns how many Gaussians.

        One whose cell was seeded anew meanwhile is dropped. Voxels that the plane map lacks are made, without planes.

        Raises:
            MapError: when the file of a region is damaged.
        """
        self.forget()
        reach_m = self.plane_map.config.reach_m
        regions = self._archive.recall(position, reach_m) if self._archive is not None else []
        return sum(self._enter_packed(packed) for packed in regions)

    def tensors(self) -> Packed:
        """What is in memory, for ``restore``: as the archive has it. A region store is given all that waits for it."""
        self.forget()
        parts = [self._packed(self.rows_in_memory())]
        if self.regions is None:
            parts += list(self._archive or ())
        elif self._archive is not None:
            self._archive.flush()
        return joined(parts)

    def restore(self, tensors: Packed) -> None:
        """Take over what another map's ``tensors`` gave; the octree has to be that map's.

        Raises:
            MapError: where a tensor is missing, or does not fit the map's levels or coefficients.
        """
        expected = self._packed(np.empty(0, np.int64))
        for name, empty in expected.items():
            if name not in tensors or tensors[name].shape[1:] != empty.shape[1:]:
                found = tensors[name].shape if name in tensors else "none"
                raise MapError(f"Gaussians to restore: {name} is {found}, not (N, *{empty.shape[1:]})")
        self._enter_packed(tensors)

    # inside

    def _keys(self, points: NDArray[np.floating], levels: Ints) -> NDArray[np.uint64]:
        levels = np.asarray(levels, np.int64)
        if len(levels) and not self._coarsest <= levels.min() <= levels.max() <= self._finest:
            found = f"{levels.min()} to {levels.max()}"
            raise MapError(f"Gaussians of levels {found}: this map has {self._coarsest} to {self._finest} (max_level)")
        out = np.empty(len(points), np.uint64)
        cells.cell_keys(np.ascontiguousarray(points, np.float64), levels, self._voxel, self._finest, out)
        return out

    def _enter(self, keys: NDArray[np.uint64], gaussians: Gaussians, seen: Ints | int) -> NDArray[np.int64]:
        """Rows (N,) that now hold these Gaussians, -1 where the cell was not free."""
        self.settle()
        self._make_room(len(keys))
        rows = np.empty(len(keys), np.int64)
        leaves.claim(
            self.plane_map.arrays, self._cells, self._rows, keys, self._finest, self._coarsest,
            self.plane_map.rules.min_points, rows,
        )  # fmt: skip
        taken = rows >= 0
        seen = np.broadcast_to(seen, len(keys))[taken]
        self._columns.start(rows[taken], gaussians.take(np.flatnonzero(taken)), seen)
        return rows

    def _release(self, rows: Ints, hanging: bool) -> None:
        leaves.release(self.plane_map.arrays, self._cells, self._rows, rows, self._finest, self._coarsest, hanging)

    def _packed(self, rows: Ints) -> Packed:
        self._ask_windows(rows)
        centres = np.empty((len(rows), 3))
        cells.cell_centres(self._rows.keys[rows], self._voxel, self._finest, centres)
        more = {"centres": centres, "levels": self._rows.levels[rows]}
        more |= {"seen": self.seen[rows], "statistics": self.statistics[rows]}
        return self._columns.values.take(rows)._asdict() | more

    def _enter_packed(self, packed: Packed) -> int:
        gaussians = Gaussians(*(packed[name] for name in Gaussians._fields))
        rows = self._enter(self._keys(packed["centres"], packed["levels"]), gaussians, packed["seen"])
        self.statistics[rows[rows >= 0]] = packed["statistics"][rows >= 0]
        return int((rows >= 0).sum())

    def _ask_windows(self, rows: Ints | None) -> None:
        for window in self.windows:
            window.write_back(rows)

    def _changed(self, rows: Ints) -> None:
        if self._stand_ins.size:
            leaves.stale(self.plane_map.arrays, self._rows, rows, self._finest)

    def _refresh(self, nodes: Ints) -> None:
        """Make the stand-ins of these nodes anew where their subtrees have changed."""
        a = self.plane_map.arrays
        if self._stand_ins.size < len(a.meta):
            self._stand_ins = Gaussians.zeros(len(a.meta), self.config.coefficients)
            a.gaussians[:, FRESH] = 0
        nodes = nodes[a.gaussians[nodes, FRESH] == 0]
        count = int(a.gaussians[nodes, BELOW].sum())
        if count:
            rows, groups = np.empty(count, np.int64), np.empty(count, np.int64)
            traversal.subtrees(a, self._rows, nodes, rows, groups)
            self._stand_ins.put(nodes, merged(self._columns.values.take(rows), groups))
            a.gaussians[nodes, FRESH] = 1

    def _make_room(self, count: int) -> None:
        self.plane_map.make_room(count)
        if len(self) + count > self.capacity:
            capacity = max(2 * self.capacity, len(self) + count)
            self._rows = self._rows.grown(capacity)
            self._columns = self._columns.grown(capacity)
        entries = int(self._cells.counters[0]) + count * (1 + self._finest - self._coarsest)
        if 2 * entries > len(self._cells.keys):
            old, self._cells = self._cells, cells.empty(1 << (2 * entries - 1).bit_length())
            cells.rehash(old, self._cells)


def _levels(config: GaussianMapConfig, plane_map: PlaneMap) -> tuple[int, int]:
    """Coarsest and finest level.

    Raises:
        ConfigError: where cells would not nest in leaves, or keys would not reach.
    """
    coarsest, finest, depth = config.min_level, config.max_level, plane_map.config.max_depth
    if not depth <= coarsest <= finest <= 15:
        raise ConfigError(
            f"cells of levels {coarsest} to {finest} under leaves of depth {depth}: min_level has to be at least the "
            "octree's max_depth, and max_level at least min_level and at most 15"
        )
    return coarsest, finest
