# SPDX-FileCopyrightText: The Mem4Nav stack developers
# SPDX-License-Identifier: Apache-2.0
"""What a walker passes that can be told again: things that its detector saw well enough, and the ways that lie open."""

from __future__ import annotations

from itertools import pairwise

import numpy as np
from numpy.typing import NDArray

from mem4nav.driving.landmarks import Landmarks
from mem4nav.environment import Sighting
from sim_envs.habitat.lidar import free_ways_deg
from sim_envs.habitat.walker import WALKING, Detects, ground_points

REMEMBERED = {"bench": "bench", "hydrant": "fire_hydrant"}
"""What is told: classes of the detector, and OpenStreetMap's values for them."""
_IN_VIEW_M = 15.0
_OPEN_M, _SECTOR_DEG = 8.0, 15.0


class Watch:
    """Watches out for landmarks.

    Args:
        detect: finds them.
    """

    def __init__(self, detect: Detects) -> None:
        self._detect = detect
        self.forget()

    def forget(self) -> None:
        """Nothing was seen yet."""
        self._landmarks = Landmarks(self._detect.classes, WALKING.least_score)

    def take_in(self, returns: NDArray[np.float64], T_odom_base: NDArray[np.float64]) -> None:
        """Detect in a look's returns (N, 5) from a pose (4, 4)."""
        self._landmarks.add(self._detect(ground_points(returns)), T_odom_base)

    def in_view(self, here: NDArray[np.float64]) -> tuple[Sighting, ...]:
        """What is near (2,) in odom and was seen well enough."""
        found = []
        for label, category in REMEMBERED.items():
            for one in self._landmarks.sure(label, WALKING.sure_hits, WALKING.sure_weight):
                east, north = one.position - here
                name = f"{label}-{self._landmarks.known.index(one)}"
                bearing = float(np.degrees(np.arctan2(east, north))) % 360.0
                found.append(Sighting(name, "", category, {}, bearing, float(np.hypot(east, north))))
        return tuple(one for one in found if one.distance_m < _IN_VIEW_M)


def open_ways_deg(returns: NDArray[np.float64], heading_deg: float) -> tuple[float, ...]:
    """Compass headings, ascending, of the middles of the gaps in what stands round about (N, 5).

    On a street that is the way on and the way back, at a crossing one for each street; ahead, aside and back where
    nothing stands at all.
    """
    free = free_ways_deg(returns, heading_deg, reach_m=_OPEN_M, sector_deg=_SECTOR_DEG)
    if not free or len(free) == round(360.0 / _SECTOR_DEG):
        return tuple(sorted((heading_deg + turn) % 360.0 for turn in (0.0, 90.0, 180.0, 270.0))) if free else ()
    ends = [number for number, (a, b) in enumerate(pairwise([*free, free[0] + 360.0])) if b - a > 1.5 * _SECTOR_DEG]
    firsts = [(end + 1) % len(free) for end in [ends[-1], *ends[:-1]]]
    gaps = [(free[first], free[end]) for first, end in zip(firsts, ends, strict=True)]
    return tuple(sorted((first + 0.5 * ((last - first) % 360.0)) % 360.0 for first, last in gaps))
