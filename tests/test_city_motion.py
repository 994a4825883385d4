# SPDX-FileCopyrightText: The Mem4Nav stack developers
# SPDX-License-Identifier: Apache-2.0
"""The vehicle's motion: exact derivatives, closed loops, sensible speeds; and the IMU that rides along."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

pytest.importorskip("open3d")

from scipy.spatial.transform import Rotation

from city_worlds import SHORT, clean_drive, short_drive, small_town
from sim_envs.city import DriveConfig, DrivingConfig, ImuConfig, KidnapConfig, simulate_drive
from sim_envs.city.imu import GRAVITY, read_imu
from sim_envs.city.motion import Kidnapped, carried, euler_rotation

QUIET = replace(SHORT.traffic, cars=0, cyclists=0, pedestrians=0)


def test_velocity_and_acceleration_are_the_derivatives_of_position() -> None:
    motion, h = clean_drive().motion, 1e-4
    time = np.linspace(1.0, motion.duration_s - 1.0, 40)
    before, now, after = motion.at(time - h), motion.at(time), motion.at(time + h)
    np.testing.assert_allclose((after.position - before.position) / (2 * h), now.velocity, atol=1e-5)
    np.testing.assert_allclose((after.velocity - before.velocity) / (2 * h), now.acceleration, atol=1e-5)


def test_angular_rate_and_its_change_are_the_derivatives_of_orientation() -> None:
    motion, h = clean_drive().motion, 1e-4
    time = np.linspace(1.0, motion.duration_s - 1.0, 40)
    before, now, after = motion.at(time - h), motion.at(time), motion.at(time + h)
    turn = np.swapaxes(before.rotation, 1, 2) @ after.rotation
    np.testing.assert_allclose(Rotation.from_matrix(turn).as_rotvec() / (2 * h), now.angular_rate, atol=1e-6)
    change = (after.angular_rate - before.angular_rate) / (2 * h)
    np.testing.assert_allclose(change, now.angular_acceleration, atol=1e-5)


def test_a_loop_ends_in_the_pose_it_started_in_and_stands_at_both_ends() -> None:
    motion = clean_drive().motion
    first, last = motion.at(0.0), motion.at(motion.duration_s)
    np.testing.assert_allclose(first.position, last.position, atol=1e-4)
    np.testing.assert_allclose(first.rotation, last.rotation, atol=1e-4)
    standing = motion.at(np.linspace(0.0, 0.9, 20))
    assert np.abs(standing.velocity).max() < 1e-3
    assert np.abs(standing.angular_rate).max() < 1e-3


def test_corners_are_taken_at_sensible_sideways_acceleration() -> None:
    state = clean_drive().motion.at(np.linspace(0.0, clean_drive().duration_s, 3000))
    body = np.einsum("nji,nj->ni", state.rotation, state.acceleration)
    assert 1.0 < np.abs(body[:, 1]).max() < 3.2
    assert 7.5 < np.linalg.norm(state.velocity, axis=1).max() < 8.2


def test_the_vehicle_follows_the_terrain() -> None:
    state = clean_drive().motion.at(np.linspace(0.0, clean_drive().duration_s, 500))
    ground = small_town().terrain.height(state.position[:, 0], state.position[:, 1])
    assert np.abs(state.position[:, 2] - ground).max() < 0.03
    slope = small_town().terrain.gradient(state.position[:, 0], state.position[:, 1])
    ahead = np.einsum("ni,ni->n", slope, state.rotation[:, :2, 0])
    assert np.abs(state.rotation[:, 2, 0] - ahead).max() < 0.05


def test_a_moving_start_begins_and_ends_at_speed() -> None:
    driving = DrivingConfig(moving_start=True)
    drive = simulate_drive(small_town(), DriveConfig(seed=3, length_m=250.0, driving=driving, traffic=QUIET))
    state = drive.state_at([0.0, drive.duration_s])
    assert np.linalg.norm(state.velocity, axis=1).min() > 4.0


def test_laps_repeat_the_loop() -> None:
    twice = DriveConfig(seed=3, length_m=250.0, driving=DrivingConfig(laps=2), traffic=QUIET)
    once = DriveConfig(seed=3, length_m=250.0, traffic=QUIET)
    long, short = (simulate_drive(small_town(), c).ground_truth().positions for c in (twice, once))
    ways = [np.linalg.norm(np.diff(p, axis=0), axis=1).sum() for p in (long, short)]
    assert ways[0] == pytest.approx(2 * ways[1], rel=0.01)


def test_integrating_the_perfect_imu_gives_back_the_trajectory() -> None:
    drive = clean_drive()
    T = drive.calibration.T_base_imu
    readings = read_imu(drive.motion, T, replace(ImuConfig().perfect(), rate_hz=2000.0), 0)
    body = carried(drive.motion.at(readings.time_s), T[:3, 3], T[:3, :3])
    first, count, dt = 6000, 6000, 1.0 / 2000.0
    rotation = Rotation.from_matrix(body.rotation[first])
    velocity, position = body.velocity[first].copy(), body.position[first].copy()
    for k in range(first, first + count):
        middle = 0.5 * (readings.gyro[k] + readings.gyro[k + 1])
        after = rotation * Rotation.from_rotvec(middle * dt)
        force = 0.5 * (rotation.apply(readings.accel[k]) + after.apply(readings.accel[k + 1])) + GRAVITY
        position += velocity * dt + 0.5 * force * dt**2
        velocity, rotation = velocity + force * dt, after
    assert np.linalg.norm(position - body.position[first + count]) < 1e-3
    assert (rotation.inv() * Rotation.from_matrix(body.rotation[first + count])).magnitude() < 1e-5


def test_a_standing_perfect_imu_feels_gravity_alone() -> None:
    reading = clean_drive().imu
    assert np.linalg.norm(reading.accel[:50], axis=1) == pytest.approx(9.81, abs=1e-3)
    assert np.abs(reading.gyro[:50]).max() < 1e-3


def test_imu_noise_and_biases_have_the_densities_asked_for() -> None:
    config = ImuConfig()
    noisy, clean = short_drive().imu, clean_drive().imu
    spread = np.std(noisy.gyro - clean.gyro - noisy.gyro_bias, axis=0)
    assert spread == pytest.approx(config.gyro_noise * np.sqrt(200.0), rel=0.05)
    spread = np.std(noisy.accel - clean.accel - noisy.accel_bias, axis=0)
    assert spread == pytest.approx(config.accel_noise * np.sqrt(200.0), rel=0.05)
    assert np.linalg.norm(noisy.accel_bias[0]) == pytest.approx(0.05)
    assert np.linalg.norm(noisy.gyro_bias[0]) == pytest.approx(0.005)


def test_the_imu_saturates_at_its_limits() -> None:
    config = replace(ImuConfig().perfect(), accel_limit=9.0, gyro_limit=0.1)
    reading = read_imu(clean_drive().motion, np.eye(4), config, 0)
    assert np.abs(reading.accel).max() == 9.0
    assert np.abs(reading.gyro).max() == 0.1


def test_a_kidnapping_moves_the_vehicle_and_its_imu_feels_no_jump() -> None:
    plan = clean_drive().motion
    turn = euler_rotation(np.radians(86.0), 0.0, 0.0)
    motion = Kidnapped(plan, 10.0, np.array([0.0, 4.0, 0.0]), turn)
    before, after = motion.at([9.999, 10.0]), plan.at(10.0)
    np.testing.assert_allclose(np.linalg.norm(motion.at(10.0).position - after.position), 4.0)
    angle = Rotation.from_matrix(after.rotation[0].T @ motion.at(10.0).rotation[0]).magnitude()
    assert np.degrees(angle) == pytest.approx(86.0)
    assert np.abs(before.position[0] - plan.at(9.999).position[0]).max() == 0.0
    reading = read_imu(motion, np.eye(4), ImuConfig().perfect(), 0)
    assert np.linalg.norm(reading.accel, axis=1).max() < 15.0


def test_the_drive_can_be_kidnapped_by_its_configuration() -> None:
    drive = simulate_drive(small_town(), replace(SHORT, kidnap=KidnapConfig(8.0)))
    jump = np.linalg.norm(drive.truth_at(8.0).positions - drive.truth_at(7.9999).positions)
    assert jump == pytest.approx(4.0, abs=0.01)
