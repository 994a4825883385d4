# SPDX-FileCopyrightText: The Mem4Nav stack developers
# SPDX-License-Identifier: Apache-2.0
"""How the modular agent begins, learns from few routes among many, and finds back to what it saw."""

from __future__ import annotations

import pytest

from mem4nav.cli.main import main
from mem4nav.demonstration import Demonstration
from mem4nav.environment import Action, Observation, Sighting
from mem4nav.memory import MemoryMode, open_memory
from mem4nav.modular.beginning import begins_behind
from mem4nav.modular.errand import Errand
from mem4nav.modular.lessons import Lesson, rows_of
from mem4nav.modular.mentions import Rarity
from mem4nav.modular.recollection import MEMORY, Recollection
from mem4nav.modular.subgoals import read_instruction
from mem4nav.modular.words import stems_of
from walked_streets import recollection

RARITY = Rarity({}, 100)
TALK = Rarity(dict.fromkeys(stems_of("bank bakery bus stop"), 30), 100)
"""Of texts that speak of kinds more often than of names."""
EAST, WEST = 90.0, 270.0


def at(number: int, *landmarks: Sighting, heading_deg: float = EAST, blocked_deg: tuple[float, ...] = ()):
    """A place of a straight street, 10 m from the next."""
    return Observation(
        place=f"p{number}",
        position_m=(10.0 * number, 0.0),
        heading_deg=heading_deg,
        ways_deg=(EAST, WEST),
        back_deg=(heading_deg + 180.0) % 360.0,
        landmarks=landmarks,
        blocked_deg=blocked_deg,
    )


def shop(name: str, colour: str) -> Sighting:
    return Sighting(name or colour, name, "bakery", {"colour": colour}, 0.0, 5.0)


def remembering(*seen: Observation, rarity: Rarity = RARITY) -> Recollection:
    known = recollection(rarity)
    for observation in seen:
        known.tell(observation)
    return known


@pytest.mark.parametrize(
    ("text", "behind"),
    [
        ("Turn around. Take the first left.", True),
        ("You are facing the wrong way, so turn around, and after that turn left.", True),
        ("Make a U-turn, then go to the light.", True),
        ("Turn so you are moving against the flow of traffic.", True),
        ("Turn around so that you face the cars. Go straight.", False),
        ("Go to the light. Turn around.", False),
        ("Make two left turns to head the opposite way.", False),
        ("", False),
    ],
)
def test_one_turns_around_first_where_the_beginning_says_so(text: str, behind: bool):
    assert begins_behind(read_instruction(text)) is behind


@pytest.mark.parametrize(
    ("text", "turns"),
    [
        ("Turn right. Stop. If you turn left, you will see two lights.", 1),
        ("Turn right. At its end turn to the left to see a red door.", 1),
        ("Turn right. Turn to your right so you face the hydrant.", 1),
        ("Turn right so the park stays on your left.", 1),
        ("At the light go left. At the next go left again. Stop.", 2),
    ],
)
def test_a_look_at_the_goal_is_no_turn(text: str, turns: int):
    assert len(read_instruction(text).goals) - 1 == turns


def test_a_walk_that_begins_with_turning_around_is_learnt_from_as_faced_then():
    seen = [at(5, heading_deg=EAST), at(5, heading_deg=WEST), at(4, heading_deg=WEST), at(3, heading_deg=WEST)]
    actions = (Action.TURN_AROUND, Action.FORWARD, Action.FORWARD, Action.STOP)
    straight = Demonstration("Stop by the bakery.", tuple(seen[1:]), actions[1:])
    turned = Demonstration("Stop by the bakery.", tuple(seen), actions)
    memory = open_memory(MemoryMode.FULL, MEMORY)
    one, other = (rows_of([Lesson(walk)], memory, RARITY, 0)[0] for walk in (straight, turned))
    assert [hops for _, hops in one.halts] == [hops for _, hops in other.halts]
    assert all((a == b).all() for (a, _), (b, _) in zip(one.halts, other.halts, strict=True))


def test_a_street_that_was_seen_closed_is_no_way_from_either_side():
    street = [at(number) for number in range(4)]
    back = [at(number, heading_deg=WEST) for number in (2, 1, 0)]
    known = remembering(*street, *back)
    assert known.way_near(at(0), (30.0, 0.0)) is not None
    known.tell(at(1, blocked_deg=(EAST,)))
    assert known.way_near(at(1), (30.0, 0.0)) is None
    known.set_down()
    known.tell(at(3, heading_deg=WEST))
    assert known.way_near(at(3), (0.0, 0.0)) is None


def test_who_is_set_down_elsewhere_knows_no_way_there():
    known = remembering(at(0), at(1))
    known.set_down()
    known.tell(at(40))
    assert known.way_near(at(40), (0.0, 0.0)) is None


def test_what_is_told_by_its_colour_is_not_what_is_named_after_it():
    known = remembering(at(0, shop("Red Lantern Bakery", "black")), at(1), at(6, shop("", "red")), at(7))
    for text, east in (("Go back to the red bakery.", 60.0), ("Return to Red Lantern Bakery.", 0.0)):
        target = Errand(read_instruction(text), RARITY, known).target(at(3))
        assert target is not None and target[0] == pytest.approx(east, abs=1.0)


def test_what_is_alike_and_stands_nearer_does_not_keep_back_what_is_asked_for():
    bank = Sighting("bank", "Golden Crown Bank", "bank", {"colour": "blue"}, 0.0, 5.0)
    known = remembering(at(0, bank), at(1), at(30, shop("Golden Crown Bakery", "green")), at(31), rarity=TALK)
    for number in (20, 31):
        target = Errand(read_instruction("Do you remember Golden Crown Bank? Stop there."), TALK, known).target(
            at(number, shop("Golden Crown Bakery", "green"))
        )
        assert target is not None and target[0] == pytest.approx(0.0, abs=1.0)


def test_a_bus_stop_by_a_shop_is_that_one_and_not_the_nearest():
    def bus_stop(colour: str) -> Sighting:
        return Sighting(colour, "", "bus_stop", {"colour": colour}, 0.0, 5.0)

    seen = [at(0, bus_stop("blue"), shop("Tulip Bakery", "red")), at(1), at(30, bus_stop("green")), at(31)]
    known = remembering(*seen, rarity=TALK)
    target = Errand(read_instruction("Go back to the bus stop by Tulip Bakery."), TALK, known).target(seen[-2])
    assert target is not None and target[0] == pytest.approx(0.0, abs=1.0)


def test_without_the_length_prior_no_number_tells_how_much_of_the_longest_route_is_walked():
    walk = Demonstration(
        "Stop by the bakery.", tuple(at(n) for n in range(12)), (Action.FORWARD,) * 11 + (Action.STOP,)
    )
    memory = open_memory(MemoryMode.FULL, MEMORY)
    known, unknown = (rows_of([Lesson(walk)], memory, RARITY, 0, prior)[0] for prior in (True, False))
    for (told, _), (untold, _) in zip(known.halts, unknown.halts, strict=True):
        differ = told != untold
        assert differ.any() and not untold[differ].any()


def test_routes_count_as_often_as_the_command_line_says(capsys, tmp_path):
    split = ["--split", "many.jsonl", "few.jsonl", "--data", str(tmp_path), "--out", str(tmp_path), "--quiet"]
    assert main(["train", "touchdown", *split, "--times", "1"]) == 2
    assert "a number from 1 on for each of 2 splits" in capsys.readouterr().err
