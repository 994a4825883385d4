# SPDX-FileCopyrightText: The Mem4Nav stack developers
# SPDX-License-Identifier: Apache-2.0
"""Directions for a vehicle: routes whose landmarks a detector of things without names can find."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from sim_envs.city.config import CityConfig
from sim_envs.city.navigation.clauses import Verb
from sim_envs.city.navigation.directions import Directions, make_directions
from sim_envs.city.navigation.phrasing import say
from sim_envs.city.navigation.routing import stands_along
from sim_envs.city.navigation.town import Town, make_town
from sim_envs.errors import SimConfigError
from sim_envs.street_graph import Stand

NAMEABLE = frozenset(("fire_hydrant", "bench"))
"""Categories that the directions name."""
_FIRST_TOWN = 4_000_000
_TRIES = 2000
_LENGTH_M = (150.0, 400.0)
_LEAST_TURNS = 2
_ABREAST_M = 3.0
_BESIDE_M = 11.0


@dataclass(frozen=True, slots=True)
class DrivableTask:
    """One route through a town.

    Attributes:
        town: configuration of the town.
        instruction: the written directions.
        start: (3,) x, y (metres, map) and yaw (radians) of base_link.
        goal: (2,) foot of the thing to stop by, metres in map.
        along: (2,) unit vector along the street of the goal.
        length_m: of the way over the middle of the streets.
        turns: how many the directions ask for.
    """

    town: CityConfig
    instruction: str
    start: NDArray[np.float64]
    goal: NDArray[np.float64]
    along: NDArray[np.float64]
    length_m: float
    turns: int

    def misses_m(self, position: NDArray[np.float64]) -> tuple[float, float]:
        """How far from the goal along its street, and across it, a position (2,) is; metres."""
        away = position - self.goal
        return abs(float(away @ self.along)), abs(float(away[0] * self.along[1] - away[1] * self.along[0]))

    def is_reached(self, position: NDArray[np.float64]) -> bool:
        """Whether the middle of a vehicle that stands there is abreast of the goal within 3 m, on the goal's street.

        Walkers succeed at the place nearest to the goal or the next one, 10 m on: this is stricter.
        """
        along, across = self.misses_m(position)
        return along <= _ABREAST_M and across <= _BESIDE_M


def make_drivable_task(seed: int) -> DrivableTask:
    """A route of 150 to 400 m with at least two turns, in a town of its own that no detector has learned from.

    Raises:
        SimConfigError: the town gave none in many tries.
        RaycastError: where open3d, which decides what can be seen, is missing.
    """
    config = CityConfig(seed=_FIRST_TOWN + seed)
    town, rng = make_town(config), np.random.default_rng([seed, 0xD817])
    for _ in range(_TRIES):
        section = town.plan.sections[int(rng.integers(len(town.plan.sections)))]
        number = section[int(rng.integers(2, len(section) - 2))]
        stand = town.graph.stand(number, float(rng.uniform(0.0, 360.0)))
        directions = make_directions(town, stand, rng)
        task = None if directions is None else _task(config, town, stand, directions, rng)
        if task is not None:
            return task
    raise SimConfigError(f"town {config.seed} gave no route of {_LENGTH_M} m with {_LEAST_TURNS} turns: {_TRIES} tries")


def _task(
    config: CityConfig, town: Town, stand: Stand, directions: Directions, rng: np.random.Generator
) -> DrivableTask | None:
    """The task of these directions; None where they are too short, too long, or name what has no class."""
    named = {clause.landmark.category for clause in directions.clauses if clause.landmark is not None}
    turns = sum(clause.verb is Verb.TURN for clause in directions.clauses)
    stands = stands_along(town.graph, stand, directions.actions)
    way = town.graph.positions[[at.number for at in stands]]
    length_m = float(np.linalg.norm(np.diff(way, axis=0), axis=1).sum())
    if named - NAMEABLE or turns < _LEAST_TURNS or not _LENGTH_M[0] <= length_m <= _LENGTH_M[1]:
        return None
    goal = directions.clauses[-1].landmark
    assert goal is not None
    feet = [t.position_m for t in town.things if t.place == directions.goal and t.category == goal.category]
    if len(feet) != 1:
        return None
    x, y = town.graph.positions[stand.number]
    along = np.radians(90.0 - stands[-1].heading_deg)
    return DrivableTask(
        config, say(directions.clauses, rng), np.array([x, y, np.radians(90.0 - stand.heading_deg)]), feet[0],
        np.array([np.cos(along), np.sin(along)]), length_m, turns,
    )  # fmt: skip
