# SPDX-FileCopyrightText: The Mem4Nav stack developers
# SPDX-License-Identifier: Apache-2.0
"""Turn-by-turn directions through a town, kept when they lead to the goal taken at their word."""

from __future__ import annotations

import itertools
from dataclasses import dataclass

import numpy as np

from mem4nav.environment import Action, Episode, angle_between_deg
from sim_envs.city.navigation.clauses import Clause, Reference, Verb
from sim_envs.city.navigation.detector import Detections
from sim_envs.city.navigation.follower import LiteralFollower
from sim_envs.city.navigation.town import Town
from sim_envs.city.navigation.visibility import Thing
from sim_envs.street_environment import StreetEnvironment
from sim_envs.street_graph import Stand

MOST_ACTIONS = 60
_FEWEST_ACTIONS = 18
_TRIES = 40
_STRAIGHT_DEG = 45.0
_ANCHOR_SHARE = 0.55
_SIDE_SHARE = 0.5
_LIGHTS = "traffic_signals"


@dataclass(frozen=True, slots=True)
class Directions:
    """Clauses, and where they lead.

    Attributes:
        clauses: what they say.
        actions: of who follows them at their word, the stop included.
        goal: number of the place where one stops.
    """

    clauses: tuple[Clause, ...]
    actions: tuple[Action, ...]
    goal: int


def make_directions(town: Town, start: Stand, rng: np.random.Generator) -> Directions | None:
    """Directions from a stand to something two to four turns away; None where many tries gave none."""
    for _ in range(_TRIES):
        runs = _random_runs(town, start, rng)
        goal = _pick(_beside(town, runs[-1]), rng) if runs else None
        if goal is None:
            continue
        clauses = _clauses(town, start, runs, goal, rng)
        if clauses is None:
            continue
        actions, end = follow(town, start, clauses, town.truth)
        if end != goal.place or not _FEWEST_ACTIONS <= len(actions) <= MOST_ACTIONS:
            continue
        _, told = follow(town, start, clauses, town.detections)
        if told == end or told in town.graph.neighbours(end):
            return Directions(clauses, actions, end)
    return None


def follow(town: Town, start: Stand, clauses: tuple[Clause, ...], eyes: Detections) -> tuple[tuple[Action, ...], int]:
    """The actions of who takes clauses at their word, and the place where that ends."""
    graph = town.graph
    environment = StreetEnvironment(graph, eyes, MOST_ACTIONS)
    seen = environment.reset(Episode("", "", graph.places[start.number], start.heading_deg))
    follower, actions, done = LiteralFollower(clauses), [], False
    while not done:
        actions.append(follower.act(seen))
        seen, done = environment.step(actions[-1])
    return tuple(actions), graph.number(seen.place)


def _random_runs(town: Town, start: Stand, rng: np.random.Generator) -> list[list[int]]:
    """Stretches from crossing to crossing, none of them round a corner and none walked twice; [] where stuck."""
    ahead = town.graph.way_ahead(start)
    assert ahead is not None
    behind = [place for place in town.graph.neighbours(start.number) if place != ahead.target]
    first = behind[0] if behind and rng.random() < 0.25 else ahead.target
    runs = [town.plan.run(start.number, first)]
    for _ in range(int(rng.integers(2, 5))):
        last = runs[-1]
        walked = {place for run in runs for place in run}
        onward = [place for place in town.graph.neighbours(last[-1]) if place not in walked]
        if not onward or town.plan.corners & walked:
            return []
        runs.append(town.plan.run(last[-1], onward[int(rng.integers(len(onward)))]))
    return [] if town.plan.corners & set(runs[-1]) else runs


def _beside(town: Town, run: list[int]) -> list[Thing]:
    """What stands along a stretch, well away from its ends: there is no doubt that it is passed."""
    inner = set(run[2:-2])
    return [thing for thing in town.things if thing.place in inner and thing.category != _LIGHTS]


def _pick(things: list[Thing], rng: np.random.Generator) -> Thing | None:
    return things[int(rng.integers(len(things)))] if things else None


def _clauses(
    town: Town, start: Stand, runs: list[list[int]], goal: Thing, rng: np.random.Generator
) -> tuple[Clause, ...] | None:
    """What to say on these stretches; None where a crossing is too crooked to name the turn there."""
    ahead = town.graph.way_ahead(start)
    clauses = [] if ahead is not None and ahead.target == runs[0][1] else [Clause(Verb.TURN_AROUND)]
    since: list[list[int]] = []
    for run, after in itertools.pairwise(runs):
        since.append(run)
        turn = _turn(town, run[-2], run[-1], after[1])
        if turn is None:
            return None
        if turn is not Action.FORWARD:
            clauses.append(_turn_clause(town, since, turn, rng))
            since = []
    crossings = len(since) if rng.random() < 0.6 else 0
    reference = _reference(goal, rng)
    clauses.append(Clause(Verb.STOP, None, crossings, reference, _side(town, goal, runs[-1], rng)))
    return tuple(clauses)


def _turn(town: Town, before: int, crossing: int, after: int) -> Action | None:
    """LEFT, RIGHT, or FORWARD for straight on; None where angle and order of the ways contradict each other."""
    graph = town.graph
    heading = next(way.heading_deg for way in graph.ways[before] if way.target == crossing)
    onward = next(way.heading_deg for way in graph.ways[crossing] if way.target == after)
    angle = angle_between_deg(heading, onward)
    turn = Action.FORWARD if abs(angle) < _STRAIGHT_DEG else Action.LEFT if angle < 0.0 else Action.RIGHT
    stand = graph.move(graph.stand(before, heading), Action.FORWARD)
    if turn is not Action.FORWARD:
        stand = graph.move(stand, turn)
    way = graph.way_ahead(stand)
    return turn if way is not None and way.target == after else None


def _turn_clause(town: Town, since: list[list[int]], turn: Action, rng: np.random.Generator) -> Clause:
    """A turn at the end of the stretches walked since the last one, told by counting or by something passed."""
    passed = int(rng.integers(len(since)))
    anchor = _pick(_beside(town, since[passed]), rng) if rng.random() < _ANCHOR_SHARE else None
    if anchor is None:
        return Clause(Verb.TURN, turn, len(since))
    side = _side(town, anchor, since[passed], rng)
    return Clause(Verb.TURN, turn, len(since) - passed, _reference(anchor, rng), side)


def _reference(thing: Thing, rng: np.random.Generator) -> Reference:
    """By name, by kind and colour, or (furniture always) by kind alone."""
    if not thing.is_shop:
        return Reference(thing.category)
    luck = rng.random()
    if luck < 0.4:
        return Reference(thing.category, name=thing.name)
    return Reference(thing.category, colour=thing.colour) if luck < 0.85 else Reference(thing.category)


def _side(town: Town, thing: Thing, run: list[int], rng: np.random.Generator) -> Action | None:
    """On which side of the street something is for those who walk the stretch; None: left unsaid."""
    if rng.random() >= _SIDE_SHARE:
        return None
    here = run.index(thing.place)
    along = town.graph.positions[run[here + 1]] - town.graph.positions[run[here - 1]]
    away = thing.position_m - town.graph.positions[thing.place]
    return Action.RIGHT if away[0] * along[1] - away[1] * along[0] > 0.0 else Action.LEFT
