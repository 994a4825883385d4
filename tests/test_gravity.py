# SPDX-FileCopyrightText: The Mem4Nav stack developers
# SPDX-License-Identifier: Apache-2.0
"""Which way is down, for platforms at rest and in motion at the first scan."""

from functools import cache

import numpy as np
import pytest

from slam import so3
from slam.gravity import at_rest, levelled, starting_state
from slam.ieskf import GRAV, VEL
from slam.measurements import ImuSample
from slam.odometry_config import OdometryConfig, StartConfig
from slam.replay import replay
from small_drives import ate_m, recorded, replayed
from small_world import Drive, Stream

TILTS = {"rolled": (0.2, 0.0, 0.0), "pitched and turned": (0.0, -0.3, 0.5)}


@cache
def tilted_drive(tilt, moving_start):
    """A drive whose sensors are mounted askew on a vehicle that knows nothing of it: base_link is askew too."""
    T = np.eye(4)
    T[:3, :3] = so3.exp(np.array(TILTS[tilt]))
    drive = Drive(moving_start=moving_start, T_base_lidar=T, T_base_imu=T, seconds=3.5, columns=240)
    return tuple(drive.stream()), T[:3, :3]


def off_level_deg(result, R_world_base):
    """Angle between the true and the estimated up at the first pose, degrees."""
    up = result.base_trajectory().matrices()[0, 2, :3]
    return np.degrees(np.arccos(np.clip(up @ R_world_base[2], -1.0, 1.0)))


def resting(tilt=(0.0, 0.0, 0.0), count=30, bias=0.004):
    """(count, 6) samples of a platform at rest."""
    values = np.random.default_rng(0).normal(0.0, 0.002, (count, 6))
    values[:, :3] += bias
    values[:, 3:] += so3.exp(np.array(tilt)).T @ [0.0, 0.0, 9.81]
    return values


@pytest.mark.parametrize("tilt", [(0.0, 0.0, 0.0), (0.2, -0.1, 0.0), (1.5, 0.3, 0.0), (3.1, 0.0, 0.0)])
def test_a_levelled_frame_sees_the_specific_force_along_z_and_does_not_turn_about_it(tilt):
    force = so3.exp(np.array(tilt)).T @ [0.0, 0.0, 9.81]
    R = levelled(force)
    assert np.allclose(R @ force, [0.0, 0.0, 9.81]) and np.allclose(R @ R.T, np.eye(3))
    assert abs(np.arctan2(R[1, 0], R[0, 0])) < 1e-9


def test_a_platform_at_rest_gives_its_gyro_bias_and_gravity():
    state, watch, sentence = starting_state(0, resting((0.2, -0.1, 0.0)), np.eye(4), OdometryConfig(), True)
    assert "at rest" in sentence and watch.known
    assert np.allclose(state.bg, 0.004, atol=0.001)
    assert np.allclose(state.gravity, [0.0, 0.0, -9.81], atol=0.005)
    assert np.degrees(np.arccos((state.R @ so3.exp(np.array([0.2, -0.1, 0.0])).T)[2, 2])) < 0.05


def test_a_platform_that_starts_to_move_was_at_rest_before():
    values = resting(count=80)
    values[50:, 3] += np.linspace(0.0, 3.0, 30)
    assert at_rest(values, StartConfig()) is not None


@pytest.mark.parametrize(
    "disturb",
    [
        lambda v: v + np.array([0, 0, 0.2, 0, 0, 0]),
        lambda v: v + np.array([0, 0, 0, 0, 0, 1.0]),
        lambda v: v + np.sin(np.arange(len(v)))[:, None] * [0, 0, 0, 1.0, 0, 0],
        lambda v: v[:9],
        lambda v: v[:0],
    ],
    ids=["turning", "lifting off", "shaking", "too few", "none"],
)
def test_what_is_not_at_rest_is_not_taken_for_it(disturb):
    assert at_rest(disturb(resting()), StartConfig()) is None


def test_in_motion_gravity_starts_uncertain_and_points_roughly_down():
    values = resting() + np.sin(np.arange(30))[:, None] * [0, 0, 0, 1.0, 0, 0]
    state, watch, _ = starting_state(0, values, np.eye(4), OdometryConfig(), True)
    assert not watch.known and state.P[GRAV, GRAV].diagonal().min() >= 1.0
    assert state.gravity @ [0, 0, -1] == pytest.approx(9.81)


def test_without_an_imu_there_is_nothing_to_settle():
    state, watch, sentence = starting_state(0, np.zeros((0, 6)), np.eye(4), OdometryConfig(), False)
    assert watch.known and "without IMU" in sentence and np.array_equal(state.R, np.eye(3))
    assert state.P[VEL, VEL].diagonal().min() > 1.0


@pytest.mark.parametrize("tilt", TILTS)
def test_a_start_at_rest_levels_to_a_third_of_a_degree(tilt):
    """Measured: 0.18 degrees, which is what the accelerometer's bias of 0.03 m/s^2 leaves."""
    measurements, R = tilted_drive(tilt, moving_start=False)
    result = replay(Stream(measurements))
    assert any("start at rest" in line for line in result.log)
    assert off_level_deg(result, R) < 0.33


@pytest.mark.parametrize("tilt", TILTS)
def test_a_start_in_motion_levels_to_a_degree(tilt):
    """Measured: 0.15 and 0.29 degrees."""
    measurements, R = tilted_drive(tilt, moving_start=True)
    result = replay(Stream(measurements))
    assert any("settled in motion" in line for line in result.log)
    assert off_level_deg(result, R) < 1.0


def test_a_hard_bend_at_the_start_is_not_taken_for_a_slope():
    """At 4 m/s in a bend the force is up to 4 m/s^2 off the vertical; measured: 0.43 degrees."""
    settings = {"moving_start": True, "speed": 4.0, "swing": 2.0, "start_x": -10.0}
    result, drive = replayed(**settings), recorded(**settings)[0]
    assert off_level_deg(result, drive.rotation(0.0)[0]) < 1.0
    assert ate_m(result, drive) < 0.02


@pytest.mark.parametrize("tilt", TILTS)
@pytest.mark.parametrize("moving_start", [False, True])
def test_an_imu_that_comes_late_levels_from_then_on(tilt, moving_start):
    """Measured: 0.7 degrees a second after its first sample."""
    measurements, R = tilted_drive(tilt, moving_start)
    late = [m for m in measurements if not isinstance(m, ImuSample) or m.stamp_ns > 1_520_000_000]
    result = replay(Stream(late))
    assert any("before the first IMU sample" in line for line in result.log)
    settled = [line for line in result.log if "settled in motion" in line]
    assert len(settled) == 1 and float(settled[0].split(" s:")[0]) >= 2.5
    assert off_level_deg(result, R) < 1.5


def test_an_imu_that_never_comes_settles_nothing():
    measurements, _ = tilted_drive("rolled", moving_start=False)
    result = replay(Stream([m for m in measurements if not isinstance(m, ImuSample)]))
    assert not any("settled" in line for line in result.log)
    assert len(result.results) == 35 and all(r.health.state.value == "ok" for r in result.results)
