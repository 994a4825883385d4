# SPDX-FileCopyrightText: The Mem4Nav stack developers
# SPDX-License-Identifier: Apache-2.0
"""Which way is down: at rest from the mean accelerometer, in motion from it and the LiDAR's motion together."""

from __future__ import annotations

from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

from slam import so3
from slam.ieskf import BA, BG, GRAV, POS, THETA, VEL, FilterState
from slam.odometry_config import OdometryConfig, StartConfig

STANDARD = 9.81
LENGTH_SIGMA = 0.02
"""Local gravity differs from 9.81 by up to so much over the inhabited world, m/s^2."""


@dataclass(frozen=True, slots=True)
class Rest:
    """What a platform at rest tells: mean turn rate (the gyro's bias) and mean specific force (minus gravity)."""

    gyro: NDArray[np.float64]
    accel: NDArray[np.float64]


def at_rest(values: NDArray[np.float64], config: StartConfig) -> Rest | None:
    """Means over (M, 6) samples of gyro and accelerometer (m/s^2), or None where they are too few or too lively.

    A platform that starts to move during these samples was at rest before: shorter beginnings are tried too.
    """
    if len(values) < config.rest_samples:
        return None
    return _quiet(values, config) or at_rest(values[: len(values) // 2], config)


def _quiet(values: NDArray[np.float64], config: StartConfig) -> Rest | None:
    gyro, accel = values[:, :3], values[:, 3:]
    quiet = accel.std(0).max() < config.rest_accel_sigma and gyro.std(0).max() < config.rest_gyro
    if not quiet or np.abs(gyro.mean(0)).max() > config.rest_gyro:
        return None
    if abs(np.linalg.norm(accel.mean(0)) - STANDARD) > config.rest_gravity_error:
        return None
    return Rest(gyro.mean(0), accel.mean(0))


def levelled(accel: NDArray[np.float64]) -> NDArray[np.float64]:
    """(3, 3) rotation of a frame into a world whose z axis points along the specific force (3,), yaw zero."""
    up = accel / np.linalg.norm(accel)
    roll, pitch = np.arctan2(up[1], up[2]), np.arctan2(-up[0], np.hypot(up[1], up[2]))
    return so3.exp(np.array([0.0, pitch, 0.0])) @ so3.exp(np.array([roll, 0.0, 0.0]))


@dataclass(slots=True)
class GravityWatch:
    """Settles gravity for a platform that is already in motion at the first scan.

    The filter starts with a guess, the mean specific force, and a wide covariance; the LiDAR's motion over the first
    second tells gravity from acceleration through the filter itself. Then its length is imposed.

    Attributes:
        known: whether the direction of gravity is settled.
        tilt: (3, 3) rotation that levels odom: identity after a start at rest.
    """

    config: StartConfig
    known: bool
    start_ns: int
    tilt: NDArray[np.float64] = field(default_factory=lambda: np.eye(3))

    def settle(self, state: FilterState) -> FilterState | None:
        """The state with gravity of length 9.81, once the first second is over; None before and after that."""
        if self.known or state.stamp_ns - self.start_ns < self.config.moving_s * 1e9:
            return None
        self.known = True
        settled = _with_length(state, STANDARD)
        self.tilt = levelled(-settled.gravity)
        return settled


def _with_length(state: FilterState, length: float) -> FilterState:
    """A scalar update of the filter with |g| = length (its Jacobian is the unit vector along g)."""
    norm = float(np.linalg.norm(state.gravity))
    column = state.P[:, GRAV] @ (state.gravity / norm)
    variance = float(column[GRAV] @ (state.gravity / norm)) + LENGTH_SIGMA**2
    settled = state.plus(column * ((length - norm) / variance))
    settled.P = state.P - np.outer(column, column) / variance
    return settled


def starting_state(
    stamp_ns: int, values: NDArray[np.float64], T_base_body: NDArray[np.float64], config: OdometryConfig, use_imu: bool
) -> tuple[FilterState, GravityWatch, str]:
    """The state with base_link at the origin of odom, levelled as far as (M, 6) inertial samples tell.

    Returns:
        The state, what is known of gravity, and a sentence for the log.
    """
    state = FilterState(stamp_ns, P=starting_covariance(config, use_imu))
    rest = at_rest(values, config.start) if use_imu else None
    R_base_body = T_base_body[:3, :3]
    R_odom_base = np.eye(3)
    if use_imu and len(values):
        R_odom_base = levelled(R_base_body @ values[:, 3:].mean(0))
    if rest is not None:
        state.bg = rest.gyro.copy()
        state.gravity = np.array([0.0, 0.0, -np.linalg.norm(rest.accel)])
    elif use_imu:
        state.P[GRAV, GRAV] = np.eye(3) * config.start.moving_gravity_sigma**2
    state.R, state.position = R_odom_base @ R_base_body, R_odom_base @ T_base_body[:3, 3]
    return (
        state,
        GravityWatch(config.start, rest is not None or not use_imu, stamp_ns),
        _sentence(rest, values, use_imu),
    )


def starting_covariance(config: OdometryConfig, use_imu: bool) -> NDArray[np.float64]:
    """(19, 19) covariance at the first scan: the pose is known by definition, the speed is not."""
    sigma = np.full(19, 1e-3)
    sigma[VEL] = config.motion.start_speed_sigma
    sigma[BG] = config.imu.gyro_bias_sigma if use_imu else config.motion.start_turn_sigma
    sigma[BA], sigma[GRAV] = config.imu.accel_bias_sigma, config.start.gravity_sigma
    sigma[THETA] = sigma[POS] = 1e-4
    return np.diag(sigma**2)


def _sentence(rest: Rest | None, values: NDArray[np.float64], use_imu: bool) -> str:
    if not use_imu:
        return "start without IMU: constant-velocity model, odom is the first pose of the LiDAR"
    if rest is not None:
        return f"start at rest: gravity from {len(values)} samples, |a| = {np.linalg.norm(rest.accel):.3f} m/s^2"
    if not len(values):
        return "start before the first IMU sample: odom is not levelled yet"
    return f"start in motion or with too few samples ({len(values)}): gravity follows from the LiDAR's motion"
