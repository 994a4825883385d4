# SPDX-FileCopyrightText: The Mem4Nav stack developers
# SPDX-License-Identifier: Apache-2.0
"""Crossings: where the kerbs give way, and which ways lead out."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage

from mem4nav.driving.config import StreetConfig
from mem4nav.driving.grid import Ground
from mem4nav.driving.street import Street, mouths

_SPOKES = 180
_FROM_M = 5.0
_STEP_M = 0.3
_BACK_DEG = 40.0
_AHEAD = 0
LEFT, RIGHT = -1, 1


@dataclass(frozen=True, slots=True)
class Crossing:
    """A place where streets meet.

    Attributes:
        middle: (2,) metres in odom.
        ways: headings in odom of the ways that lead on, radians; the one by which one comes is not among them.
    """

    middle: NDArray[np.float64]
    ways: tuple[float, ...]

    @property
    def is_choice(self) -> bool:
        """Whether three ways or more meet: what directions count."""
        return len(self.ways) >= 2

    def way(self, course: float, side: int, straight_deg: float) -> float | None:
        """The way to a side (-1 left, 0 straight on, 1 right) of one's course; None where there is none.

        Of several to one side it is the one nearest to a right angle.
        """
        turns = {way: float(np.degrees(wrapped(way - course))) for way in self.ways}
        if side == _AHEAD:
            fitting = [way for way, turn in turns.items() if abs(turn) < straight_deg]
            return min(fitting, key=lambda way: abs(turns[way]), default=None)
        fitting = [way for way, turn in turns.items() if -side * turn >= straight_deg]
        return min(fitting, key=lambda way: abs(abs(turns[way]) - 90.0), default=None)


def find_crossing(street: Street, ground: Ground, begin_m: float, config: StreetConfig) -> Crossing | None:
    """The first crossing along a street from ``begin_m`` before its point on; None where none is in view.

    Its middle is that of the first mouth, and of the one opposite.
    """
    reach = (begin_m, config.look_m)
    found = [run for side in (1, -1) for run in mouths(street, ground, side, reach, config)[:1]]
    if not found:
        return None
    first = min(found)
    opposite = [run for run in found if run[0] < first[1] and first[0] < run[1]]
    station = float(np.mean([0.5 * (begin + end) for begin, end in opposite]))
    middle = street.place(station, 0.0)
    return Crossing(middle, ways_out(middle, street.heading, ground, config))


def ways_out(middle: NDArray[np.float64], course: float, ground: Ground, config: StreetConfig) -> tuple[float, ...]:
    """Headings of the free arcs of a circle round a crossing's middle (2,), but for the one behind."""
    angle = course + np.pi + 2.0 * np.pi * np.arange(_SPOKES) / _SPOKES
    radius = np.arange(_FROM_M, config.ring_m + 0.01, _STEP_M)
    spokes = middle + radius[None, :, None] * np.stack([np.cos(angle), np.sin(angle)], axis=-1)[:, None]
    free = ndimage.binary_closing(ground.at(ground.street, spokes).all(axis=1), np.ones(3))
    if free.all() or not free.any():
        return ()
    shift = int(np.argmin(free))
    free, angle = np.roll(free, -shift), np.roll(angle, -shift)
    steps = np.diff(np.concatenate([[False], free, [False]]).astype(np.int8))
    ways = []
    for a, b in zip(np.flatnonzero(steps == 1), np.flatnonzero(steps == -1), strict=True):
        width = (b - a) * 2.0 * np.pi / _SPOKES * config.ring_m
        heading = wrapped(angle[a] + (b - a - 1) * np.pi / _SPOKES)
        if width >= config.way_m and abs(wrapped(heading - course - np.pi)) > np.radians(_BACK_DEG):
            ways.append(float(heading))
    return tuple(ways)


def wrapped(angle: float) -> float:
    """The same angle in [-pi, pi)."""
    return float((angle + np.pi) % (2.0 * np.pi) - np.pi)
