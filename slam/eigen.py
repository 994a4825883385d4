# SPDX-FileCopyrightText: The Mem4Nav stack developers
# SPDX-License-Identifier: Apache-2.0
"""Eigenvalues and eigenvectors of symmetric 3 x 3 matrices, in closed form, compiled."""

from __future__ import annotations

import math

from numba import njit


@njit(cache=True)
def eigenvalues(xx, xy, xz, yy, yz, zz):
    """Ascending eigenvalues of [[xx, xy, xz], [xy, yy, yz], [xz, yz, zz]] (Smith 1961, trigonometric)."""
    mean = (xx + yy + zz) / 3.0
    off = xy * xy + xz * xz + yz * yz
    p = math.sqrt(((xx - mean) ** 2 + (yy - mean) ** 2 + (zz - mean) ** 2 + 2.0 * off) / 6.0)
    if p < 1e-300:
        return mean, mean, mean
    a, b, c = (xx - mean) / p, (yy - mean) / p, (zz - mean) / p
    d, e, f = xy / p, xz / p, yz / p
    half_det = 0.5 * (a * (b * c - f * f) - d * (d * c - f * e) + e * (d * f - b * e))
    angle = math.acos(min(1.0, max(-1.0, half_det))) / 3.0
    high = mean + 2.0 * p * math.cos(angle)
    low = mean + 2.0 * p * math.cos(angle + 2.0943951023931953)
    return low, 3.0 * mean - low - high, high


@njit(cache=True)
def eigenvector(xx, xy, xz, yy, yz, zz, value):
    """Unit eigenvector of a simple eigenvalue: the longest cross product of two rows of M - value I.

    Returns (0, 0, 0) where the eigenvalue is (nearly) repeated and the direction undefined.
    """
    a, b, c = xx - value, yy - value, zz - value
    x0, y0, z0 = xy * yz - xz * b, xz * xy - a * yz, a * b - xy * xy
    x1, y1, z1 = xy * c - xz * yz, xz * xz - a * c, a * yz - xy * xz
    x2, y2, z2 = b * c - yz * yz, yz * xz - xy * c, xy * yz - b * xz
    n0, n1, n2 = x0 * x0 + y0 * y0 + z0 * z0, x1 * x1 + y1 * y1 + z1 * z1, x2 * x2 + y2 * y2 + z2 * z2
    if n1 > n0:
        x0, y0, z0, n0 = x1, y1, z1, n1
    if n2 > n0:
        x0, y0, z0, n0 = x2, y2, z2, n2
    if n0 <= 1e-28 * (abs(a) + abs(b) + abs(c)) ** 4:
        return 0.0, 0.0, 0.0
    scale = 1.0 / math.sqrt(n0)
    return x0 * scale, y0 * scale, z0 * scale
