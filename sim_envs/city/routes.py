# SPDX-FileCopyrightText: The Mem4Nav stack developers
# SPDX-License-Identifier: Apache-2.0
"""Ways through the town: smooth lines on the plan that vehicles follow."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from itertools import combinations

import numpy as np
from numpy.typing import ArrayLike, NDArray
from scipy.interpolate import BSpline, make_interp_spline
from scipy.ndimage import gaussian_filter1d

from sim_envs.city.polygons import inset, rounded
from sim_envs.city.roads import LANE_M, RoadGraph
from sim_envs.errors import SimConfigError

_STEP_M = 0.25
_WRAP = 60
_SMOOTHING_M = 1.2
_CORNER_RADIUS_M = 9.0


@dataclass(frozen=True)
class Route:
    """A smooth line by arc length.

    Attributes:
        points: (N, 2) float64, metres, evenly spaced; a closed route ends where it starts.
        closed: whether it does.
    """

    points: NDArray[np.float64]
    closed: bool

    @cached_property
    def stations(self) -> NDArray[np.float64]:
        """(N,) arc length of each point, metres."""
        steps = np.linalg.norm(np.diff(self.points, axis=0), axis=1)
        return np.concatenate([[0.0], np.cumsum(steps)])

    @property
    def length(self) -> float:
        """Metres from the first to the last point."""
        return float(self.stations[-1])

    @cached_property
    def _spline(self) -> BSpline:
        if not self.closed:
            return make_interp_spline(self.stations, self.points, k=5)
        # What lies a wrap away decays by half from knot to knot: 60 knots further it is below rounding.
        wrap = min(_WRAP, len(self.points) - 1)
        before, after = slice(-1 - wrap, -1), slice(1, wrap + 1)
        stations = [self.stations[before] - self.length, self.stations, self.stations[after] + self.length]
        points = [self.points[before], self.points, self.points[after]]
        return make_interp_spline(np.concatenate(stations), np.concatenate(points), k=5)

    def at(self, s: ArrayLike, order: int = 0) -> NDArray[np.float64]:
        """(..., 2) position at arc length s, or its derivative of that order by s; closed routes repeat."""
        s = np.asarray(s, float)
        return self._spline(np.mod(s, self.length) if self.closed else s, nu=order)

    def heading(self, s: ArrayLike) -> NDArray[np.float64]:
        """Direction of travel at s, radians about +z from +x."""
        tangent = self.at(s, 1)
        return np.arctan2(tangent[..., 1], tangent[..., 0])

    def curvature(self, s: ArrayLike) -> NDArray[np.float64]:
        """Signed curvature at s, 1/m, positive to the left."""
        first, second = self.at(s, 1), self.at(s, 2)
        cross = first[..., 0] * second[..., 1] - first[..., 1] * second[..., 0]
        return cross / np.linalg.norm(first, axis=-1) ** 3


def straight_route(start: ArrayLike, end: ArrayLike) -> Route:
    """The straight line between two points (2,)."""
    start, end = np.asarray(start, float), np.asarray(end, float)
    count = int(np.linalg.norm(end - start) / _STEP_M) + 2
    return Route(start + (end - start) * np.linspace(0.0, 1.0, count)[:, None], False)


def closed_route(corners: NDArray[np.float64], shift: float = 0.0) -> Route:
    """Round a polygon (N, 2) of street centre lines, keeping to the right of it, corners rounded.

    It starts in the middle of the longest side. ``shift`` moves it further to the right, metres.
    """
    right = -0.5 * LANE_M - shift
    turn = np.sum(corners[:, 0] * np.roll(corners[:, 1], -1) - corners[:, 1] * np.roll(corners[:, 0], -1))
    lane = inset(corners, right) if turn > 0 else inset(corners[::-1], -right)[::-1]
    outline = rounded(lane if turn > 0 else lane[::-1], _CORNER_RADIUS_M, _STEP_M)
    outline = outline if turn > 0 else outline[::-1]
    sides = np.linalg.norm(np.roll(lane, -1, axis=0) - lane, axis=1)
    longest = int(np.argmax(sides))
    middle = 0.5 * (lane[longest] + lane[(longest + 1) % len(lane)])
    first = int(np.argmin(np.linalg.norm(outline - middle, axis=1)))
    return smooth_loop(np.roll(outline, -first, axis=0))


def smooth_loop(outline: NDArray[np.float64]) -> Route:
    """A closed route along an outline (N, 2), its kinks smoothed away."""
    return Route(_evenly(outline), True)


def _evenly(outline: NDArray[np.float64]) -> NDArray[np.float64]:
    """The closed outline at even spacing, smoothed; the last point repeats the first."""
    closed = np.concatenate([outline, outline[:1]])
    s = np.concatenate([[0.0], np.cumsum(np.linalg.norm(np.diff(closed, axis=0), axis=1))])
    count = round(s[-1] / _STEP_M)
    even = np.arange(count) * s[-1] / count
    points = np.stack([np.interp(even, s, closed[:, k]) for k in range(2)], axis=1)
    smooth = gaussian_filter1d(points, _SMOOTHING_M / _STEP_M, axis=0, mode="wrap")
    return np.concatenate([smooth, smooth[:1]])


def loops(graph: RoadGraph) -> list[tuple[int, ...]]:
    """Crossings of all closed ways round a rectangle of the street grid, counter-clockwise."""
    count = graph.streets
    found = []
    for r0, r1 in combinations(range(count), 2):
        for c0, c1 in combinations(range(count), 2):
            ring = [r0 * count + c for c in range(c0, c1)] + [r * count + c1 for r in range(r0, r1)]
            ring += [r1 * count + c for c in range(c1, c0, -1)] + [r * count + c0 for r in range(r1, r0, -1)]
            pairs = zip(ring, ring[1:] + ring[:1], strict=True)
            if all(graph.edge_between(a, b) >= 0 for a, b in pairs):
                found.append(tuple(ring))
    return found


def loop_route(graph: RoadGraph, ring: tuple[int, ...], clockwise: bool, shift: float = 0.0) -> Route:
    """The lane round a ring of crossings, in either direction."""
    corners = graph.nodes[list(ring), :2]
    return closed_route(corners[::-1] if clockwise else corners, shift)


def pick_loop(graph: RoadGraph, length_m: float, rng: np.random.Generator) -> Route:
    """One of the closed routes nearest to the length asked for (within 4 % of the best)."""
    rings = loops(graph)
    if not rings:
        raise SimConfigError("the town has no closed way: lower missing_streets")
    options = [loop_route(graph, ring, clockwise) for ring in rings for clockwise in (False, True)]
    misses = np.array([abs(route.length - length_m) for route in options])
    near = np.flatnonzero(misses <= misses.min() + 0.04 * length_m)
    return options[int(near[rng.integers(len(near))])]
