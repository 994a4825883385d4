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

from slam.errors import MapError
from slam.gaussian_map import cells, traversal
from slam.gaussian_map.archive import Archive, MemoryRegions, Packed, Regions, joined
from slam.gaussian_map.columns import copy_rows
from slam.gaussian_map.detail import merged, quartered
from slam.gaussian_map.map_config import GaussianMapConfig
from slam.gaussian_map.stand_ins import StandIns
from slam.gaussian_map.storage import Ints, Storage
from slam.octree import PlaneMap
from slam.splatting.gaussians import Gaussians, concatenated
from slam.splatting.view import View


class GaussianMap:
    """The Gaussians of one segment, in the octree of its plane map, which may have but one Gaussian map.

    A Gaussian's cell stays the one that it was seeded in, wherever optimisation moves its mean. Rows stay what they are
    until their Gaussian goes. One thread at a time, also on the plane map.

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
        self._storage = Storage(plane_map, self.config)
        self._stand_ins = StandIns(self._storage)
        self._voxel = plane_map.config.voxel_m
        self._region_voxels = max(1, round(self.config.region_m / self._voxel))
        self._archive: Archive | None = None
        if regions is not None or self.config.keep_released:
            side_m = self._region_voxels * self._voxel
            self._archive = Archive(MemoryRegions() if regions is None else regions, side_m, self.config.waiting)
        self.windows: WeakSet[Any] = WeakSet()

    # what there is

    def __len__(self) -> int:
        """Number of Gaussians in memory, without stand-ins."""
        return len(self._storage)

    @property
    def capacity(self) -> int:
        """Number of rows that there is room for; rows are below."""
        return self._storage.capacity

    @property
    def nbytes(self) -> int:
        """Bytes held, with those of the archive in memory, without the plane map's."""
        archived = self._archive.nbytes if self._archive is not None else 0
        return self._storage.nbytes + self._stand_ins.nbytes + archived

    @property
    def births(self) -> NDArray[np.int64]:
        """(C,) a number for the Gaussian of each row that no other has had; -1 for rows that hold none."""
        return self._storage.rows.births

    @property
    def keys(self) -> NDArray[np.uint64]:
        """(C,) keys of the cells; see ``slam.gaussian_map.cells``."""
        return self._storage.rows.keys

    @property
    def levels(self) -> NDArray[np.uint8]:
        """(C,) levels of the cells."""
        return self._storage.rows.levels

    @property
    def nodes(self) -> NDArray[np.int32]:
        """(C,) nodes of the plane map's octree that the Gaussians hang on."""
        return self._storage.rows.nodes

    @property
    def sunk(self) -> NDArray[np.bool_]:
        """(C,) whether the plane under the Gaussian was split since; may be written."""
        return self._storage.rows.sunk

    @property
    def seen(self) -> NDArray[np.int32]:
        """(C,) last keyframe that saw each; may be written."""
        return self._columns.seen

    @property
    def statistics(self) -> NDArray[np.float32]:
        """(C, 4) what rendering has shown of each, see ``slam.gaussian_map.columns``; may be written."""
        return self._columns.statistics

    def rows_in_memory(self) -> NDArray[np.int64]:
        """(N,) ascending."""
        return self._storage.held()

    def level_of(self, size_m: NDArray[np.floating]) -> NDArray[np.int64]:
        """(N,) levels whose cells come nearest to the wanted sizes (N,), as ratios."""
        level = np.log2(self._voxel / np.maximum(size_m, 1e-9)).round().astype(np.int64)
        return np.clip(level, self.config.min_level, self.config.max_level)

    def side_of(self, levels: Ints | int) -> NDArray[np.float64]:
        """Sides of the cells of these levels, metres."""
        return self._voxel / 2.0 ** np.asarray(levels)

    # Gaussians in and out

    def free(self, points: NDArray[np.floating], levels: Ints) -> NDArray[np.bool_]:
        """(N,) whether the cell of each level (N,) round each point (N, 3) may be seeded.

        It may not where it is taken, or lies in a taken one, or has a taken one inside, or is beyond the range of keys.
        """
        self.forget()
        s, out = self._storage, np.empty(len(points), np.bool_)
        cells.which_free(s.cells, s.keys_of(points, levels), s.finest, s.coarsest, out)
        return out

    def covering(self, points: NDArray[np.floating], levels: Ints) -> NDArray[np.int64]:
        """(N,) rows whose coarser cells hold the cells of these levels (N,) round the points (N, 3), else -1."""
        self.forget()
        s, out = self._storage, np.empty(len(points), np.int64)
        cells.which_cover(s.cells, s.keys_of(points, levels), s.finest, s.coarsest, out)
        return out

    def add(self, gaussians: Gaussians, levels: Ints, seen: int) -> NDArray[np.int64]:
        """Seed Gaussians in the cells round their means; where one is not free (see ``free``) it is refused.

        Args:
            levels: (N,) of the cells. Of two seeds for one cell the first is taken.
            seen: number of the keyframe.

        Returns:
            (M,) rows of those taken.
        """
        rows = self._enter(self._storage.keys_of(gaussians.means, levels), gaussians, seen)
        return rows[rows >= 0]

    def take(self, rows: Ints) -> Gaussians:
        """Copies of these, in their last values; also of the stand-ins that ``visible`` names by negative numbers."""
        stands, rows = np.flatnonzero(rows < 0), np.asarray(rows, np.int64)
        self._ask_windows(None if len(stands) else rows)
        out = self._columns.values.take(np.maximum(rows, 0))
        if len(stands):
            out.put(stands, self.stand_ins(rows[stands]))
        return out

    def stand_ins(self, numbers: Ints) -> Gaussians:
        """Copies of the stand-ins that ``visible`` names by these negative numbers, as the map has them."""
        return self._stand_ins.take(-1 - np.asarray(numbers, np.int64))

    def put(self, rows: Ints, values: Gaussians) -> None:
        """Change Gaussians from outside the optimiser: it starts anew on them, and windows read them anew.

        Raises:
            MapError: for rows that hold none.
        """
        if (self.births[rows] < 0).any():
            raise MapError(f"{(self.births[rows] < 0).sum()} of {len(rows)} rows to change hold no Gaussian (any more)")
        self._columns.values.put(rows, values)
        self._columns.rest(rows)
        self._storage.bear_again(rows)
        self.outdate(rows)

    def read(self, rows: Ints) -> tuple[Gaussians, tuple[Gaussians, Gaussians], NDArray[np.int32]]:
        """Copies of values, first and second moments, and steps, as the map has them."""
        c = self._columns
        return c.values.take(rows), (c.first.take(rows), c.second.take(rows)), c.steps[rows]

    def write_back(
        self,
        rows: NDArray[np.int64],
        slots: NDArray[np.int64],
        buffers: tuple[Gaussians, Gaussians, Gaussians],
        steps: NDArray[np.int32],
    ) -> None:
        """What the optimiser has made of these rows: these slots of values, first and second moments, and steps.

        What stands for them is not told: see ``outdate``.
        """
        for part, new in zip(self._columns[:3], buffers, strict=True):
            copy_rows(part, rows, new, slots)
        self._columns.steps[rows] = steps[slots]

    def outdate(self, rows: Ints) -> None:
        """Let what stands for these rows be made anew when it is next asked for."""
        if self._stand_ins.used:
            cells.outdate(self._storage.cells, self.keys[rows], self._storage.finest)

    def remove(self, rows: Ints) -> None:
        """Let Gaussians go for good; rows that hold none are passed over."""
        self.forget()
        self._storage.release(self._storage.alive(rows))

    def split(self, rows: Ints) -> NDArray[np.int64]:
        """Put four Gaussians one level finer in the place of each, side by side in its plane; not of the finest level.

        Opacity, colour and the last keyframe stay; moments, steps and statistics begin anew.

        Returns:
            (M,) rows of the new ones.
        """
        self.forget()
        rows = self._storage.alive(rows)
        rows = rows[self.levels[rows] < self.config.max_level]
        children, offsets = quartered(self.take(rows))
        keys = np.empty((len(rows), 4), np.uint64)
        cells.child_keys(self.keys[rows], offsets.reshape(-1, 4, 3), keys)
        seen = np.repeat(self.seen[rows], 4)
        self._storage.release(rows)
        return self._enter(keys.reshape(-1), children, seen)

    def families(self, parents: NDArray[np.uint64]) -> NDArray[np.int32]:
        """(P, 8) rows in the cells one level finer inside these; -1 where there is none, or some are finer still."""
        out = np.empty((len(parents), 8), np.int32)
        cells.children_of(self._storage.cells, parents, out)
        return out

    def merge(self, parents: NDArray[np.uint64]) -> NDArray[np.int64]:
        """Put one Gaussian of the same moments in the place of all in the cells one level finer inside each of these.

        Args:
            parents: (P,) keys of cells; those without ``families`` are passed over.

        Returns:
            (M,) rows of the new ones.
        """
        self.forget()
        parents = np.unique(parents)
        families = self.families(parents)
        some = (families >= 0).any(axis=1)
        families, parents = families[some], parents[some]
        which, _ = np.nonzero(families >= 0)
        rows = families[families >= 0]
        if not len(rows):
            return np.empty(0, np.int64)
        coarser = merged(self.take(rows), which)
        seen = np.maximum.reduceat(self.seen[rows], np.flatnonzero(np.diff(which, prepend=-1)))
        self._storage.release(rows.astype(np.int64))
        return self._enter(parents, coarser, seen)

    # what may be seen

    def visible(self, views: Sequence[View], reach_m: float, detail_px: float = 0.0) -> NDArray[np.int64]:
        """Gaussians that may show in any of the views; nothing hides another.

        Args:
            reach_m: farther ones are left out.
            detail_px: cells of all levels that appear smaller than this, and hold several, are each represented by one
                Gaussian of the same moments. 0: none are.

        Returns:
            (M,) ascending rows, and negative numbers that name stand-ins until Gaussians come or go. Stand-ins are to
            be rendered (``take``), not optimised.
        """
        self.settle()
        s, out = self._storage, np.empty(2 * len(self), np.int64)
        values, frustum = (s.columns.values.means, s.columns.values.log_scales), traversal.frusta(views)
        limits = (self._voxel, s.finest, float(reach_m), 1.5 * self._voxel / 2**s.coarsest, float(detail_px))
        n = traversal.visible(self.plane_map.arrays, s.cells, values, frustum, *limits, out)
        n = traversal.large_seen(s.cells, s.rows, values, frustum, *limits, out, n)
        return np.unique(out[:n])

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
        rows = self._storage.orphans()
        if self._archive is not None and len(rows):
            self._archive.take_in(self._packed(rows), self._storage.roots(rows) // self._region_voxels)
        self._storage.release(rows, hanging=False)
        return len(rows)

    def settle(self) -> None:
        """Follow the plane map: ``forget``, and move Gaussians down from nodes that have split."""
        self.forget()
        self._storage.settle()

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

    @property
    def _columns(self):
        return self._storage.columns

    def _enter(self, keys: NDArray[np.uint64], gaussians: Gaussians, seen: Ints | int) -> NDArray[np.int64]:
        self.settle()
        return self._storage.enter(keys, gaussians, seen)

    def _packed(self, rows: Ints) -> Packed:
        self._ask_windows(rows)
        more = {"centres": self._storage.centres(rows), "levels": self.levels[rows]}
        more |= {"seen": self.seen[rows], "statistics": self.statistics[rows]}
        return self._columns.values.take(rows)._asdict() | more

    def _enter_packed(self, packed: Packed) -> int:
        gaussians = Gaussians(*(packed[name] for name in Gaussians._fields))
        rows = self._enter(self._storage.keys_of(packed["centres"], packed["levels"]), gaussians, packed["seen"])
        self.statistics[rows[rows >= 0]] = packed["statistics"][rows >= 0]
        return int((rows >= 0).sum())

    def _ask_windows(self, rows: Ints | None) -> None:
        for window in self.windows:
            window.write_back(rows)
