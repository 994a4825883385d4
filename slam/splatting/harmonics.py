# SPDX-FileCopyrightText: The Mem4Nav stack developers
# SPDX-License-Identifier: Apache-2.0
"""Real spherical harmonics of degree 0 to 3 as polynomials of a unit direction, with their slopes (Sloan 2013).

Signs and order are those of 3D Gaussian splatting, so that its PLY files mean the same here.
"""

from __future__ import annotations

from numba import njit

from slam.splatting.gaussians import C0

C1 = 0.4886025119029199
C2 = (1.0925484305920792, 0.31539156525252005, 0.5462742152960396)
C3 = (0.5900435899266435, 2.890611442640554, 0.4570457994644658, 0.3731763325901154, 1.445305721320277)

COUNTS = (1, 4, 9, 16)
"""Coefficients of degree 0, 1, 2, 3."""


@njit(cache=True, nogil=True, error_model="numpy")
def bases(x, y, z, count, out):
    """Fill ``out[:count]`` with Y_k at the unit direction (x, y, z); count is one of ``COUNTS``."""
    out[0] = C0
    if count >= 4:
        out[1], out[2], out[3] = -C1 * y, C1 * z, -C1 * x
    if count >= 9:
        out[4], out[5] = C2[0] * x * y, -C2[0] * y * z
        out[6] = C2[1] * (2.0 * z * z - x * x - y * y)
        out[7], out[8] = -C2[0] * x * z, C2[2] * (x * x - y * y)
    if count >= 16:
        out[9], out[10] = -C3[0] * y * (3.0 * x * x - y * y), C3[1] * x * y * z
        out[11] = -C3[2] * y * (4.0 * z * z - x * x - y * y)
        out[12] = C3[3] * z * (2.0 * z * z - 3.0 * x * x - 3.0 * y * y)
        out[13] = -C3[2] * x * (4.0 * z * z - x * x - y * y)
        out[14], out[15] = C3[4] * z * (x * x - y * y), -C3[0] * x * (x * x - 3.0 * y * y)


@njit(cache=True, nogil=True, error_model="numpy")
def slopes(x, y, z, weights):
    """Gradient by (x, y, z) of sum over k of weights_k Y_k, the polynomials taken off the sphere as they stand.

    ``weights`` (K,) float64 with K one of ``COUNTS``; returns three numbers.
    """
    w, count = weights, len(weights)
    gx, gy, gz = 0.0, 0.0, 0.0
    if count >= 4:
        gx, gy, gz = -C1 * w[3], -C1 * w[1], C1 * w[2]
    if count >= 9:
        gx += C2[0] * (y * w[4] - z * w[7]) + 2.0 * x * (C2[2] * w[8] - C2[1] * w[6])
        gy += C2[0] * (x * w[4] - z * w[5]) - 2.0 * y * (C2[2] * w[8] + C2[1] * w[6])
        gz += 4.0 * C2[1] * z * w[6] - C2[0] * (y * w[5] + x * w[7])
    if count >= 16:
        cx, cy, cz = _cubic_slopes(x, y, z, w)
        gx, gy, gz = gx + cx, gy + cy, gz + cz
    return gx, gy, gz


@njit(cache=True, nogil=True, error_model="numpy")
def _cubic_slopes(x, y, z, w):
    """The share of degree 3."""
    xx, yy, zz, xy, xz, yz = x * x, y * y, z * z, x * y, x * z, y * z
    gx = -C3[0] * (6.0 * xy * w[9] + 3.0 * (xx - yy) * w[15]) + C3[1] * yz * w[10] + 2.0 * C3[4] * xz * w[14]
    gx += C3[2] * (2.0 * xy * w[11] - (4.0 * zz - 3.0 * xx - yy) * w[13]) - 6.0 * C3[3] * xz * w[12]
    gy = -C3[0] * (3.0 * (xx - yy) * w[9] - 6.0 * xy * w[15]) + C3[1] * xz * w[10] - 2.0 * C3[4] * yz * w[14]
    gy += C3[2] * (2.0 * xy * w[13] - (4.0 * zz - xx - 3.0 * yy) * w[11]) - 6.0 * C3[3] * yz * w[12]
    gz = C3[1] * xy * w[10] - 8.0 * C3[2] * (yz * w[11] + xz * w[13]) + C3[4] * (xx - yy) * w[14]
    gz += C3[3] * (6.0 * zz - 3.0 * xx - 3.0 * yy) * w[12]
    return gx, gy, gz


@njit(cache=True, nogil=True, error_model="numpy")
def to_unit(x, y, z):
    """The direction of a vector, and the inverse of its length (0 for the zero vector)."""
    length = (x * x + y * y + z * z) ** 0.5
    inverse = 1.0 / length if length > 0.0 else 0.0
    return x * inverse, y * inverse, z * inverse, inverse


@njit(cache=True, nogil=True, error_model="numpy")
def through_unit(x, y, z, inverse, gx, gy, gz):
    """Gradient by a vector from the gradient by its direction (x, y, z): (I - n n^T) g / length."""
    along = x * gx + y * gy + z * gz
    return (gx - along * x) * inverse, (gy - along * y) * inverse, (gz - along * z) * inverse
