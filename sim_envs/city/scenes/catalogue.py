# SPDX-FileCopyrightText: The Mem4Nav stack developers
# SPDX-License-Identifier: Apache-2.0
"""All that stands still in a town and is labelled: its exact box, and which triangles are its own."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from sim_envs.city.buildings import shop_landmark
from sim_envs.city.config import CityConfig
from sim_envs.city.furniture import build_furniture
from sim_envs.city.kerbside import Place, furniture_places
from sim_envs.city.materials import Material
from sim_envs.city.mesh import Mesh, merge
from sim_envs.city.models import PAINTS, car_mesh
from sim_envs.city.moving import Box, turn_about_z
from sim_envs.city.scenes.scene import KINDS
from sim_envs.city.world import World
from sim_envs.errors import SimError

_FIRST_FURNITURE = 100_000
_FIRST_SIGN = 200_000
_BOARD_M = 0.12
"""A shop's board is a sheet without thickness; its box has this, half before and half behind."""


@dataclass(frozen=True, slots=True)
class Catalogue:
    """What stands still.

    Attributes:
        boxes: parked vehicles, furniture, trees and shop signs, in map.
        owner: (F,) int32 index into ``boxes`` for each triangle of the world's mesh, -1 where it is of none.
    """

    boxes: list[Box]
    owner: NDArray[np.int32]


def catalogue_of(world: World, config: CityConfig) -> Catalogue:
    """The catalogue of the town that ``make_city(config)`` gave.

    The town keeps no list of its trees, nor which triangle is whose: furniture is placed and shaped once more with
    the town's own random numbers, and the town's mesh ends with furniture and then parked vehicles.

    Raises:
        SimError: the world is not the town of this configuration.
    """
    assert world.roads is not None
    rngs = np.random.default_rng([config.seed, 0xC17]).spawn(6)
    places = furniture_places(rngs[3], config, world.terrain, world.roads)
    shapes = build_furniture(rngs[5], places)
    boxes, owner = list(world.parked), np.full(len(world.mesh.faces), -1, np.int32)
    counts = _parked_faces(world.parked)
    end = len(owner) - int(counts.sum())
    owner[end:] = np.repeat(np.arange(len(counts)), counts)
    first = _first_face(world, shapes, end)
    for place, shape in zip(places, shapes, strict=True):
        if place.kind in KINDS:
            owner[first : first + len(shape.faces)] = len(boxes)
            boxes.append(_furniture_box(place, shape, _FIRST_FURNITURE + len(boxes)))
        first += len(shape.faces)
    return Catalogue(boxes + _signs(world, owner, len(boxes)), owner)


def _parked_faces(parked: Sequence[Box]) -> NDArray[np.int64]:
    """(N,) how many triangles each parked vehicle has; each shape has a size of its own."""
    paint = next(iter(PAINTS.values()))
    shapes = [car_mesh(kind, paint) for kind in ("car", "hatchback", "van")]
    faces = {tuple(size.tolist()): len(mesh.faces) for mesh, size in shapes}
    return np.array([faces[tuple(box.size.tolist())] for box in parked], np.int64)


def _first_face(world: World, shapes: Sequence[Mesh], end: int) -> int:
    """Number of the furniture's first triangle in the town's mesh; its last is that before ``end``."""
    if not shapes:
        return end
    made = merge(shapes)
    first = max(end - len(made.faces), 0)
    there = world.mesh.vertices[world.mesh.faces[first:end]]
    if not np.array_equal(there, made.vertices[made.faces]):
        raise SimError(f"the furniture of {world.name} is not that of this configuration: it has another seed or sizes")
    return first


def _furniture_box(place: Place, shape: Mesh, identity: int) -> Box:
    """Along the direction that it faces; what is under the pavement is left out."""
    low, high = _extent(shape.vertices, place.heading, place.position)
    low[2] = max(low[2], 0.0)
    return _box(identity, place.kind, low, high, place.heading, place.position)


def _signs(world: World, owner: NDArray[np.int32], first: int) -> list[Box]:
    """Boxes of all shops' boards; their triangles are marked in ``owner``, from ``first`` on."""
    boards = np.flatnonzero(world.mesh.material == Material.SIGN)
    tags = world.mesh.tag[boards]
    boxes = []
    for number, house in enumerate(house for house in world.buildings if house.shop is not None):
        faces = boards[tags == number]
        owner[faces] = first + number
        corners = world.mesh.vertices[world.mesh.faces[faces]].reshape(-1, 3)
        heading, middle = shop_landmark(house).heading, corners.mean(axis=0)
        low, high = _extent(corners, heading, middle)
        half = np.array([0.5 * _BOARD_M, 0.0, 0.0])
        boxes.append(_box(_FIRST_SIGN + number, "shop sign", low - half, high + half, heading, middle))
    return boxes


def _extent(
    points: NDArray[np.float64], heading: float, origin: NDArray[np.float64]
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Least and greatest corner of (N, 3) points in a frame at ``origin`` that is turned by ``heading``."""
    local = turn_about_z(points - origin, np.full(len(points), -heading))
    return local.min(axis=0), local.max(axis=0)


def _box(
    identity: int,
    kind: str,
    low: NDArray[np.float64],
    high: NDArray[np.float64],
    heading: float,
    origin: NDArray[np.float64],
) -> Box:
    middle = turn_about_z(0.5 * (low + high)[None], np.array([heading]))[0]
    return Box(identity, kind, origin + middle, high - low, heading, np.zeros(3))
