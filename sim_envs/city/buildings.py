# SPDX-FileCopyrightText: The Mem4Nav stack developers
# SPDX-License-Identifier: Apache-2.0
"""Lots along the streets, and the houses on them."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from sim_envs.city.config import CityConfig
from sim_envs.city.facades import Style, facade
from sim_envs.city.ground import KERB_M, building_line
from sim_envs.city.materials import Material
from sim_envs.city.mesh import NO_TAG, Mesh, merge, quads, turned
from sim_envs.city.polygons import Polygon, contains, edge_normals, rectangles_overlap
from sim_envs.city.roads import Block, Landmark
from sim_envs.city.shops import Shop, make_shop
from sim_envs.city.signs import sign_width
from sim_envs.city.terrain import Terrain

_WALLS = (
    (Material.BRICK, (0.36, 0.13, 0.09)),
    (Material.BRICK, (0.42, 0.22, 0.13)),
    (Material.BRICK, (0.30, 0.20, 0.16)),
    (Material.PLASTER, (0.62, 0.53, 0.36)),
    (Material.PLASTER, (0.55, 0.58, 0.55)),
    (Material.PLASTER, (0.60, 0.40, 0.30)),
    (Material.PLASTER, (0.40, 0.48, 0.56)),
    (Material.PLASTER, (0.68, 0.64, 0.56)),
    (Material.STONE, (0.50, 0.46, 0.38)),
    (Material.STONE, (0.42, 0.42, 0.42)),
)
_TRIMS = ((0.66, 0.63, 0.56), (0.52, 0.50, 0.46), (0.30, 0.26, 0.22))
_ROOFS = ((0.28, 0.13, 0.09), (0.20, 0.20, 0.21), (0.26, 0.22, 0.18))
_SETBACK_M = 0.02
_TOUCHING_M = 1e-6
"""Walls this deep within each other touch: which of them do by the last bit hangs on the processor."""


@dataclass(frozen=True, slots=True)
class Building:
    """One house.

    Attributes:
        footprint: (4, 2) counter-clockwise, metres; side 0 is the front.
        floor: height of its ground floor, metres in map.
        edge: number of the street section before it, -1 where none runs.
        style: how it looks.
        shop: on its ground floor, or None.
        door: bay of the door.
    """

    footprint: Polygon
    floor: float
    edge: int
    style: Style
    shop: Shop | None
    door: int


def make_buildings(
    rng: np.random.Generator, config: CityConfig, terrain: Terrain, blocks: list[Block]
) -> list[Building]:
    """Houses side by side along every side of every block."""
    taken: set[str] = set()
    houses = []
    for block in blocks:
        for footprint, edge in _lots(rng, block, config.sidewalk_m):
            houses.append(_house(rng, config, terrain, footprint, edge, taken))
    return houses


def _lots(rng: np.random.Generator, block: Block, sidewalk_m: float) -> list[tuple[Polygon, int]]:
    """Rectangles inside the block that touch its building line and not each other."""
    line = building_line(block, sidewalk_m)
    placed: list[tuple[Polygon, int]] = []
    for i in range(len(line)):
        a, b = line[i], line[(i + 1) % len(line)]
        length = float(np.linalg.norm(b - a))
        along, inwards = (b - a) / length, edge_normals(line)[i]
        s = 0.0
        while block.edges[i] >= 0 and s < length - 8.0:
            width = min(float(rng.uniform(9.0, 19.0)), length - s)
            depth = float(rng.uniform(10.0, 13.0))
            corner = a + s * along + _SETBACK_M * inwards
            rectangle = corner + np.array([0 * along, width * along, width * along + depth * inwards, depth * inwards])
            fits = contains(line, rectangle[[0, 1, 2, 3]] + 0.01 * inwards * [[1], [1], [0], [0]]).all()
            if fits and not any(rectangles_overlap(rectangle, other, -_TOUCHING_M) for other, _ in placed):
                placed.append((rectangle, int(block.edges[i])))
                s += width + (float(rng.uniform(1.5, 5.0)) if rng.random() < 0.25 else 0.0)
            else:
                s += 1.0
    return placed


def _house(
    rng: np.random.Generator,
    config: CityConfig,
    terrain: Terrain,
    footprint: Polygon,
    edge: int,
    taken: set[str],
) -> Building:
    wall, colour = _WALLS[rng.integers(len(_WALLS))]
    tint = tuple(float(c) for c in np.clip(np.array(colour) * rng.uniform(0.85, 1.15), 0.0, 0.8))
    bay = float(rng.uniform(2.3, 3.2))
    style = Style(
        wall,
        tint,
        _TRIMS[rng.integers(len(_TRIMS))],
        int(rng.choice([2, 3, 3, 4, 4, 5])),
        float(rng.uniform(2.9, 3.4)),
        float(rng.uniform(3.9, 4.4)),
        (float(rng.uniform(0.45, 0.6)) * bay, float(rng.uniform(1.4, 1.8))),
        bay,
    )
    shop = make_shop(rng, taken) if rng.random() < config.shop_share else None
    front = terrain.height(footprint[:2, 0], footprint[:2, 1])
    return Building(footprint, float(front.max()) + KERB_M + 0.05, edge, style, shop, int(rng.integers(0, 5)))


def build(house: Building, terrain: Terrain, sign: int = NO_TAG) -> Mesh:
    """Walls, roof and parapet of one house; its shop's sign shows lettering number ``sign``."""
    corners = house.footprint
    ground = float(terrain.height(corners[:, 0], corners[:, 1]).min()) - 0.3
    pieces = []
    for side in range(4):
        a, b = corners[side], corners[(side + 1) % 4]
        along = b - a
        length = float(np.linalg.norm(along))
        shop, door = (house.shop, house.door) if side == 0 else (None, -1)
        wall = facade(length, house.floor - ground, house.style, shop, door)
        pieces.append(turned(wall, float(np.arctan2(along[1], along[0])), [*a, ground]))
        if side == 0 and house.shop is not None:
            board = _sign(house, length, house.floor - ground, sign)
            pieces.append(turned(board, float(np.arctan2(along[1], along[0])), [*a, ground]))
    return merge([*pieces, *_roof(house)])


