# SPDX-FileCopyrightText: The Mem4Nav stack developers
# SPDX-License-Identifier: Apache-2.0
"""The iterated error-state Kalman filter on SO(3) x R^16 (Xu et al. 2022, FAST-LIO2; Zhu et al. 2025, GS-LIVO).

Error order: [theta 0:3, position 3:6, inverse exposure 6, velocity 7:10, gyro bias 10:13, accelerometer bias
13:16, gravity 16:19]; R <- R Exp(theta), the rest adds. Body frame: the IMU's, or the LiDAR's where there is none.
"""

from __future__ import annotations

from dataclasses import dataclass, field

import numpy as np
from numba import njit
from numpy.typing import NDArray

from slam import so3

THETA, POS, TAU, VEL, BG, BA, GRAV = (
    slice(0, 3), slice(3, 6), slice(6, 7), slice(7, 10), slice(10, 13), slice(13, 16), slice(16, 19),
)  # fmt: skip
SIZE = 19


@dataclass(slots=True)
class FilterState:
    """Mean and covariance at one instant.

    Attributes:
        stamp_ns: the instant.
        R: (3, 3) body into odom. position, velocity: (3,) of the body in odom, m and m/s.
        bg, ba: (3,) biases, rad/s and m/s^2. Without a gyroscope ``-bg`` is the turn rate itself.
        gravity: (3,) in odom, m/s^2. tau: inverse exposure of the camera, relative.
        P: (19, 19) covariance of the error.
    """

    stamp_ns: int
    R: NDArray[np.float64] = field(default_factory=lambda: np.eye(3))
    position: NDArray[np.float64] = field(default_factory=lambda: np.zeros(3))
    velocity: NDArray[np.float64] = field(default_factory=lambda: np.zeros(3))
    bg: NDArray[np.float64] = field(default_factory=lambda: np.zeros(3))
    ba: NDArray[np.float64] = field(default_factory=lambda: np.zeros(3))
    gravity: NDArray[np.float64] = field(default_factory=lambda: np.array([0.0, 0.0, -9.81]))
    tau: float = 1.0
    P: NDArray[np.float64] = field(default_factory=lambda: np.eye(SIZE) * 1e-4)

    def copy(self) -> FilterState:
        """An independent copy."""
        arrays = (self.R, self.position, self.velocity, self.bg, self.ba, self.gravity)
        return FilterState(self.stamp_ns, *(a.copy() for a in arrays), self.tau, self.P.copy())

    def transformed(self, T_new_odom: NDArray[np.float64]) -> FilterState:
        """The same state seen from another world frame (4, 4); the covariance is carried over."""
        R, moved = T_new_odom[:3, :3], self.copy()
        moved.R, moved.position = R @ self.R, R @ self.position + T_new_odom[:3, 3]
        moved.velocity, moved.gravity = R @ self.velocity, R @ self.gravity
        return moved

    def plus(self, d: NDArray[np.float64]) -> FilterState:
        """The state moved by the error (19,); the covariance is carried over."""
        return FilterState(
            self.stamp_ns,
            so3.orthonormalised(self.R @ so3.exp(d[THETA])),
            self.position + d[POS],
            self.velocity + d[VEL],
            self.bg + d[BG],
            self.ba + d[BA],
            self.gravity + d[GRAV],
            self.tau + float(d[6]),
            self.P,
        )

    def minus(self, other: FilterState) -> NDArray[np.float64]:
        """(19,) error d with other.plus(d) = self."""
        d = np.empty(SIZE)
        d[THETA] = so3.log(other.R.T @ self.R)
        d[POS], d[6], d[VEL] = self.position - other.position, self.tau - other.tau, self.velocity - other.velocity
        d[BG], d[BA], d[GRAV] = self.bg - other.bg, self.ba - other.ba, self.gravity - other.gravity
        return d


@dataclass(frozen=True, slots=True)
class Path:
    """Body poses along a prediction, from the state before to its end.

    Attributes:
        stamps_ns: (K,) int64 rising; R: (K, 3, 3); position: (K, 3), in odom, before any update.
        gyro: (K - 1, 3) turn rate within each step, rad/s, body frame, biases removed.
        velocity: (K, 3) in odom.
    """

    stamps_ns: NDArray[np.int64]
    R: NDArray[np.float64]
    position: NDArray[np.float64]
    velocity: NDArray[np.float64]
    gyro: NDArray[np.float64]


@dataclass(frozen=True, slots=True)
class Steps:
    """Inputs of a prediction, one row a step.

    Attributes:
        stamps_ns: (K,) int64 ends of the steps, the first is where the state stands.
        gyro: (K - 1, 3) mean measured turn rate, rad/s; accel: (K - 1, 3) mean specific force, m/s^2.
        use_gyro: (K - 1,) bool: false where ``gyro`` is a guess of the turn rate (plus the bias), not a reading.
        use_accel: (K - 1,) bool: false holds the velocity in the body frame (constant twist) instead.
        density: (K - 1, 4) noise densities of turn rate (rad/s/sqrt(Hz)), velocity (m/s^2/sqrt(Hz)), gyro bias and
            accelerometer bias (per second, /sqrt(Hz)).
    """

    stamps_ns: NDArray[np.int64]
    gyro: NDArray[np.float64]
    accel: NDArray[np.float64]
    use_gyro: NDArray[np.bool_]
    use_accel: NDArray[np.bool_]
    density: NDArray[np.float64]


