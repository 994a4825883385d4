# SPDX-FileCopyrightText: The Mem4Nav stack developers
# SPDX-License-Identifier: Apache-2.0
"""Things of a town that a direction may mention, and from where each can be seen."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from sim_envs.city.buildings import Building
from sim_envs.city.navigation.street_plan import StreetPlan
from sim_envs.city.roads import Landmark
from sim_envs.city.world import World

EYE_M = 1.6
_TAGS = {
    "cafe": ("amenity", "cafe"),
    "bakery": ("shop", "bakery"),
    "pharmacy": ("amenity", "pharmacy"),
    "bookshop": ("shop", "books"),
    "grocery": ("shop", "grocery"),
    "bank": ("amenity", "bank"),
    "barber": ("shop", "barber"),
    "florist": ("shop", "florist"),
    "bar": ("amenity", "bar"),
    "pizzeria": ("amenity", "restaurant"),
    "hotel": ("tourism", "hotel"),
    "laundry": ("shop", "laundry"),
    "hardware store": ("shop", "hardware"),
    "toy shop": ("shop", "toys"),
    "gallery": ("tourism", "gallery"),
    "shoe shop": ("shop", "shoes"),
    "bike shop": ("shop", "bicycle"),
    "post office": ("amenity", "post_office"),
    "traffic light": ("highway", "traffic_signals"),
    "hydrant": ("emergency", "fire_hydrant"),
    "bench": ("amenity", "bench"),
    "bus stop": ("highway", "bus_stop"),
}
# Heights over the foot at which a piece of furniture is looked for, and how far before its middle it begins, metres.
_FURNITURE = {
    "traffic light": ((2.4, 2.9, 3.3), 0.5),
    "hydrant": ((0.3, 0.5, 0.65), 0.5),
    "bench": ((0.35, 0.6, 0.8), 0.9),
    "bus stop": ((0.8, 1.5, 2.2), 1.9),
}
_FRONT_SLACK_M = 0.5
_LEAST_SEEN = 2


@dataclass(frozen=True, slots=True)
class Thing:
    """Something beside a street.

    Attributes:
        name: as on its sign, "" where it has none.
        category: value of its main tag: "bakery", "fire_hydrant".
        colour: word for its colour, "" where it has none.
        tags: as in OpenStreetMap, name and colour among them.
        position_m: (2,) metres east and north; a shop's is the middle of its front.
        facing: (2,) unit vector out of its front.
        place: number of the nearest place on the street before it.
        points: (K, 3) where it is looked for, metres in map.
        slack_m: a ray that ends this close before a point has met the thing itself.
    """

    name: str
    category: str
    colour: str
    tags: Mapping[str, str]
    position_m: NDArray[np.float64]
    facing: NDArray[np.float64]
    place: int
    points: NDArray[np.float64]
    slack_m: float

    @property
    def is_shop(self) -> bool:
        """Whether it has a sign with a name on it."""
        return bool(self.name)


def things_of(world: World, plan: StreetPlan) -> tuple[Thing, ...]:
    """Shops and street furniture, in the order in which the town lists them."""
    assert world.roads is not None
    houses = {house.shop.name: house for house in world.buildings if house.shop is not None}
    return tuple(_thing(mark, houses.get(mark.name), plan) for mark in world.roads.landmarks)


def _thing(mark: Landmark, house: Building | None, plan: StreetPlan) -> Thing:
    key, value = _TAGS[mark.kind]
    name = mark.name if house is not None else ""
    tags = {key: value} | ({"name": name} if name else {}) | ({"colour": mark.colour} if mark.colour else {})
    position = mark.position[:2]
    facing = np.array([np.cos(mark.heading), np.sin(mark.heading)])
    section = np.array(plan.sections[mark.edge])
    place = int(section[np.linalg.norm(plan.graph.positions[section] - position, axis=1).argmin()])
    points, slack = _targets(mark, house, facing)
    return Thing(name, value, mark.colour, tags, position, facing, place, points, slack)


def _targets(mark: Landmark, house: Building | None, facing: NDArray[np.float64]) -> tuple[NDArray[np.float64], float]:
    if house is None:
        heights, slack = _FURNITURE[mark.kind]
        return mark.position + np.outer(heights, [0.0, 0.0, 1.0]), slack
    a, b = house.footprint[:2]
    sign = house.floor + house.style.ground_m - 0.5
    spots = [(0.2, house.floor + 1.5), (0.5, house.floor + 1.5), (0.8, house.floor + 1.5), (0.4, sign), (0.6, sign)]
    return np.array([[*(a + share * (b - a) + 0.3 * facing), z] for share, z in spots]), _FRONT_SLACK_M


def visible(world: World, plan: StreetPlan, things: tuple[Thing, ...], range_m: float) -> NDArray[np.bool_]:
    """(places, things) whether at least two points of a thing can be seen from a place, past all that stands there.

    A shop shows its front alone; who looks along the wall does not see it.
    """
    eyes = world.terrain.lift(plan.graph.positions, EYE_M)
    at = np.array([thing.position_m for thing in things])
    away = at[None] - plan.graph.positions[:, None]
    distance = np.linalg.norm(away, axis=2)
    cosine = -np.einsum("pti,ti->pt", away, np.array([thing.facing for thing in things])) / distance
    shops = np.array([thing.is_shop for thing in things])
    place, thing = np.nonzero((distance < range_m) & (~shops | (cosine > 0.12)))
    seen = np.zeros(distance.shape, bool)
    seen[place, thing] = _reached(world, eyes[place], [things[number] for number in thing])
    return seen


def _reached(world: World, eyes: NDArray[np.float64], things: list[Thing]) -> NDArray[np.bool_]:
    """(N,) whether each eye sees its thing."""
    counts = [len(thing.points) for thing in things]
    owner = np.repeat(np.arange(len(things)), counts)
    away = np.concatenate([thing.points for thing in things]) - eyes[owner]
    distance = np.linalg.norm(away, axis=1)
    hits = world.static.cast(eyes[owner], away / distance[:, None])
    clear = hits.distance > distance - np.array([thing.slack_m for thing in things])[owner]
    return np.bincount(owner, clear, len(things)) >= _LEAST_SEEN
