# SPDX-FileCopyrightText: The Mem4Nav stack developers
# SPDX-License-Identifier: Apache-2.0
"""Walls and floors with pictures and stains on them, flat to the last micrometre. Compiled, for shading.

They give a camera what they deny a LiDAR: no place looks like another, near and far, and nothing stands out of the
plane.
"""

from __future__ import annotations

import math

from numba import njit
from numpy.typing import NDArray

from sim_envs.city.noise import fractal, lattice

_BARE = 0.2
"""Share of the cells without a sheet."""
_ACROSS, _DOWN = 4, 5
"""Fields printed on a sheet."""


@njit(cache=True, fastmath=True)
def mural(along: float, up: float, seed: int, pixel: float, colour: NDArray, out: NDArray) -> None:
    """Linear RGB into ``out`` (3,), at ``along`` and ``up`` metres on the plane, of a wall painted in ``colour``."""
    stains = 1.0 + 0.28 * fractal(along, up, 7.7 * seed, 2.6, 9, pixel)
    stains += 0.35 * fractal(along, up, 3.1 * seed, 0.45, 5, pixel) + 0.35 * fractal(along, up, seed, 0.13, 4, pixel)
    for k in range(3):
        out[k] = max(0.03, colour[k] * stains)
    _sheets(along, up, 5.3, 4.1, 16 * seed, pixel, out)
    _sheets(along, up, 2.3, 1.7, 16 * seed + 8, pixel, out)


@njit(cache=True, fastmath=True)
def _sheets(along: float, up: float, width: float, height: float, seed: int, pixel: float, out: NDArray) -> None:
    """Paste over ``out`` what lies here of the sheets, at most one in each cell of ``width`` x ``height`` metres."""
    i, j = math.floor(along / width), math.floor(up / height)
    if lattice(i, j, seed) < _BARE:
        return
    half_w = width * (0.16 + 0.14 * lattice(i, j, seed + 1))
    half_h = height * (0.16 + 0.14 * lattice(i, j, seed + 2))
    a = along - width * (i + 0.3 + 0.4 * lattice(i, j, seed + 3))
    b = up - height * (j + 0.3 + 0.4 * lattice(i, j, seed + 4))
    cover = _within(a, half_w, pixel) * _within(b, half_h, pixel)
    if cover <= 0.0:
        return
    field_x = math.floor(min(0.999, max(0.0, 0.5 * (a / half_w + 1.0))) * _ACROSS)
    field_y = math.floor(min(0.999, max(0.0, 0.5 * (b / half_h + 1.0))) * _DOWN)
    tone = lattice(_ACROSS * i + field_x, _DOWN * j + field_y, seed + 5) - 0.5
    size = min(2.0 * half_w / _ACROSS, 2.0 * half_h / _DOWN)
    bright = 0.5 + 0.9 * tone * min(1.0, max(0.0, size / (1.5 * pixel) - 0.5))
    bright *= 1.0 + 0.2 * fractal(along, up, 0.1 * seed, 0.4, 6, pixel)
    for k in range(3):
        ink = bright * (0.25 + 1.2 * lattice(3 * i + k, j, seed + 6))
        out[k] = out[k] * (1.0 - cover) + cover * min(0.85, max(0.02, ink))


@njit(cache=True, fastmath=True)
def _within(away: float, half: float, pixel: float) -> float:
    """Share of a pixel on a strip: 1 inside, 0 outside."""
    return min(1.0, max(0.0, (half - abs(away)) / pixel + 0.5))
