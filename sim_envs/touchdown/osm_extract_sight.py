# SPDX-FileCopyrightText: The Mem4Nav stack developers
# SPDX-License-Identifier: Apache-2.0
"""Which landmarks can be seen from where: near enough, and no building in between."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy.spatial import cKDTree

from sim_envs.touchdown.osm_extract import Outline

REACH_M = 40.0
INSIDE_M = 12.0
"""A shop is mapped somewhere in its building: seen through the wall on its own side, not from across the block."""
_AT_THE_WALL_M = 0.5
_WALL_M = 20.0
"""Longer walls are cut, so that the middles of all walls near a line of sight are near it too."""


@dataclass(frozen=True, slots=True)
class Sight:
    """A landmark seen from a place.

    Attributes:
        place: number of the place.
        point: number of the landmark.
        nearest: (2,) metres, its nearest side; where its building's wall hides it, that wall.
    """

    place: int
    point: int
    nearest: NDArray[np.float64]


def look_around(
    places: NDArray[np.float64], points: Sequence[Outline], buildings: Sequence[Outline], reach_m: float = REACH_M
) -> Iterator[Sight]:
    """What is seen from each of (N, 2) places."""
    walls = _Walls(buildings)
    if not points:
        return
    corners = np.concatenate([_fence(point.ring) for point in points])
    owner = np.repeat(np.arange(len(points)), [len(_fence(point.ring)) for point in points])
    own = [walls.around(point) for point in points]
    near_points = cKDTree(corners).query_ball_point(places, reach_m + _WALL_M / 2)
    near_walls = walls.near(places, reach_m)
    for number, place in enumerate(places):
        around = walls.pick(near_walls[number])
        for point in np.unique(owner[near_points[number]]).tolist():
            seen = _see(place, points[point].ring, own[point], around, reach_m)
            if seen is not None:
                yield Sight(number, point, seen)


def _see(
    place: NDArray[np.float64],
    ring: NDArray[np.float64],
    own: frozenset[int],
    walls: tuple[NDArray[np.float64], NDArray[np.float64], NDArray[np.int64]],
    reach_m: float,
) -> NDArray[np.float64] | None:
    """The nearest side of a landmark as seen from a place; None where it is too far or something stands before it."""
    target = _nearest(place, ring)
    distance = float(np.hypot(*(target - place)))
    if distance > reach_m:
        return None
    starts, ends, building = walls
    share = _crossings(place, target, starts, ends)
    crossed = share < 1.0 - _AT_THE_WALL_M / max(distance, _AT_THE_WALL_M)
    through_own = np.isin(building[crossed], list(own))
    if not through_own.all():
        return None
    if not len(through_own):
        return target
    into = share[crossed].min()
    hidden = len(through_own) > 1 or (1.0 - into) * distance > INSIDE_M
    return None if hidden else place + into * (target - place)


class _Walls:
    """The sides of all buildings, in pieces."""

    def __init__(self, buildings: Sequence[Outline]) -> None:
        self._buildings = buildings
        rings = [_fence(building.ring) for building in buildings]
        nothing = np.zeros((0, 2))
        self._starts = np.concatenate([nothing, *rings])
        self._ends = np.concatenate([nothing, *(np.roll(ring, -1, axis=0) for ring in rings)])
        self._building = np.repeat(np.arange(len(rings)), [len(ring) for ring in rings])
        self._low = np.array([building.ring.min(axis=0) for building in buildings]).reshape(-1, 2)
        self._high = np.array([building.ring.max(axis=0) for building in buildings]).reshape(-1, 2)

    def near(self, places: NDArray[np.float64], reach_m: float) -> Sequence[list[int]]:
        """For each place, the walls that a line of sight from it can meet."""
        if not len(self._starts):
            return [[]] * len(places)
        return cKDTree((self._starts + self._ends) / 2).query_ball_point(places, reach_m + _WALL_M / 2)

    def pick(self, walls: list[int]) -> tuple[NDArray[np.float64], NDArray[np.float64], NDArray[np.int64]]:
        """Beginnings and ends of walls, and the building that each belongs to."""
        return self._starts[walls], self._ends[walls], self._building[walls]

    def around(self, point: Outline) -> frozenset[int]:
        """The buildings that a landmark stands in, or is."""
        middle = point.ring.mean(axis=0)
        boxed = np.flatnonzero((self._low <= middle).all(axis=1) & (middle <= self._high).all(axis=1))
        return frozenset(
            building
            for building in boxed.tolist()
            if self._buildings[building].id == point.id or _contains(self._buildings[building].ring, middle)
        )


def _fence(ring: NDArray[np.float64]) -> NDArray[np.float64]:
    """The corners of a ring, and posts between them where a side is long."""
    if len(ring) == 1:
        return ring
    after = np.roll(ring, -1, axis=0)
    pieces = np.maximum(1, np.ceil(np.hypot(*(after - ring).T) / _WALL_M).astype(int))
    return np.concatenate(
        [
            start + np.arange(count)[:, None] / count * (end - start)
            for start, end, count in zip(ring, after, pieces, strict=True)
        ]
    )


def _nearest(place: NDArray[np.float64], ring: NDArray[np.float64]) -> NDArray[np.float64]:
    """The point of an outline that is nearest to a place."""
    side = np.roll(ring, -1, axis=0) - ring
    length = np.maximum((side**2).sum(axis=1), 1e-12)
    share = np.clip(((place - ring) * side).sum(axis=1) / length, 0.0, 1.0)
    feet = ring + share[:, None] * side
    return feet[np.argmin(((feet - place) ** 2).sum(axis=1))]


def _crossings(
    place: NDArray[np.float64], target: NDArray[np.float64], starts: NDArray[np.float64], ends: NDArray[np.float64]
) -> NDArray[np.float64]:
    """(N,) how far along the line of sight each wall is crossed, 0 to 1; infinite where it is not."""
    sight, wall, away = target - place, ends - starts, starts - place
    turn = sight[0] * wall[:, 1] - sight[1] * wall[:, 0]
    with np.errstate(divide="ignore", invalid="ignore"):
        along = (away[:, 0] * wall[:, 1] - away[:, 1] * wall[:, 0]) / turn
        across = (away[:, 0] * sight[1] - away[:, 1] * sight[0]) / turn
    # Half open, so that a line through a corner crosses one wall of the two.
    met = (turn != 0.0) & (along >= 0.0) & (along <= 1.0) & (across >= 0.0) & (across < 1.0)
    return np.where(met, along, np.inf)


def _contains(ring: NDArray[np.float64], point: NDArray[np.float64]) -> bool:
    """Whether a polygon contains a point (even-odd rule)."""
    after = np.roll(ring, -1, axis=0)
    spans = (ring[:, 1] > point[1]) != (after[:, 1] > point[1])
    rise = np.where(spans, after[:, 1] - ring[:, 1], 1.0)
    east = ring[:, 0] + (point[1] - ring[:, 1]) / rise * (after[:, 0] - ring[:, 0])
    return bool((spans & (point[0] < east)).sum() % 2)
