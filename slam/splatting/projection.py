# SPDX-FileCopyrightText: The Mem4Nav stack developers
# SPDX-License-Identifier: Apache-2.0
"""From Gaussians in the world to ellipses on the screen (step 1, 3 and 4 of the package's account).

An ellipse is kept with its square completed: at offset (dx, dy) the exponent is
-(ACROSS (dx - SHEAR dy)^2 + ALONG dy^2) / 2, which is never positive and loses no digits on long thin ellipses.
"""

from __future__ import annotations

import math
from typing import NamedTuple

import numpy as np
from numba import njit
from numpy.typing import NDArray

from slam.splatting import BLUR_PX2, LEAST_ALPHA, MARGIN, NEAR_M, NEAR_SIGMAS, harmonics
from slam.splatting.gaussians import C0, Gaussians
from slam.splatting.vectors import KERNEL, Rows, Vector, columns_of, dot, plus, taken, times, turned, unit_quaternion
from slam.splatting.view import View

X, Y, ACROSS, SHEAR, ALONG, OPACITY = 0, 1, 2, 3, 4, 5
RED, GREEN, BLUE, OFFSET, NORMAL = 6, 7, 8, 9, 10
HALF_WIDTH, HALF_HEIGHT, REACH2 = 13, 14, 15
"""Columns of a splat: centre (px; pixel centres at halves), the completed square (1/px^2, -, 1/px^2), opacity,
colour, offset o (m), normal (3, camera frame), half width and height of the ellipse a = LEAST_ALPHA (px), and the
exponent's -2 fold there."""

COLUMNS = 16


class Pinhole(NamedTuple):
    """A view as the kernels take it: world to camera, intrinsics (px), bounds of m_x / m_z and m_y / m_z in J."""

    R: Rows
    t: Vector
    position: Vector
    fx: float
    fy: float
    cx: float
    cy: float
    low_x: float
    high_x: float
    low_y: float
    high_y: float
    width: float
    height: float

    @classmethod
    def of(cls, view: View) -> Pinhole:
        """The kernel's form of ``view``."""
        R, t = view.T_camera_world[:3, :3].astype(np.float64), view.T_camera_world[:3, 3].astype(np.float64)
        fx, fy, cx, cy = (float(view.K[k]) for k in ((0, 0), (1, 1), (0, 2), (1, 2)))
        more_x, more_y = MARGIN * view.width / (2 * fx), MARGIN * view.height / (2 * fy)
        low_x, high_x = -(cx / fx + more_x), (view.width - cx) / fx + more_x
        low_y, high_y = -(cy / fy + more_y), (view.height - cy) / fy + more_y
        frame = tuple(map(tuple, R.tolist())), tuple(t.tolist()), tuple((-(R.T @ t)).tolist())
        return cls(*frame, fx, fy, cx, cy, low_x, high_x, low_y, high_y, float(view.width), float(view.height))


class Splats(NamedTuple):
    """What a view may see of N Gaussians.

    Attributes:
        rows: (V,) int32 rows of the Gaussians, ascending.
        table: (V, 16) float32, one cache line a splat; see the column names of this module.
        depths: (V,) float32, m_z in metres, by which they are sorted.
    """

    rows: NDArray[np.int32]
    table: NDArray[np.float32]
    depths: NDArray[np.float32]


class Ellipsoid(NamedTuple):
    """One Gaussian in the camera frame: mean m, unit axes, standard deviations, scaled axes (columns of V)."""

    mean: Vector
    axes: Rows
    scales: Vector
    spread: Rows


@njit(**KERNEL)
def ellipsoid(means, quats, log_scales, i, lens):
    """Gaussian i in the camera frame: R mean + t, R Q, exp(log_scales)."""
    x, y, z, w, _ = unit_quaternion(quats, i)
    q0, q1, q2 = columns_of(x, y, z, w)
    a0, a1, a2 = turned(lens.R, q0), turned(lens.R, q1), turned(lens.R, q2)
    l0, l1, l2 = taken(log_scales, i)
    s0, s1, s2 = math.exp(l0), math.exp(l1), math.exp(l2)
    mean = plus(turned(lens.R, taken(means, i)), lens.t)
    return Ellipsoid(mean, (a0, a1, a2), (s0, s1, s2), (times(s0, a0), times(s1, a1), times(s2, a2)))


@njit(**KERNEL)
def _ahead(means, i, lens):
    """Whether the mean is beyond the near plane; False also where it is no number."""
    return dot(lens.R[2], taken(means, i)) + lens.t[2] > NEAR_M


@njit(**KERNEL)
def _reaches_camera(e):
    """Whether the plane of the camera lies within NEAR_SIGMAS of the mean."""
    deep2 = e.spread[0][2] ** 2 + e.spread[1][2] ** 2 + e.spread[2][2] ** 2
    return NEAR_SIGMAS * NEAR_SIGMAS * deep2 >= e.mean[2] * e.mean[2]


@njit(**KERNEL)
def slants(lens, mean):
    """m_x / m_z and m_y / m_z as they enter J: clamped to the widened picture."""
    a = min(max(mean[0] / mean[2], lens.low_x), lens.high_x)
    return a, min(max(mean[1] / mean[2], lens.low_y), lens.high_y)


