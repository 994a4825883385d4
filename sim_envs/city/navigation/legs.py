# SPDX-FileCopyrightText: The Mem4Nav stack developers
# SPDX-License-Identifier: Apache-2.0
"""The legs that tasks are made of: guided walks, directions, and errands that need memory."""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence

import numpy as np

from mem4nav.environment import Action, Episode
from sim_envs.city.navigation.clauses import Clause, Reference, Verb
from sim_envs.city.navigation.directions import Directions
from sim_envs.city.navigation.journey import Journey
from sim_envs.city.navigation.phrasing import say
from sim_envs.city.navigation.routing import Link, shortest_m, ways_from
from sim_envs.city.navigation.task import Leg, LegKind
from sim_envs.city.navigation.town import Town
from sim_envs.street_graph import Stand, StreetGraph

FEWEST_ACTIONS, MOST_ACTIONS = 16, 50
_TO_START_SHARE = 0.15
_KIND_ALONE_SHARE = 0.3
_GUIDED = "Follow me and look around."


def enough_actions(way: Sequence[Action]) -> int:
    """The limit of a leg: a fifth more than who knows the way needs, and a few for a turn or two."""
    return math.ceil(1.2 * len(way)) + 4


def guided_leg(
    town: Town, name: str, start: Stand, actions: Sequence[Action], closed: Iterable[Link] = ()
) -> tuple[Leg, Stand]:
    """A walk by these actions that somebody leads, and the stand at its end."""
    end = end_of(town.graph, start, actions)
    episode, way = _episode(town.graph, name, _GUIDED, start), (*actions, Action.STOP)
    return _leg(town, episode, LegKind.GUIDED, end.number, way, (), closed), end


def directions_leg(
    town: Town, name: str, start: Stand, directions: Directions, rng: np.random.Generator
) -> tuple[Leg, Stand]:
    """Directions in words, and the stand of who has followed them."""
    episode = _episode(town.graph, name, say(directions.clauses, rng), start)
    leg = _leg(town, episode, LegKind.DIRECTIONS, directions.goal, directions.actions, directions.clauses)
    return leg, end_of(town.graph, start, directions.actions)


def memory_leg(
    journey: Journey, name: str, start: Stand, rng: np.random.Generator, closed: frozenset[Link] = frozenset()
) -> tuple[Leg, Stand] | None:
    """An errand to something seen on the journey, a good way off; None where there is nothing of the kind."""
    graph = journey.town.graph
    ways = ways_from(graph, start, journey.links, closed)
    far = {place for place, way in ways.items() if FEWEST_ACTIONS <= len(way) < MOST_ACTIONS}
    goals = {
        number: references
        for number, references in journey.references().items()
        if journey.town.things[number].place in far
    }
    if journey.start in far and rng.random() < _TO_START_SHARE:
        return errand(journey, name, start, journey.start, None, ways[journey.start], rng, closed)
    if not goals:
        return None
    number, reference = choose(goals, rng)
    place = journey.town.things[number].place
    return errand(journey, name, start, place, reference, ways[place], rng, closed)


def choose(goals: dict[int, list[Reference]], rng: np.random.Generator) -> tuple[int, Reference]:
    """A goal and what to call it; "the bank that you passed", the kind alone, more often than chance would have it."""
    kinds = {number: [one for one in of if one.is_kind_alone] for number, of in goals.items()}
    kinds = {number: of for number, of in kinds.items() if of}
    among = kinds if kinds and rng.random() < _KIND_ALONE_SHARE else goals
    number = sorted(among)[int(rng.integers(len(among)))]
    return number, among[number][int(rng.integers(len(among[number])))]


def errand(
    journey: Journey,
    name: str,
    start: Stand,
    goal: int,
    reference: Reference | None,
    way: tuple[Action, ...],
    rng: np.random.Generator,
    closed: frozenset[Link],
) -> tuple[Leg, Stand]:
    """The errand to a place by what it is called (None: where the journey began), and the stand at its end."""
    graph = journey.town.graph
    verb = Verb.RETURN_TO_START if reference is None else Verb.RETURN
    meaning = (Clause(verb, landmark=reference),)
    episode = _episode(graph, name, say(meaning, rng), start)
    leg = _leg(journey.town, episode, LegKind.MEMORY, goal, (*way, Action.STOP), meaning, closed)
    return leg, end_of(graph, start, way)


def end_of(graph: StreetGraph, start: Stand, actions: Iterable[Action]) -> Stand:
    """The stand of somebody who is put down where actions have led, facing as they do then."""
    stand = start
    for action in actions:
        stand = graph.move(stand, action)
    return graph.stand(stand.number, stand.heading_deg)


def _episode(graph: StreetGraph, name: str, instruction: str, start: Stand) -> Episode:
    return Episode(name, instruction, graph.places[start.number], start.heading_deg)


def _leg(
    town: Town,
    episode: Episode,
    kind: LegKind,
    goal: int,
    way: tuple[Action, ...],
    meaning: tuple[Clause, ...],
    closed: Iterable[Link] = (),
) -> Leg:
    graph = town.graph
    limit = len(way) if kind is LegKind.GUIDED else enough_actions(way)
    shortest = shortest_m(graph, graph.number(episode.start), goal, frozenset(closed))
    named = tuple((graph.places[a], graph.places[b]) for a, b in sorted(closed))
    return Leg(episode, kind, graph.places[goal], way, meaning, limit, named, shortest)
