# SPDX-FileCopyrightText: The Mem4Nav stack developers
# SPDX-License-Identifier: Apache-2.0
"""The way back of ``slam.splatting.projection``: from sums over a splat's pixels to parameters and the pose.

With h = (dL/da) a at a pixel, d its offset from the splat's centre and K = C^-1: dL/dcentre = K sum h d and
dL/dC = K (sum h d d^T) K / 2; the rest is the chain rule through J V, exp, the quaternion and the harmonics.
"""

from __future__ import annotations

import math

import numpy as np
from numba import njit
from numpy.typing import NDArray

from slam.splatting import harmonics
from slam.splatting.gaussians import Gaussians
from slam.splatting.projection import (
    KERNEL,
    OPACITY,
    PART,
    RED,
    Pinhole,
    Splats,
    look,
    new_bench,
    shape,
    slants,
    thinnest,
    unit_quaternion,
)
from slam.splatting.view import View

H, H_X, H_Y, H_XX, H_XY, H_YY = 0, 1, 2, 3, 4, 5
VALUES = 6
"""Columns of the sums over a splat's pixels: h, h d, h d d^T; then weights times slopes of colour, offset, normal."""

COLUMNS = 13


@njit(**PART)
def _to_covariance(s, xx, xy, yy):
    """dL/dcentre (2) and the symmetric dL/dC (xx, xy, yy)."""
    inverse = 1.0 / (xx * yy - xy * xy)
    a, b, c = yy * inverse, -xy * inverse, xx * inverse
    p, q = s[H_XX] * a + s[H_XY] * b, s[H_XX] * b + s[H_XY] * c
    r, t = s[H_XY] * a + s[H_YY] * b, s[H_XY] * b + s[H_YY] * c
    along = 0.5 * (a * p + b * r), 0.5 * (a * q + b * t), 0.5 * (b * q + c * t)
    return a * s[H_X] + b * s[H_Y], b * s[H_X] + c * s[H_Y], along


@njit(**PART)
def _through_footprint(lens, b, gu, gv, G, d_mean, d_spread):
    """To the mean (camera frame) and to the scaled axes V, from those of the centre and of C."""
    z = b.mean[2]
    a, c = slants(lens, b)
    sx, sy = lens.fx / z, lens.fy / z
    shrink, da, dc = 0.0, 0.0, 0.0
    for k in range(3):
        p, q = b.flat[0, k], b.flat[1, k]
        dp, dq = 2.0 * (G[0] * p + G[1] * q), 2.0 * (G[1] * p + G[2] * q)
        d_spread[0, k], d_spread[1, k] = sx * dp, sy * dq
        d_spread[2, k] = -sx * a * dp - sy * c * dq
        shrink += dp * p + dq * q
        da -= sx * b.spread[2, k] * dp
        dc -= sy * b.spread[2, k] * dq
    # Where J's slant is clamped it moves with nothing; the centre itself is never clamped.
    slant_x, slant_y = b.mean[0] / z, b.mean[1] / z
    dx = gu * lens.fx + (da if a == slant_x else 0.0)
    dy = gv * lens.fy + (dc if c == slant_y else 0.0)
    d_mean[0], d_mean[1] = dx / z, dy / z
    d_mean[2] = -(dx * slant_x + dy * slant_y + shrink) / z


@njit(**PART)
def _to_quaternion(quats, i, D, out):
    """From dL/dQ (3, 3) to the quaternion before it is normalised."""
    x, y, z, w, inverse = unit_quaternion(quats, i)
    xy, xz, yz = D[0, 1] + D[1, 0], D[0, 2] + D[2, 0], D[1, 2] + D[2, 1]
    ux, uy, uz = D[2, 1] - D[1, 2], D[0, 2] - D[2, 0], D[1, 0] - D[0, 1]
    gx = 2.0 * (y * xy + z * xz + w * ux - 2.0 * x * (D[1, 1] + D[2, 2]))
    gy = 2.0 * (x * xy + z * yz + w * uy - 2.0 * y * (D[0, 0] + D[2, 2]))
    gz = 2.0 * (x * xz + y * yz + w * uz - 2.0 * z * (D[0, 0] + D[1, 1]))
    gw = 2.0 * (x * ux + y * uy + z * uz)
    along = x * gx + y * gy + z * gz + w * gw
    out[i, 0], out[i, 1] = (gx - along * x) * inverse, (gy - along * y) * inverse
    out[i, 2], out[i, 3] = (gz - along * z) * inverse, (gw - along * w) * inverse


@njit(**PART)
def _through_plane(g, i, b, s, d_mean, d_axes):
    """From the normal n and the offset o = -n . m to the mean and to the axis that is the normal."""
    k, sign = thinnest(g, i, b)
    d_offset = sign * s[VALUES + 3]
    for row in range(3):
        d_mean[row] -= d_offset * b.axes[row, k]
        d_axes[row, k] += sign * s[VALUES + 4 + row] - d_offset * b.mean[row]


