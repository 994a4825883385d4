# SPDX-FileCopyrightText: The Mem4Nav stack developers
# SPDX-License-Identifier: Apache-2.0
"""Tasks in towns, from a split and a seed. Frozen: what is here decides what agents are measured on.

Whoever changes which tasks come out raises ``VERSION``, and measures everything again that was measured before.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Iterator, Sequence

import numpy as np

from sim_envs.city.config import CityConfig
from sim_envs.city.navigation.closures import find_detour
from sim_envs.city.navigation.directions import make_directions
from sim_envs.city.navigation.journey import Journey
from sim_envs.city.navigation.legs import directions_leg, errand, guided_leg, memory_leg
from sim_envs.city.navigation.routing import actions_along, stands_along
from sim_envs.city.navigation.task import CityTask, Leg
from sim_envs.city.navigation.town import Town, make_town
from sim_envs.errors import SimConfigError
from sim_envs.street_graph import Stand

VERSION = 2
SPLITS = {"train": 1_000_000, "dev": 2_000_000, "test": 3_000_000}
TASKS_PER_TOWN = 6
_TOWNS_PER_SEED = 1000
_TRIES = 100
_TOUR_STRETCHES = (9, 13)

_Legs = tuple[Leg, ...] | None


def make_tasks(split: str, seed: int, count: int) -> tuple[CityTask, ...]:
    """The first ``count`` tasks of a split and seed; see ``make_task``."""
    return tuple(make_task(split, seed, number) for number in range(count))


def make_task(split: str, seed: int, number: int) -> CityTask:
    """One task of a split and seed: the kinds take turns, and no town is in two splits or two seeds.

    Args:
        split: "train", "dev" or "test".
        seed: from 0 to 999.
        number: from 0 to 5999; six that follow one another share a town.

    Raises:
        SimConfigError: for anything else.
        RaycastError: where open3d, which decides what can be seen, is missing.
    """
    town_seed = town_seed_of(split, seed, number)
    town = make_town(town_of(town_seed))
    rng = np.random.default_rng([VERSION, town_seed, number % TASKS_PER_TOWN])
    kind = list(_MAKERS)[number % len(_MAKERS)]
    name = f"{split}-{seed}-{number}"
    for _ in range(_TRIES):
        legs = _MAKERS[kind](town, name, rng)
        if legs is not None:
            return CityTask(name, kind, town_seed, legs)
    raise SimConfigError(f"town {town_seed} gave no task of the kind {kind!r} in {_TRIES} tries: too few streets")


def make_exercises(tasks: Sequence[CityTask], each: int) -> tuple[CityTask, ...]:
    """Walks by directions alone, to learn from: ``each`` of them in every town of the tasks, a task of one leg each."""
    return tuple(
        CityTask(f"exercise-{seed}-{number}", "directions", seed, (leg,))
        for seed in dict.fromkeys(task.town for task in tasks)
        for number, leg in enumerate(_exercise_legs(seed, each))
    )


def town_seed_of(split: str, seed: int, number: int) -> int:
    """The seed of the town of a task; see ``make_task``."""
    if split not in SPLITS:
        raise SimConfigError(f"there is no split {split!r}: tasks of the city are for {', '.join(SPLITS)}")
    if not (0 <= seed < 1000 and 0 <= number < TASKS_PER_TOWN * _TOWNS_PER_SEED):
        raise SimConfigError(f"seed {seed}, task {number}: seeds go from 0 to 999, numbers from 0 to 5999")
    return SPLITS[split] + _TOWNS_PER_SEED * seed + number // TASKS_PER_TOWN


def town_of(seed: int) -> CityConfig:
    """The configuration of the town of a task."""
    return CityConfig(seed=seed)


def digest(tasks: Sequence[CityTask]) -> str:
    """SHA-256 of tasks: equal where every word and every place is. Lengths and headings are rounded in it."""
    told = hashlib.sha256()
    for task in tasks:
        told.update(f"{task.id} {task.kind} {task.town}\n".encode())
        for leg in task.legs:
            start = f"{leg.episode.start} {leg.episode.start_heading_deg or 0.0:.0f}"
            way = " ".join(action.value for action in leg.way)
            said = f"{leg.episode.id} {leg.episode.instruction}\n{start} {leg.goal} {leg.shortest_m:.0f}"
            told.update(f"{said}\n{way} {leg.most_actions} {leg.closed}\n{leg.meaning}\n".encode())
    return told.hexdigest()


def _return_task(town: Town, name: str, rng: np.random.Generator) -> _Legs:
    """A tour, then three errands to what it passed."""
    tour, journey, stand = _tour(town, name, rng)
    legs = [tour]
    for _ in range(3):
        made = memory_leg(journey, f"{name}/{len(legs)}", stand, rng)
        if made is None:
            return None
        legs.append(made[0])
        stand = made[1]
    return tuple(legs)


def _errands_task(town: Town, name: str, rng: np.random.Generator) -> _Legs:
    """Two errands by directions, then two to what there was to see on them."""
    stand = _random_stand(town, rng)
    journey, legs = Journey(town, stand.number), []
    for _ in range(2):
        directions = make_directions(town, stand, rng)
        if directions is None:
            return None
        journey.add([at.number for at in stands_along(town.graph, stand, directions.actions)])
        leg, stand = directions_leg(town, f"{name}/{len(legs)}", stand, directions, rng)
        legs.append(leg)
    for _ in range(2):
        made = memory_leg(journey, f"{name}/{len(legs)}", stand, rng)
        if made is None:
            return None
        legs.append(made[0])
        stand = made[1]
    return tuple(legs)


def _blocked_task(town: Town, name: str, rng: np.random.Generator) -> _Legs:
    """A tour, a second walk that shows a street closed meanwhile, an errand for which that matters, and another."""
    tour, journey, stand = _tour(town, name, rng)
    detour = find_detour(journey, stand, rng)
    if detour is None:
        return None
    second, stand = guided_leg(town, f"{name}/1", stand, detour.shown, detour.closed)
    third, stand = errand(journey, f"{name}/2", stand, detour.goal, detour.reference, detour.way, rng, detour.closed)
    fourth = memory_leg(journey, f"{name}/3", stand, rng, detour.closed)
    return None if fourth is None else (tour, second, third, fourth[0])


_MAKERS: dict[str, Callable[[Town, str, np.random.Generator], _Legs]] = {
    "return": _return_task,
    "errands": _errands_task,
    "blocked": _blocked_task,
}


def _exercise_legs(town_seed: int, count: int) -> Iterator[Leg]:
    town = make_town(town_of(town_seed))
    rng = np.random.default_rng([VERSION, town_seed, TASKS_PER_TOWN])
    for number in range(count):
        directions = None
        while directions is None:
            stand = _random_stand(town, rng)
            directions = make_directions(town, stand, rng)
        yield directions_leg(town, f"exercise-{town_seed}-{number}/0", stand, directions, rng)[0]


def _tour(town: Town, name: str, rng: np.random.Generator) -> tuple[Leg, Journey, Stand]:
    """A guided walk along streets that are new where possible."""
    start = _random_stand(town, rng)
    way = town.graph.way_ahead(start)
    assert way is not None
    places = town.plan.run(start.number, way.target)
    walked = set(places)
    for _ in range(int(rng.integers(*_TOUR_STRETCHES))):
        onward = [place for place in town.graph.neighbours(places[-1]) if place != places[-2]]
        fresh = [place for place in onward if place not in walked]
        choice = fresh if fresh else onward
        places += town.plan.run(places[-1], choice[int(rng.integers(len(choice)))])[1:]
        walked.update(places)
    journey = Journey(town, start.number)
    journey.add(places)
    leg, end = guided_leg(town, f"{name}/0", start, actions_along(town.graph, start, places[1:]))
    return leg, journey, end


def _random_stand(town: Town, rng: np.random.Generator) -> Stand:
    """Somewhere between two crossings, facing either way."""
    section = town.plan.sections[int(rng.integers(len(town.plan.sections)))]
    number = section[int(rng.integers(2, len(section) - 2))]
    return town.graph.stand(number, float(rng.uniform(0.0, 360.0)))
