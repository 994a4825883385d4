# SPDX-FileCopyrightText: The Mem4Nav stack developers
# SPDX-License-Identifier: Apache-2.0
"""The town in closed loop: a vehicle does what it is told, and its sensors measure that."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from city_worlds import SHORT, small_town
from sim_envs.city import ImuConfig, LidarConfig
from sim_envs.city.imu import GRAVITY
from sim_envs.city.navigation.drivable import make_drivable_task
from sim_envs.city.stepping import SteppedDrive
from sim_envs.city.vehicle import VehicleConfig
from sim_envs.errors import SimConfigError
from slam.measurements import Image, ImuSample, Scan
from slam.odometry import Odometry
from slam.sequencer import Sequencer


def start_of(section: int) -> tuple[float, float, float]:
    """In the middle of a street section, along it."""
    roads = small_town().roads
    assert roads is not None
    a, b = roads.nodes[roads.edges[section], :2]
    return (*(0.5 * (a + b)), np.arctan2(*(b - a)[::-1]))


def stepped(**changes) -> SteppedDrive:
    config = replace(SHORT, cameras=(), **changes)
    return SteppedDrive(small_town(), config, start_of(0))


def test_the_same_commands_give_the_same_measurements():
    def run() -> list:
        drive = stepped()
        return [m for k in range(6) for m in drive.step(3.0, 0.1 * k)]

    for one, other in zip(run(), run(), strict=True):
        assert type(one) is type(other) and one.stamp_ns == other.stamp_ns
        values = ("points", "offsets_ns", "intensity") if isinstance(one, Scan) else ("gyro", "accel")
        assert all(np.array_equal(getattr(one, name), getattr(other, name)) for name in values)


def test_a_step_brings_what_arrives_within_a_sweep_and_the_sweep_last():
    drive = SteppedDrive(small_town(), SHORT, start_of(0))
    drive.step(0.0, 0.0)
    measured = drive.step(0.0, 0.0)
    assert isinstance(measured[-1], Scan) and len(measured[-1].points) > 1000
    assert measured[-1].stamp_ns + 100_000_000 == drive.stamp_ns
    samples = [m for m in measured if isinstance(m, ImuSample)]
    assert len(samples) == 20 and samples[-1].stamp_ns == drive.stamp_ns
    assert sum(isinstance(m, Image) for m in measured) == 1
    assert [m.stamp_ns for m in measured[:-1]] == sorted(m.stamp_ns for m in measured[:-1])


def test_the_vehicle_reaches_the_speed_that_it_is_told_and_stops_again():
    drive = stepped()
    for _ in range(40):
        drive.step(4.0, 0.0)
    assert np.linalg.norm(drive.truth().velocity[0, :2]) == pytest.approx(4.0, abs=0.02)
    for _ in range(30):
        drive.step(0.0, 0.0)
    assert np.linalg.norm(drive.truth().velocity[0]) < 1e-3


def test_the_vehicle_turns_on_the_spot():
    drive = stepped()
    for _ in range(30):
        drive.step(0.0, 0.5)
    assert drive.truth().angular_rate[0, 2] == pytest.approx(0.5, abs=0.02)
    assert np.linalg.norm(drive.truth().position[0, :2] - start_of(0)[:2]) < 1e-6


def test_the_imu_feels_the_motion_that_the_vehicle_makes():
    drive = stepped(imu=ImuConfig().perfect())
    samples, position, velocity = [], None, None
    for k in range(40):
        if k == 5:
            state = drive.truth()
            position, velocity = state.position[0].copy(), state.velocity[0].copy()
        measured = drive.step(3.0, 0.3 if k > 15 else 0.0)
        if k >= 5:
            samples += [m for m in measured if isinstance(m, ImuSample)]
    assert position is not None and velocity is not None
    T = drive.calibration.T_base_imu
    assert T is not None
    assert _integrated(samples, drive, position, velocity, T) < 0.03


def _integrated(samples, drive, position, velocity, T) -> float:
    """How far dead reckoning of base_link by its true attitude and the IMU's force ends from where it is, metres."""
    turn = _attitudes(samples, drive)
    lever = T[:3, 3]
    place, speed = position + turn[0] @ lever, velocity + turn[0] @ np.cross(_rate(samples[0], T), lever)
    for k in range(len(samples)):
        pull = turn[k] @ T[:3, :3] @ samples[k].accel + GRAVITY
        place, speed = place + speed * 0.005 + 0.5 * pull * 0.005**2, speed + pull * 0.005
    end = drive.truth()
    return float(np.linalg.norm(place - end.position[0] - end.rotation[0] @ lever))


def _rate(sample: ImuSample, T) -> np.ndarray:
    return T[:3, :3] @ sample.gyro


def _attitudes(samples, drive) -> list[np.ndarray]:
    """base_link in map at each sample, integrated backwards from the end by the gyro alone."""
    T, turn = drive.calibration.T_base_imu, drive.truth().rotation[0]
    found = []
    for sample in reversed(samples):
        found.append(turn)
        turn = turn @ _rotation(-0.005 * _rate(sample, T))
    return found[::-1]


def _rotation(vector: np.ndarray) -> np.ndarray:
    from scipy.spatial.transform import Rotation

    return Rotation.from_rotvec(vector).as_matrix()


def test_odometry_follows_a_commanded_drive():
    drive = SteppedDrive(small_town(), replace(SHORT, cameras=(), lidar=LidarConfig(columns=512)), start_of(0))
    odometry, sequencer, result = Odometry(calibration=drive.calibration, use_camera=False), Sequencer(), None
    for k in range(60):
        for measurement in drive.step(3.0 if k > 15 else 0.0, 0.0):
            for bundle in sequencer.push(measurement):
                result = odometry.register(bundle)
    assert result is not None
    went = np.linalg.norm(drive.motion.pose(drive.steps * 0.1 - 0.1)[1][0, :2] - start_of(0)[:2])
    assert went > 8.0
    assert np.linalg.norm(result.T_odom_base[:2, 3]) == pytest.approx(went, abs=0.1)


def test_what_the_vehicle_touches_is_told():
    drive = stepped()
    assert drive.struck() == ""
    for _ in range(25):
        drive.step(0.0, 0.6)
    told = ""
    for _ in range(60):
        drive.step(3.0, 0.0)
        told = told or drive.struck()
    assert told in ("kerb", "vehicle")


def test_a_vehicle_without_brakes_is_refused():
    with pytest.raises(SimConfigError, match="braking 0"):
        VehicleConfig(braking=0.0)


def test_a_route_for_a_vehicle_has_its_length_its_turns_and_one_goal():
    task = make_drivable_task(3)
    assert 150.0 <= task.length_m <= 400.0 and task.turns >= 2
    across = np.array([-task.along[1], task.along[0]])
    assert task.is_reached(task.goal + 2.9 * task.along + 6.0 * across)
    assert not task.is_reached(task.goal + 3.1 * task.along)
    assert not task.is_reached(task.goal + 12.0 * across)
