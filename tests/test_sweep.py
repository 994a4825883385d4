# SPDX-FileCopyrightText: The Mem4Nav stack developers
# SPDX-License-Identifier: Apache-2.0
"""Point times that the driver did not send are found again from bearings or from the order of the points."""

from dataclasses import replace

import numpy as np
import pytest

from slam.measurements import Scan
from slam.replay import replay
from slam.sequencer import Sequencer, SequencerConfig
from slam.sweep import recovered, says_nothing
from small_drives import ate_m, recorded
from small_world import Stream

TENTH = 100_000_000
RINGS, COLUMNS = 16, 360


def spinning(direction=-1, start=np.pi, by_ring=False, seed=0):
    """Points (N, 3) of one turn, and when each was measured (N,), as a share of the turn."""
    share = np.repeat(np.arange(COLUMNS) / COLUMNS, RINGS)
    elevation = np.tile(np.radians(np.linspace(-25, 15, RINGS)), COLUMNS)
    if by_ring:
        order = np.arange(RINGS * COLUMNS).reshape(COLUMNS, RINGS).T.ravel()
        share, elevation = share[order], elevation[order]
    azimuth = start + direction * 2 * np.pi * share
    distance = np.random.default_rng(seed).uniform(3.0, 60.0, len(share))
    flat = distance * np.cos(elevation)
    return np.column_stack([flat * np.cos(azimuth), flat * np.sin(azimuth), distance * np.sin(elevation)]), share


def solid_state(count=6000):
    """A rosette within 70 degrees, and when each point was measured."""
    share = np.arange(count) / count
    radius = np.radians(35.0) * np.abs(np.sin(37.0 * np.pi * share))
    angle = 11.3 * np.pi * share
    directions = np.column_stack([np.ones(count), radius * np.cos(angle), radius * np.sin(angle)])
    return 20.0 * directions / np.linalg.norm(directions, axis=1, keepdims=True), share


def found(points, period_ns=TENTH):
    """(N,) recovered times as a share of the period."""
    scan = Scan(5, points.astype(np.float32), np.zeros(len(points), np.int64))
    return recovered(scan, period_ns).offsets_ns / period_ns


def late(shares, truth):
    """(N,) how far recovered times are off, where the end of the turn and its beginning are one bearing."""
    return np.abs((shares - truth + 0.5) % 1.0 - 0.5)


@pytest.mark.parametrize("by_ring", [False, True], ids=["firing by firing", "ring by ring"])
@pytest.mark.parametrize("direction", [-1, 1], ids=["clockwise", "counterclockwise"])
@pytest.mark.parametrize("start", [np.pi, 0.0, -1.3])
def test_a_turn_tells_its_times(by_ring, direction, start):
    points, truth = spinning(direction, start, by_ring)
    assert np.abs(found(points) - truth).max() < 0.01


@pytest.mark.parametrize("by_ring", [False, True], ids=["firing by firing", "ring by ring"])
@pytest.mark.parametrize("direction", [-1, 1], ids=["clockwise", "counterclockwise"])
@pytest.mark.parametrize("share", [0.05, 0.4])
def test_points_that_are_missing_do_not_shift_the_others(by_ring, direction, share):
    points, truth = spinning(direction, by_ring=by_ring)
    seen = np.random.default_rng(1).random(len(points)) > share
    off = late(found(points[seen]), truth[seen])
    assert np.median(off) < 0.005 and off.max() < 0.02


@pytest.mark.parametrize("by_ring", [False, True], ids=["firing by firing", "ring by ring"])
@pytest.mark.parametrize("nothing", [0.0, np.nan, np.inf])
def test_points_without_a_return_do_not_shift_the_others(by_ring, nothing):
    points, truth = spinning(by_ring=by_ring)
    seen = np.random.default_rng(1).random(len(points)) > 0.1
    shares = found(np.where(seen[:, None], points, nothing))
    off = late(shares, truth)[seen]
    assert np.median(off) < 0.005 and off.max() < 0.02
    assert ((shares >= 0.0) & (shares <= 1.0)).all()


@pytest.mark.parametrize("by_ring", [False, True], ids=["firing by firing", "ring by ring"])
@pytest.mark.parametrize("sector", [(0.2, 0.32), (0.4, 0.52), (0.88, 1.0)])
def test_a_later_sector_that_sees_nothing_does_not_shift_the_others(by_ring, sector):
    points, truth = spinning(by_ring=by_ring)
    seen = (truth < sector[0]) | (truth >= sector[1])
    off = late(found(points[seen]), truth[seen])
    assert np.median(off) < 0.01 and off.max() < 0.02


def test_a_solid_state_scanner_sends_its_points_in_order():
    points, truth = solid_state()
    assert np.abs(found(points) - truth).max() < 1e-3


def test_times_lie_between_the_stamp_and_one_period_later():
    points, _ = spinning()
    scan = Scan(5, points, np.full(len(points), 7, np.int64))
    for period, expected in ((TENTH, TENTH), (2 * TENTH, 2 * TENTH), (0, TENTH)):
        offsets = recovered(scan, period).offsets_ns
        assert offsets.dtype == np.int64 and offsets.min() >= 0 and 0.98 * expected < offsets.max() <= expected


def test_points_and_intensities_stay_as_they_are():
    points, _ = spinning()
    scan = Scan(5, points, np.zeros(len(points), np.int64), np.ones(len(points), np.float32))
    after = recovered(scan, TENTH)
    assert after.points is scan.points and after.intensity is scan.intensity and after.stamp_ns == 5


@pytest.mark.parametrize(
    ("offsets", "nothing"),
    [
        (None, False),
        (np.arange(500), False),
        (np.zeros(500, int), True),
        (np.full(500, 9), True),
        (np.zeros(20, int), False),
    ],
    ids=["none", "different", "all zero", "all nine", "too few points"],
)
def test_only_equal_times_of_many_points_say_nothing(offsets, nothing):
    count = 500 if offsets is None else len(offsets)
    assert says_nothing(Scan(0, np.ones((count, 3)), offsets)) is nothing


def first_out(scan, **settings):
    sequencer = Sequencer(SequencerConfig(expect_imu=False, **settings))
    (bundle,) = [*sequencer.push(scan), *sequencer.flush()]
    return bundle, sequencer


@pytest.mark.parametrize("offsets", [None, np.arange(RINGS * COLUMNS) * 10])
def test_scans_that_carry_times_or_none_are_left_alone(offsets):
    scan = Scan(0, spinning()[0], offsets)
    bundle, sequencer = first_out(scan)
    assert bundle.scan is scan and "sweeps_recovered" not in sequencer.statistics


def test_equal_times_are_recovered_and_that_is_said():
    points, truth = spinning()
    bundle, _ = first_out(Scan(0, points, np.zeros(len(points), np.int64)))
    assert np.abs(bundle.scan.offsets_ns / TENTH - truth).max() < 0.01
    assert any("recovered" in event for event in bundle.events)
    assert bundle.end_ns > 0.98 * TENTH


def test_recovery_can_be_switched_off():
    scan = Scan(0, spinning()[0], np.zeros(RINGS * COLUMNS, np.int64))
    assert first_out(scan, recover_sweep=False)[0].scan is scan


def test_a_drive_without_point_times_is_nearly_as_good():
    drive, measurements = recorded()
    blank = [replace(m, offsets_ns=np.zeros_like(m.offsets_ns)) if isinstance(m, Scan) else m for m in measurements]
    assert ate_m(replay(Stream(blank)), drive) < 0.02
