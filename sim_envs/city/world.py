# SPDX-FileCopyrightText: The Mem4Nav stack developers
# SPDX-License-Identifier: Apache-2.0
"""A world: what rays can hit that does not move, and what is known about it."""

from __future__ import annotations

from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

from sim_envs.city.buildings import Building, build, make_buildings, shop_landmark
from sim_envs.city.config import CityConfig, CorridorConfig
from sim_envs.city.furniture import build_furniture, furniture_landmarks
from sim_envs.city.ground import make_ground
from sim_envs.city.kerbside import Place, furniture_places, parking_places
from sim_envs.city.materials import Material
from sim_envs.city.mesh import NO_TAG, Mesh, merge, quads, turned
from sim_envs.city.models import PAINTS, car_mesh
from sim_envs.city.moving import Box
from sim_envs.city.raycast import Raycaster
from sim_envs.city.roads import Block, RoadGraph, make_roads
from sim_envs.city.terrain import Terrain, flat_terrain, make_terrain

_FIRST_PARKED = 1000


@dataclass(frozen=True, slots=True)
class World:
    """A built world; frame ``map``: x east, y north, z up, metres.

    Attributes:
        name: for titles and logs.
        terrain: the height field.
        mesh: all that does not move.
        static: its ray caster.
        roads: streets, crossings and landmarks; None where there are none.
        blocks: ground between the streets.
        buildings: houses.
        parked: truth boxes of parked cars (part of ``mesh``), identities from 1000 on.
        signs: lettering, by the ``tag`` of the faces that show it.
        line: (2, 2) from where to where a vehicle drives, where there are no streets.
        indoor: neither sun nor sky.
    """

    name: str
    terrain: Terrain
    mesh: Mesh
    static: Raycaster
    roads: RoadGraph | None = None
    blocks: list[Block] = field(default_factory=list)
    buildings: list[Building] = field(default_factory=list)
    parked: list[Box] = field(default_factory=list)
    signs: list[str] = field(default_factory=list)
    line: NDArray[np.float64] = field(default_factory=lambda: np.zeros((2, 2)))
    indoor: bool = False


def make_city(config: CityConfig | None = None) -> World:
    """The town of a configuration."""
    config = config or CityConfig()
    rngs = np.random.default_rng([config.seed, 0xC17]).spawn(6)
    terrain = make_terrain(rngs[0], config.slope)
    graph, blocks = make_roads(rngs[1], config, terrain)
    houses = make_buildings(rngs[2], config, terrain, blocks)
    places = furniture_places(rngs[3], config, terrain, graph)
    cars = parking_places(rngs[4], config, terrain, graph, places)
    shops = [shop_landmark(house) for house in houses if house.shop is not None]
    graph = graph.with_landmarks(shops + furniture_landmarks(places))
    parked = [_parked(rngs[4], car, number) for number, car in enumerate(cars)]
    pieces = [make_ground(terrain, graph, blocks, config.sidewalk_m)]
    signs = [house.shop.name for house in houses if house.shop is not None]
    pieces += [build(house, terrain, sign) for house, sign in zip(houses, _sign_numbers(houses), strict=True)]
    pieces += [*build_furniture(rngs[5], places), *(mesh for mesh, _ in parked)]
    mesh = merge(pieces)
    boxes = [box for _, box in parked]
    return World(f"city-{config.seed}", terrain, mesh, Raycaster(mesh), graph, blocks, houses, boxes, signs)


def _sign_numbers(houses: list[Building]) -> list[int]:
    """Number of each house's sign, NO_TAG where it has no shop."""
    shops = np.cumsum([house.shop is not None for house in houses]) - 1
    return [int(n) if house.shop is not None else NO_TAG for house, n in zip(houses, shops, strict=True)]


def _parked(rng: np.random.Generator, place: Place, number: int) -> tuple[Mesh, Box]:
    kind = str(rng.choice(["car", "car", "hatchback", "van"], p=[0.4, 0.15, 0.33, 0.12]))
    mesh, size = car_mesh(kind, list(PAINTS.values())[rng.integers(len(PAINTS))])
    centre = np.add(place.position, [0.0, 0.0, 0.5 * size[2]])
    name = "van" if kind == "van" else "car"
    box = Box(_FIRST_PARKED + number, name, centre, size, place.heading, np.zeros(3))
    return turned(mesh, place.heading, place.position), box


def make_corridor(config: CorridorConfig | None = None) -> World:
    """A smooth straight tunnel along +x, closed at both ends, driven from near one end to near the other."""
    config = config or CorridorConfig()
    far, half, top = 0.5 * config.length_m, 0.5 * config.width_m, config.height_m
    x0, x1, y0, y1 = -far, far, -half, half
    floor = [[x0, y0, 0], [x1, y0, 0], [x1, y1, 0], [x0, y1, 0]]
    ceiling = [[x0, y1, top], [x1, y1, top], [x1, y0, top], [x0, y0, top]]
    left = [[x1, y1, 0], [x0, y1, 0], [x0, y1, top], [x1, y1, top]]
    right = [[x0, y0, 0], [x1, y0, 0], [x1, y0, top], [x0, y0, top]]
    near = [[x0, y1, 0], [x0, y0, 0], [x0, y0, top], [x0, y1, top]]
    end = [[x1, y0, 0], [x1, y1, 0], [x1, y1, top], [x1, y0, top]]
    ground, wall = (Material.MURAL, Material.MURAL) if config.murals else (Material.ASPHALT, Material.BRICK)
    mesh = merge(
        [
            quads([floor], ground, (0.18, 0.18, 0.19), tag=3 * config.seed),
            quads([ceiling], Material.CONCRETE, (0.5, 0.5, 0.48)),
            quads([left], wall, (0.42, 0.22, 0.13), tag=3 * config.seed + 1),
            quads([right, near, end], wall, (0.42, 0.22, 0.13), tag=3 * config.seed + 2),
        ]
    )
    line = np.array([[x0 + 12.0, 0.0], [x1 - 12.0, 0.0]])
    return World(f"corridor-{config.seed}", flat_terrain(), mesh, Raycaster(mesh), line=line, indoor=True)
