# SPDX-FileCopyrightText: The Mem4Nav stack developers
# SPDX-License-Identifier: Apache-2.0
"""Rotations as the filter and the kernels need them: one vector at a time, compiled.

``Exp`` maps a rotation vector (radians) to a matrix, ``Log`` back; R <- R Exp(d) is the error convention.
"""

from __future__ import annotations

import math

import numpy as np
from numba import njit
from numpy.typing import NDArray


@njit(cache=True)
def skew(v: NDArray[np.float64]) -> NDArray[np.float64]:
    """(3, 3) matrix [v]x with [v]x u = v x u."""
    return np.array([[0.0, -v[2], v[1]], [v[2], 0.0, -v[0]], [-v[1], v[0], 0.0]])


@njit(cache=True)
def exp(v: NDArray[np.float64]) -> NDArray[np.float64]:
    """(3, 3) rotation by |v| radians about v (Rodrigues' formula)."""
    angle2 = v[0] * v[0] + v[1] * v[1] + v[2] * v[2]
    if angle2 < 1e-12:
        a, b = 1.0 - angle2 / 6.0, 0.5 - angle2 / 24.0
    else:
        angle = math.sqrt(angle2)
        a, b = math.sin(angle) / angle, (1.0 - math.cos(angle)) / angle2
    K = skew(v)
    return np.eye(3) + a * K + b * (K @ K)


@njit(cache=True)
def log(R: NDArray[np.float64]) -> NDArray[np.float64]:
    """(3,) rotation vector of R, norm in [0, pi]."""
    axis = np.array([R[2, 1] - R[1, 2], R[0, 2] - R[2, 0], R[1, 0] - R[0, 1]])
    sine = 0.5 * math.sqrt(axis[0] ** 2 + axis[1] ** 2 + axis[2] ** 2)
    angle = math.atan2(sine, 0.5 * (R[0, 0] + R[1, 1] + R[2, 2] - 1.0))
    if sine > 1e-6:
        return axis * (0.5 * angle / sine)
    if angle < 1.0:
        return 0.5 * axis
    return _log_near_pi(R, angle)


@njit(cache=True)
def _log_near_pi(R: NDArray[np.float64], angle: float) -> NDArray[np.float64]:
    """At half a turn R + I = 2 a a^T: the longest column is the axis."""
    best = 0
    for k in range(1, 3):
        if R[k, k] > R[best, best]:
            best = k
    column = R[:, best].copy()
    column[best] += 1.0
    return column * (angle / math.sqrt(column[0] ** 2 + column[1] ** 2 + column[2] ** 2))


@njit(cache=True)
def orthonormalised(R: NDArray[np.float64]) -> NDArray[np.float64]:
    """The rotation after one Gram-Schmidt step: removes the rounding that many products leave."""
    x = R[:, 0] / math.sqrt(R[0, 0] ** 2 + R[1, 0] ** 2 + R[2, 0] ** 2)
    y = R[:, 1] - x * (x[0] * R[0, 1] + x[1] * R[1, 1] + x[2] * R[2, 1])
    y = y / math.sqrt(y[0] ** 2 + y[1] ** 2 + y[2] ** 2)
    out = np.empty((3, 3))
    out[:, 0], out[:, 1] = x, y
    out[0, 2] = x[1] * y[2] - x[2] * y[1]
    out[1, 2] = x[2] * y[0] - x[0] * y[2]
    out[2, 2] = x[0] * y[1] - x[1] * y[0]
    return out
