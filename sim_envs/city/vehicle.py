# SPDX-FileCopyrightText: The Mem4Nav stack developers
# SPDX-License-Identifier: Apache-2.0
"""A vehicle on the town's ground that follows commanded speeds, its motion smooth enough for an IMU."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike, NDArray

from sim_envs.city.motion import SplineMotion, State, fit_motion
from sim_envs.city.terrain import Terrain
from sim_envs.errors import SimConfigError

_KNOT_S = 0.01
_AHEAD_S = 0.1
_BEHIND_S = 0.5


@dataclass(frozen=True, slots=True)
class VehicleConfig:
    """What a vehicle can do; it turns by any rate at any speed, as one with two driven sides does.

    Attributes:
        top_speed: m/s, forwards and (a quarter of it) backwards.
        top_turn_rate: rad/s.
        acceleration: along the way, m/s^2.
        braking: along the way, m/s^2.
        turn_acceleration: rad/s^2.
        response_s: time constant of drive and steering; a command begins to act 0.1 s after it was given.
        length_m, width_m: of its outline.
        rear_m: how far the outline reaches behind base_link.
    """

    top_speed: float = 8.0
    top_turn_rate: float = 1.0
    acceleration: float = 1.8
    braking: float = 3.5
    turn_acceleration: float = 2.0
    response_s: float = 0.08
    length_m: float = 3.6
    width_m: float = 1.8
    rear_m: float = 0.7

    def __post_init__(self) -> None:
        if min(self.top_speed, self.acceleration, self.braking, self.turn_acceleration, self.response_s) <= 0.0:
            raise SimConfigError(
                f"top_speed {self.top_speed}, acceleration {self.acceleration}, braking {self.braking}, "
                f"turn_acceleration {self.turn_acceleration}, response_s {self.response_s}: all must be positive"
            )


class Vehicle:
    """A ``Motion`` that grows: known from half a second before the last step up to that step's end.

    Args:
        config: what it can do.
        terrain: what it stands on.
        start: x, y (metres, map) and yaw (radians) of base_link, at rest.
    """

    def __init__(self, config: VehicleConfig, terrain: Terrain, start: ArrayLike) -> None:
        self._config, self._terrain = config, terrain
        x, y, yaw = np.asarray(start, float)
        # Rows of knots: x, y, yaw. Before the start it stood there.
        self._knots = np.tile([x, y, yaw], (round((_BEHIND_S + _AHEAD_S) / _KNOT_S) + 1, 1))
        self._wanted, self._slow, self._now = np.zeros(2), np.zeros(2), np.zeros(2)
        self._first_s = -_BEHIND_S
        self._duration_s = 0.0
        self._spline = self._fitted()

    @property
    def duration_s(self) -> float:
        """The end of the last step."""
        return self._duration_s

    def advance(self, speed: float, turn_rate: float, seconds: float) -> None:
        """Move on for some seconds towards a speed (m/s) and a turn rate (rad/s)."""
        c = self._config
        count = round(seconds / _KNOT_S)
        target = np.array([
            np.clip(speed, -0.25 * c.top_speed, c.top_speed), np.clip(turn_rate, -c.top_turn_rate, c.top_turn_rate)
        ])  # fmt: skip
        rows = [self._knots[-1]]
        for _ in range(count):
            rows.append(self._moved(rows[-1], target))
        keep = round((_BEHIND_S + _AHEAD_S + seconds) / _KNOT_S) + 1
        knots = np.concatenate([self._knots, rows[1:]])
        self._first_s += _KNOT_S * max(0, len(knots) - keep)
        self._knots = knots[-keep:]
        self._duration_s += count * _KNOT_S
        self._spline = self._fitted()

    def at(self, time_s: ArrayLike) -> State:
        """State at (N,) times."""
        time = np.atleast_1d(np.asarray(time_s, float))
        state = self._spline.at(time - self._first_s)
        return State(
            time, state.position, state.rotation, state.velocity, state.acceleration, state.angular_rate,
            state.angular_acceleration,
        )  # fmt: skip

    def pose(self, time_s: ArrayLike) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
        """(N, 3, 3) rotations and (N, 3) positions at (N,) times."""
        return self._spline.pose(np.atleast_1d(np.asarray(time_s, float)) - self._first_s)

    def outline(self, time_s: float) -> NDArray[np.float64]:
        """(4, 2) corners on the plan, counter-clockwise, metres in map."""
        c = self._config
        rotation, position = self.pose(time_s)
        front, half = c.length_m - c.rear_m, 0.5 * c.width_m
        corners = np.array([[front, -half], [front, half], [-c.rear_m, half], [-c.rear_m, -half]])
        return position[0, :2] + corners @ rotation[0, :2, :2].T

    def _moved(self, knot: NDArray[np.float64], target: NDArray[np.float64]) -> NDArray[np.float64]:
        """One knot on: the command within its limits, then twice a first-order lag, so that forces are continuous."""
        c = self._config
        slowing = abs(target[0]) < abs(self._wanted[0]) or target[0] * self._wanted[0] < 0.0
        limit = np.array([c.braking if slowing else c.acceleration, c.turn_acceleration]) * _KNOT_S
        self._wanted = self._wanted + np.clip(target - self._wanted, -limit, limit)
        share = 1.0 - np.exp(-_KNOT_S / c.response_s)
        self._slow = self._slow + share * (self._wanted - self._slow)
        before, self._now = self._now, self._now + share * (self._slow - self._now)
        speed, rate = 0.5 * (before + self._now)
        middle = knot[2] + 0.5 * rate * _KNOT_S
        return knot + _KNOT_S * np.array([speed * np.cos(middle), speed * np.sin(middle), rate])

    def _fitted(self) -> SplineMotion:
        """Splines through the knots, on the ground and leaning with it."""
        x, y, yaw = self._knots.T
        slope = self._terrain.gradient(x, y)
        ahead = slope[:, 0] * np.cos(yaw) + slope[:, 1] * np.sin(yaw)
        left = slope[:, 1] * np.cos(yaw) - slope[:, 0] * np.sin(yaw)
        pitch = -np.arctan(ahead)
        roll = np.arctan(left * np.cos(pitch))
        time = _KNOT_S * np.arange(len(x))
        return fit_motion(time, np.column_stack([x, y, self._terrain.height(x, y), yaw, pitch, roll]))
