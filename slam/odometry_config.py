# SPDX-FileCopyrightText: The Mem4Nav stack developers
# SPDX-License-Identifier: Apache-2.0
"""Settings of the odometry, with defaults that hold from a car's 64-beam sweep to a solid-state scanner."""

from __future__ import annotations

from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

from slam.photometric_config import PhotometricConfig


@dataclass(frozen=True, slots=True)
class ScanConfig:
    """What is kept of a scan."""

    min_range_m: float = 1.0
    """Nearer returns are the vehicle itself, metres."""
    max_range_m: float = 100.0
    """Farther returns are not used, metres."""
    map_voxel_m: float = 0.3
    """The map takes the mean of the points in each voxel of this side, metres."""
    match_voxel_m: float = 0.6
    """The pose is found with one point in each voxel of this side, metres."""
    deskew: bool = True
    """Undo the motion within a scan where points carry their time."""


@dataclass(frozen=True, slots=True)
class MapConfig:
    """The plane map."""

    voxel_m: float = 4.0
    """Side of a root voxel, metres."""
    max_depth: int = 4
    """How often a voxel that is no plane splits into eight."""
    min_points: int = 5
    """Points before a leaf is tried as a plane."""
    max_points: int = 200
    """Points after which a leaf is settled and takes no more."""
    max_thickness_m: float = 0.08
    """A leaf is a plane while the standard deviation along its normal is below this, metres."""
    noise_m: float = 0.02
    """Range noise that a leaf's own scatter is not trusted below, metres."""
    reach_m: float = 150.0
    """Voxels farther than this from the sensor are dropped, metres."""
    max_age_scans: int = 20_000
    """Voxels not seen for so many scans are dropped."""
    sweep_scans: int = 64
    """The whole table is looked through for voxels to drop once in so many scans."""


@dataclass(frozen=True, slots=True)
class RegistrationConfig:
    """The LiDAR update."""

    range_noise_m: float = 0.02
    """Standard deviation of a return along the beam, metres."""
    bearing_noise_deg: float = 0.05
    """Standard deviation of a return across the beam, degrees."""
    floor_noise_m: float = 0.015
    """Standard deviation of what no model covers, metres."""
    max_iterations: int = 5
    """Iterations of the update."""
    coarse_iterations: int = 2
    """The first iterations take a part of the points only."""
    gate_shrink: float = 0.1
    """The share of the pose's variance that widens the gate falls by this factor at each iteration."""
    converged_deg: float = 0.01
    """Rotation below which the iteration stops, degrees."""
    converged_m: float = 0.00015
    """Translation below which the iteration stops, metres."""
    independent_points: float = 300.0
    """Neighbouring points share their planes' errors: so many count as independent, the rest repeats them."""


@dataclass(frozen=True, slots=True)
class ImuConfig:
    """The inertial sensor. Densities are in SI units a square-root hertz."""

    gyro_density: float = 2e-3
    """Turn-rate noise, rad/s/sqrt(Hz). Above most data sheets, for vibration and the interpolation between samples."""
    accel_density: float = 2e-2
    """Specific-force noise, m/s^2/sqrt(Hz)."""
    gyro_bias_density: float = 1e-4
    """Random walk of the gyro bias, rad/s^2/sqrt(Hz)."""
    accel_bias_density: float = 1e-3
    """Random walk of the accelerometer bias, m/s^3/sqrt(Hz)."""
    gyro_limit: float = 35.0
    """Readings at or above are saturated, rad/s. A plateau at a lower value is recognised by itself."""
    accel_limit: float = 160.0
    """Readings at or above are saturated, m/s^2. A plateau at a lower value is recognised by itself."""
    max_gap_s: float = 0.05
    """A longer silence is bridged by the motion model, seconds; three sample periods where that is more."""
    gyro_bias_sigma: float = 0.02
    """Standard deviation of the gyro bias at the start, rad/s."""
    accel_bias_sigma: float = 0.1
    """Standard deviation of the accelerometer bias at the start, m/s^2."""

    def limits(self) -> NDArray[np.float64]:
        """(6,) saturation limits, gyro then accelerometer."""
        return np.repeat([self.gyro_limit, self.accel_limit], 3)

    def least_limit(self) -> NDArray[np.float64]:
        """(6,) a plateau below is rest or coincidence, not saturation."""
        return np.repeat([0.1, 9.9], 3)


@dataclass(frozen=True, slots=True)
class MotionConfig:
    """How the platform may move where no IMU tells."""

    turn_density: float = 0.05
    """Turn-rate noise while the gyroscope is silent or saturated, rad/s/sqrt(Hz)."""
    velocity_density: float = 3.0
    """Velocity noise without a usable accelerometer, m/s^2/sqrt(Hz)."""
    turn_rate_density: float = 1.0
    """Random walk of the turn rate without a gyroscope, rad/s^2/sqrt(Hz)."""
    start_speed_sigma: float = 10.0
    """Standard deviation of the speed at the first scan, m/s."""
    start_turn_sigma: float = 0.5
    """Standard deviation of the turn rate at the first scan without a gyroscope, rad/s."""


@dataclass(frozen=True, slots=True)
class StartConfig:
    """How the direction of gravity is found."""

    rest_samples: int = 10
    """Inertial samples that decide whether the platform is at rest."""
    rest_accel_sigma: float = 0.15
    """At rest the accelerometer scatters less than this, m/s^2."""
    rest_gravity_error: float = 0.5
    """At rest the mean specific force is this close to 9.81 m/s^2."""
    gravity_sigma: float = 0.05
    """Standard deviation of each axis of gravity once it is found, m/s^2."""
    moving_gravity_sigma: float = 2.0
    """The same for a platform in motion, whose accelerometer feels more than gravity, m/s^2."""
    map_pose_sigma_m: float = 1.0
    """Standard deviation of the initial position on a stored map, metres."""
    map_pose_sigma_deg: float = 10.0
    """Standard deviation of the initial attitude on a stored map, degrees."""
    rest_gyro: float = 0.05
    """At rest the gyroscope reads and scatters less than this, rad/s."""
    moving_s: float = 1.0
    """A moving platform's LiDAR motion is watched for so long to tell gravity from acceleration, seconds."""


@dataclass(frozen=True, slots=True)
class HealthConfig:
    """When to say degraded, and when lost."""

    weak_ratio: float = 0.004
    """An axis is unconstrained when its information is below this share of all points' together."""
    weak_noise: float = 3.0
    """... or below so many times what uncertain normals explain by themselves."""
    least_points: int = 30
    """Fewer matched points are no registration."""
    lost_share: float = 0.5
    """The share of points that fit the map, against its running mean, below which a scan is doubted."""
    lost_scans: int = 3
    """So many doubted scans in a row are lost."""
    new_segment_scans: int = 5
    """So many lost scans in a row, and a new segment starts."""


@dataclass(frozen=True, slots=True)
class OdometryConfig:
    """Everything the odometry can be told."""

    scan: ScanConfig = field(default_factory=ScanConfig)
    map: MapConfig = field(default_factory=MapConfig)
    registration: RegistrationConfig = field(default_factory=RegistrationConfig)
    imu: ImuConfig = field(default_factory=ImuConfig)
    motion: MotionConfig = field(default_factory=MotionConfig)
    start: StartConfig = field(default_factory=StartConfig)
    photometric: PhotometricConfig = field(default_factory=PhotometricConfig)
    health: HealthConfig = field(default_factory=HealthConfig)
