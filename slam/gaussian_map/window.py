# SPDX-FileCopyrightText: The Mem4Nav stack developers
# SPDX-License-Identifier: Apache-2.0
"""The sliding window: what the current views may see, side by side in memory for the rasteriser and the optimiser."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from slam.gaussian_map.store import GaussianMap
from slam.splatting.gaussians import Gaussians
from slam.splatting.view import View


@dataclass(frozen=True, slots=True)
class Moved:
    """What a move of the window did.

    Attributes:
        added, removed, kept: numbers of Gaussians; removed are also those that the map has let go since.
        slots: (M,) int64, ascending, whose contents are not what they were: those to be sent to a GPU.
    """

    added: int
    removed: int
    kept: int
    slots: NDArray[np.int64]


class Window:
    """Copies of the map's Gaussians in slots 0 to n - 1, with no gaps (GS-LIVO, maintenance of the window).

    Within the window these are the truth. They are written back before the window moves, when the map needs them (it
    asks, so that ``map.gaussians()``, saving, splitting and the like see the last values), or by ``write_back``. One
    that the map has removed or changed itself is dropped at the next move, and read anew where it is still there: each
    has a number of birth by which that is told. The way from a row of the map to its slot is an array by row, 4 bytes a
    row: as short as a hash table of the window's size, and never to be searched.

    What is too far away to be told apart is there as the map's stand-ins, in slots behind the n: they are shown, and
    neither fitted nor written back.

    Attributes:
        map: the Gaussian map.
        size: n.
        shown: n and the number of stand-ins.
    """

    def __init__(self, gaussian_map: GaussianMap) -> None:
        self.map = gaussian_map
        self.size = self.shown = 0
        self._buffers = _buffers(1024, gaussian_map.config.coefficients)
        self._rows: NDArray[np.int64] = np.zeros(1024, np.int64)
        self._births: NDArray[np.int64] = np.zeros(1024, np.int64)
        self._steps: NDArray[np.int32] = np.zeros(1024, np.int32)
        self._slots: NDArray[np.int32] = np.full(1, -1, np.int32)
        gaussian_map.windows.add(self)

    @property
    def gaussians(self) -> Gaussians:
        """n Gaussians, views of the buffers: what is written there is in the window."""
        return self._buffers[0].take(slice(self.size))

    @property
    def shown_gaussians(self) -> Gaussians:
        """These n, then the stand-ins: what a view shows, to be read alone."""
        return self._buffers[0].take(slice(self.shown))

    @property
    def moments(self) -> tuple[Gaussians, Gaussians]:
        """Adam's first and second moments of the n Gaussians, views."""
        return self._buffers[1].take(slice(self.size)), self._buffers[2].take(slice(self.size))

    @property
    def steps(self) -> NDArray[np.int32]:
        """(n,) steps that Adam has taken, a view."""
        return self._steps[: self.size]

    @property
    def rows(self) -> NDArray[np.int64]:
        """(n,) rows of the map, a view."""
        return self._rows[: self.size]

    @property
    def nbytes(self) -> int:
        """Bytes held."""
        arrays = [array for part in self._buffers for array in part]
        return sum(a.nbytes for a in (*arrays, self._rows, self._births, self._steps, self._slots))

    def move_to(self, views: Sequence[View] | None, reach_m: float = np.inf, detail_px: float = 0.0) -> Moved:
        """Hold what may be seen from ``views``, or all of the map in memory where that is None.

        Args:
            reach_m, detail_px: see ``GaussianMap.visible``.
        """
        if views is not None:
            self._give_back(np.arange(self.size))  # so that visible() judges by where Gaussians are now
        found = self.map.rows_in_memory() if views is None else self.map.visible(views, reach_m, detail_px)
        stand_ins, wanted = found[found < 0], found[found >= 0]
        asked = np.zeros(self.map.capacity, np.bool_)
        asked[wanted] = True
        alive = self._alive()
        stays = alive & asked[self.rows]
        self.map.outdate(self.rows[alive & ~stays])  # nothing stands for what is shown itself
        before, moved = self.size, self._close_gaps(stays)
        new = wanted[self._slot_of(wanted) < 0]
        self._append(new)
        self._show(stand_ins)
        slots = np.concatenate([moved, np.arange(self.size - len(new), self.shown)])
        return Moved(len(new), before - int(stays.sum()), int(stays.sum()), slots)

    def write_back(self, rows: NDArray[np.integer] | None = None) -> None:
        """Give the map the window's values: of these rows, where they are in the window, or of all."""
        slots = np.arange(self.size) if rows is None else self._slot_of(rows).astype(np.int64)
        self.map.outdate(self._give_back(slots[slots >= 0]))

    def _give_back(self, slots: NDArray[np.int64]) -> NDArray[np.int64]:
        """The rows of those slots whose Gaussian is still the map's, which has their values now."""
        slots = slots[self._alive()[slots]]
        self.map.write_back(self._rows[slots], slots, self._buffers, self._steps)
        return self._rows[slots]

    def _alive(self) -> NDArray[np.bool_]:
        """(n,) whose Gaussian is still the map's."""
        return self.map.births[self.rows] == self._births[: self.size]

    def _slot_of(self, rows: NDArray[np.integer]) -> NDArray[np.int32]:
        """(M,) slots, -1 for rows that are not in the window."""
        if len(self._slots) < self.map.capacity:
            slots = np.full(self.map.capacity, -1, np.int32)
            slots[: len(self._slots)] = self._slots
            self._slots = slots
        return self._slots[rows]

    def _close_gaps(self, stays: NDArray[np.bool_]) -> NDArray[np.int64]:
        """Move Gaussians from the tail into the gaps of those that go; returns the slots filled."""
        self._slots[self.rows[~stays]] = -1
        size = int(stays.sum())
        gaps, tail = np.flatnonzero(~stays[:size]), size + np.flatnonzero(stays[size:])
        for array in self._arrays():
            array[gaps] = array[tail]
        self._slots[self._rows[gaps]] = gaps
        self.size = size
        return gaps

    def _append(self, rows: NDArray[np.int64]) -> None:
        slots = np.arange(self.size, self.size + len(rows))
        self._make_room(self.size + len(rows))
        values, moments, steps = self.map.read(rows)
        for buffer, part in zip(self._buffers, (values, *moments), strict=True):
            buffer.put(slots, part)
        self._steps[slots], self._rows[slots], self._births[slots] = steps, rows, self.map.births[rows]
        self._slots[rows] = slots
        self.size += len(rows)

    def _show(self, stand_ins: NDArray[np.int64]) -> None:
        """Put these behind the window's own Gaussians."""
        self.shown = self.size + len(stand_ins)
        self._make_room(self.shown)
        self._buffers[0].put(slice(self.size, self.shown), self.map.stand_ins(stand_ins))

    def _arrays(self) -> list[NDArray]:
        return [*(array for part in self._buffers for array in part), self._steps, self._rows, self._births]

    def _make_room(self, size: int) -> None:
        capacity = len(self._rows)
        if size <= capacity:
            return
        capacity = max(size, 2 * capacity)
        larger = _buffers(capacity, self.map.config.coefficients)
        for new, old in zip(larger, self._buffers, strict=True):
            new.put(slice(self.size), old.take(slice(self.size)))
        self._buffers = larger
        self._steps, self._rows = _grown(self._steps, capacity), _grown(self._rows, capacity)
        self._births = _grown(self._births, capacity)


def _grown(array: NDArray, capacity: int) -> NDArray:
    out = np.zeros(capacity, array.dtype)
    out[: len(array)] = array
    return out


def _buffers(capacity: int, coefficients: int) -> tuple[Gaussians, Gaussians, Gaussians]:
    """Room for values and both moments."""
    first, second, third = (Gaussians.zeros(capacity, coefficients) for _ in range(3))
    return first, second, third
