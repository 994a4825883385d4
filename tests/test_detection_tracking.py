# SPDX-FileCopyrightText: The Mem4Nav stack developers
# SPDX-License-Identifier: Apache-2.0
"""Identities over frames: synthetic drives with noise, gaps, crossings and false alarms, seen from a moving vehicle."""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np
import pytest
from numpy.typing import NDArray

from detection.boxes import moved
from detection.errors import DetectionConfigError, DetectionError
from detection.evaluation.identities import id_switches
from detection.sample import Boxes, joined_boxes, make_boxes, no_boxes
from detection.tracking import TrackConfig, Tracker

CLASSES = ("car", "van", "pedestrian", "tree")
CONFIG = TrackConfig(classes=CLASSES)
SIZES = np.array([[4.5, 1.9, 1.5], [5.5, 2.1, 2.2], [0.5, 0.5, 1.75], [3.0, 3.0, 6.0]])


@dataclass(frozen=True)
class Drive:
    """Frames of a drive: stamps, poses, truth and detections in base_link."""

    stamps_ns: list[int]
    poses: list[NDArray[np.float64]]
    truths: list[Boxes]
    found: list[Boxes]

    def tracked(self, config: TrackConfig = CONFIG) -> list[Boxes]:
        tracker = Tracker(config)
        return [tracker.update(*frame) for frame in zip(self.stamps_ns, self.found, self.poses, strict=True)]


def pose(x: float, y: float, yaw: float) -> NDArray[np.float64]:
    T = np.eye(4)
    T[:2, :2] = [[np.cos(yaw), -np.sin(yaw)], [np.sin(yaw), np.cos(yaw)]]
    T[:2, 3] = x, y
    return T


def things(place: NDArray, velocity: NDArray, label: NDArray) -> Boxes:
    """In the world: things with identities 100, 101, ..., on the ground, heading where they move."""
    size, label = SIZES[label], np.asarray(label)
    yaw = np.arctan2(velocity[:, 1], velocity[:, 0])
    centre = np.column_stack([place, size[:, 2] / 2])
    return make_boxes(centre, size, yaw, label, velocity=velocity, identity=100 + np.arange(len(label)))


def drive(
    start: NDArray,
    velocity: NDArray,
    label: NDArray,
    *,
    seconds: float = 8.0,
    rate_hz: float = 10.0,
    speed: float = 5.0,
    turn: float = 0.1,
    origin: tuple[float, float] = (0.0, 0.0),
    noise_m: float = 0.15,
    dropout: float = 0.15,
    spurious: float = 1.0,
    blind: bool = False,
    seed: int = 0,
) -> Drive:
    """The vehicle goes round a bend while things move by constant velocity; ``blind``: velocities are not detected."""
    rng = np.random.default_rng(seed)
    result = Drive([], [], [], [])
    for number in range(int(seconds * rate_hz)):
        t = number / rate_hz
        yaw = turn * t
        T = pose(origin[0] + speed * t * np.cos(yaw / 2), origin[1] + speed * t * np.sin(yaw / 2), yaw)
        away = np.asarray(start) + np.asarray(origin) + t * velocity - T[:2, 3]
        # Moved in two steps, so that float32 keeps places far from the origin.
        truth = moved(things(away, velocity, label), pose(0.0, 0.0, -yaw))
        truth = truth.pick(np.hypot(*truth.centre[:, :2].T) < 40.0)
        result.stamps_ns.append(int(1e9 * t) + 5)
        result.poses.append(T)
        result.truths.append(truth)
        result.found.append(_detected(rng, truth, noise_m, dropout, spurious, blind))
    return result


def _detected(
    rng: np.random.Generator, truth: Boxes, noise_m: float, dropout: float, spurious: float, blind: bool
) -> Boxes:
    seen = truth.pick(rng.random(len(truth)) >= dropout)
    count = rng.poisson(spurious)
    stray = things(rng.uniform(-40, 40, (count, 2)), rng.normal(0, 1, (count, 2)), rng.integers(0, 4, count))
    seen = joined_boxes([seen, stray])
    velocity = np.full_like(seen.velocity, np.nan) if blind else seen.velocity + rng.normal(0, 0.5, seen.velocity.shape)
    return replace(
        seen,
        centre=(seen.centre + rng.normal(0, noise_m, seen.centre.shape)).astype(np.float32),
        yaw=(seen.yaw + rng.normal(0, 0.1, len(seen))).astype(np.float32),
        velocity=velocity.astype(np.float32),
        score=rng.uniform(0.35, 0.95, len(seen)).astype(np.float32),
        identity=np.full(len(seen), -1),
    )


