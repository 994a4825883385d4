# SPDX-FileCopyrightText: The Mem4Nav stack developers
# SPDX-License-Identifier: Apache-2.0
"""How the modular agent reads instructions: turns, counts, landmarks."""

from __future__ import annotations

import pytest

from mem4nav.modular.counts import CROSSINGS, LIGHTS, count_in
from mem4nav.modular.errand import is_errand
from mem4nav.modular.mentions import MentionFinder, Rarity
from mem4nav.modular.phrases import phrases_of
from mem4nav.modular.subgoals import LEFT, RIGHT, read_instruction
from mem4nav.modular.words import LONGEST_CHARACTERS, stem, stems_of, words_of


def sides(text: str) -> list[int]:
    return [goal.side for goal in read_instruction(text).goals[:-1]]


def named(text: str) -> list[str]:
    words = words_of(text)
    return [text[words[p.first].start : words[p.last - 1].end] for p in phrases_of(text, words)]


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("Turn left at the light. Take a right.", [LEFT, RIGHT]),
        ("Make an immediate right, then hang a left.", [RIGHT, LEFT]),
        ("Pass the park on your left and stop on the right corner.", []),
        ("Take the second left. The bank is to your right.", [LEFT]),
        ("Right at the light with KFC on the left corner.", [RIGHT]),
        ("Bear slightly left; go straight.", [LEFT]),
        ("Go right when you reach the church.", [RIGHT]),
        ("Head towards the left hand side of the road and stop.", []),
        ("At the light make a left and then another quick left.", [LEFT, LEFT]),
        ("Take a left, then an immediate right.", [LEFT, RIGHT]),
        ("Turn left and the bank is on your right.", [LEFT]),
        ("Turn left at the corner and right at the following corner.", [LEFT, RIGHT]),
        ("Take a left then the first right.", [LEFT, RIGHT]),
        ("Take a left at the light and then a right at the one after that.", [LEFT, RIGHT]),
        ("Turn left and then right at the lights.", [LEFT, RIGHT]),
        ("Turn left. Take the following right.", [LEFT, RIGHT]),
        ("The bank is on the left and right on the corner.", []),
        ("Turn 90 degrees right and walk.", [RIGHT]),
        ("Pass a left side street before another right side street. Turn on it.", [RIGHT]),
        ("At the following right side street, turn and walk to the light.", [RIGHT]),
        ("There is a street to the left. After your turn, go on.", []),
    ],
)
def test_turns_are_told_from_sides(text: str, expected: list[int]):
    assert sides(text) == expected


def test_each_stretch_has_its_own_words():
    read = read_instruction("Go to the light and turn left. KFC is on the corner. Pass the bank and turn right. Stop.")
    assert read.clause(0) == "Go to the light and turn left. KFC is on the corner."
    assert read.clause(1).endswith("turn right.")
    assert read.clause(2).endswith("Stop.")


@pytest.mark.parametrize(
    "text", ["", "   ", "???", "Immer geradeaus, dann links abbiegen.", "左に曲がって", "a" * 100_000]
)
def test_any_text_is_read(text: str):
    read = read_instruction(text)
    assert read.goals[-1].side == 0
    assert all(word.end <= LONGEST_CHARACTERS for word in read.words)


@pytest.mark.parametrize(
    ("text", "number"),
    [
        ("turn at the third light", 3),
        ("go through two lights and turn at the next light", 3),
        ("go past the 1st light and at the second light turn", 2),
        ("go to the light", 1),
        ("pass the next 2 sets of lights, at the following light turn", 3),
        ("head down the block to the next light", 1),
        ("walk to a 4-way light and turn", 1),
        ("pass the bank", 0),
    ],
)
def test_lights_are_added_up(text: str, number: int):
    assert count_in([word.stem for word in words_of(text)], LIGHTS).number == number


def test_crossings_count_lights_too_and_blocks_only_by_number():
    stems = [word.stem for word in words_of("pass two blocks, then through the light and down the block")]
    assert count_in(stems, CROSSINGS).number == 3
    assert count_in(stems, CROSSINGS).beyond


def test_words_have_one_spelling():
    assert stem("Cafés") == stem("cafe")
    assert stems_of("McDonald's") == ("mcdonald",)
    assert stems_of("Churches & Grocery-Stores") == ("church", "grocery", "store")


def test_landmarks_are_found_in_the_text_alone():
    text = "Pass Duane Reade on the right. Church of the Ascension is ahead; stop by the bike rental."
    assert named(text) == ["Duane Reade", "Church of the Ascension", "bike rental"]


def test_a_name_is_found_by_its_telling_words_and_a_kind_by_what_people_call_it():
    text = "Turn at Chipotle. Stop by the church."
    finder = MentionFinder(words_of(text), Rarity({"grill": 50, "mexican": 50, "the": 90}, 100))
    (name,) = finder("Chipotle Mexican Grill (fast_food)")
    assert name.named
    assert 0.4 < name.share < 1.0
    (kind,) = finder("St. Mary (place_of_worship)")
    assert not kind.named
    assert finder("Deli (convenience)") == ()


def test_an_errand_names_a_place_and_no_way():
    assert is_errand(read_instruction("Go back to the bank."))
    assert not is_errand(read_instruction("Go back to the light and turn left."))
    assert not is_errand(read_instruction("Go straight through two lights and stop."))


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("Take the left side street.", [LEFT]),
        ("Turn on the right sidestreet and stop.", [RIGHT]),
        ("Pass the school on the right side. Stop.", []),
        ("There is a street to the left. Turn there and stop.", [LEFT]),
        ("Take the first available right.", [RIGHT]),
    ],
)
def test_side_streets_are_turned_into(text: str, expected: list[int]):
    assert sides(text) == expected
