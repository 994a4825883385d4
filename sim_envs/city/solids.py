# SPDX-FileCopyrightText: The Mem4Nav stack developers
# SPDX-License-Identifier: Apache-2.0
"""Round things: wheels, balls, crowns of trees."""

from __future__ import annotations

import numpy as np
from numpy.typing import ArrayLike

from sim_envs.city.materials import Material
from sim_envs.city.mesh import Mesh, merge, quads, strip, turned


def disc(centre: ArrayLike, radius: float, width: float, material: Material, colour: ArrayLike, hub: ArrayLike) -> Mesh:
    """A wheel that rolls along x: a twelve-sided drum whose axis is y, with a hub of another colour."""
    angle = np.linspace(0.0, -2.0 * np.pi, 13)
    ring = np.stack([np.cos(angle), np.zeros(13), np.sin(angle)], axis=1)
    half = np.array([0.0, 0.5 * width, 0.0])
    left, right = radius * ring + half, radius * ring - half
    pieces = [strip(left, right, material, colour)]
    for side, share, look in ((left, 1.0, colour), (right, -1.0, colour)):
        middle = np.tile(share * half, (12, 1))
        inner = 0.6 * side + 0.4 * share * half
        order = (side[:-1], side[1:], inner[1:], inner[:-1])
        pieces.append(quads(np.stack(order[:: int(share)], axis=1), material, look))
        order = (inner[:-1], inner[1:], middle, middle)
        pieces.append(quads(np.stack(order[:: int(share)], axis=1), Material.METAL, hub))
    return turned(merge(pieces), 0.0, centre)


def blob(
    centre: ArrayLike,
    radii: ArrayLike,
    material: Material,
    colour: ArrayLike,
    rng: np.random.Generator | None = None,
    roughness: float = 0.0,
    cells: tuple[int, int] = (10, 6),
) -> Mesh:
    """A ball of (x, y, z) radii with a surface rough by that share of them."""
    around, up = cells
    bulge = np.ones((up + 1, around))
    if rng is not None:
        bulge += roughness * rng.uniform(-1.0, 1.0, bulge.shape)
    bulge = np.concatenate([bulge, bulge[:, :1]], axis=1)
    bulge[[0, -1]] = 1.0
    angle = np.linspace(0.0, 2.0 * np.pi, around + 1)
    tilt = np.linspace(-0.5 * np.pi, 0.5 * np.pi, up + 1)[:, None]
    flat = np.cos(tilt)
    unit = np.stack([flat * np.cos(angle), flat * np.sin(angle), np.broadcast_to(np.sin(tilt), bulge.shape)], axis=-1)
    points = unit * bulge[..., None] * np.asarray(radii, float)
    corners = np.stack([points[:-1, :-1], points[:-1, 1:], points[1:, 1:], points[1:, :-1]], axis=2)
    return turned(quads(corners, material, colour), 0.0, centre)
