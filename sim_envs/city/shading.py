# SPDX-FileCopyrightText: The Mem4Nav stack developers
# SPDX-License-Identifier: Apache-2.0
"""Colour of everything that rays hit: texture, sun, sky, shadow and haze."""

from __future__ import annotations

import math
import os
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from itertools import pairwise

import numpy as np
from numba import njit
from numpy.typing import NDArray

from sim_envs.city.materials import Material
from sim_envs.city.mesh import Mesh
from sim_envs.city.murals import mural
from sim_envs.city.noise import fractal
from sim_envs.city.openings import letter, shop_window, window
from sim_envs.city.signs import SignAtlas
from sim_envs.city.textures import shade_factor

SUN = np.array([0.45, -0.35, 0.82]) / np.linalg.norm([0.45, -0.35, 0.82])
"""(3,) direction to the sun, map."""

_GLASS = int(Material.GLASS)
_SHOP_GLASS = int(Material.SHOP_GLASS)
_SIGN = int(Material.SIGN)
_LAMP = int(Material.LAMP)
_CAR_BODY = int(Material.CAR_BODY)
_CAR_GLASS = int(Material.CAR_GLASS)
_PANEL = int(Material.PANEL)
_MURAL = int(Material.MURAL)
_HAZE_M = 420.0
_FEW = 2000
_THREADS = min(4, os.cpu_count() or 1)


@njit(cache=True, fastmath=True)
def sky(dx: float, dy: float, dz: float, out: NDArray[np.float64]) -> None:
    """Linear RGB of the sky in a direction, with clouds, into ``out`` (3,)."""
    up = max(0.0, dz)
    fade = math.sqrt(up)
    out[0] = 0.72 - 0.52 * fade
    out[1] = 0.80 - 0.40 * fade
    out[2] = 0.90 - 0.18 * fade
    scale = 1.0 / (up + 0.12)
    cloud = fractal(dx * scale, dy * scale, 0.3, 1.1, 7, 0.004) + 0.25
    cover = min(1.0, max(0.0, 1.1 * cloud)) * min(1.0, 6.0 * up + 0.15)
    for k in range(3):
        out[k] = out[k] * (1.0 - 0.8 * cover) + 0.8 * cover * (0.92 - 0.1 * min(1.0, cloud))


@njit(cache=True, nogil=True, fastmath=True)
def _shade_sky(directions: NDArray[np.float32], out: NDArray[np.float32]) -> None:
    for i in range(len(directions)):
        colour = np.empty(3)
        sky(directions[i, 0], directions[i, 1], directions[i, 2], colour)
        for k in range(3):
            out[i, k] = colour[k]


def shade_sky(directions: NDArray[np.float32]) -> NDArray[np.float32]:
    """(N, 3) sky colours of (N, 3) directions."""
    out = np.empty((len(directions), 3), np.float32)
    _in_parts(len(directions), lambda part: _shade_sky(directions[part], out[part]))
    return out


def _in_parts(count: int, work: Callable[[slice], None]) -> None:
    """Run compiled, lock-free work on slices of ``count`` items, on a few threads."""
    edges = np.linspace(0, count, 4 * _THREADS + 1).astype(int).tolist()
    parts = [slice(a, b) for a, b in pairwise(edges) if b > a]
    if count < _FEW:
        return work(slice(0, count))
    with ThreadPoolExecutor(_THREADS) as pool:
        list(pool.map(work, parts))


def shade(
    mesh: Mesh,
    atlas: SignAtlas,
    face: NDArray[np.int64],
    bary: NDArray[np.float32],
    place: NDArray[np.floating],
    local_normal: NDArray[np.floating],
    normal: NDArray[np.floating],
    view: NDArray[np.floating],
    distance: NDArray[np.floating],
    lit: NDArray[np.bool_],
    pixel: float,
    indoor: bool,
) -> NDArray[np.float32]:
    """Linear RGB (N, 3) of N hits on one mesh.

    Args:
        mesh, atlas: what was hit, and its lettering.
        face, bary: (N,) and (N, 2) as the ray caster gave them.
        place: (N, 3) in the mesh's frame, metres.
        local_normal: (N, 3) in the mesh's frame.
        normal: (N, 3) unit, in map, towards the viewer.
        view: (N, 3) unit ray directions, map.
        distance: (N,) metres.
        lit: (N,) whether the sun shines there.
        pixel: angle of a pixel, radians.
        indoor: lamps instead of the sun.
    """
    out = np.empty((len(face), 3), np.float32)
    arrays = (mesh.faces, mesh.uv, mesh.material, mesh.colour, mesh.size, mesh.tag, atlas.pixels, atlas.starts)
    hits = (face, bary, place, local_normal, normal, view, distance, lit)
    _in_parts(len(face), lambda part: _shade(*arrays, *(hit[part] for hit in hits), pixel, indoor, SUN, out[part]))
    return out