def town(seed: int) -> tuple[NDArray, NDArray, NDArray]:
    """Thirty things: trees, parked and moving cars and vans, people in all directions."""
    rng = np.random.default_rng(seed)
    label = np.repeat([3, 0, 1, 2], [10, 8, 4, 8])
    x, y = np.meshgrid(np.arange(-20, 50, 10.0), np.arange(-18, 24, 9.0))
    start = np.column_stack([x.ravel(), y.ravel()])[rng.permutation(35)[:30]] + rng.uniform(-2, 2, (30, 2))
    heading = rng.uniform(-np.pi, np.pi, 30)
    pace = np.where(label == 2, 1.2, np.where((label < 2) & (rng.random(30) < 0.5), 6.0, 0.0))
    return start, pace[:, None] * np.column_stack([np.cos(heading), np.sin(heading)]), label


@pytest.mark.parametrize("seed", range(4))
@pytest.mark.parametrize("blind", [False, True], ids=["with velocities", "without velocities"])
def test_identities_stay_through_noise_gaps_and_false_alarms(seed, blind):
    one = drive(*town(seed), blind=blind, seed=seed)
    result = id_switches(one.stamps_ns, one.truths, one.tracked())
    assert result.objects >= 20
    assert result.share <= 0.05, result


def test_two_people_who_cross_keep_their_identities():
    start, velocity = np.array([[10.0, -4.0], [12.0, 4.2]]), np.array([[0.0, 1.2], [0.0, -1.2]])
    one = drive(start, velocity, np.array([2, 2]), speed=0.0, turn=0.0, spurious=0.0)
    tracked = one.tracked()
    result = id_switches(one.stamps_ns, one.truths, tracked, radius_m=1.0)
    assert (result.objects, result.switched) == (2, 0)
    assert max(boxes.identity.max(initial=-1) for boxes in tracked) == 1


def test_a_car_that_is_hidden_for_a_second_comes_out_as_itself():
    one = drive(np.array([[5.0, 8.0]]), np.array([[8.0, 0.0]]), np.array([0]), seconds=4.0, dropout=0.0, spurious=0.0)
    for number in range(15, 26):
        one.found[number] = no_boxes()
    tracked = one.tracked()
    assert all(len(boxes) == 0 for boxes in tracked[15:26])
    assert {int(boxes.identity[0]) for boxes in (*tracked[2:15], *tracked[26:])} == {0}


def test_a_moving_thing_gone_for_long_is_another_when_one_comes_back_and_a_tree_is_the_same():
    one = drive(np.array([[5.0, 8.0], [9.0, -6.0]]), np.zeros((2, 2)), np.array([0, 3]), dropout=0.0, spurious=0.0)
    for number in range(20, 50):
        one.found[number] = no_boxes()
    tracked = one.tracked()
    before, after = (
        dict(zip(boxes.label.tolist(), boxes.identity.tolist(), strict=True)) for boxes in (tracked[19], tracked[60])
    )
    assert before[3] == after[3] and before[0] != after[0]


def test_a_thing_is_told_from_the_third_detection_on_and_a_single_false_alarm_never():
    one = drive(np.array([[8.0, 3.0]]), np.zeros((1, 2)), np.array([0]), dropout=0.0, spurious=0.0)
    stray = replace(one.found[0], centre=one.found[0].centre + np.float32([0.0, 20.0, 0.0]))
    one.found[4] = joined_boxes([one.found[4], stray])
    assert [len(boxes) for boxes in one.tracked()[:8]] == [0, 0, 1, 1, 1, 1, 1, 1]


def test_static_things_stand_still_and_their_places_grow_surer():
    one = drive(np.array([[15.0, 6.0]]), np.zeros((1, 2)), np.array([3]), noise_m=0.3, dropout=0.0, spurious=0.0)
    errors = [
        truth.centre[0, :2] - boxes.centre[0, :2]
        for truth, boxes in zip(one.truths[2:], one.tracked()[2:], strict=True)
    ]
    assert np.linalg.norm(errors[-30:], axis=1).mean() < 0.5 * 0.3
    assert all(not boxes.velocity.any() for boxes in one.tracked()[2:])


def test_the_velocity_of_what_moves_is_found_without_being_detected_and_is_told_in_the_vehicles_axes():
    one = drive(
        np.array([[0.0, 8.0]]),
        np.array([[6.0, 0.0]]),
        np.array([0]),
        blind=True,
        dropout=0.0,
        spurious=0.0,
        noise_m=0.05,
    )
    last = one.tracked()[-1]
    np.testing.assert_allclose(last.velocity[0], one.truths[-1].velocity[0], atol=0.5)
    assert abs(one.truths[-1].velocity[0, 1]) > 2.0  # the vehicle has turned by then


def test_a_car_taken_for_a_van_now_and_then_is_one_car():
    one = drive(np.array([[8.0, 5.0]]), np.zeros((1, 2)), np.array([0]), dropout=0.0, spurious=0.0)
    for number in range(5, 80, 4):
        one.found[number] = replace(one.found[number], label=np.array([1]))
    tracked = one.tracked()[2:]
    assert {(int(boxes.identity[0]), int(boxes.label[0])) for boxes in tracked} == {(0, 0)}


def test_one_thing_detected_twice_is_one():
    one = drive(np.array([[8.0, 5.0]]), np.zeros((1, 2)), np.array([0]), dropout=0.0, spurious=0.0)
    twice = [joined_boxes([boxes, replace(boxes, label=np.array([1]), score=boxes.score / 2)]) for boxes in one.found]
    assert all(len(boxes) == 1 for boxes in replace(one, found=twice).tracked()[2:])


