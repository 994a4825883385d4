# SPDX-FileCopyrightText: The Mem4Nav stack developers
# SPDX-License-Identifier: Apache-2.0
"""Vectors of three numbers and matrices of three rows as tuples: compiled, they live in registers, as arrays do not."""

from __future__ import annotations

import math

import numpy as np
from numba import njit

Vector = tuple[float, float, float]
Rows = tuple[Vector, Vector, Vector]

KERNEL = {"cache": True, "nogil": True, "error_model": "numpy"}
"""How kernels are compiled."""


@njit(**KERNEL)
def taken(array, i):
    """Row i of an (N, 3) array."""
    return np.float64(array[i, 0]), np.float64(array[i, 1]), np.float64(array[i, 2])


@njit(**KERNEL)
def put(array, i, a):
    """Overwrite row i of an (N, 3) array."""
    array[i, 0], array[i, 1], array[i, 2] = a


@njit(**KERNEL)
def dot(a, b):
    return a[0] * b[0] + a[1] * b[1] + a[2] * b[2]


@njit(**KERNEL)
def cross(a, b):
    return a[1] * b[2] - a[2] * b[1], a[2] * b[0] - a[0] * b[2], a[0] * b[1] - a[1] * b[0]


@njit(**KERNEL)
def plus(a, b):
    return a[0] + b[0], a[1] + b[1], a[2] + b[2]


@njit(**KERNEL)
def times(factor, a):
    return factor * a[0], factor * a[1], factor * a[2]


@njit(**KERNEL)
def turned(R, a):
    """R a."""
    return dot(R[0], a), dot(R[1], a), dot(R[2], a)


@njit(**KERNEL)
def turned_back(R, a):
    """R^T a."""
    return plus(plus(times(a[0], R[0]), times(a[1], R[1])), times(a[2], R[2]))


@njit(**KERNEL)
def unit_quaternion(quats, i):
    """Row i normalised, and the inverse of its length; not finite for a zero quaternion."""
    x, y, z, w = np.float64(quats[i, 0]), np.float64(quats[i, 1]), np.float64(quats[i, 2]), np.float64(quats[i, 3])
    length = math.sqrt(x * x + y * y + z * z + w * w)
    inverse = 1.0 / length if length > 0.0 else np.nan
    return x * inverse, y * inverse, z * inverse, w * inverse, inverse


@njit(**KERNEL)
def columns_of(x, y, z, w):
    """The columns of a unit quaternion's rotation."""
    return (
        (1 - 2 * (y * y + z * z), 2 * (x * y + w * z), 2 * (x * z - w * y)),
        (2 * (x * y - w * z), 1 - 2 * (x * x + z * z), 2 * (y * z + w * x)),
        (2 * (x * z + w * y), 2 * (y * z - w * x), 1 - 2 * (x * x + y * y)),
    )