@njit(cache=True, nogil=True, fastmath=True)
def _shade(
    faces, uv, material, colour, size, tag, pixels, starts,
    face, bary, place, local, normal, view, distance, lit, pixel, indoor, sun, out,
):  # fmt: skip
    for i in range(len(face)):
        f = face[i]
        a, b, c = faces[f, 0], faces[f, 1], faces[f, 2]
        wb, wc = bary[i, 0], bary[i, 1]
        wa = 1.0 - wb - wc
        s = wa * uv[a, 0] + wb * uv[b, 0] + wc * uv[c, 0]
        t = wa * uv[a, 1] + wb * uv[b, 1] + wc * uv[c, 1]
        facing = max(0.12, abs(normal[i, 0] * view[i, 0] + normal[i, 1] * view[i, 1] + normal[i, 2] * view[i, 2]))
        footprint = pixel * distance[i] / math.sqrt(facing)
        albedo = np.empty(3)
        mirror = _albedo(
            material[f], colour[f], size[f], tag[f], s, t, place[i], local[i], footprint, pixels, starts, albedo
        )
        _light(material[f], albedo, mirror, normal[i], view[i], distance[i], lit[i], indoor, sun, place[i], out[i])


@njit(cache=True, fastmath=True)
def _albedo(material, colour, size, tag, s, t, place, local, pixel, pixels, starts, out):
    """Colour of the surface into ``out``; returns how much of the sky it mirrors."""
    x, y, z = float(place[0]), float(place[1]), float(place[2])
    w, h = float(size[0]), float(size[1])
    if material == _GLASS:
        return window(s, t, w, h, x, y, z, pixel, out)
    if material == _SHOP_GLASS:
        return shop_window(s, t, w, h, x, y, z, pixel, out)
    flat = math.sqrt(local[0] * local[0] + local[1] * local[1])
    along = (x * -local[1] + y * local[0]) / flat if flat > 1e-3 else x
    if material == _MURAL:
        mural(along, z if flat > 1e-3 else y, tag, pixel, colour, out)
        return 0.0
    factor = shade_factor(material, x, y, z, along, s, t, w, h, pixel)
    for k in range(3):
        out[k] = colour[k] * factor
    if material == _SIGN and tag >= 0:
        ink = letter(tag, s, t, pixels, starts, pixel / max(h, 0.1))
        bright = 0.3 * colour[0] + 0.6 * colour[1] + 0.1 * colour[2]
        tone = 0.03 if bright > 0.28 else 0.88
        for k in range(3):
            out[k] = out[k] * (1.0 - ink) + tone * ink
    if material in (_CAR_BODY, _PANEL):
        return 0.22
    return 0.6 if material == _CAR_GLASS else 0.0


@njit(cache=True, fastmath=True)
def _light(material, albedo, mirror, normal, view, distance, lit, indoor, sun, place, out):
    direct = normal[0] * sun[0] + normal[1] * sun[1] + normal[2] * sun[2]
    direct = max(0.0, direct) * 1.15 if lit else 0.0
    ambient = 0.42 + 0.20 * normal[2]
    if indoor:
        lamp = 0.5 + 0.5 * math.cos(2.0 * math.pi * place[0] / 6.0)
        direct, ambient = 0.0, 0.45 + 0.35 * lamp
    emits = material == _LAMP
    haze = 0.0 if indoor else 1.0 - math.exp(-distance / _HAZE_M)
    reflected = np.zeros(3)
    if mirror > 0.0 and not indoor:
        dot = view[0] * normal[0] + view[1] * normal[1] + view[2] * normal[2]
        up = view[2] - 2.0 * dot * normal[2]
        sky(view[0] - 2.0 * dot * normal[0], view[1] - 2.0 * dot * normal[1], abs(up), reflected)
        mirror *= 0.25 + 0.75 * (1.0 - min(1.0, abs(dot))) ** 2
    tint = (1.0, 0.96, 0.88)
    cool = (0.94, 1.0, 1.10)
    air = (0.70, 0.78, 0.88)
    for k in range(3):
        colour = albedo[k] * (direct * tint[k] + ambient * cool[k])
        if emits:
            colour = 0.35 * colour + 0.9 * albedo[k]
        colour = colour * (1.0 - mirror) + mirror * reflected[k]
        out[k] = colour * (1.0 - haze) + haze * air[k]
