# SPDX-FileCopyrightText: The Mem4Nav stack developers
# SPDX-License-Identifier: Apache-2.0
"""What is known of the places where one could stop, and how the ensemble that picks one learns."""

from __future__ import annotations

import numpy as np
import pytest

from mem4nav.modular.lessons import Rows
from mem4nav.modular.mentions import Rarity
from mem4nav.modular.policy import Policy
from mem4nav.modular.track import Track
from mem4nav.modular.training import FitConfig, fit_stops
from mem4nav.modular.walk import Walk
from mem4nav.modular.words import words_of
from walked_streets import on_street, recollection, sighting

TEXTS = ("Go ahead and stop at Golden Dragon Noodle House.", "Turn left at the light.", "Stop by the bank.")
RARITY = Rarity.of([word.stem for word in words_of(text)] for text in TEXTS)


def walked(text: str, shown: dict[int, str]) -> Walk:
    """Six places ten metres apart, with a shop beside some."""
    walk = Walk(text, RARITY, recollection(RARITY))
    for number in range(6):
        seen = (sighting(shown[number], bearing_deg=90.0, distance_m=5.0),) if number in shown else ()
        walk.arrive(on_street(10.0 * number, *seen))
    return walk


def test_a_landmark_that_is_half_named_shows_as_well_as_one_named_in_full_where_no_other_fits_better():
    half = walked("Go ahead and stop at Golden Dragon.", {4: "Golden Dragon Noodle House"}).stop_rows()
    whole = walked("Go ahead and stop at Golden Dragon.", {4: "Golden Dragon"}).stop_rows()
    peaks = [rows[:-1].max(axis=0) for rows in (half, whole)]
    assert (peaks[0] != peaks[1]).any(), "the share that is spoken shows in the numbers as they are"
    relative = np.isclose(peaks[0], 1.0) & np.isclose(peaks[1], 1.0) & ~np.isclose(half[0], half[4])
    assert relative.any(), "against the best of the places both are whole"


def test_whether_to_halt_is_judged_by_the_places_just_walked():
    walk = walked("Go ahead and stop at Golden Dragon.", {4: "Golden Dragon"})
    np.testing.assert_array_equal(walk.halt_rows(), walk.stop_rows())
    for number in range(6, 40):
        walk.arrive(on_street(10.0 * number))
    assert len(walk.halt_rows()) < len(walk.stop_rows())
    np.testing.assert_array_equal(walk.halt_rows(), walk.stop_rows()[-len(walk.halt_rows()) :])


def test_the_course_of_the_last_legs_is_steadier_than_that_of_the_last():
    track = Track()
    for east, metres in ((0.0, 0.0), (0.0, 10.0), (0.0, 20.0), (0.0, 30.0), (3.0, 36.0)):
        seen = on_street(metres)
        track.arrive(type(seen)(f"{east} {metres}", (east, metres), 0.0, seen.ways_deg, 180.0, ()))
    assert track.steps[-1].course_deg == pytest.approx(26.6, abs=0.1)
    assert track.long_course_deg(4) == pytest.approx(4.8, abs=0.1)
    assert track.long_course_deg(0) == track.steps[0].course_deg


def test_an_ensemble_learns_which_place_was_the_goal_and_when_it_lies_ahead_and_its_networks_differ():
    rng = np.random.default_rng(0)
    rows = Rows()
    for _ in range(300):
        places = rng.normal(size=(int(rng.integers(4, 7)), 4)).astype(np.float32)
        places[-1] = (0.0, 0.0, 1.0, 3.0)
        best = int(places[:-1, 2].argmax())
        rows.stops.append((places, len(places) - 2 - best if places[best, 2] > 1.0 else -2))
    policy = fit_stops(rows, FitConfig(networks=3, stop_hidden=16, stop_epochs=60, unseen=0.0), 0)
    ahead = [hops < 0 for _, hops in rows.stops]
    picks = [len(places) - 2 - int(policy.pick(places).argmax()) for places, _ in rows.stops]
    assert np.mean([max(hops, -1) == pick for (_, hops), pick in zip(rows.stops, picks, strict=True)]) > 0.85
    assert (
        np.mean([(policy.pick(places)[-1] > 0.5) == far for (places, _), far in zip(rows.stops, ahead, strict=True)])
        > 0.85
    )
    assert len({tuple(own) for own in policy.logits(rows.stops[0][0]).tolist()}) == 3


def test_a_place_is_where_to_halt_if_the_goal_is_likely_to_be_it_or_the_one_before_it():
    logits = np.array([[0.0], [1.0], [2.0], [3.0]], np.float32)
    ones = (np.ones((1, 1, 1), np.float32),) * 3
    nothing = (np.zeros((1, 1, 1), np.float32),) * 3
    policy = Policy(np.zeros(1, np.float32), np.ones(1, np.float32), ones, nothing)
    assert policy.here(logits) == pytest.approx((np.e + np.e**2) / (1.0 + np.e + np.e**2 + np.e**3), rel=1e-5)
    assert policy.here(logits[2:]) == pytest.approx(1.0 / (1.0 + np.e), rel=1e-5), "the first place has none before it"
