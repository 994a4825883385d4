# SPDX-FileCopyrightText: The Mem4Nav stack developers
# SPDX-License-Identifier: Apache-2.0
"""A driver follows written directions over a chessboard of streets that it sees through its LiDAR alone."""

from __future__ import annotations

import numpy as np
import pytest

from detection.sample import make_boxes
from driven_streets import CLASSES, Ride, look_round, on_street
from mem4nav.driving.clauses import read_clauses
from mem4nav.driving.config import DriverConfig, DrivingConfigError, FollowerConfig, StreetConfig
from mem4nav.driving.crossing import find_crossing
from mem4nav.driving.directions import Directions
from mem4nav.driving.driver import Driver, Phase
from mem4nav.driving.follower import STAND, pursue, resampled, slowed
from mem4nav.driving.grid import LocalGrid
from mem4nav.driving.landmarks import Landmarks
from mem4nav.driving.street import Street, fitted

EAST, NORTH = 0.0, 0.5 * np.pi


def ground_round(x: float, y: float, posts=()):
    grid = LocalGrid()
    for _ in range(3):
        grid.insert(look_round(np.array([x, y]), list(posts)), np.array([x, y, 0.0]))
    return grid.ground()


def ride(text: str, start=(-30.0, -0.5, EAST), **given) -> Ride:
    return Ride(Driver(text, CLASSES), np.array(start), **given)


def test_kerbs_bound_the_street_and_posts_stand_on_it():
    ground = ground_round(-30.0, 0.0, [(-25.0, 2.0)])
    assert ground.at(ground.street, np.array([[-30.0, 0.0], [-30.0, 4.8]])).all()
    assert ground.at(ground.kerb, np.array([[-30.0, 5.5], [-30.0, -5.5]])).all()
    assert ground.at(ground.obstacle, np.array([-25.0, 2.0]))
    assert not ground.at(ground.obstacle, np.array([-30.0, 5.5]))
    assert not ground.at(ground.street, np.array([200.0, 0.0]))


def test_a_grid_that_has_moved_on_keeps_what_is_still_in_reach():
    grid = LocalGrid()
    grid.insert(look_round(np.array([-30.0, 0.0]), [(-25.0, 2.0)]), np.array([-30.0, 0.0, 0.0]))
    grid.insert(look_round(np.array([-10.0, 0.0]), []), np.array([-10.0, 0.0, 0.0]))
    ground = grid.ground()
    assert ground.at(ground.kerb, np.array([-44.0, 5.5]))
    assert ground.at(ground.street, np.array([-10.0, 0.0]))


def test_an_axis_that_is_off_is_drawn_to_the_middle_between_the_kerbs():
    ground, street = ground_round(-40.0, 0.0), Street(np.array([-40.0, 1.0]), np.radians(6.0))
    for _ in range(12):
        street = fitted(street, ground, np.array([-40.0, 1.0]), StreetConfig())
    assert street.seen > 50
    assert abs(street.heading) < np.radians(1.0)
    assert abs(street.point[1]) < 0.15
    assert street.half_width == pytest.approx(5.5, abs=0.25)


def test_a_crossing_is_found_with_its_middle_and_its_ways():
    ground, street = ground_round(-9.0, 0.0), Street(np.array([-9.0, 0.0]), EAST)
    crossing = find_crossing(street, ground, -3.0, StreetConfig())
    assert crossing is not None and crossing.is_choice
    assert np.abs(crossing.middle).max() < 0.5
    assert sorted(round(np.degrees(way) / 10.0) * 10 for way in crossing.ways) == [-90, 0, 90]
    assert crossing.way(EAST, -1, 40.0) == pytest.approx(NORTH, abs=0.05)
    assert crossing.way(EAST, 1, 40.0) == pytest.approx(-NORTH, abs=0.05)


def test_between_crossings_there_is_none():
    assert find_crossing(Street(np.array([-40.0, 0.0]), EAST), ground_round(-40.0, 0.0), -3.0, StreetConfig()) is None


def test_a_path_is_steered_at_and_bends_are_taken_slowly():
    straight, bent = resampled(np.array([[0.0, 2.0], [30.0, 2.0]])), resampled(np.array([[0.0, 0.0], [2.0, 3.0]]))
    left = pursue(straight, np.zeros(2), 0.0, 4.0, FollowerConfig())
    assert left.turn_rate > 0.0 and 0.0 < left.speed <= 4.0
    sharp = pursue(bent, np.zeros(2), 0.0, 4.0, FollowerConfig())
    assert sharp.speed < left.speed and sharp.turn_rate <= FollowerConfig().turn_rate
    assert slowed(4.0, 0.0, FollowerConfig()) == 0.0
    assert slowed(4.0, 100.0, FollowerConfig()) == 4.0


def detected_from(places, found, landmarks=None):
    """Landmarks after looking from places along x at (class, x, y, score) in odom."""
    landmarks = landmarks or Landmarks(CLASSES, 0.1)
    for x in places:
        T = np.eye(4)
        T[0, 3] = x
        centre = np.array([[mark[1] - x, mark[2], 0.4] for mark in found])
        labels, scores = [CLASSES.index(mark[0]) for mark in found], [mark[3] for mark in found]
        landmarks.add(make_boxes(centre, np.ones_like(centre), np.zeros(len(found)), labels, score=scores), T)
    return landmarks


