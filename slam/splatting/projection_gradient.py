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
from slam.splatting.gaussians import C0, Gaussians
from slam.splatting.projection import (
    OPACITY,
    RED,
    Pinhole,
    Splats,
    direction,
    ellipsoid,
    flattened,
    footprint,
    slants,
    thinnest,
)
from slam.splatting.vectors import KERNEL, cross, dot, plus, put, times, turned, turned_back, unit_quaternion
from slam.splatting.view import View

H, H_X, H_Y, H_XX, H_XY, H_YY = 0, 1, 2, 3, 4, 5
VALUES = 6
"""Columns of the sums over a splat's pixels: h, h d, h d d^T; then weights times slopes of colour, offset, normal."""

COLUMNS = 13


@njit(**KERNEL)
def _to_covariance(s, xx, xy, yy):
    """dL/dcentre (2) and the symmetric dL/dC (xx, xy, yy)."""
    inverse = 1.0 / (xx * yy - xy * xy)
    a, b, c = yy * inverse, -xy * inverse, xx * inverse
    p, q = s[H_XX] * a + s[H_XY] * b, s[H_XX] * b + s[H_XY] * c
    r, t = s[H_XY] * a + s[H_YY] * b, s[H_XY] * b + s[H_YY] * c
    along = 0.5 * (a * p + b * r), 0.5 * (a * q + b * t), 0.5 * (b * q + c * t)
    return a * s[H_X] + b * s[H_Y], b * s[H_X] + c * s[H_Y], along


@njit(**KERNEL)
def _through_footprint(lens, e, along_u, along_v, gu, gv, G):
    """To the mean (camera frame) and to the scaled axes V, from those of the centre and of C."""
    z, (a, c) = e.mean[2], slants(lens, e.mean)
    sx, sy = lens.fx / z, lens.fy / z
    dp = plus(times(2.0 * G[0], along_u), times(2.0 * G[1], along_v))
    dq = plus(times(2.0 * G[1], along_u), times(2.0 * G[2], along_v))
    v0, v1, v2 = e.spread
    d_spread = (
        (sx * dp[0], sy * dq[0], -sx * a * dp[0] - sy * c * dq[0]),
        (sx * dp[1], sy * dq[1], -sx * a * dp[1] - sy * c * dq[1]),
        (sx * dp[2], sy * dq[2], -sx * a * dp[2] - sy * c * dq[2]),
    )
    deep = v0[2], v1[2], v2[2]
    shrink = dot(dp, along_u) + dot(dq, along_v)
    # Where J's slant is clamped it moves with nothing; the centre itself is never clamped.
    slant_x, slant_y = e.mean[0] / z, e.mean[1] / z
    dx = gu * lens.fx + (-sx * dot(deep, dp) if a == slant_x else 0.0)
    dy = gv * lens.fy + (-sy * dot(deep, dq) if c == slant_y else 0.0)
    return (dx / z, dy / z, -(dx * slant_x + dy * slant_y + shrink) / z), d_spread


@njit(**KERNEL)
def _to_quaternion(quats, i, d0, d1, d2, out):
    """From dL/dQ, by columns, to the quaternion before it is normalised."""
    x, y, z, w, inverse = unit_quaternion(quats, i)
    xy, xz, yz = d1[0] + d0[1], d2[0] + d0[2], d2[1] + d1[2]
    ux, uy, uz = d1[2] - d2[1], d2[0] - d0[2], d0[1] - d1[0]
    gx = 2.0 * (y * xy + z * xz + w * ux - 2.0 * x * (d1[1] + d2[2]))
    gy = 2.0 * (x * xy + z * yz + w * uy - 2.0 * y * (d0[0] + d2[2]))
    gz = 2.0 * (x * xz + y * yz + w * uz - 2.0 * z * (d0[0] + d1[1]))
    gw = 2.0 * (x * ux + y * uy + z * uz)
    along = x * gx + y * gy + z * gz + w * gw
    out[i, 0], out[i, 1] = (gx - along * x) * inverse, (gy - along * y) * inverse
    out[i, 2], out[i, 3] = (gz - along * z) * inverse, (gw - along * w) * inverse


@njit(**KERNEL)
def _through_plane(log_scales, i, e, s):
    """From the normal n and the offset o = -n . m: to the mean, to the axis that is the normal, and which that is."""
    k, normal, sign = thinnest(log_scales, i, e)
    d_offset, d_normal = s[VALUES + 3], (s[VALUES + 4], s[VALUES + 5], s[VALUES + 6])
    return times(-d_offset, normal), times(sign, plus(d_normal, times(-d_offset, e.mean))), k


