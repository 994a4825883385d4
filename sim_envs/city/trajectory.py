# SPDX-FileCopyrightText: The Mem4Nav stack developers
# SPDX-License-Identifier: Apache-2.0
"""How the vehicle drives a route: speeds, terrain, and the play of its suspension."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy.ndimage import gaussian_filter1d

from sim_envs.city.motion import SplineMotion, fit_motion
from sim_envs.city.routes import Route
from sim_envs.city.terrain import Terrain
from sim_envs.errors import SimConfigError

_KNOT_S = 0.02
_STATION_M = 0.05
_SMOOTHING_S = 0.3


@dataclass(frozen=True, slots=True)
class DrivingConfig:
    """How fast and how smoothly.

    Attributes:
        speed: cruising speed, m/s.
        acceleration: along the way, m/s^2.
        braking: along the way, m/s^2.
        lateral: largest sideways acceleration in corners, m/s^2.
        rest_s: standing time before and after the drive, seconds (at least 1.5 unless the start moves).
        moving_start: begin and end at speed, with no standing time.
        laps: times round a closed route.
        suspension: scale of the natural roll, pitch and heave; 0 for none.
    """

    speed: float = 8.0
    acceleration: float = 1.8
    braking: float = 2.2
    lateral: float = 2.5
    rest_s: float = 2.0
    moving_start: bool = False
    laps: int = 1
    suspension: float = 1.0

    def __post_init__(self) -> None:
        if not 0.5 <= self.speed <= 40.0:
            raise SimConfigError(f"speed is {self.speed} m/s: the vehicle drives 0.5 to 40")
        if self.laps < 1:
            raise SimConfigError(f"laps is {self.laps}: at least one")


def drive_route(route: Route, terrain: Terrain, config: DrivingConfig, rng: np.random.Generator) -> SplineMotion:
    """Motion of base_link (on the ground under the rear axle) along a route.

    Stands for ``rest_s``, drives all laps, ends in the pose it started in (closed routes) and stands again.
    """
    time, station, speed = _time_law(route, config)
    return fit_motion(time, _ride(route, terrain, config, rng, time, station, speed))


def _time_law(route: Route, config: DrivingConfig) -> tuple[NDArray, NDArray, NDArray]:
    """Times every 20 ms, the arc length then, and the speed then."""
    total = route.length * config.laps
    s = np.linspace(0.0, total, int(total / _STATION_M) + 2)
    moving = _arrival_times(s, _speed_limit(route, s, config))
    pad = 0.0 if config.moving_start else max(config.rest_s, 5 * _SMOOTHING_S)
    time = np.arange(0.0, moving[-1] + 2 * pad + _KNOT_S, _KNOT_S)
    station = np.interp(time - pad, moving, s)
    mode = "wrap" if config.moving_start and route.closed else "nearest"
    speed = gaussian_filter1d(np.gradient(station, _KNOT_S), _SMOOTHING_S / _KNOT_S, mode=mode, truncate=4.0)
    station = np.concatenate([[0.0], np.cumsum(0.5 * (speed[1:] + speed[:-1]) * _KNOT_S)])
    scale = total / station[-1]
    return time, station * scale, speed * scale


def _speed_limit(route: Route, s: NDArray, config: DrivingConfig) -> NDArray:
    """Highest speed at each station that corners, acceleration and braking allow."""
    bend = np.maximum(np.abs(route.curvature(s)), 1e-6)
    squared = np.minimum(config.speed**2, config.lateral / bend)
    if not config.moving_start:
        squared[[0, -1]] = 0.0
    step = s[1] - s[0]
    for _ in range(2 if config.moving_start else 1):
        if config.moving_start and route.closed:
            squared[[0, -1]] = squared[[0, -1]].min()
        squared = _ramped(squared, 2.0 * config.acceleration * step)
        squared = _ramped(squared[::-1], 2.0 * config.braking * step)[::-1]
    return np.sqrt(squared)


def _ramped(squared: NDArray, rise: float) -> NDArray:
    """The largest curve under ``squared`` that rises by at most ``rise`` a sample."""
    ramp = rise * np.arange(len(squared))
    return np.minimum.accumulate(squared - ramp) + ramp


def _arrival_times(s: NDArray, speed: NDArray) -> NDArray:
    """Times at the stations when acceleration is constant between them."""
    return np.concatenate([[0.0], np.cumsum(2.0 * np.diff(s) / np.maximum(speed[1:] + speed[:-1], 1e-3))])


def _ride(
    route: Route,
    terrain: Terrain,
    config: DrivingConfig,
    rng: np.random.Generator,
    time: NDArray,
    station: NDArray,
    speed: NDArray,
) -> NDArray:
    """(N, 6) x, y, z, yaw, pitch, roll of base_link."""
    position = route.at(station)
    yaw = np.unwrap(route.heading(station))
    slope = terrain.gradient(position[:, 0], position[:, 1])
    ahead = slope[:, 0] * np.cos(yaw) + slope[:, 1] * np.sin(yaw)
    left = slope[:, 1] * np.cos(yaw) - slope[:, 0] * np.sin(yaw)
    pitch = -np.arctan(ahead)
    roll = np.arctan(left * np.cos(pitch))
    bounce = _suspension(config, rng, time, speed, speed * np.gradient(yaw, time))
    height = terrain.height(position[:, 0], position[:, 1]) + bounce[:, 0]
    return np.column_stack([position, height, yaw, pitch + bounce[:, 1], roll + bounce[:, 2]])


def _suspension(
    config: DrivingConfig, rng: np.random.Generator, time: NDArray, speed: NDArray, lateral: NDArray
) -> NDArray:
    """(N, 3) heave (m), pitch and roll (rad): lean in corners and under braking, small waves while moving."""
    liveliness = np.square(np.sin(0.5 * np.pi * np.clip(speed / 6.0, 0.0, 1.0)))
    liveliness = gaussian_filter1d(liveliness, 25, mode="nearest")
    waves = np.zeros((len(time), 3))
    for amplitude in (1.0, 0.7, 0.5):
        hertz, phase = rng.uniform(0.7, 2.0, 3), rng.uniform(0.0, 2 * np.pi, 3)
        waves += amplitude * np.sin(2 * np.pi * hertz * time[:, None] + phase)
    lean = gaussian_filter1d(np.stack([0 * time, -np.gradient(speed, time), lateral], axis=1), 12, axis=0)
    motion = waves * [0.003, 0.0016, 0.002] * liveliness[:, None] + lean * [0.0, 0.006, 0.007]
    return config.suspension * motion