@njit(cache=True)
def _transition(R, R_new, v, accel, dt, use_gyro, use_accel):
    """F of one step (GS-LIVO, propagation), from the state before it."""
    F = np.eye(19)
    F[0:3, 0:3] = R_new.T @ R
    F[3:6, 7:10] = np.eye(3) * dt
    if use_gyro:
        F[0:3, 10:13] = np.eye(3) * -dt
    if use_accel:
        F[7:10, 0:3] = -(R @ so3.skew(accel)) * dt
        F[7:10, 13:16] = -R * dt
        F[7:10, 16:19] = np.eye(3) * dt
    else:
        F[7:10, 7:10] = R_new @ R.T
        if use_gyro:
            F[7:10, 10:13] = so3.skew(v) @ R * dt
    return F


@njit(cache=True)
def _integrate(
    seconds, gyro, accel, use_gyro, use_accel, density, tau_density, R, p, v, bg, ba, g, P, out_R, out_p, out_v
):
    out_R[0], out_p[0], out_v[0] = R, p, v
    for k in range(len(seconds)):
        dt = seconds[k]
        w, a = gyro[k] - bg, accel[k] - ba
        R_new = R @ so3.exp(w * dt)
        if use_accel[k]:
            middle = R @ so3.exp(w * (0.5 * dt))
            acceleration = middle @ a + g
            v_new = v + acceleration * dt
            p = p + v * dt + acceleration * (0.5 * dt * dt)
        else:
            v_new = R_new @ (R.T @ v)
            p = p + (v + v_new) * (0.5 * dt)
        F = _transition(R, R_new, v, a, dt, use_gyro[k], use_accel[k])
        P = F @ P @ F.T
        for i in range(3):
            P[i, i] += density[k, 0] ** 2 * dt
            P[7 + i, 7 + i] += density[k, 1] ** 2 * dt
            P[10 + i, 10 + i] += density[k, 2] ** 2 * dt
            P[13 + i, 13 + i] += density[k, 3] ** 2 * dt
        P[6, 6] += tau_density**2 * dt
        R, v = so3.orthonormalised(R_new), v_new
        out_R[k + 1], out_p[k + 1], out_v[k + 1] = R, p, v
    return P


def predict(state: FilterState, steps: Steps, tau_density: float = 0.0) -> tuple[FilterState, Path]:
    """Carry mean and covariance along ``steps``; returns the state at their end and the poses on the way."""
    n = len(steps.stamps_ns)
    out_R, out_p, out_v = np.empty((n, 3, 3)), np.empty((n, 3)), np.empty((n, 3))
    P = _integrate(
        np.diff(steps.stamps_ns) * 1e-9, steps.gyro, steps.accel, steps.use_gyro, steps.use_accel, steps.density,
        tau_density,
        state.R, state.position, state.velocity, state.bg, state.ba, state.gravity, state.P, out_R, out_p, out_v,
    )  # fmt: skip
    end = state.copy()
    end.stamp_ns, end.R, end.position, end.velocity, end.P = (
        int(steps.stamps_ns[-1]),
        out_R[-1],
        out_p[-1],
        out_v[-1],
        P,
    )
    return end, Path(steps.stamps_ns, out_R, out_p, out_v, steps.gyro - state.bg)


def gain(P: NDArray[np.float64], information: NDArray[np.float64]) -> tuple[NDArray, NDArray]:
    """K1 (19, n) and G = K1 H^T R^-1 H (19, n) of a measurement that sees the first n errors alone.

    K1 = (H^T R^-1 H + P^-1)^-1 in its first n columns, through an n x n system, so that P is never inverted. n is 6
    for the LiDAR (theta, position) and 7 for the camera (inverse exposure too).
    """
    n = len(information)
    K = np.linalg.solve((np.eye(n) + information @ P[:n, :n]).T, P[:, :n].T).T
    return K, K @ information


def correction(state: FilterState, prior: FilterState, information, vector) -> NDArray[np.float64]:
    """(19,) step of the iterated update at ``state``: K1 H^T R^-1 z + (I - G)(prior [-] state)."""
    K, G = gain(prior.P, information)
    back = prior.minus(state)
    return K @ vector + back - G @ back[: len(vector)]


def posterior(P: NDArray[np.float64], information: NDArray[np.float64]) -> NDArray[np.float64]:
    """P <- (I - G) P, kept symmetric."""
    _, G = gain(P, information)
    P = P - G @ P[: len(information)]
    return 0.5 * (P + P.T)
