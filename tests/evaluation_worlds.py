# SPDX-FileCopyrightText: The Mem4Nav stack developers
# SPDX-License-Identifier: Apache-2.0
"""A small town of square blocks, and an agent that does what it is told word by word."""

from __future__ import annotations

import random
from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

from mem4nav.agent import Decision
from mem4nav.environment import Action, Episode, Observation, Sighting
from mem4nav.evaluation import Prediction, follow
from mem4nav.navigation_metrics import Hops
from sim_envs.street_environment import StreetEnvironment
from sim_envs.street_graph import StreetGraph

SIZE = 6
MOST_ACTIONS = 20


def town() -> StreetGraph:
    """SIZE x SIZE crossings, 10 m apart, named "column,row"; rows count to the north."""
    cells = [(column, row) for row in range(SIZE) for column in range(SIZE)]
    sides = {0.0: (0, 1), 90.0: (1, 0), 180.0: (0, -1), 270.0: (-1, 0)}
    links = [
        (f"{column},{row}", heading, f"{column + east},{row + north}")
        for column, row in cells
        for heading, (east, north) in sides.items()
        if 0 <= column + east < SIZE and 0 <= row + north < SIZE
    ]
    return StreetGraph([f"{column},{row}" for column, row in cells], 10.0 * np.array(cells), links)


def hops() -> Hops:
    graph = town()
    return Hops({place: [graph.places[end] for end in graph.neighbours(i)] for i, place in enumerate(graph.places)})


class NothingToSee:
    def sightings(self, number: int) -> tuple[Sighting, ...]:
        return ()


class Obedient:
    """Does the words of the instruction, then stops; fails at the word "fail" and is lost at the word "lost"."""

    def begin(self, instruction: str, first: Observation) -> None:
        self._words = instruction.split()
        self._said = len(self._words)

    def act(self, observation: Observation) -> Decision:
        if not self._words:
            return Decision(Action.STOP, confidence=1.0 / (1 + self._said))
        word = self._words.pop(0)
        if word == "fail":
            raise RuntimeError("told to")
        if word == "lost":
            return Decision(Action.STOP, clause=word, confidence=0.01, lost=True)
        return Decision(Action(word), clause=word, recalled=(observation.place,))

    def forget(self) -> None:
        pass


@dataclass(frozen=True)
class ObedientRecipe:
    most_actions: int = MOST_ACTIONS

    def build(self) -> Callable[[Episode], Prediction]:
        environment = StreetEnvironment(town(), NothingToSee(), self.most_actions)
        return lambda episode: follow(environment, Obedient(), episode, self.most_actions)


def episodes(count: int) -> list[Episode]:
    """Random walks, one in ten of which begins at a place that is not there."""
    choice = random.Random(4)
    return [
        Episode(
            id=str(number),
            instruction=" ".join(choice.choices(["forward", "left", "right"], k=choice.randrange(30))),
            start="nowhere" if number % 10 == 9 else f"{choice.randrange(SIZE)},{choice.randrange(SIZE)}",
            start_heading_deg=90.0,
        )
        for number in range(count)
    ]
