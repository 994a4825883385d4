# SPDX-FileCopyrightText: The Mem4Nav stack developers
# SPDX-License-Identifier: Apache-2.0
"""The whole odometry on a small world: right, repeatable, causal, and calm whatever a sensor sends."""

from dataclasses import replace

import numpy as np
import pytest

from sim_envs.city import stream_faults
from slam import so3
from slam.bundle import ScanBundle
from slam.calibration import Calibration
from slam.measurements import ImuSample, Scan
from slam.metrics import align
from slam.odometry import Odometry
from slam.replay import replay
from slam.results import State
from small_drives import HOUR_NS, ate_m, errors_m, pose_bytes, positions, recorded, replayed
from small_world import TENTH, Drive, Stream

IMU = pytest.mark.parametrize("imu", [True, False], ids=["imu", "no imu"])
START = pytest.mark.parametrize("moving_start", [False, True], ids=["from rest", "in motion"])


# what holds on a drive without faults


@IMU
@START
def test_a_drive_is_followed_to_a_centimetre(imu, moving_start):
    """Measured: an ATE of 1.3 mm from rest and 1.1 mm in motion with IMU, 3.0 and 1.7 mm without."""
    result, drive = replayed(imu, moving_start=moving_start), recorded(moving_start=moving_start)[0]
    assert ate_m(result, drive) < 0.01
    assert errors_m(result, drive).max() < 0.05
    assert {r.health.state for r in result.results} == {State.OK}
    assert all(np.isfinite(r.covariance).all() for r in result.results)


@IMU
@START
def test_a_start_in_motion_is_said_and_a_start_at_rest_is_not_taken_for_one(imu, moving_start):
    said = any("in motion at the first scan" in line for line in replayed(imu, moving_start=moving_start).log)
    assert said == moving_start


@IMU
def test_the_same_drive_gives_the_same_bytes(imu):
    measurements = recorded()[1]
    assert pose_bytes(replay(Stream(measurements, imu))) == pose_bytes(replayed(imu))


@IMU
@START
@pytest.mark.parametrize("count", [1, 2, 17])
def test_the_first_poses_do_not_depend_on_what_follows(imu, moving_start, count):
    measurements = recorded(moving_start=moving_start)[1]
    part = [m for m in measurements if m.stamp_ns < (count + 1) * TENTH and not is_scan_from(m, count)]
    whole = replayed(imu, moving_start=moving_start)
    assert pose_bytes(replay(Stream(part, imu))) == pose_bytes(whole)[:count]


def is_scan_from(measurement, number):
    return isinstance(measurement, Scan) and measurement.stamp_ns >= number * TENTH


