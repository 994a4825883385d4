# SPDX-FileCopyrightText: The Mem4Nav stack developers
# SPDX-License-Identifier: Apache-2.0
"""Each fault does what it says, and nothing else."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from itertools import pairwise

import numpy as np
import pytest

pytest.importorskip("open3d")

from sim_envs.city.faults import KINDS, ONLY_FOR, Fault, fault_filter, parse_fault
from sim_envs.city.stream_faults import HOUR_NS, fault_matrix
from sim_envs.city.streams import chained, log_times
from sim_envs.errors import SimConfigError
from slam.measurements import Image, ImuSample, Measurement, Scan

ORIGIN = 1_700_000_000_000_000_000


def stream(duration_s: int = 3) -> Iterator[Measurement]:
    """A small recording: IMU at 100 Hz, scans and pictures at 10 Hz."""
    for tick in range(100 * duration_s):
        stamp = ORIGIN + tick * 10_000_000
        yield ImuSample(stamp, np.full(3, tick * 1e-3), np.array([0.0, 0.0, 9.81]))
        if tick % 10 == 9:
            start = stamp - 90_000_000
            points = np.random.default_rng(tick).uniform(-40.0, 40.0, (300, 3)).astype(np.float32)
            offsets = np.linspace(0, 90_000_000, 300).astype(np.int64)
            yield Scan(start, points, offsets, np.full(300, 50.0, np.float32))
            yield Image(stamp, "front", np.full((4, 6, 3), tick % 256, np.uint8))


def through(kind: str, sensor: str, start: float = 1.0, end: float = 2.0, amount: float | None = None) -> list:
    return list(fault_filter(Fault(sensor, kind, start, end, amount), ORIGIN, 7)(stream()))


def of(kind: type, measurements: list, start: float = 0.0, end: float = 3.0) -> list:
    low, high = ORIGIN + start * 1e9, ORIGIN + end * 1e9
    return [m for m in measurements if isinstance(m, kind) and low <= m.stamp_ns < high]


CLEAN = list(stream())
SENSOR = {"lidar": Scan, "imu": ImuSample, "camera": Image}


@pytest.mark.parametrize("sensor", SENSOR)
@pytest.mark.parametrize("kind", [kind for kind in KINDS if kind not in (*ONLY_FOR, "clock_offset")])
def test_a_fault_leaves_other_sensors_and_other_times_alone(sensor: str, kind: str) -> None:
    after = through(kind, sensor)
    for name, measured in SENSOR.items():
        spans = [(0.0, 3.0)] if name != sensor else [(0.0, 1.0), (2.0, 3.0)]
        for span in spans:
            assert [id_of(m) for m in of(measured, after, *span)] == [id_of(m) for m in of(measured, CLEAN, *span)]


def id_of(m: Measurement) -> tuple:
    value = m.points if isinstance(m, Scan) else m.gyro if isinstance(m, ImuSample) else m.pixels
    return m.stamp_ns, value.tobytes()


@pytest.mark.parametrize("sensor", SENSOR)
def test_off_gives_nothing(sensor: str) -> None:
    assert not of(SENSOR[sensor], through("off", sensor), 1.0, 2.0)


def test_stuck_repeats_the_last_value_with_new_stamps() -> None:
    values = of(ImuSample, through("stuck", "imu"), 1.0, 2.0)
    assert len({v.gyro.tobytes() for v in values}) == 1
    assert values[0].gyro[0] == pytest.approx(0.099)
    assert len({v.stamp_ns for v in values}) == 100


@pytest.mark.parametrize("sensor", SENSOR)
def test_garbage_has_the_right_shape_and_wrong_values(sensor: str) -> None:
    before, after = of(SENSOR[sensor], CLEAN, 1.0, 2.0), of(SENSOR[sensor], through("garbage", sensor), 1.0, 2.0)
    assert len(before) == len(after)
    assert all(id_of(a)[0] == id_of(b)[0] and id_of(a)[1] != id_of(b)[1] for a, b in zip(before, after, strict=True))
    assert all(len(id_of(a)[1]) == len(id_of(b)[1]) for a, b in zip(before, after, strict=True))


def test_wrong_is_believable() -> None:
    before, after = of(Scan, CLEAN, 1.0, 2.0)[0], of(Scan, through("wrong", "lidar"), 1.0, 2.0)[0]
    ratio = np.linalg.norm(after.points, axis=1) / np.linalg.norm(before.points, axis=1)
    np.testing.assert_allclose(ratio, 1.1, rtol=1e-4)


def test_slow_lets_one_in_five_through() -> None:
    assert len(of(ImuSample, through("slow", "imu"), 1.0, 2.0)) == 20


def test_delayed_messages_come_later_with_their_true_stamps() -> None:
    after = through("delayed", "lidar", amount=0.25)
    stamps = [m.stamp_ns for m in after if isinstance(m, Scan)]
    assert sorted(stamps) == [m.stamp_ns for m in CLEAN if isinstance(m, Scan)]
    late = next(i for i, m in enumerate(after) if isinstance(m, Scan) and m.stamp_ns == ORIGIN + 1_500_000_000)
    imu = max(m.stamp_ns for m in after[:late] if isinstance(m, ImuSample))
    assert 0 <= ORIGIN + 1_590_000_000 + 250_000_000 - imu <= 10_000_000


def test_intermittent_comes_and_goes() -> None:
    count = len(of(ImuSample, through("intermittent", "imu", 0.0, 3.0), 0.0, 3.0))
    assert 40 < count < 260
    assert count % 20 == 0


def test_a_clock_offset_shifts_the_stamps_of_one_sensor() -> None:
    after = through("clock_offset", "lidar", 0.0, np.inf, 0.02)
    shifts = {a.stamp_ns - b.stamp_ns for a, b in zip(of(Scan, after), of(Scan, CLEAN), strict=True)}
    assert shifts == {20_000_000}


def test_rain_gives_near_returns_and_loses_far_ones() -> None:
    before, after = of(Scan, CLEAN), of(Scan, through("rain", "lidar", 0.0, 3.0, 50.0))
    count = [sum(len(s.points) for s in scans) for scans in (before, after)]
    near = [sum((np.linalg.norm(s.points, axis=1) < 4.0).sum() for s in scans) for scans in (before, after)]
    assert count[1] < 0.8 * count[0]
    assert near[1] > near[0] + 20
    assert all(len(s.points) == len(s.offsets_ns) == len(s.intensity) for s in after)


def test_faults_compose() -> None:
    filters = [
        fault_filter(Fault("imu", "off", 0.0, 1.0), ORIGIN),
        fault_filter(Fault("lidar", "off", 1.0, 2.0), ORIGIN),
    ]
    after = list(chained(stream(), filters))
    assert len(of(ImuSample, after)) == 200
    assert len(of(Scan, after)) == 20


def test_a_fault_can_be_written_on_the_command_line() -> None:
    assert parse_fault("imu:off:10:11") == Fault("imu", "off", 10.0, 11.0)
    assert parse_fault("lidar:rain") == Fault("lidar", "rain")
    for text in ("imu", "wing:off", "imu:melted", "imu:off:2:1", "imu:off:now", "imu:rain"):
        with pytest.raises(SimConfigError):
            parse_fault(text)


def matrix(name: str) -> list[Measurement]:
    return list(fault_matrix(ORIGIN, at_s=1.0, seed=3)[name](stream()))


def test_equal_point_stamps() -> None:
    assert not any(scan.offsets_ns.any() for scan in of(Scan, matrix("all point stamps equal")))


def test_bad_points_are_nan_and_inf_in_their_shares() -> None:
    points = np.concatenate([scan.points for scan in of(Scan, matrix("5 % NaN and 1 % inf points"))])
    assert np.isnan(points[:, 0]).mean() == pytest.approx(0.05, abs=0.01)
    assert np.isinf(points[:, 0]).mean() == pytest.approx(0.01, abs=0.005)


def test_one_scan_is_empty() -> None:
    assert [len(scan.points) for scan in of(Scan, matrix("an empty scan"))].count(0) == 1


def test_ten_scans_are_missing() -> None:
    assert len(of(Scan, matrix("ten scans missing"))) == 20


def test_one_second_is_without_imu() -> None:
    assert len(of(ImuSample, matrix("one second without IMU"))) == 200


def test_the_imu_is_saturated_for_a_while() -> None:
    samples = of(ImuSample, matrix("IMU saturated"))
    assert max(s.gyro.max() for s in of(ImuSample, samples, 1.0, 2.0)) <= 0.25
    assert len(samples) == 300


def test_messages_are_out_of_order_and_doubled() -> None:
    after = matrix("out-of-order and duplicate messages")
    assert len(after) > len(CLEAN)
    imu = [m.stamp_ns for m in after if isinstance(m, ImuSample)]
    assert any(b < a for a, b in pairwise(imu))
    assert {id_of(m) for m in after} == {id_of(m) for m in CLEAN}


@pytest.mark.parametrize(("name", "shift"), [("ahead", HOUR_NS), ("back", -HOUR_NS)])
def test_one_message_is_an_hour_off(name: str, shift: int) -> None:
    after = matrix(f"one scan stamped 1 h {name}")
    moved = [a.stamp_ns - b.stamp_ns for a, b in zip(after, CLEAN, strict=True)]
    assert sorted({0, shift}) == sorted(set(moved))
    assert moved.count(shift) == 1


def test_all_stamps_jump_by_an_hour_and_the_recorder_keeps_its_own_time() -> None:
    after = matrix("all stamps shifted by 1 h from some moment on")
    assert {a.stamp_ns - b.stamp_ns for a, b in zip(after, CLEAN, strict=True)} == {0, HOUR_NS}
    times = [time for time, _ in log_times(after, 90_000_000)]
    assert times == sorted(times)
    assert times[-1] - times[0] < 4_000_000_000


def test_faults_are_the_same_each_time() -> None:
    for kind in ("garbage", "intermittent"):
        assert [id_of(m) for m in through(kind, "imu")] == [id_of(m) for m in through(kind, "imu")]
    assert replace(Fault("imu", "off"), kind="slow").how_much == 5.0
