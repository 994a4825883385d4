# SPDX-FileCopyrightText: The Mem4Nav stack developers
# SPDX-License-Identifier: Apache-2.0
"""How crossings are held against the words: their shape, their halves, the places between them."""

from __future__ import annotations

import numpy as np
import pytest

from mem4nav.environment import Observation
from mem4nav.modular.mentions import Rarity
from mem4nav.modular.shapes import Crossing, Told, shape_rows
from mem4nav.modular.stop_words import ToldStop, between_crossings
from mem4nav.modular.walk import Walk
from walked_streets import on_street, recollection, sighting

RARITY = Rarity({}, 100)
FOUR_WAYS = Crossing([-90.0, 0.0, 90.0], [-90.0, 0.0, 90.0], True, 4)
TEE = Crossing([-88.0, 92.0], [-88.0, 92.0], False, 3)


def begun(text: str) -> Walk:
    return Walk(text, RARITY, recollection(RARITY))


def differing(rows: np.ndarray, others: np.ndarray) -> list[int]:
    """The choices whose numbers are not the same."""
    return np.flatnonzero((rows != others).any(axis=1)).tolist()


def test_words_of_a_light_single_out_the_turn_where_a_light_stands():
    light, silent = (shape_rows(FOUR_WAYS, Told.of(words), due=True) for words in (("turn", "light"), ("turn",)))
    assert differing(light, silent) == [2]
    dark = Crossing(FOUR_WAYS.choices_deg, FOUR_WAYS.ways_deg, False, 4)
    assert differing(light, shape_rows(dark, Told.of(("turn", "light")), due=True)) == [2]


def test_the_end_of_a_street_is_where_no_way_leads_straight_on():
    told = Told.of(("end", "street"))
    at_end, before = shape_rows(TEE, told, due=True), shape_rows(FOUR_WAYS, told, due=True)
    assert at_end.shape == (2, 25) and before.shape == (3, 25)
    assert (at_end[1] != before[2]).any()


def test_where_no_turn_is_due_no_word_about_turns_counts():
    for words in (("light",), ("t",), ("end",)):
        assert not differing(shape_rows(TEE, Told.of(words), due=False), shape_rows(TEE, Told.of(()), due=False))


@pytest.mark.parametrize(("ways", "left"), [((180.0, 270.0, 90.0), True), ((180.0, 270.0, 0.0), False)])
def test_at_a_t_the_way_that_one_faces_is_the_turn_that_was_told(ways: tuple[float, ...], left: bool):
    walk = begun("Turn left at the T. Then turn right.")
    for metres in (0.0, 10.0, 20.0):
        walk.arrive(on_street(metres))
    faced = 270.0 if left else 0.0
    walk.arrive(Observation("tee", (0.0, 30.0), faced, tuple(sorted(ways)), 180.0))
    ahead = next(choice for choice in walk.crossing() if choice.turn == 0)
    walk.take(ahead)
    assert walk.goal == int(left)


@pytest.mark.parametrize(
    ("crossings", "goal"), [((7,), 1), ((), 0), ((5, 7), 0)], ids=["known there", "not yet", "one could choose"]
)
def test_the_bend_of_a_street_that_does_the_turn_is_known_at_the_next_crossing(crossings: tuple[int, ...], goal: int):
    walk = begun("Turn right. Then turn left.")
    places = [*((0.0, north) for north in (0.0, 10.0, 20.0, 30.0, 40.0, 58.0)), (10.0, 58.0), (20.0, 58.0)]
    for number, at in enumerate(places):
        heading = 0.0 if number < 6 else 90.0
        ways = (heading, heading + 180.0, *((heading + 90.0,) if number in crossings else ()))
        walk.arrive(Observation(f"p{number}", at, heading, tuple(sorted(ways)), heading + 180.0))
    assert walk.goal == goal


def test_after_a_turn_the_course_is_that_of_the_new_street():
    walk = begun("Turn right. Stop.")
    for metres in (0.0, 10.0, 20.0, 30.0):
        walk.arrive(on_street(metres))
    for east in (10.0, 20.0):
        walk.arrive(Observation(f"{east}", (east, 30.0), 90.0, (90.0, 270.0), 270.0))
    assert walk.track.long_course_deg(5, since=3) == pytest.approx(90.0)
    assert 0.0 < walk.track.long_course_deg(5) < 90.0


def test_both_lights_of_a_double_crossing_count_where_they_are_counted():
    walks = [begun("Go through both lights and at the third light turn left.") for _ in range(2)]
    for walk, lights in zip(walks, ((10.0, 30.0), (10.0,)), strict=True):
        for metres in np.arange(0.0, 70.0, 10.0):
            seen = [sighting("", "traffic_signals", 90.0, 5.0)] if metres in lights else []
            walk.arrive(on_street(metres, *seen, junction=metres == 60.0))
    assert (walks[0].turn_rows() != walks[1].turn_rows()).any()


def test_places_know_the_crossing_before_and_after_them_and_halves_of_one_are_one():
    after, before, within = between_crossings([0.0, 15.0, 100.0], np.array([5.0, 30.0, 95.0, 102.0, 130.0]))
    np.testing.assert_allclose(after[[1, 2, 4]], [15.0, 80.0, 30.0])
    np.testing.assert_allclose(before[[1, 2]], [70.0, 5.0])
    np.testing.assert_array_equal(within, [True, False, False, True, False])
    assert before[4] == 200.0
    assert not between_crossings([], np.zeros(2))[2].any()


@pytest.mark.parametrize(
    ("text", "relation"),
    [
        ("stop just past the light", 1),
        ("stop a step before the next intersection", 2),
        ("stop at the corner", 3),
        ("stop in the middle of the intersection", 4),
        ("light ahead stop", 5),
        ("stop by the bank", 0),
    ],
)
def test_how_a_stop_lies_to_a_crossing_is_read(text: str, relation: int):
    assert np.flatnonzero(ToldStop.of(text.split()).relation).tolist() == [relation]


def test_half_way_down_the_block_is_half_way_between_its_crossings():
    told = ToldStop.of(["stop", "halfway", "down", "the", "block"])
    here = np.array([20.0, 50.0, 80.0])
    rows = told.rows(*between_crossings([0.0, 100.0], here), np.array([2, 5, 8]))
    silent = ToldStop.of(["stop"]).rows(*between_crossings([0.0, 100.0], here), np.array([2, 5, 8]))
    assert (rows - silent).sum(axis=1).argmax() == 1


def test_a_landmark_on_the_other_side_than_told_counts_for_less():
    def strongest(side: str) -> float:
        walk = begun(f"Stop at the bakery on the {side}.")
        for metres in (0.0, 10.0, 20.0):
            seen = [sighting("", "bakery", 90.0, 8.0)] if metres == 20.0 else []
            walk.arrive(on_street(metres, *seen))
        return float(np.abs(walk.stop_rows()[2] - walk.stop_rows()[0]).sum())

    assert strongest("right") > strongest("left")
