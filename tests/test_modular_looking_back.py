# SPDX-FileCopyrightText: The Mem4Nav stack developers
# SPDX-License-Identifier: Apache-2.0
"""How the modular agent picks the place that was the goal when its actions run out, and finds back to it."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pytest

from evaluation_worlds import NothingToSee
from mem4nav.environment import Episode, Observation
from mem4nav.evaluation import follow
from mem4nav.memory import MemoryMode, open_memory
from mem4nav.modular.agent import ModularAgent
from mem4nav.modular.confidence import Confidence
from mem4nav.modular.mentions import Rarity
from mem4nav.modular.model import ModularModel, Settings
from mem4nav.modular.recollection import MEMORY
from sim_envs.street_environment import StreetEnvironment
from sim_envs.street_graph import StreetGraph
from walked_streets import recollection

RARITY = Rarity({}, 100)
PLACES = 60

Belief = dict[int, float]
"""Chances of some places of the street; what is left to 1 lies ahead."""


class Scripted:
    """Says of the places walked what it is told to, whatever they look like."""

    def __init__(self, belief: Callable[[int], Belief]) -> None:
        self.belief = belief
        self.agent: ModularAgent | None = None

    def pick(self, rows: np.ndarray) -> np.ndarray:
        assert self.agent is not None
        last = len(self.agent._walk.track.steps) - 1
        chances = np.zeros(len(rows))
        for place, chance in self.belief(last).items():
            if 0 <= place - (last - len(rows) + 2) < len(rows) - 1:
                chances[place - (last - len(rows) + 2)] = chance
        chances[-1] = 1.0 - chances.sum()
        return chances


def straight() -> StreetGraph:
    names = [f"p{number}" for number in range(PLACES)]
    ahead = [(names[n], 0.0, names[n + 1]) for n in range(PLACES - 1)]
    back = [(names[n + 1], 180.0, names[n]) for n in range(PLACES - 1)]
    return StreetGraph(names, np.array([(0.0, 10.0 * n) for n in range(PLACES)]), ahead + back)


def ended(belief: Callable[[int], Belief]) -> int:
    """The place at which an agent that believes this stops."""
    script = Scripted(belief)
    model = ModularModel(script, script, script, Confidence.untrained(), RARITY, Settings())
    script.agent = agent = ModularAgent(model, open_memory(MemoryMode.FULL, MEMORY))
    walked = follow(StreetEnvironment(straight(), NothingToSee()), agent, Episode("e", "Stop by the bank.", "p0", 0.0))
    assert walked.actions[-1] == "stop"
    return int(walked.panos[-1].removeprefix("p"))


def test_it_walks_on_and_comes_back_to_the_place_that_was_the_goal():
    assert ended(lambda _: {37: 0.9}) in range(36, 39), "a hop beside the goal is as good"


def test_it_turns_back_for_the_likelier_place_while_that_can_be_reached():
    assert ended(lambda _: {33: 0.6, 44: 0.3}) in range(32, 35)


def test_it_goes_on_where_places_nearby_and_ahead_are_together_as_likely_as_one_far_back():
    # One has to turn back for place 36 from place 44.
    assert ended(lambda last: {36: 0.4, 42: 0.35} if last < 45 else {42: 0.9}) in range(41, 44)


def test_for_a_place_of_little_chance_it_does_not_give_up_going_on():
    assert ended(lambda last: {36: 0.2} if last < 46 else {46: 0.9}) in range(45, 48)


def test_what_a_single_look_says_against_those_before_it_does_not_decide():
    # One has to turn back for place 37 from place 45, and just there it looks otherwise.
    assert ended(lambda last: {37: 0.2, 41: 0.7} if last == 45 else {37: 0.9, 41: 0.1}) in range(36, 39)


def test_one_goes_back_by_the_ways_one_came_by_where_places_lie_elsewhere_than_these_lead():
    known = recollection(RARITY)
    start = Observation("start", (0.0, 0.0), 60.0, (60.0, 240.0), 240.0)
    crossing = Observation("crossing", (0.0, 12.0), 20.0, (20.0, 130.0, 178.0, 300.0), 130.0)
    for seen in (start, crossing):
        known.tell(seen)
    assert known.heading_to(crossing, "start") == pytest.approx(130.0), "not 178, which points at it"
    known.tell(Observation("start", (0.0, 0.0), 240.0, (60.0, 240.0), 60.0))
    assert known.heading_to(start, "crossing") == pytest.approx(60.0)


def test_after_a_turn_one_goes_back_by_the_way_that_was_taken():
    known = recollection(RARITY)
    arrived = Observation("crossing", (0.0, 0.0), 0.0, (0.0, 100.0, 180.0), 180.0)
    turned = Observation("crossing", (0.0, 0.0), 100.0, (0.0, 100.0, 180.0), 0.0)
    beyond = Observation("beyond", (1.0, 9.0), 100.0, (100.0, 280.0), 280.0)
    for seen in (arrived, turned, beyond):
        known.tell(seen)
    known.tell(Observation("crossing", (0.0, 0.0), 280.0, arrived.ways_deg, 100.0))
    assert known.heading_to(arrived, "beyond") == pytest.approx(100.0)
