# SPDX-FileCopyrightText: The Mem4Nav stack developers
# SPDX-License-Identifier: Apache-2.0
"""Small worlds and short drives that the tests of the city share."""

from __future__ import annotations

from dataclasses import replace
from functools import cache

import numpy as np
from numpy.typing import NDArray

from sim_envs.city import (
    CameraConfig,
    CityConfig,
    CorridorConfig,
    DriveConfig,
    ImuConfig,
    LidarConfig,
    SimulatedDrive,
    TrafficConfig,
    World,
    make_city,
    make_corridor,
    simulate_drive,
)
from sim_envs.city.drive import START_NS
from slam.measurements import Scan

SMALL_TOWN = CityConfig(seed=5, streets=3)
CLEAN_LIDAR = LidarConfig(channels=16, columns=256, range_noise_m=0.0, dropout=0.0, intensity_noise=0.0)
SMALL_CAMERA = CameraConfig(width=96, height=72)
SHORT = DriveConfig(
    seed=3,
    length_m=250.0,
    lidar=LidarConfig(channels=16, columns=256),
    traffic=TrafficConfig(6, 2, 8),
    cameras=(SMALL_CAMERA,),
)


@cache
def small_town() -> World:
    return make_city(SMALL_TOWN)


@cache
def small_corridor() -> World:
    return make_corridor(CorridorConfig())


@cache
def short_drive() -> SimulatedDrive:
    """A whole loop of the small town, with traffic and noise."""
    return simulate_drive(small_town(), SHORT)


@cache
def clean_drive() -> SimulatedDrive:
    """The same loop without any error of the sensors."""
    return simulate_drive(small_town(), replace(SHORT, lidar=CLEAN_LIDAR, imu=ImuConfig().perfect()))


def times_of(scan: Scan) -> NDArray[np.float64]:
    """(N,) seconds since the drive's start at which each point was measured."""
    assert scan.offsets_ns is not None
    return 1e-9 * (scan.stamp_ns - START_NS + scan.offsets_ns)


def in_map(drive: SimulatedDrive, scan: Scan) -> NDArray[np.float64]:
    """(N, 3) points in map, each put there with the true pose at its own time."""
    rotation, position = drive.motion.pose(times_of(scan))
    T = drive.calibration.T_base_lidar
    body = scan.points.astype(float) @ T[:3, :3].T + T[:3, 3]
    return np.einsum("nij,nj->ni", rotation, body) + position