def test_what_is_seen_weakly_from_many_places_counts_and_from_one_place_does_not():
    weak = [("hydrant", 10.0, 6.0, 0.25)]
    assert len(detected_from(np.arange(0.0, 8.0, 0.5), weak).sure("hydrant", 4, 2.0)) == 1
    assert not detected_from(np.zeros(50), weak).sure("hydrant", 1, 2.0)


def test_of_two_classes_in_one_place_the_one_with_more_evidence_stands_there():
    both = [("hydrant", 10.0, 6.0, 0.3), ("bench", 10.4, 6.1, 0.7), ("hydrant", 14.0, 6.0, 0.3)]
    known = detected_from(np.arange(0.0, 8.0, 0.5), both)
    assert [one.position[0] for one in known.sure("hydrant", 4, 2.0)] == pytest.approx([14.0])
    assert [one.position[0] for one in known.sure("bench", 4, 2.0)] == pytest.approx([10.4])


def test_what_may_be_the_goal_is_doubted_until_it_was_seen_well_or_is_passed():
    directions = Directions(read_clauses("Stop by the hydrant.", CLASSES), DriverConfig())
    weak, street = [("hydrant", 10.0, 6.0, 0.25)], Street(np.zeros(2), EAST)
    few, many = (detected_from(np.arange(0.0, to, 0.5), weak) for to in (1.5, 8.0))
    assert directions.doubts(few, street, np.array([1.0, 0.0]))
    assert not directions.doubts(few, street, np.array([12.0, 0.0]))
    assert not directions.doubts(many, street, np.array([8.0, 0.0]))


def test_what_looked_like_the_goal_from_afar_and_is_something_else_is_not_stopped_at():
    directions = Directions(read_clauses("Stop by the bench.", CLASSES), DriverConfig())
    street, place = Street(np.zeros(2), EAST), (20.0, 6.0)
    known = detected_from(np.arange(0.0, 4.0, 0.5), [("bench", *place, 0.4)])
    assert directions.look(known, street, np.array([4.0, 0.0])) == pytest.approx(14.9)
    detected_from(np.arange(4.0, 16.0, 0.5), [("hydrant", *place, 0.7)], known)
    assert directions.look(known, street, np.array([18.9, 0.0])) is None


def test_directions_are_followed_to_their_goal():
    text = "At the second light turn left. Take a right at the next crossing and stop by the hydrant on your left."
    done = ride(text, marks=[("hydrant", 110.0, 86.5), ("hydrant", 110.0, 6.5)])
    driver = done.until_over()
    assert driver.phase is Phase.ARRIVED, driver.reason
    assert abs(done.pose[0] + 1.1 - 110.0) < 1.5 and abs(done.pose[1] - 80.0) < 3.0
    assert [round(np.degrees(one.took) / 90.0) for one in driver.decisions] == [0, 1, 0]
    trace = np.array(done.trace)
    assert on_street(trace[:, 0], trace[:, 1]).all()


def test_a_landmark_is_passed_before_a_turn_is_counted():
    text = "Pass the bench on your right, then turn right at the next junction. Stop at the hydrant."
    done = ride(text, marks=[("bench", 40.0, -6.5), ("bench", -20.0, 6.5), ("hydrant", 86.5, -40.0)])
    assert done.until_over().phase is Phase.ARRIVED
    assert abs(done.pose[0] - 80.0) < 3.0


def test_whoever_is_told_to_turn_around_does_so_first():
    done = ride("Turn around. Turn left at the next crossing and stop by the hydrant.", start=(-30.0, 0.0, EAST),
                marks=[("hydrant", -73.0, -40.0)])  # fmt: skip
    assert done.until_over().phase is Phase.ARRIVED
    assert abs(done.pose[0] + 80.0) < 3.0 and done.pose[1] < -30.0


def test_a_goal_that_never_comes_is_reported():
    config = DriverConfig(farthest_m=60.0)
    done = Ride(Driver("Stop by the hydrant.", CLASSES, config), np.array([-30.0, 0.0, EAST]))
    driver = done.until_over()
    assert driver.phase is Phase.FAILED
    assert "60 m" in driver.reason or "61 m" in driver.reason
    assert driver.command(done.now_ns) == STAND


def test_a_street_that_is_blocked_is_reported():
    wall = [(-10.0, y) for y in np.arange(-5.4, 5.5, 0.4)]
    config = DriverConfig(blocked_s=3.0)
    done = Ride(Driver("Stop by the hydrant.", CLASSES, config), np.array([-30.0, 0.0, EAST]), posts=wall)
    driver = done.until_over()
    assert driver.phase is Phase.FAILED and "in the way" in driver.reason
    assert done.pose[0] < -10.0 - config.follower.nose_m


def test_what_stands_in_the_lane_is_driven_round():
    done = ride("Stop by the hydrant.", marks=[("hydrant", 30.0, 6.5)], posts=[(-15.0, -1.0), (-15.0, -1.4)])
    assert done.until_over().phase is Phase.ARRIVED
    trace = np.array(done.trace)
    beside = np.abs(trace[:, 0] + 15.0) < 2.0
    assert trace[beside, 1].min() > -0.2


def test_a_vehicle_whose_inputs_stop_stands_still():
    going = ride("Stop by the hydrant.")
    for _ in range(40):
        going.step()
    assert going.driver.command(going.now_ns).speed > 1.0
    assert going.driver.command(going.now_ns + 500_000_000) == STAND


def test_settings_that_contradict_one_another_are_refused():
    with pytest.raises(DrivingConfigError, match="every wide street"):
        DriverConfig(street=StreetConfig(mouth_m=7.0))
