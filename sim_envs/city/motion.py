# SPDX-FileCopyrightText: The Mem4Nav stack developers
# SPDX-License-Identifier: Apache-2.0
"""Rigid motion in continuous time: splines whose derivatives are exact."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Protocol

import numpy as np
from numpy.typing import ArrayLike, NDArray
from scipy.interpolate import BSpline, make_interp_spline


@dataclass(frozen=True, slots=True)
class State:
    """Motion of base_link in map at N times.

    Attributes:
        time_s: (N,) seconds since the drive's start.
        position: (N, 3) metres, map.
        rotation: (N, 3, 3) base_link into map.
        velocity: (N, 3) m/s, map.
        acceleration: (N, 3) m/s^2, map.
        angular_rate: (N, 3) rad/s, base_link.
        angular_acceleration: (N, 3) rad/s^2, base_link.
    """

    time_s: NDArray[np.float64]
    position: NDArray[np.float64]
    rotation: NDArray[np.float64]
    velocity: NDArray[np.float64]
    acceleration: NDArray[np.float64]
    angular_rate: NDArray[np.float64]
    angular_acceleration: NDArray[np.float64]


class Motion(Protocol):
    """Anything that says where base_link is at any time."""

    @property
    def duration_s(self) -> float:
        """It is defined from 0 to this time."""
        ...

    def at(self, time_s: ArrayLike) -> State:
        """State at (N,) times."""
        ...

    def pose(self, time_s: ArrayLike) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
        """(N, 3, 3) rotations and (N, 3) positions at (N,) times, without the derivatives."""
        ...


@dataclass(frozen=True, slots=True)
class SplineMotion:
    """Quintic splines in time for x, y, z, yaw, pitch, roll; R = Rz(yaw) Ry(pitch) Rx(roll).

    Attributes:
        spline: values (6,) over seconds.
        duration_s: it is defined from 0 to this time.
    """

    spline: BSpline
    duration_s: float

    def at(self, time_s: ArrayLike) -> State:
        """State at (N,) times, all derivatives those of the splines."""
        time = np.atleast_1d(np.asarray(time_s, float))
        value, first, second = (self.spline(time, nu=order) for order in range(3))
        rate, angular = _angular(value[:, 3:], first[:, 3:], second[:, 3:])
        rotation = euler_rotation(*value[:, 3:].T)
        return State(time, value[:, :3], rotation, first[:, :3], second[:, :3], rate, angular)

    def pose(self, time_s: ArrayLike) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
        """(N, 3, 3) rotations and (N, 3) positions at (N,) times."""
        value = self.spline(np.atleast_1d(np.asarray(time_s, float)))
        return euler_rotation(*value[:, 3:].T), value[:, :3]


def fit_motion(time_s: NDArray[np.float64], values: NDArray[np.float64]) -> SplineMotion:
    """Splines through (N, 6) samples of x, y, z, yaw (unwrapped), pitch, roll."""
    return SplineMotion(make_interp_spline(time_s, values, k=5), float(time_s[-1]))


def euler_rotation(yaw: ArrayLike, pitch: ArrayLike, roll: ArrayLike) -> NDArray[np.float64]:
    """(..., 3, 3) Rz(yaw) Ry(pitch) Rx(roll)."""
    cy, sy = np.cos(yaw), np.sin(yaw)
    cp, sp = np.cos(pitch), np.sin(pitch)
    cr, sr = np.cos(roll), np.sin(roll)
    rows = [
        [cy * cp, cy * sp * sr - sy * cr, cy * sp * cr + sy * sr],
        [sy * cp, sy * sp * sr + cy * cr, sy * sp * cr - cy * sr],
        [-sp, cp * sr, cp * cr],
    ]
    return np.stack([np.stack(row, axis=-1) for row in rows], axis=-2)


def _angular(
    angle: NDArray[np.float64], first: NDArray[np.float64], second: NDArray[np.float64]
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Body rate and its time derivative from yaw, pitch, roll and their derivatives."""
    _, pitch, roll = angle.T
    dyaw, dpitch, droll = first.T
    ddyaw, ddpitch, ddroll = second.T
    cp, sp, cr, sr = np.cos(pitch), np.sin(pitch), np.cos(roll), np.sin(roll)
    rate = [droll - dyaw * sp, dpitch * cr + dyaw * cp * sr, dyaw * cp * cr - dpitch * sr]
    change = [
        ddroll - ddyaw * sp - dyaw * dpitch * cp,
        ddpitch * cr - dpitch * droll * sr + ddyaw * cp * sr + dyaw * (droll * cp * cr - dpitch * sp * sr),
        ddyaw * cp * cr - dyaw * (dpitch * sp * cr + droll * cp * sr) - ddpitch * sr - dpitch * droll * cr,
    ]
    return np.stack(rate, axis=-1), np.stack(change, axis=-1)


@dataclass(frozen=True, slots=True)
class Kidnapped:
    """A motion that from some time on is displaced against its path; the jump itself has no duration.

    Before and after the jump all derivatives are those of the body where it is, so an IMU feels
    the displaced body's motion but not the jump.

    Attributes:
        path: the motion as planned.
        time_s: when the displacement begins.
        offset: (3,) displacement in the planned base_link frame, metres.
        rotation: (3, 3) displaced base_link into planned base_link.
    """

    path: Motion
    time_s: float
    offset: NDArray[np.float64]
    rotation: NDArray[np.float64]

    @property
    def duration_s(self) -> float:
        """As planned."""
        return self.path.duration_s

    def at(self, time_s: ArrayLike) -> State:
        """State at (N,) times."""
        plan = self.path.at(time_s)
        moved = carried(plan, self.offset, self.rotation)
        late = plan.time_s >= self.time_s
        fields = ("position", "rotation", "velocity", "acceleration", "angular_rate", "angular_acceleration")
        picked = {}
        for name in fields:
            a, b = getattr(moved, name), getattr(plan, name)
            picked[name] = np.where(late.reshape(-1, *[1] * (a.ndim - 1)), a, b)
        return State(plan.time_s, **picked)

    def pose(self, time_s: ArrayLike) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
        """(N, 3, 3) rotations and (N, 3) positions at (N,) times."""
        rotation, position = self.path.pose(time_s)
        late = np.atleast_1d(np.asarray(time_s, float)) >= self.time_s
        moved = position + rotation @ self.offset
        return np.where(late[:, None, None], rotation @ self.rotation, rotation), np.where(
            late[:, None], moved, position
        )


def carried(body: State, offset: NDArray[np.float64], rotation: NDArray[np.float64]) -> State:
    """Motion of a frame fixed to the body at ``offset`` (3,), turned by ``rotation`` (frame into body)."""
    rate, change = body.angular_rate, body.angular_acceleration
    swing = np.cross(rate, offset)
    pull = np.cross(change, offset) + np.cross(rate, swing)
    turn = body.rotation
    return State(
        body.time_s,
        body.position + turn @ offset,
        turn @ rotation,
        body.velocity + np.einsum("nij,nj->ni", turn, swing),
        body.acceleration + np.einsum("nij,nj->ni", turn, pull),
        rate @ rotation,
        change @ rotation,
    )
