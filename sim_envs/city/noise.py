# SPDX-FileCopyrightText: The Mem4Nav stack developers
# SPDX-License-Identifier: Apache-2.0
"""Value noise: smooth random numbers that depend on the place alone. Compiled, for shading."""

from __future__ import annotations

import math

from numba import njit


@njit(cache=True, fastmath=True)
def lattice(x: int, y: int, z: int) -> float:
    """A number from 0 to 1 for each point of the integer lattice."""
    h = (x * 374761393 + y * 668265263 + z * 2147483647 + 1274126177) & 0xFFFFFFFF
    h = ((h ^ (h >> 13)) * 1274126177) & 0xFFFFFFFF
    h = ((h ^ (h >> 16)) * 2246822519) & 0xFFFFFFFF
    return (h ^ (h >> 15)) / 4294967296.0


@njit(cache=True, fastmath=True)
def _ease(t: float) -> float:
    return t * t * (3.0 - 2.0 * t)


@njit(cache=True, fastmath=True)
def noise(x: float, y: float, z: float) -> float:
    """Value noise of unit cells at a place, 0 to 1."""
    fx, fy, fz = math.floor(x), math.floor(y), math.floor(z)
    ix, iy, iz = int(fx), int(fy), int(fz)
    tx, ty, tz = _ease(x - fx), _ease(y - fy), _ease(z - fz)
    low = 0.0
    high = 0.0
    for dz in range(2):
        a = lattice(ix, iy, iz + dz) * (1.0 - tx) + lattice(ix + 1, iy, iz + dz) * tx
        b = lattice(ix, iy + 1, iz + dz) * (1.0 - tx) + lattice(ix + 1, iy + 1, iz + dz) * tx
        value = a * (1.0 - ty) + b * ty
        if dz == 0:
            low = value
        else:
            high = value
    return low * (1.0 - tz) + high * tz


@njit(cache=True, fastmath=True)
def fractal(x: float, y: float, z: float, cell: float, octaves: int, pixel: float) -> float:
    """Octaves of noise from cells of ``cell`` metres down, around 0, about -1 to 1.

    Octaves finer than a pixel (metres on the surface) fade out, so that pictures do not sparkle.
    """
    total = 0.0
    gain = 1.0
    for octave in range(octaves):
        size = cell / 2.2**octave
        keep = min(1.0, max(0.0, size / (1.2 * pixel) - 0.5))
        if keep <= 0.0:
            break
        shift = 17.31 * octave
        total += gain * keep * (2.0 * noise(x / size + shift, y / size - shift, z / size + 0.5 * shift) - 1.0)
        gain *= 0.72
    return total


@njit(cache=True, fastmath=True)
def line(value: float, period: float, width: float, pixel: float) -> float:
    """1 within ``width`` round multiples of ``period``, 0 between; softened and weakened to what a pixel sees."""
    away = abs(value - period * math.floor(value / period + 0.5))
    soft = max(pixel, 1e-4)
    sharp = min(1.0, max(0.0, (0.5 * width - away) / soft + 0.5))
    return sharp if soft < 0.5 * period else width / period
