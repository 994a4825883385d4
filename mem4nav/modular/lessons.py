# SPDX-FileCopyrightText: The Mem4Nav stack developers
# SPDX-License-Identifier: Apache-2.0
"""Rows to learn from, by walking demonstrated routes as the agent will."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

from mem4nav.demonstration import Demonstration
from mem4nav.environment import Action, Observation
from mem4nav.memory import Memory
from mem4nav.modular.errand import is_errand
from mem4nav.modular.landmark_words import LandmarkWords
from mem4nav.modular.mentions import Rarity
from mem4nav.modular.recollection import Recollection
from mem4nav.modular.walk import Walk

_SIDES = {Action.LEFT: -1, Action.RIGHT: 1}
_TURNS = (*_SIDES, Action.TURN_AROUND)
_BEFORE_GOAL, _AFTER_GOAL = 10, 14
_TRUNCATIONS = 3
_AROUND_GOAL = range(-12, 4)
_ACTIONS_RUN_OUT, _BEFORE_THEY_DO = range(39, 48), range(32, 39)
"""Places walked by the time when an agent with ``MOST_ACTIONS`` has to pick the goal and go back to it, and before."""


@dataclass(frozen=True, slots=True)
class Lesson:
    """A demonstration, and what lies behind its goal: to learn from that it was passed.

    Attributes:
        demonstration: the route.
        beyond: what is seen at the places that follow when one walks on, nearest first.
        led: somebody else chose the way, which no word explains; it is only remembered.
        times: how often it counts: a few routes of a kind among many of another are learnt from as if they were more.
    """

    demonstration: Demonstration
    beyond: tuple[Observation, ...] = ()
    led: bool = False
    times: int = 1


@dataclass(slots=True)
class Rows:
    """What the policies learn from.

    Attributes:
        turns: for each crossing, its (C, F) choices and the one that was taken.
        stops: for each walk that was broken off, its (P + 1, F) places, and the hops from the goal to its end; less
            than 0 where that was not reached yet, which is what the last row stands for.
        halts: the same of a walk that breaks off at each place around the goal in turn.
    """

    turns: list[tuple[NDArray[np.float32], int]] = field(default_factory=list)
    stops: list[tuple[NDArray[np.float32], int]] = field(default_factory=list)
    halts: list[tuple[NDArray[np.float32], int]] = field(default_factory=list)


def rows_of(
    lessons: Iterable[Lesson], memory: Memory, rarity: Rarity, seed: int, length_prior: bool = True
) -> list[Rows]:
    """Walk the lessons, each with nothing remembered of the others unless its demonstration says so."""
    rng = np.random.default_rng(seed)
    recollection = Recollection(memory, LandmarkWords(rarity))
    rows = []
    for lesson in lessons:
        if not lesson.demonstration.remembers:
            recollection.clear()
        recollection.set_down()
        rows.append(Rows())
        walk = Walk(lesson.demonstration.instruction, rarity, recollection, length_prior)
        if lesson.led or is_errand(walk.instruction):
            _watch(lesson, walk)
        else:
            _walk(lesson, walk, rows[-1], rng, early_cut=not length_prior)
    return rows


def merged(parts: Iterable[Rows]) -> Rows:
    """The rows of several lessons."""
    whole = Rows()
    for part in parts:
        whole.turns += part.turns
        whole.stops += part.stops
        whole.halts += part.halts
    return whole


def _watch(lesson: Lesson, walk: Walk) -> None:
    for observation, _ in _places(lesson.demonstration):
        walk.arrive(observation)


def _walk(lesson: Lesson, walk: Walk, rows: Rows, rng: np.random.Generator, early_cut: bool) -> None:
    places = _places(lesson.demonstration)
    goal = len(places) - 1
    cuts = _cuts(goal, len(lesson.beyond), rng, early_cut)
    for number, (observation, turn) in enumerate([*places, *((seen, 0) for seen in lesson.beyond)]):
        walk.arrive(observation)
        # At the goal's own crossing nothing is chosen any more, and the last hop may be within it.
        if number < goal - 1:
            _choose(walk, turn, rows)
        elif turn:
            _follow(walk, turn)
        if number in cuts:
            rows.stops.append((walk.stop_rows(), number - goal))
        if number - goal in _AROUND_GOAL:
            rows.halts.append((walk.halt_rows(), number - goal))


def _cuts(goal: int, beyond: int, rng: np.random.Generator, early: bool) -> set[int]:
    """Where the walk is broken off to pick the goal: where the actions run out, or around the goal if that is far.

    With ``early`` once before too, as where the best of the places lies so far back that one has to turn around for it
    by then: who sees how far one has walked knows without it that the goal lies ahead.
    """
    around = range(max(goal - _BEFORE_GOAL, 1), goal + min(beyond, _AFTER_GOAL) + 1)
    due = [place for place in _ACTIONS_RUN_OUT if place in around] or list(around)
    before = [place for place in _BEFORE_THEY_DO if place in around]
    return {*rng.choice(due, _TRUNCATIONS), *(rng.choice(before, 1) if early and before else ())}


def _places(demonstration: Demonstration) -> list[tuple[Observation, int]]:
    """Each place as it was arrived at, and the side to which it was left: -1 left, 1 right, 0 ahead."""
    places: list[tuple[Observation, int]] = []
    arrived = True
    seen = demonstration.observations
    for observation, after, action in zip(seen, (*seen[1:], seen[-1]), demonstration.actions, strict=True):
        if arrived:
            places.append((observation, 0))
        if action in _SIDES and observation.is_crossing:
            places[-1] = (places[-1][0], _SIDES[action])
        elif action in _TURNS:
            # Where nothing branches off, one turns around; at the start it is the way that the walk begins on.
            places[-1] = (after, 0)
        arrived = action is Action.FORWARD
    return places


def _choose(walk: Walk, turn: int, rows: Rows) -> None:
    choices = walk.crossing()
    taken = [number for number, choice in enumerate(choices) if choice.turn == turn]
    if len(choices) > 1 and taken:
        rows.turns.append((walk.turn_rows(), taken[0]))
        walk.take(choices[taken[0]])


def _follow(walk: Walk, turn: int) -> None:
    for choice in walk.crossing():
        if choice.turn == turn:
            walk.take(choice)


def padded(examples: Sequence[tuple[NDArray[np.float32], int]]) -> tuple[NDArray[np.float32], NDArray[np.bool_]]:
    """(N, R, F) rows of all examples, zeros where there are fewer; (N, R) whether there is a row."""
    most = max(len(rows) for rows, _ in examples)
    values = np.zeros((len(examples), most, examples[0][0].shape[1]), np.float32)
    there = np.zeros((len(examples), most), np.bool_)
    for number, (rows, _) in enumerate(examples):
        values[number, : len(rows)] = rows
        there[number, : len(rows)] = True
    return values, there
