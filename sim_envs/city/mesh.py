# SPDX-FileCopyrightText: The Mem4Nav stack developers
# SPDX-License-Identifier: Apache-2.0
"""Triangles with materials, and the few solids that the town is built of."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import ArrayLike, NDArray

from sim_envs.city.materials import Material

NO_TAG = -1


@dataclass(frozen=True, slots=True)
class Mesh:
    """Triangles; counter-clockwise as seen from outside.

    Attributes:
        vertices: (V, 3) float64, metres.
        uv: (V, 2) float32, 0 to 1 across the quad or strip a vertex belongs to.
        faces: (F, 3) int32.
        material: (F,) uint8, see ``Material``.
        colour: (F, 3) float32, linear RGB 0 to 1.
        size: (F, 2) float32, metres that uv 0 to 1 stand for.
        tag: (F,) int32, number of the sign, landmark or mural that the face shows, ``NO_TAG`` otherwise.
    """

    vertices: NDArray[np.float64]
    uv: NDArray[np.float32]
    faces: NDArray[np.int32]
    material: NDArray[np.uint8]
    colour: NDArray[np.float32]
    size: NDArray[np.float32]
    tag: NDArray[np.int32]


def quads(
    corners: ArrayLike, material: ArrayLike, colour: ArrayLike, tag: int = NO_TAG, uv: ArrayLike | None = None
) -> Mesh:
    """(Q, 4, 3) corners (lower left, lower right, upper right, upper left) -> two triangles each.

    ``material`` and ``colour`` are one for all or (Q,) and (Q, 3); ``uv`` (Q, 4, 2) defaults to the unit square.
    """
    corners = np.asarray(corners, float).reshape(-1, 4, 3)
    count = len(corners)
    first = 4 * np.arange(count, dtype=np.int32)[:, None]
    faces = np.stack([np.add(first, [0, 1, 2]), np.add(first, [0, 2, 3])], axis=1).reshape(-1, 3).astype(np.int32)
    square = np.array([[0, 0], [1, 0], [1, 1], [0, 1]], np.float32) if uv is None else np.asarray(uv, np.float32)
    size = np.stack(
        [np.linalg.norm(corners[:, 1] - corners[:, 0], axis=1), np.linalg.norm(corners[:, 3] - corners[:, 0], axis=1)],
        axis=1,
    )
    return Mesh(
        corners.reshape(-1, 3),
        np.broadcast_to(square, (count, 4, 2)).reshape(-1, 2).astype(np.float32),
        faces,
        np.repeat(np.broadcast_to(np.asarray(material, np.uint8), count), 2),
        np.repeat(np.broadcast_to(np.asarray(colour, np.float32), (count, 3)), 2, axis=0),
        np.repeat(size.astype(np.float32), 2, axis=0),
        np.full(2 * count, tag, np.int32),
    )


def strip(left: ArrayLike, right: ArrayLike, material: ArrayLike, colour: ArrayLike) -> Mesh:
    """Quads between two polylines (N, 3); the surface faces up where ``left`` lies left of the direction of travel."""
    left, right = np.asarray(left, float), np.asarray(right, float)
    return quads(np.stack([right[:-1], right[1:], left[1:], left[:-1]], axis=1), material, colour)


_BOX_FACES = np.array(
    [[0, 1, 5, 4], [1, 2, 6, 5], [2, 3, 7, 6], [3, 0, 4, 7], [4, 5, 6, 7], [3, 2, 1, 0]], dtype=np.int32
)
_BOX_CORNERS = np.array(
    [[-1, -1, 0], [1, -1, 0], [1, 1, 0], [-1, 1, 0], [-1, -1, 1], [1, -1, 1], [1, 1, 1], [-1, 1, 1]], dtype=float
)


def box(
    base: ArrayLike,
    size: ArrayLike,
    material: Material,
    colour: ArrayLike,
    yaw: float = 0.0,
    top: float | tuple[float, float] = 1.0,
) -> Mesh:
    """A box standing on ``base`` (centre of its floor) of (length, width, height); its roof is scaled by ``top``."""
    corners = _BOX_CORNERS * (np.asarray(size, float) * [0.5, 0.5, 1.0])
    corners[4:, :2] *= np.broadcast_to(np.asarray(top, float), 2)
    return turned(quads(corners[_BOX_FACES], material, colour), yaw, base)


def prism(base: ArrayLike, radius: tuple[float, float], height: float, material: Material, colour: ArrayLike) -> Mesh:
    """An upright eight-sided column or cone of radii (foot, head) standing on ``base``."""
    angle = np.linspace(0.0, 2.0 * np.pi, 9)
    ring = np.stack([np.cos(angle), np.sin(angle), np.zeros(9)], axis=1)
    foot, head = ring * radius[0], ring * radius[1] + [0.0, 0.0, height]
    side = strip(head, foot, material, colour)
    cap = np.stack([np.tile(head.mean(axis=0), (8, 1)), head[:-1], head[1:], head[1:]], axis=1)
    return turned(merge([side, quads(cap, material, colour)]), 0.0, base)


def turned(mesh: Mesh, yaw: float, offset: ArrayLike) -> Mesh:
    """The mesh turned about +z by ``yaw`` radians, then moved by ``offset``."""
    c, s = np.cos(yaw), np.sin(yaw)
    rotation = np.array([[c, -s, 0.0], [s, c, 0.0], [0.0, 0.0, 1.0]])
    return replace(mesh, vertices=mesh.vertices @ rotation.T + np.asarray(offset, float))


def merge(meshes: Sequence[Mesh]) -> Mesh:
    """All triangles in one mesh, in the order given."""
    starts = np.cumsum([0] + [len(m.vertices) for m in meshes[:-1]])
    return Mesh(
        np.concatenate([m.vertices for m in meshes]),
        np.concatenate([m.uv for m in meshes]),
        np.concatenate([m.faces + start for m, start in zip(meshes, starts, strict=True)]).astype(np.int32),
        np.concatenate([m.material for m in meshes]),
        np.concatenate([m.colour for m in meshes]),
        np.concatenate([m.size for m in meshes]),
        np.concatenate([m.tag for m in meshes]),
    )
