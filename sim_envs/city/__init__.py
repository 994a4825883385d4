# SPDX-FileCopyrightText: The Mem4Nav stack developers
# SPDX-License-Identifier: Apache-2.0
"""A procedural town and the sensors of a vehicle that drives through it."""

from sim_envs.city.camera import CameraConfig
from sim_envs.city.config import CityConfig, CorridorConfig
from sim_envs.city.drive import DriveConfig, KidnapConfig, SimulatedDrive, simulate_drive
from sim_envs.city.faults import Fault, parse_fault
from sim_envs.city.imu import ImuConfig
from sim_envs.city.lidar import LidarConfig, lidar_preset
from sim_envs.city.traffic import TrafficConfig
from sim_envs.city.trajectory import DrivingConfig
from sim_envs.city.world import World, make_city, make_corridor

__all__ = [
    "CameraConfig",
    "CityConfig",
    "CorridorConfig",
    "DriveConfig",
    "DrivingConfig",
    "Fault",
    "ImuConfig",
    "KidnapConfig",
    "LidarConfig",
    "SimulatedDrive",
    "TrafficConfig",
    "World",
    "lidar_preset",
    "make_city",
    "make_corridor",
    "parse_fault",
    "simulate_drive",
]
