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
from slam.splatting.gaussians import Gaussians
from slam.splatting.view import View

X, Y, ACROSS, SHEAR, ALONG, OPACITY = 0, 1, 2, 3, 4, 5
RED, GREEN, BLUE, OFFSET, NORMAL = 6, 7, 8, 9, 10
HALF_WIDTH, HALF_HEIGHT, REACH2 = 13, 14, 15
"""Columns of a splat: centre (px; pixel centres at halves), the completed square (1/px^2, -, 1/px^2), opacity,
colour, offset o (m), normal (3, camera frame), half width and height of the ellipse a = LEAST_ALPHA (px), and the
exponent's -2 fold there."""

COLUMNS = 16


KERNEL = {"cache": True, "nogil": True, "error_model": "numpy"}
PART = {**KERNEL, "inline": "always"}
"""How kernels are compiled, and their parts: passing the arrays of ``Gaussians`` on costs more than the work itself."""


class Pinhole(NamedTuple):
    """A view as the kernels take it: world to camera, intrinsics (px), bounds of m_x / m_z and m_y / m_z in J."""

    R: NDArray[np.float64]
    t: NDArray[np.float64]
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
        T = np.ascontiguousarray(view.T_camera_world, np.float64)
        fx, fy, cx, cy = (float(view.K[k]) for k in ((0, 0), (1, 1), (0, 2), (1, 2)))
        more_x, more_y = MARGIN * view.width / (2 * fx), MARGIN * view.height / (2 * fy)
        low_x, high_x = -(cx / fx + more_x), (view.width - cx) / fx + more_x
        low_y, high_y = -(cy / fy + more_y), (view.height - cy) / fy + more_y
        size = float(view.width), float(view.height)
        return cls(T[:3, :3].copy(), T[:3, 3].copy(), fx, fy, cx, cy, low_x, high_x, low_y, high_y, *size)


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


class Bench(NamedTuple):
    """Room for one Gaussian at a time: mean, axes, scaled axes V (as columns), scales, J V, Y_k, direction."""

    mean: NDArray[np.float64]  # (3,)
    axes: NDArray[np.float64]  # (3, 3)
    spread: NDArray[np.float64]  # (3, 3)
    scales: NDArray[np.float64]  # (3,)
    flat: NDArray[np.float64]  # (2, 3)
    bases: NDArray[np.float64]  # (16,)
    direction: NDArray[np.float64]  # (4,): unit vector, inverse length


@njit(**PART)
def new_bench():
    """An empty bench."""
    square = np.empty((2, 3, 3))
    return Bench(np.empty(3), square[0], square[1], np.empty(3), np.empty((2, 3)), np.zeros(16), np.zeros(4))


@njit(**PART)
def _place(g, i, lens, b):
    """m = R mean + t; False where that is too near, behind, or no number."""
    x, y, z = np.float64(g.means[i, 0]), np.float64(g.means[i, 1]), np.float64(g.means[i, 2])
    for k in range(3):
        b.mean[k] = lens.R[k, 0] * x + lens.R[k, 1] * y + lens.R[k, 2] * z + lens.t[k]
    return b.mean[2] > NEAR_M


@njit(**PART)
def rotation(x, y, z, w, Q):
    """Fill Q (3, 3) with the rotation of a unit quaternion."""
    Q[0, 0], Q[0, 1], Q[0, 2] = 1 - 2 * (y * y + z * z), 2 * (x * y - w * z), 2 * (x * z + w * y)
    Q[1, 0], Q[1, 1], Q[1, 2] = 2 * (x * y + w * z), 1 - 2 * (x * x + z * z), 2 * (y * z - w * x)
    Q[2, 0], Q[2, 1], Q[2, 2] = 2 * (x * z - w * y), 2 * (y * z + w * x), 1 - 2 * (x * x + y * y)


@njit(**PART)
def unit_quaternion(quats, i):
    """Row i normalised, and the inverse of its length; not finite for a zero quaternion."""
    x, y, z, w = np.float64(quats[i, 0]), np.float64(quats[i, 1]), np.float64(quats[i, 2]), np.float64(quats[i, 3])
    length = math.sqrt(x * x + y * y + z * z + w * w)
    inverse = 1.0 / length if length > 0.0 else np.nan
    return x * inverse, y * inverse, z * inverse, w * inverse, inverse


@njit(**PART)
def _spread(g, i, lens, b):
    """Axes R Q in the camera frame, and R Q diag(exp(log_scales))."""
    x, y, z, w, _ = unit_quaternion(g.quats, i)
    rotation(x, y, z, w, b.spread)
    for k in range(3):
        qx, qy, qz = b.spread[0, k], b.spread[1, k], b.spread[2, k]
        scale = math.exp(np.float64(g.log_scales[i, k]))
        b.scales[k] = scale
        for row in range(3):
            b.axes[row, k] = lens.R[row, 0] * qx + lens.R[row, 1] * qy + lens.R[row, 2] * qz
            b.spread[row, k] = b.axes[row, k] * scale