@njit(**PART)
def _to_axes(g, i, lens, b, s, d_mean, d_axes, out):
    """From dL/dV, in ``d_axes``, to scales; then to the axes and the mean, with the plane's share; the quaternion."""
    for k in range(3):
        stretch = 0.0
        for row in range(3):
            stretch += d_axes[row, k] * b.spread[row, k]
            d_axes[row, k] *= b.scales[k]
        out.log_scales[i, k] = stretch
    _through_plane(g, i, b, s, d_mean, d_axes)
    # The axes in the world are R^T those in the camera frame; b.spread has served and takes them.
    for column in range(3):
        dx, dy, dz = d_axes[0, column], d_axes[1, column], d_axes[2, column]
        for row in range(3):
            b.spread[row, column] = lens.R[0, row] * dx + lens.R[1, row] * dy + lens.R[2, row] * dz
    _to_quaternion(g.quats, i, b.spread, out.quats)


@njit(**PART)
def _to_harmonics(g, i, position, b, s, splat, weights, out):
    """To the coefficients; returns the gradient by the mean through the direction, in the world."""
    look(g, i, position, b)
    weights[:] = 0.0
    for channel in range(3):
        if splat[RED + channel] > 0.0:
            slope = s[VALUES + channel]
            for k in range(len(weights)):
                out.harmonics[i, k, channel] = slope * b.bases[k]
                weights[k] += slope * g.harmonics[i, k, channel]
    x, y, z, inverse = b.direction[0], b.direction[1], b.direction[2], b.direction[3]
    gx, gy, gz = harmonics.slopes(x, y, z, weights)
    return harmonics.through_unit(x, y, z, inverse, gx, gy, gz)


@njit(**PART)
def _to_pose(lens, b, d_mean, d_axes, world, pose):
    """p_C <- p_C + phi x p_C + rho turns the mean and the axes; rho moves the point that the harmonics look from."""
    m = b.mean
    pose[0] += m[1] * d_mean[2] - m[2] * d_mean[1]
    pose[1] += m[2] * d_mean[0] - m[0] * d_mean[2]
    pose[2] += m[0] * d_mean[1] - m[1] * d_mean[0]
    for k in range(3):
        u, d = b.axes[:, k], d_axes[:, k]
        pose[0] += u[1] * d[2] - u[2] * d[1]
        pose[1] += u[2] * d[0] - u[0] * d[2]
        pose[2] += u[0] * d[1] - u[1] * d[0]
        pose[3 + k] += d_mean[k] + lens.R[k, 0] * world[0] + lens.R[k, 1] * world[1] + lens.R[k, 2] * world[2]


@njit(**KERNEL)
def _pull_back(g, lens, rows, table, sums, out, pose, screen):
    """Fill the rows of ``out`` and ``screen``, and add to ``pose``."""
    b = new_bench()
    d_mean, d_axes, weights = np.empty(3), np.empty((3, 3)), np.empty(g.harmonics.shape[1])
    position = -(lens.R.T @ lens.t)
    for n in range(len(rows)):
        i, s = np.int64(rows[n]), sums[n]
        if not s.any():  # hidden behind others
            continue
        xx, xy, yy = shape(g, i, lens, b)
        gu, gv, G = _to_covariance(s, xx, xy, yy)
        screen[i] = math.sqrt(gu * gu + gv * gv)
        _through_footprint(lens, b, gu, gv, G, d_mean, d_axes)
        _to_axes(g, i, lens, b, s, d_mean, d_axes, out)
        out.logits[i] = s[H] * (1.0 - table[n, OPACITY])
        world = _to_harmonics(g, i, position, b, s, table[n], weights, out)
        for k in range(3):
            to_world = lens.R[0, k] * d_mean[0] + lens.R[1, k] * d_mean[1] + lens.R[2, k] * d_mean[2]
            out.means[i, k] = to_world + world[k]
        _to_pose(lens, b, d_mean, d_axes, world, pose)


def pull_back(
    gaussians: Gaussians, view: View, splats: Splats, sums: NDArray[np.float64]
) -> tuple[Gaussians, NDArray[np.float64], NDArray[np.float32]]:
    """Gradients by the parameters, by the pose [phi, rho] (6,) float64, and (N,) float32 norms by the centre, 1/px.

    Args:
        sums: (V, 13) float64 over each splat's pixels; see the column names of this module.
    """
    out = Gaussians.zeros(gaussians.size, gaussians.harmonics.shape[1])
    pose, screen = np.zeros(6), np.zeros(gaussians.size, np.float32)
    _pull_back(gaussians, Pinhole.of(view), splats.rows, splats.table, sums, out, pose, screen)
    return out, pose, screen