def test_unsure_detections_continue_a_track_and_begin_none():
    one = drive(np.array([[8.0, 5.0]]), np.zeros((1, 2)), np.array([0]), dropout=0.0, spurious=0.0)
    unsure = [replace(boxes, score=np.float32([0.2])) for boxes in one.found]
    assert not any(map(len, replace(one, found=unsure).tracked()))
    assert all(map(len, replace(one, found=one.found[:5] + unsure[5:]).tracked()[2:]))


def test_nothing_is_lost_far_from_the_origin_of_the_world():
    far = drive(
        np.array([[8.0, 5.0]]), np.zeros((1, 2)), np.array([0]), origin=(4.4e6, 5.3e6), dropout=0.0, spurious=0.0
    )
    near = drive(np.array([[8.0, 5.0]]), np.zeros((1, 2)), np.array([0]), dropout=0.0, spurious=0.0)
    np.testing.assert_allclose(far.tracked()[-1].centre, near.tracked()[-1].centre, atol=1e-3)


def test_frames_out_of_order_and_senseless_configurations_are_refused():
    tracker = Tracker()
    tracker.update(2_000, no_boxes(), np.eye(4))
    with pytest.raises(DetectionError, match="1000 ns after one at 2000 ns"):
        tracker.update(1_000, no_boxes(), np.eye(4))
    with pytest.raises(DetectionConfigError, match=r"begun at score 0\.1 and continued at 0\.5"):
        TrackConfig(begin_score=0.1, continue_score=0.5)


def test_switches_are_counted_for_things_seen_long_enough():
    one = drive(np.array([[8.0, 5.0], [20.0, 5.0]]), np.zeros((2, 2)), np.array([0, 0]), seconds=3.0)
    swapped = [
        replace(boxes, identity=boxes.identity[::-1] if number >= 15 else boxes.identity)
        for number, boxes in enumerate(one.truths)
    ]
    result = id_switches(one.stamps_ns, one.truths, swapped)
    assert (result.objects, result.switched, result.switches, result.share) == (2, 2, 2, 1.0)
    assert id_switches(one.stamps_ns, one.truths, one.truths).share == 0.0
    assert id_switches(one.stamps_ns, one.truths, swapped, least_s=3.0).objects == 0
    with pytest.raises(DetectionError, match="30 stamps"):
        id_switches(one.stamps_ns, one.truths[1:], swapped)


def wall_of_signs(apart_m: float, width_m: float, slide_m: float, rng: np.random.Generator) -> list[Boxes]:
    """Two signs along a wall (their width lies along y), each frame a detection of each, its centre anywhere on it."""
    frames = []
    for _ in range(60):
        across = np.array([0.0, apart_m]) + rng.uniform(-slide_m, slide_m, 2)
        centre = np.column_stack([np.full(2, 10.0), across, np.full(2, 3.0)])
        frames.append(make_boxes(centre, [[0.1, width_m, 0.7]] * 2, [0.0, 0.0], [0, 0], score=[0.8, 0.7]))
    return frames


def identities_of(frames: list[Boxes]) -> set[int]:
    tracker = Tracker(TrackConfig(classes=("shop sign",)))
    told = [tracker.update(n * 100_000_000, found, np.eye(4)) for n, found in enumerate(frames, 1)]
    return {int(one) for boxes in told for one in boxes.identity}


def test_a_wide_sign_that_is_seen_in_parts_is_one_thing():
    parts = wall_of_signs(apart_m=1.5, width_m=7.0, slide_m=0.9, rng=np.random.default_rng(0))
    assert len(identities_of(parts)) == 1


def test_two_signs_side_by_side_stay_two():
    signs = wall_of_signs(apart_m=4.0, width_m=3.0, slide_m=0.3, rng=np.random.default_rng(0))
    assert len(identities_of(signs)) == 2


def test_parts_of_a_sign_that_turn_out_to_be_one_go_on_as_the_one_that_was_told_first():
    def seen(*across_and_width: tuple[float, float]) -> Boxes:
        centre = np.array([[10.0, across, 3.0] for across, _ in across_and_width])
        size = np.array([[0.1, width, 0.7] for _, width in across_and_width])
        still = np.zeros(len(centre))
        return make_boxes(centre, size, still, still.astype(int), score=np.linspace(0.9, 0.8, len(centre)))

    parts, whole, other_part = seen((0.0, 2.0), (3.5, 2.0)), seen((0.5, 8.0)), seen((3.5, 2.0))
    tracker = Tracker(TrackConfig(classes=("shop sign",)))
    told = [
        tracker.update(n * 100_000_000, found, np.eye(4)).identity.tolist()
        for n, found in enumerate([parts] * 5 + [whole] * 30 + [other_part] * 3, 1)
    ]
    assert told[4] == [0, 1] and all(one == [0] for one in told[-10:])
