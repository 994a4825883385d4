# SPDX-FileCopyrightText: The Mem4Nav stack developers
# SPDX-License-Identifier: Apache-2.0
"""The lines that a driver follows: along a street, and over a crossing."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from mem4nav.driving.follower import free_way, resampled, shifted
from mem4nav.driving.grid import Ground
from mem4nav.driving.street import Street

_BEND_M = 6.5
_BEHIND_M = 2.0
_POINTS = 15


def street_path(street: Street, position: NDArray[np.float64], length_m: float) -> NDArray[np.float64]:
    """(M, 2) the axis from just behind a position on."""
    here = float(street.station(position)[0])
    return resampled(street.place(np.array([here - _BEHIND_M, here + length_m]), 0.0))


def crossing_path(
    street: Street, decided: NDArray[np.float64], middle: NDArray[np.float64], way: float, length_m: float
) -> NDArray[np.float64]:
    """(M, 2) along the axis, round the middle of a crossing by a quadratic Bezier curve, and out along a way.

    ``decided`` (2,) is where the vehicle was when it was decided: the curve begins there at the earliest.
    """
    out = np.array([np.cos(way), np.sin(way)])
    here, ahead = (float(street.station(point)[0]) for point in (decided, middle))
    enter = street.place(max(here, ahead - _BEND_M), 0.0)
    start, leave = street.place(min(here, ahead - _BEND_M) - _BEHIND_M, 0.0), middle + _BEND_M * out
    t = np.linspace(0.0, 1.0, _POINTS)[:, None]
    bend = (1 - t) ** 2 * enter + 2 * t * (1 - t) * middle + t**2 * leave
    return resampled(np.concatenate([start[None], bend, (middle + length_m * out)[None]]))


def freest(
    path: NDArray[np.float64], offsets: Sequence[float], ground: Ground, half_width_m: float, enough_m: float
) -> tuple[NDArray[np.float64], float]:
    """The first of a path's neighbours (metres to its left) with enough free way, else the one with most; and that."""
    best: tuple[NDArray[np.float64], float] | None = None
    for offset in offsets:
        moved = shifted(path, offset)
        way = free_way(moved, ground, half_width_m)
        if best is None or way > best[1]:
            best = moved, way
        if way >= enough_m:
            break
    assert best is not None
    return best
