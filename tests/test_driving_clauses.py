# SPDX-FileCopyrightText: The Mem4Nav stack developers
# SPDX-License-Identifier: Apache-2.0
"""What a driver understands of written directions."""

from __future__ import annotations

import numpy as np
import pytest

from detection.config import CITY_CLASSES
from mem4nav.driving.clauses import Clause, InstructionError, Verb, read_clauses
from mem4nav.environment import Action
from sim_envs.city.navigation import clauses as town
from sim_envs.city.navigation.phrasing import say

SIDES = {None: 0, Action.LEFT: -1, Action.RIGHT: 1}


def read(text: str) -> list[tuple]:
    return [told(clause) for clause in read_clauses(text, CITY_CLASSES)]


def told(clause: Clause) -> tuple:
    return clause.verb.value, clause.side, clause.crossings, clause.landmark, clause.landmark_side


def test_turns_counts_and_landmarks_are_read():
    text = (
        "Turn around. Go straight through two lights and turn left at the next one, then pass the bench on your right "
        "and take a right at the second crossing. Stop by the hydrant."
    )
    assert read(text) == [
        ("turn around", 0, 0, "", 0),
        ("turn", -1, 3, "", 0),
        ("turn", 1, 2, "bench", 1),
        ("stop", 0, 0, "hydrant", 0),
    ]


def test_every_wording_of_the_town_is_understood():
    rng = np.random.default_rng(5)
    for _ in range(400):
        meant = random_clauses(rng)
        text = say(meant, rng)
        assert read(text) == [meaning(clause) for clause in meant], text


def random_clauses(rng: np.random.Generator) -> list[town.Clause]:
    clauses = [town.Clause(town.Verb.TURN_AROUND)] if rng.random() < 0.2 else []
    for _ in range(int(rng.integers(1, 4))):
        turn = (Action.LEFT, Action.RIGHT)[int(rng.integers(2))]
        anchor = thing(rng) if rng.random() < 0.5 else None
        clauses.append(
            town.Clause(town.Verb.TURN, turn, int(rng.integers(1, 4)), anchor, side(rng) if anchor else None)
        )
    return [*clauses, town.Clause(town.Verb.STOP, None, int(rng.integers(0, 3)), thing(rng), side(rng))]


def thing(rng: np.random.Generator) -> town.Reference:
    return town.Reference(("fire_hydrant", "bench")[int(rng.integers(2))])


def side(rng: np.random.Generator) -> Action | None:
    return (None, Action.LEFT, Action.RIGHT)[int(rng.integers(3))]


def meaning(clause: town.Clause) -> tuple:
    category = clause.landmark.category.removeprefix("fire_") if clause.landmark is not None else ""
    return Verb(clause.verb.value).value, SIDES[clause.turn], clause.crossings, category, SIDES[clause.side]


@pytest.mark.parametrize(
    ("text", "complaint"),
    [
        ("", "is empty"),
        ("Turn left at the light.", "names nothing to stop at"),
        ("Turn left at the light and stop at the bakery.", "'bakery' cannot be told from others"),
        ("Go to the Blue Heron Cafe.", "cannot be told from others"),
    ],
)
def test_directions_that_cannot_be_perceived_are_refused_with_a_reason(text, complaint):
    with pytest.raises(InstructionError, match=complaint):
        read_clauses(text, CITY_CLASSES)