@njit(**PART)
def _reaches_camera(b):
    """Whether the plane of the camera lies within NEAR_SIGMAS of the mean."""
    deep2 = b.spread[2, 0] ** 2 + b.spread[2, 1] ** 2 + b.spread[2, 2] ** 2
    return NEAR_SIGMAS * NEAR_SIGMAS * deep2 >= b.mean[2] * b.mean[2]


@njit(**PART)
def slants(lens, b):
    """m_x / m_z and m_y / m_z as they enter J: clamped to the widened picture."""
    a = min(max(b.mean[0] / b.mean[2], lens.low_x), lens.high_x)
    return a, min(max(b.mean[1] / b.mean[2], lens.low_y), lens.high_y)


@njit(**PART)
def _footprint(lens, b):
    """Screen covariance C = (J V) (J V)^T + BLUR_PX2 I; returns xx, xy, yy (px^2)."""
    a, c = slants(lens, b)
    sx, sy = lens.fx / b.mean[2], lens.fy / b.mean[2]
    xx, xy, yy = BLUR_PX2, 0.0, BLUR_PX2
    for k in range(3):
        p, q = sx * (b.spread[0, k] - a * b.spread[2, k]), sy * (b.spread[1, k] - c * b.spread[2, k])
        b.flat[0, k], b.flat[1, k] = p, q
        xx, xy, yy = xx + p * p, xy + p * q, yy + q * q
    return xx, xy, yy


@njit(**PART)
def shape(g, i, lens, b):
    """Place Gaussian i on the bench; returns C's xx, xy, yy (px^2). For what ``project`` has let through."""
    _place(g, i, lens, b)
    _spread(g, i, lens, b)
    return _footprint(lens, b)


@njit(**PART)
def thinnest(g, i, b):
    """Which axis is the normal, and the sign that turns it towards the camera."""
    k = 0
    for other in range(1, 3):
        if g.log_scales[i, other] < g.log_scales[i, k]:
            k = other
    facing = b.axes[0, k] * b.mean[0] + b.axes[1, k] * b.mean[1] + b.axes[2, k] * b.mean[2]
    return k, -1.0 if facing > 0.0 else 1.0


@njit(**PART)
def look(g, i, position, b):
    """The harmonics' Y_k for the direction from the camera to Gaussian i."""
    count = g.harmonics.shape[1]
    if count > 1:
        x, y, z = (g.means[i, 0] - position[0], g.means[i, 1] - position[1], g.means[i, 2] - position[2])
        b.direction[0], b.direction[1], b.direction[2], b.direction[3] = harmonics.to_unit(x, y, z)
    harmonics.bases(b.direction[0], b.direction[1], b.direction[2], count, b.bases)


@njit(**PART)
def _on_screen(lens, b, xx, xy, yy, opacity, splat):
    """Fill a splat's geometry; False where it misses the picture or is not finite."""
    det = xx * yy - xy * xy
    reach2 = 2.0 * math.log(opacity / LEAST_ALPHA)
    u, v = lens.fx * b.mean[0] / b.mean[2] + lens.cx + 0.5, lens.fy * b.mean[1] / b.mean[2] + lens.cy + 0.5
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


@njit(**PART)
def _dress(g, i, position, b, splat):
    """Fill a splat's colour, offset and normal; False where a colour is no number."""
    look(g, i, position, b)
    sane = True
    for channel in range(3):
        value = 0.5
        for k in range(g.harmonics.shape[1]):
            value += b.bases[k] * g.harmonics[i, k, channel]
        sane = sane and math.isfinite(value)
        splat[RED + channel] = max(0.0, value)
    k, sign = thinnest(g, i, b)
    offset = 0.0
    for row in range(3):
        splat[NORMAL + row] = sign * b.axes[row, k]
        offset -= sign * b.axes[row, k] * b.mean[row]
    splat[OFFSET] = offset
    return sane


@njit(**KERNEL)
def _project(g, lens, rows, table, depths):
    """Fill rows, table and depths; returns how many there are."""
    n = 0
    b = new_bench()
    position = -(lens.R.T @ lens.t)
    for i in range(len(g.logits)):
        if not _place(g, i, lens, b):
            continue
        opacity = 1.0 / (1.0 + math.exp(-np.float64(g.logits[i])))
        if not opacity >= LEAST_ALPHA:
            continue
        _spread(g, i, lens, b)
        if _reaches_camera(b):
            continue
        xx, xy, yy = _footprint(lens, b)
        if _on_screen(lens, b, xx, xy, yy, opacity, table[n]) and _dress(g, i, position, b, table[n]):
            rows[n], depths[n] = i, b.mean[2]
            n += 1
    return n


def project(gaussians: Gaussians, view: View) -> Splats:
    """Splats of the Gaussians whose ellipse a = LEAST_ALPHA covers a pixel's centre of ``view``.

    Gaussians behind the near plane, too faint, or with a parameter that is not finite are left out.
    """
    rows = np.empty(gaussians.size, np.int32)
    table, depths = np.empty((gaussians.size, COLUMNS), np.float32), np.empty(gaussians.size, np.float32)
    n = _project(gaussians, Pinhole.of(view), rows, table, depths)
    return Splats(rows[:n], table[:n], depths[:n])
