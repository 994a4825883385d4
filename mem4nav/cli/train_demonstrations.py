# SPDX-FileCopyrightText: The Mem4Nav stack developers
# SPDX-License-Identifier: Apache-2.0
"""Walking annotated routes, for agents to learn from."""

from __future__ import annotations

import logging
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import replace

from mem4nav.demonstration import Demonstration
from mem4nav.environment import Action, Environment, Episode, Observation
from mem4nav.modular.lessons import Lesson
from sim_envs.city.navigation import CityEnvironment, LegKind, make_exercises, make_tasks
from sim_envs.errors import SimError
from sim_envs.street_environment import LandmarkSource, StreetEnvironment
from sim_envs.street_graph import StreetGraph
from sim_envs.street_routes import actions_along
from sim_envs.touchdown import Task

PLACES_BEYOND = 14
"""How far behind the goal a lesson looks."""
EXERCISES = 20
"""Walks by directions in each town that is learnt from, beside those of its tasks."""

_log = logging.getLogger(__name__)


def street_lessons(tasks: Iterable[Task], graph: StreetGraph, landmarks: LandmarkSource) -> Iterator[Lesson]:
    """Each route walked as annotated, and on; one that the graph does not have is left out, and the log says which."""
    for task in tasks:
        try:
            start = graph.stand(graph.number(task.route[0]), task.episode.start_heading_deg)
            actions = [*actions_along(graph, start, task.route), Action.STOP]
        except SimError as error:
            _log.warning("route %s cannot be walked and is left out: %s", task.episode.id, error)
            continue
        # However many actions the route takes: the limit is for those who are tested.
        environment = StreetEnvironment(graph, landmarks, len(actions) + PLACES_BEYOND)
        demonstration = _walked(environment, task.episode, actions)
        yield Lesson(demonstration, _beyond(environment, set(task.route)))


def city_lessons(town_seed: int, episodes: int) -> Iterator[Lesson]:
    """Each leg of tasks of the split train, the later ones with what was seen before still remembered; and exercises.

    Who has followed directions walks on.

    Args:
        town_seed: which towns.
        episodes: how many tasks.
    """
    tasks = make_tasks("train", town_seed, episodes)
    for task in (*tasks, *make_exercises(tasks, EXERCISES)):
        # The limits are for those who are tested.
        legs = [replace(leg, most_actions=len(leg.way) + PLACES_BEYOND) for leg in task.legs]
        environment = CityEnvironment([replace(task, legs=tuple(legs))])
        for number, leg in enumerate(legs):
            demonstration = _walked(environment, leg.episode, leg.way, remembers=number > 0)
            known = {seen.place for seen in demonstration.observations}
            beyond = _beyond(environment, known) if leg.kind is LegKind.DIRECTIONS else ()
            yield Lesson(demonstration, beyond, led=leg.kind is LegKind.GUIDED)


def _walked(
    environment: Environment, episode: Episode, actions: Sequence[Action], remembers: bool = False
) -> Demonstration:
    seen = [environment.reset(episode)]
    for action in actions[:-1]:
        seen.append(environment.step(action)[0])
    return Demonstration(episode.instruction, tuple(seen), tuple(actions), remembers)


def _beyond(environment: Environment, known: set[str]) -> tuple[Observation, ...]:
    """The places that follow straight on, up to one that was seen before."""
    seen: list[Observation] = []
    while len(seen) < PLACES_BEYOND:
        observation, _ = environment.step(Action.FORWARD)
        if observation.place in known:
            break
        known.add(observation.place)
        seen.append(observation)
    return tuple(seen)