@njit(**KERNEL)
def _axis_share(k, wanted, share, scale, d_spread):
    """dL/d(axis k) from dL/d(scaled axis k), and the plane's share where the axis is the normal."""
    d = times(scale, d_spread)
    return plus(d, share) if k == wanted else d


@njit(**KERNEL)
def _to_axes(log_scales, i, e, s, d_spread, out):
    """To the scales, from dL/dV; then to the mean by the plane, and to the axes."""
    put(out, i, (
        e.scales[0] * dot(d_spread[0], e.axes[0]), e.scales[1] * dot(d_spread[1], e.axes[1]),
        e.scales[2] * dot(d_spread[2], e.axes[2]),
    ))  # fmt: skip
    d_mean, share, normal = _through_plane(log_scales, i, e, s)
    d0 = _axis_share(0, normal, share, e.scales[0], d_spread[0])
    d1 = _axis_share(1, normal, share, e.scales[1], d_spread[1])
    return d_mean, (d0, d1, _axis_share(2, normal, share, e.scales[2], d_spread[2]))


@njit(**KERNEL)
def _to_harmonics(means, coefficients, i, lens, s, splat, bases, weights, out):
    """To the coefficients; returns the gradient by the mean through the direction, in the world."""
    count, (x, y, z, inverse) = len(weights), direction(means, i, lens)
    if count > 1:
        harmonics.bases(x, y, z, count, bases)
    weights[:] = 0.0
    for channel in range(3):
        if splat[RED + channel] > 0.0:
            slope = s[VALUES + channel]
            for k in range(count):
                out[i, k, channel] = slope * bases[k]
                weights[k] += slope * coefficients[i, k, channel]
    gx, gy, gz = harmonics.slopes(x, y, z, weights)
    return harmonics.through_unit(x, y, z, inverse, gx, gy, gz)


@njit(**KERNEL)
def _to_pose(lens, e, d_mean, d_axes, world):
    """p_C <- p_C + phi x p_C + rho turns the mean and the axes; rho moves the point that the harmonics look from."""
    phi = plus(cross(e.mean, d_mean), cross(e.axes[0], d_axes[0]))
    phi = plus(phi, plus(cross(e.axes[1], d_axes[1]), cross(e.axes[2], d_axes[2])))
    return phi, plus(d_mean, turned(lens.R, world))


@njit(**KERNEL)
def _pull_back(g, lens, rows, table, sums, out, pose, screen):
    """Fill the rows of ``out`` and ``screen``, and ``pose``."""
    means, quats, log_scales, _, coefficients = g
    d_means, d_quats, d_scales, d_logits, d_coefficients = out
    bases, weights, phi, rho = np.zeros(16), np.empty(coefficients.shape[1]), (0.0, 0.0, 0.0), (0.0, 0.0, 0.0)
    bases[0] = C0
    for n in range(len(rows)):
        i, s = np.int64(rows[n]), sums[n]
        if not s.any():  # hidden behind others
            continue
        e = ellipsoid(means, quats, log_scales, i, lens)
        along_u, along_v = flattened(lens, e)
        xx, xy, yy = footprint(along_u, along_v)
        gu, gv, G = _to_covariance(s, xx, xy, yy)
        screen[i] = math.sqrt(gu * gu + gv * gv)
        d_mean, d_spread = _through_footprint(lens, e, along_u, along_v, gu, gv, G)
        by_plane, d_axes = _to_axes(log_scales, i, e, s, d_spread, d_scales)
        d_mean = plus(d_mean, by_plane)
        d0, d1, d2 = d_axes  # the axes in the world are R^T those in the camera frame
        _to_quaternion(quats, i, turned_back(lens.R, d0), turned_back(lens.R, d1), turned_back(lens.R, d2), d_quats)
        d_logits[i] = s[H] * (1.0 - table[n, OPACITY])
        world = _to_harmonics(means, coefficients, i, lens, s, table[n], bases, weights, d_coefficients)
        put(d_means, i, plus(turned_back(lens.R, d_mean), world))
        by_turn, by_shift = _to_pose(lens, e, d_mean, d_axes, world)
        phi, rho = plus(phi, by_turn), plus(rho, by_shift)
    pose[0], pose[1], pose[2] = phi
    pose[3], pose[4], pose[5] = rho


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
