# SPDX-FileCopyrightText: The Mem4Nav stack developers
# SPDX-License-Identifier: Apache-2.0
"""The inertial sensor: what it would feel, and its errors."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from sim_envs.city.motion import Motion, carried
from sim_envs.errors import SimConfigError
from slam.measurements import ImuSample

GRAVITY = np.array([0.0, 0.0, -9.81])
"""(3,) m/s^2 in map; the same everywhere."""


@dataclass(frozen=True, slots=True)
class ImuConfig:
    """An IMU and its errors. Densities are one-sided, as in data sheets and Kalibr files.

    Attributes:
        rate_hz: samples a second.
        accel_noise: white noise density, m/s^2/sqrt(Hz).
        gyro_noise: white noise density, rad/s/sqrt(Hz).
        accel_bias: length of the bias at the start (its direction is random), m/s^2.
        gyro_bias: length of the bias at the start, rad/s.
        accel_walk: density of the bias's random walk, m/s^3/sqrt(Hz).
        gyro_walk: density of the bias's random walk, rad/s^2/sqrt(Hz).
        accel_limit: each axis saturates here, m/s^2.
        gyro_limit: each axis saturates here, rad/s.
    """

    rate_hz: float = 200.0
    accel_noise: float = 2e-3
    gyro_noise: float = 2e-4
    accel_bias: float = 0.05
    gyro_bias: float = 0.005
    accel_walk: float = 1e-4
    gyro_walk: float = 1e-5
    accel_limit: float = 8.0 * 9.81
    gyro_limit: float = np.radians(1000.0)

    def __post_init__(self) -> None:
        if self.rate_hz <= 0:
            raise SimConfigError(f"rate_hz of the IMU is {self.rate_hz}: it must be positive")

    def perfect(self) -> ImuConfig:
        """The same sensor without errors (it still saturates)."""
        return ImuConfig(self.rate_hz, 0.0, 0.0, 0.0, 0.0, 0.0, 0.0, self.accel_limit, self.gyro_limit)


@dataclass(frozen=True, slots=True)
class ImuReadings:
    """All samples of a drive, in the IMU frame.

    Attributes:
        time_s: (N,) seconds since the drive's start.
        gyro: (N, 3) rad/s.
        accel: (N, 3) specific force, m/s^2.
        gyro_bias: (N, 3) rad/s, what was added (truth).
        accel_bias: (N, 3) m/s^2, what was added (truth).
    """

    time_s: NDArray[np.float64]
    gyro: NDArray[np.float64]
    accel: NDArray[np.float64]
    gyro_bias: NDArray[np.float64]
    accel_bias: NDArray[np.float64]

    def samples(self, start_ns: int) -> Iterator[ImuSample]:
        """As measurements stamped from ``start_ns`` on."""
        stamps = start_ns + np.rint(self.time_s * 1e9).astype(np.int64)
        for stamp, gyro, accel in zip(stamps, self.gyro, self.accel, strict=True):
            yield ImuSample(int(stamp), gyro.copy(), accel.copy())


def read_imu(motion: Motion, T_base_imu: NDArray[np.float64], config: ImuConfig, seed: int) -> ImuReadings:
    """What the IMU mounted at ``T_base_imu`` (4, 4) reads through a whole motion, lever arm included."""
    count = int(np.floor(motion.duration_s * config.rate_hz)) + 1
    time = np.arange(count) / config.rate_hz
    body = carried(motion.at(time), T_base_imu[:3, 3], T_base_imu[:3, :3])
    force = np.einsum("nji,nj->ni", body.rotation, body.acceleration - GRAVITY)
    rng = np.random.default_rng([seed, 0x1A0])
    gyro_bias = _bias(rng, count, config.gyro_bias, config.gyro_walk, config.rate_hz)
    accel_bias = _bias(rng, count, config.accel_bias, config.accel_walk, config.rate_hz)
    spread = np.sqrt(config.rate_hz)
    gyro = body.angular_rate + gyro_bias + config.gyro_noise * spread * rng.standard_normal((count, 3))
    accel = force + accel_bias + config.accel_noise * spread * rng.standard_normal((count, 3))
    return ImuReadings(
        time,
        np.clip(gyro, -config.gyro_limit, config.gyro_limit),
        np.clip(accel, -config.accel_limit, config.accel_limit),
        gyro_bias,
        accel_bias,
    )


def _bias(rng: np.random.Generator, count: int, start: float, walk: float, rate_hz: float) -> NDArray[np.float64]:
    first = rng.standard_normal(3)
    steps = walk / np.sqrt(rate_hz) * rng.standard_normal((count, 3))
    steps[0] = start * first / np.linalg.norm(first)
    return np.cumsum(steps, axis=0)