@IMU
@START
@pytest.mark.parametrize("later", [TENTH // 2, TENTH], ids=["in the middle", "at the end"])
def test_poses_hold_at_the_header_stamp_wherever_in_the_sweep_it_lies(imu, moving_start, later):
    drive, measurements = recorded(moving_start=moving_start)
    moved = [
        replace(m, stamp_ns=m.stamp_ns + later, offsets_ns=m.offsets_ns - later) if isinstance(m, Scan) else m
        for m in measurements
    ]
    result = replay(Stream(moved, imu))
    seconds = np.array([r.stamp_ns for r in result.results]) * 1e-9
    truth, estimate = drive.position(seconds), positions(result)
    T = align(estimate, truth)
    assert np.linalg.norm(estimate @ T[:3, :3].T + T[:3, 3] - truth, axis=1).max() < 0.02
    turned = so3.log(drive.rotation(seconds[:1])[0].T @ drive.rotation(seconds[-1:])[0])
    poses = result.base_trajectory().matrices()
    assert np.allclose(so3.log(poses[0, :3, :3].T @ poses[-1, :3, :3]), turned, atol=0.01)


def test_every_result_says_how_much_it_rests_on():
    results = replayed().results
    assert results[0].matched == 0 and np.isnan(results[0].residual_m)
    assert all(r.points > 200 and 0.7 * r.points < r.matched <= r.points for r in results[1:])
    assert all(0.0 < r.residual_m < 0.05 for r in results[1:])
    assert all(r.wall_ns > 0 and r.cpu_ns > 0 and r.segment == 0 for r in results)


def test_the_covariance_covers_the_error_and_not_ten_times_it():
    result, drive = replayed(), recorded()[0]
    sigma = np.array([np.sqrt(np.trace(r.covariance[3:, 3:])) for r in result.results[5:]])
    error = errors_m(result, drive)[5:]
    assert np.median(sigma) > 0.1 * np.median(error) and np.median(sigma) < 0.05
    assert all(np.linalg.eigvalsh(r.covariance).min() > 0.0 for r in result.results)


# where the sensors sit


def mounted(vector, position):
    T = np.eye(4)
    T[:3, :3], T[:3, 3] = so3.exp(np.array(vector)), position
    return T


@IMU
def test_sensors_mounted_askew_and_apart_give_the_same_way_of_the_base(imu):
    T_base_lidar = mounted((0.1, -0.3, 2.0), (0.8, -0.3, 0.6))
    T_base_imu = mounted((-0.2, 0.1, -1.1), (-0.4, 0.5, 0.2))
    drive = Drive(T_base_lidar=T_base_lidar, T_base_imu=T_base_imu)
    calibration = Calibration(T_base_lidar, T_base_imu if imu else None)
    result = replay(Stream(drive.stream(imu), imu, calibration))
    assert ate_m(result, drive) < 0.02
    assert errors_m(result, drive).max() < 0.05
    for r in result.results:
        assert np.allclose(r.T_odom_lidar, r.T_odom_base @ T_base_lidar, atol=1e-9)
    assert np.allclose(result.results[0].T_odom_base[:3, 3], 0.0, atol=0.01)


def test_a_wrong_mounting_is_not_forgiven():
    """Else the test above would pass on nothing: say that the LiDAR looks straight ahead, and the way differs."""
    T_base_lidar = mounted((0.0, 0.0, 0.4), (0.0, 0.0, 0.0))
    drive = Drive(T_base_lidar=T_base_lidar, seconds=2.5, columns=180)
    right = replay(Stream(drive.stream(), calibration=Calibration(T_base_lidar, np.eye(4))))
    wrong = replay(Stream(drive.stream(), calibration=Calibration(np.eye(4), np.eye(4))))
    assert errors_m(wrong, drive).max() > 5 * errors_m(right, drive).max()


# what sensors, drivers and clocks do wrong


def imu_changed(change, start_s=2.5, end_s=3.5):
    def run(stream):
        for m in stream:
            struck = isinstance(m, ImuSample) and start_s <= m.stamp_ns * 1e-9 < end_s
            yield change(m) if struck else m

    return run


def scans_changed(change, first=25, count=1):
    def run(stream):
        for m in stream:
            struck = isinstance(m, Scan) and first <= m.stamp_ns // TENTH < first + count
            yield change(m) if struck else m

    return run


def nothing_in(scan):
    return replace(scan, points=scan.points[:0], offsets_ns=scan.offsets_ns[:0])


def garbage_in(scan):
    points = np.random.default_rng(0).uniform(-50.0, 50.0, scan.points.shape)
    return replace(scan, points=points.astype(np.float32))


def without_motion(sample):
    return replace(sample, gyro=np.full(3, 0.01), accel=np.array([0.1, 0.2, 9.8]))


FAULTS = stream_faults.fault_matrix(0, at_s=2.5) | {
    "IMU saturated": stream_faults.saturated_imu(2.5, 0, accel_limit=9.7, gyro_limit=0.12),
    "the IMU repeats itself": imu_changed(without_motion),
    "NaN turn rates": imu_changed(lambda m: replace(m, gyro=m.gyro * np.nan)),
    "infinite forces": imu_changed(lambda m: replace(m, accel=m.accel * np.inf)),
    "IMU samples of zero": imu_changed(lambda m: replace(m, gyro=np.zeros(3), accel=np.zeros(3))),
    "all stamps shifted by 1 h back": stream_faults.clock_jump(2.5, 0, -HOUR_NS),
    "an empty first scan": stream_faults.empty_scan(0),
    "an empty second scan": stream_faults.empty_scan(1),
    "a scan of NaN": scans_changed(lambda s: replace(s, points=s.points * np.nan)),
    "a scan of garbage": scans_changed(garbage_in),
    "a first scan of garbage": scans_changed(garbage_in, 0),
    "three scans of fifty points": scans_changed(
        lambda s: replace(s, points=s.points[:50], offsets_ns=s.offsets_ns[:50]), count=3
    ),
    "two scans with one stamp": scans_changed(lambda s: replace(s, stamp_ns=s.stamp_ns - TENTH)),
    "point times an hour off": scans_changed(lambda s: replace(s, offsets_ns=s.offsets_ns - HOUR_NS)),
}
OF_THE_IMU = [name for name in FAULTS if "imu" in name.lower() or "rates" in name or "forces" in name]
CASES = [(name, True) for name in FAULTS] + [(name, False) for name in FAULTS if name not in OF_THE_IMU]


def struck(name, imu):
    """The drive with a fault: its measurements, its replay."""
    measurements = list(FAULTS[name](iter(recorded()[1])))
    return measurements, replay(Stream(measurements, imu))


@pytest.mark.parametrize(("name", "imu"), CASES, ids=[f"{n}, {'imu' if imu else 'no imu'}" for n, imu in CASES])
def test_a_fault_costs_no_scan_no_exception_and_less_than_five_centimetres(name, imu):
    measurements, result = struck(name, imu)
    assert len(result.results) == sum(isinstance(m, Scan) for m in measurements)
    assert np.isfinite(positions(result)).all()
    assert all(np.isfinite(r.covariance).all() for r in result.results)
    assert ate_m(result, recorded()[0]) < 0.05
    assert result.results[-1].health.state is State.OK


@pytest.mark.parametrize(
    ("name", "said"),
    [
        ("one second without IMU", "no IMU for 1.0"),
        ("out-of-order and duplicate messages", "seen before"),
        ("one scan stamped 1 h ahead", "+3599.9"),
        ("one scan stamped 1 h back", "-3600.1"),
        ("one IMU sample stamped 1 h ahead", "IMU sample stamped +3599.9"),
        ("one IMU sample stamped 1 h back", "IMU sample stamped -3600.0"),
        ("all stamps shifted by 1 h from some moment on", "new segment"),
        ("all stamps shifted by 1 h back", "new segment"),
        ("all point stamps equal", "same time"),
        ("NaN turn rates", "NaN or inf"),
        ("two scans with one stamp", "same stamp"),
    ],
)
def test_the_log_says_what_happened(name, said):
    assert any(said in line for line in struck(name, True)[1].log)


@pytest.mark.parametrize(
    "name",
    ["5 % NaN and 1 % inf points", "an empty scan", "ten scans missing", "IMU saturated", "the IMU repeats itself"],
)
def test_the_log_says_so_where_data_are_missing_or_not_believed(name):
    assert set(struck(name, True)[1].log) - set(replayed().log)


@pytest.mark.parametrize("shift", [HOUR_NS, -HOUR_NS], ids=["ahead", "back"])
@IMU
def test_a_lasting_jump_of_the_clock_starts_a_segment_that_goes_on_from_there(shift, imu):
    measurements = list(stream_faults.clock_jump(2.5, 0, shift)(iter(recorded()[1])))
    result = replay(Stream(measurements, imu))
    segments = np.array([r.segment for r in result.results])
    assert segments.tolist() == [0] * 25 + [1] * 25
    assert errors_m(result, recorded()[0]).max() < 0.05


@pytest.mark.parametrize("shift", [HOUR_NS, -HOUR_NS], ids=["ahead", "back"])
@IMU
def test_a_scan_with_a_wrong_stamp_gets_the_pose_of_its_turn(shift, imu):
    measurements = list(stream_faults.one_wrong_stamp(30, shift)(iter(recorded()[1])))
    result = replay(Stream(measurements, imu))
    (wrong,) = [i for i, r in enumerate(result.results) if r.health.state is not State.OK]
    assert result.results[wrong].stamp_ns == 30 * TENTH + shift
    assert errors_m(result, recorded()[0])[wrong] < 0.05


@IMU
def test_a_scan_that_cannot_be_used_says_why(imu):
    result = replay(Stream(list(FAULTS["two scans with one stamp"](iter(recorded()[1]))), imu))
    (bad,) = [r for r in result.results if r.health.state is not State.OK]
    assert bad.health.state is State.DEGRADED and "same stamp" in bad.health.reasons[0]
    assert np.array_equal(bad.health.axes, np.eye(3))


@pytest.mark.parametrize("number", [1, 25])
def test_an_empty_scan_does_not_put_the_imu_under_suspicion(number):
    measurements = list(stream_faults.empty_scan(number)(iter(recorded()[1])))
    result = replay(Stream(measurements))
    assert not any("left out" in line for line in result.log)
    assert [i for i, r in enumerate(result.results) if r.health.state is not State.OK] == [number]


def test_a_second_of_empty_scans_is_bridged_by_the_imu():
    result = replay(Stream(list(scans_changed(nothing_in, count=10)(iter(recorded()[1])))))
    assert errors_m(result, recorded()[0]).max() < 0.05


@IMU
def test_a_second_of_empty_scans_keeps_the_map_and_is_never_ok(imu):
    result = replay(Stream(list(scans_changed(nothing_in, count=10)(iter(recorded()[1]))), imu))
    assert {r.segment for r in result.results} == {0}
    assert State.OK not in {r.health.state for r in result.results[25:35]}


@pytest.mark.parametrize("stamp_ns", [0, -5 * 10**9, 1_700_000_000 * 10**9])
def test_a_first_scan_that_is_rejected_or_empty_still_gets_a_pose(stamp_ns):
    scan = Scan(stamp_ns, np.zeros((0, 3), np.float32))
    odometry = Odometry()
    first = odometry.register(ScanBundle(scan, stamp_ns, rejected=True, reason="for a test"))
    second = odometry.register(ScanBundle(scan, stamp_ns))
    assert np.allclose(first.T_odom_base, np.eye(4)) and np.allclose(second.T_odom_base, np.eye(4), atol=1e-6)
    assert first.health.state is State.DEGRADED and first.health.reasons == ("for a test",)
