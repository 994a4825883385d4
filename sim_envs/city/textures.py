# SPDX-FileCopyrightText: The Mem4Nav stack developers
# SPDX-License-Identifier: Apache-2.0
"""What surfaces look like: a colour for each place on each material. Compiled, for shading.

Every texture is a function of the place (metres, in the frame of the thing), so that it is the same
from every view, and has detail at every scale that a camera can resolve.
"""

from __future__ import annotations

import math

from numba import njit

from sim_envs.city.materials import Material
from sim_envs.city.noise import fractal, lattice, line

_ASPHALT = int(Material.ASPHALT)
_PAINT = int(Material.PAINT)
_PAVING = int(Material.PAVING)
_GRASS = int(Material.GRASS)
_BRICK = int(Material.BRICK)
_PLASTER = int(Material.PLASTER)
_STONE = int(Material.STONE)
_ROOF = int(Material.ROOF)
_BARK = int(Material.BARK)
_LEAVES = int(Material.LEAVES)
_WOOD = int(Material.WOOD)
_CAR_BODY = int(Material.CAR_BODY)
_CLOTH = int(Material.CLOTH)
_CONCRETE = int(Material.CONCRETE)
_DOOR = int(Material.DOOR)


@njit(cache=True, fastmath=True)
def shade_factor(
    material: int, x: float, y: float, z: float, u: float, s: float, t: float, w: float, h: float, pixel: float
) -> float:
    """Brightness of the texture against the plain colour of the face, about 1.

    ``u`` runs along walls (metres), ``s`` and ``t`` (0 to 1) across the face of ``w`` x ``h`` metres.
    """
    if material == _ASPHALT:
        return _asphalt(x, y, z, pixel)
    if material == _PAVING:
        return _slabs(x, y, z, pixel)
    if material == _BRICK:
        return _bricks(u, x, y, z, pixel)
    if material == _STONE:
        return _ashlar(u, x, y, z, pixel)
    if material == _PLASTER:
        streak = fractal(0.3 * u, 0.0, 0.05 * z, 0.12, 3, pixel)
        return 1.0 + 0.10 * fractal(x, y, z, 1.6, 8, pixel) + 0.06 * streak
    if material == _GRASS:
        return 1.0 + 0.22 * fractal(x, y, z, 6.0, 10, pixel)
    if material == _LEAVES:
        return max(0.15, 1.0 + 0.34 * fractal(x, y, z, 0.7, 4, pixel) + 0.55 * fractal(x, y, z, 0.11, 3, pixel))
    if material == _BARK:
        return 1.0 + 0.25 * fractal(3.0 * x, 3.0 * y, 0.5 * z, 0.3, 5, pixel)
    if material == _ROOF:
        return _tiles(u, x, y, z, pixel)
    if material == _WOOD:
        return 1.0 + 0.2 * fractal(x, y, 12.0 * z, 0.6, 6, pixel)
    if material == _PAINT:
        return 0.92 + 0.13 * fractal(x, y, z, 0.4, 6, pixel)
    if material == _DOOR:
        return _panels(s, t, w, h, pixel) * (1.0 + 0.10 * fractal(8.0 * x, 8.0 * y, z, 0.5, 5, pixel))
    if material == _CAR_BODY:
        return 1.0 + 0.04 * fractal(x, y, z, 0.7, 6, pixel)
    if material == _CLOTH:
        return 1.0 + 0.20 * fractal(x, y, z, 0.25, 6, pixel)
    if material == _CONCRETE:
        return 1.0 + 0.13 * fractal(x, y, z, 1.2, 8, pixel)
    return 1.0 + 0.09 * fractal(x, y, z, 0.5, 6, pixel)


@njit(cache=True, fastmath=True)
def _asphalt(x: float, y: float, z: float, pixel: float) -> float:
    grain = fractal(x, y, z, 0.05, 4, pixel)
    stains = fractal(x, y, z, 5.0, 6, pixel)
    crack = abs(fractal(x + 0.3 * grain, y, z, 2.3, 5, pixel))
    dark = 0.3 * max(0.0, 1.0 - crack / 0.035) if pixel < 0.08 else 0.0
    mended = 0.16 if lattice(math.floor(x / 7.3), math.floor(y / 5.1), 3) > 0.86 else 0.0
    return max(0.3, 1.0 + 0.20 * grain + 0.12 * stains - dark - mended)


@njit(cache=True, fastmath=True)
def _slabs(x: float, y: float, z: float, pixel: float) -> float:
    joint = max(line(x, 0.6, 0.014, pixel), line(y, 0.6, 0.014, pixel))
    tint = lattice(math.floor(x / 0.6 + 0.5), math.floor(y / 0.6 + 0.5), 11) - 0.5
    if pixel > 0.3:
        tint = 0.0
    return (1.0 + 0.22 * tint + 0.10 * fractal(x, y, z, 1.0, 8, pixel)) * (1.0 - 0.5 * joint)


@njit(cache=True, fastmath=True)
def _bricks(u: float, x: float, y: float, z: float, pixel: float) -> float:
    row = math.floor(z / 0.075)
    shifted = u + 0.125 * (int(row) & 1)
    tint = lattice(math.floor(shifted / 0.25), int(row), 5) - 0.5
    fade = min(1.0, max(0.0, 0.12 / pixel - 0.5))
    mortar = max(line(z, 0.075, 0.011, pixel), line(shifted, 0.25, 0.011, pixel))
    body = 1.0 + 0.45 * tint * fade + 0.12 * fractal(x, y, z, 1.5, 8, pixel)
    return body * (1.0 - mortar) + 1.5 * mortar


@njit(cache=True, fastmath=True)
def _ashlar(u: float, x: float, y: float, z: float, pixel: float) -> float:
    row = math.floor(z / 0.36)
    shifted = u + 0.33 * (int(row) & 1)
    tint = lattice(math.floor(shifted / 0.66), int(row), 9) - 0.5
    joint = max(line(z, 0.36, 0.014, pixel), line(shifted, 0.66, 0.014, pixel))
    return (1.0 + 0.22 * tint + 0.13 * fractal(x, y, z, 0.9, 8, pixel)) * (1.0 - 0.45 * joint)


@njit(cache=True, fastmath=True)
def _tiles(u: float, x: float, y: float, z: float, pixel: float) -> float:
    row = math.floor(z / 0.16)
    tint = lattice(math.floor(u / 0.22), int(row), 21) - 0.5
    ridge = z / 0.16 - row
    fade = min(1.0, max(0.0, 0.12 / pixel - 0.5))
    return 1.0 + fade * (0.3 * tint - 0.3 * ridge * ridge) + 0.15 * fractal(x, y, z, 1.4, 7, pixel)


@njit(cache=True, fastmath=True)
def _panels(s: float, t: float, w: float, h: float, pixel: float) -> float:
    a, b = (2.0 * s) % 1.0, (3.0 * t) % 1.0
    edge = min(min(a, 1.0 - a) * 0.5 * w, min(b, 1.0 - b) * h / 3.0)
    return 0.72 if 0.06 < edge < 0.10 else 1.0