def _sign(house: Building, length: float, foundation: float, sign: int) -> Mesh:
    """A board over the shop window, in the frame of the front."""
    assert house.shop is not None
    height = 0.68
    half = 0.5 * min(length - 0.8, sign_width(house.shop.name, height))
    low = foundation + house.style.ground_m - 0.82
    x0, x1, y = 0.5 * length - half, 0.5 * length + half, -0.17
    board = [[x0, y, low], [x1, y, low], [x1, y, low + height], [x0, y, low + height]]
    return quads([board], Material.SIGN, house.shop.rgb, tag=sign)


def _roof(house: Building) -> list[Mesh]:
    top = house.floor + house.style.height
    colour = _ROOFS[house.door % len(_ROOFS)]
    corners = np.column_stack([house.footprint, np.full(4, top)])
    if house.style.floors >= 4:
        return [quads(corners - [0.0, 0.0, 0.45], Material.ROOF, colour)]
    rise = np.array([0.0, 0.0, 3.2])
    left, right = 0.5 * (corners[0] + corners[3]) + rise, 0.5 * (corners[1] + corners[2]) + rise
    slopes = [[corners[0], corners[1], right, left], [corners[2], corners[3], left, right]]
    gables = [[corners[3], corners[0], left, left], [corners[1], corners[2], right, right]]
    return [quads(slopes, Material.ROOF, colour), quads(gables, house.style.wall, house.style.colour)]


def shop_landmark(house: Building) -> Landmark:
    """The shop as something to name in a direction."""
    a, b = house.footprint[0], house.footprint[1]
    middle, along = 0.5 * (a + b), b - a
    heading = float(np.arctan2(-along[0], along[1]))
    assert house.shop is not None
    position = np.array([*middle, house.floor + 1.5])
    return Landmark(house.shop.name, house.shop.kind, house.shop.colour, position, heading, house.edge)


def footprints(houses: list[Building]) -> NDArray[np.float64]:
    """(B, 4, 2) float64 of all houses, for checks that nothing drives through them."""
    return np.array([house.footprint for house in houses]).reshape(-1, 4, 2)