@njit(**KERNEL)
def flattened(lens, e):
    """J V: its row along u, its row along v."""
    a, c = slants(lens, e.mean)
    sx, sy = lens.fx / e.mean[2], lens.fy / e.mean[2]
    v0, v1, v2 = e.spread
    along_u = sx * (v0[0] - a * v0[2]), sx * (v1[0] - a * v1[2]), sx * (v2[0] - a * v2[2])
    return along_u, (sy * (v0[1] - c * v0[2]), sy * (v1[1] - c * v1[2]), sy * (v2[1] - c * v2[2]))


@njit(**KERNEL)
def footprint(along_u, along_v):
    """Screen covariance C = (J V) (J V)^T + BLUR_PX2 I; returns xx, xy, yy (px^2)."""
    return BLUR_PX2 + dot(along_u, along_u), dot(along_u, along_v), BLUR_PX2 + dot(along_v, along_v)


@njit(**KERNEL)
def thinnest(log_scales, i, e):
    """Which axis is the normal, and that axis turned towards the camera with the sign that turns it."""
    k, normal = 0, e.axes[0]
    if log_scales[i, 1] < log_scales[i, 0]:
        k, normal = 1, e.axes[1]
    if log_scales[i, 2] < min(log_scales[i, 0], log_scales[i, 1]):
        k, normal = 2, e.axes[2]
    sign = -1.0 if dot(normal, e.mean) > 0.0 else 1.0
    return k, times(sign, normal), sign


@njit(**KERNEL)
def direction(means, i, lens):
    """Unit vector from the camera to Gaussian i in the world, and the inverse of the distance."""
    x, y, z = plus(taken(means, i), times(-1.0, lens.position))
    return harmonics.to_unit(x, y, z)


@njit(**KERNEL)
def _on_screen(lens, mean, xx, xy, yy, opacity, splat):
    """Fill a splat's geometry; False where it misses the picture or is not finite."""
    det = xx * yy - xy * xy
    reach2 = 2.0 * math.log(opacity / LEAST_ALPHA)
    u, v = lens.fx * mean[0] / mean[2] + lens.cx + 0.5, lens.fy * mean[1] / mean[2] + lens.cy + 0.5
    if not (det > 0.0 and math.isfinite(det)):
        return False
    wide, high = math.sqrt(reach2 * xx), math.sqrt(reach2 * yy)
    # Only where the ellipse covers a pixel's centre; comparisons with NaN are false.
    if not (u + wide >= 0.5 and u - wide <= lens.width - 0.5 and v + high >= 0.5 and v - high <= lens.height - 0.5):
        return False
    splat[X], splat[Y], splat[OPACITY] = u, v, opacity
    splat[ACROSS], splat[SHEAR], splat[ALONG] = yy / det, xy / yy, 1.0 / yy
    splat[HALF_WIDTH], splat[HALF_HEIGHT], splat[REACH2] = wide, high, reach2
    return True


@njit(**KERNEL)
def _colour(means, coefficients, i, lens, bases, splat):
    """Fill a splat's colour; False where it is no number."""
    count, sane = coefficients.shape[1], True
    if count > 1:
        x, y, z, _ = direction(means, i, lens)
        harmonics.bases(x, y, z, count, bases)
    for channel in range(3):
        value = 0.5 + C0 * np.float64(coefficients[i, 0, channel])
        for k in range(1, count):
            value += bases[k] * coefficients[i, k, channel]
        sane = sane and math.isfinite(value)
        splat[RED + channel] = max(0.0, value)
    return sane


@njit(**KERNEL)
def _surface(log_scales, i, e, splat):
    """Fill a splat's offset and normal."""
    _, normal, _ = thinnest(log_scales, i, e)
    splat[OFFSET] = -dot(normal, e.mean)
    splat[NORMAL], splat[NORMAL + 1], splat[NORMAL + 2] = normal


@njit(**KERNEL)
def _project(means, quats, log_scales, logits, coefficients, lens, rows, table, depths):
    """Fill rows, table and depths; returns how many there are."""
    n, bases = 0, np.zeros(16)
    for i in range(len(logits)):
        if not _ahead(means, i, lens):
            continue
        opacity = 1.0 / (1.0 + math.exp(-np.float64(logits[i])))
        if not opacity >= LEAST_ALPHA:
            continue
        e = ellipsoid(means, quats, log_scales, i, lens)
        if _reaches_camera(e):
            continue
        along_u, along_v = flattened(lens, e)
        xx, xy, yy = footprint(along_u, along_v)
        splat = table[n]
        if _on_screen(lens, e.mean, xx, xy, yy, opacity, splat) and _colour(means, coefficients, i, lens, bases, splat):
            _surface(log_scales, i, e, splat)
            rows[n], depths[n] = i, e.mean[2]
            n += 1
    return n


def project(gaussians: Gaussians, view: View) -> Splats:
    """Splats of the Gaussians whose ellipse a = LEAST_ALPHA covers a pixel's centre of ``view``.

    Gaussians behind the near plane, too faint, or with a parameter that is not finite are left out.
    """
    rows = np.empty(gaussians.size, np.int32)
    table, depths = np.empty((gaussians.size, COLUMNS), np.float32), np.empty(gaussians.size, np.float32)
    n = _project(*gaussians, Pinhole.of(view), rows, table, depths)
    return Splats(rows[:n], table[:n], depths[:n])
