# SPDX-FileCopyrightText: The Mem4Nav stack developers
# SPDX-License-Identifier: Apache-2.0
"""The camera measurement: a picture against what is known of the surroundings.

A known pixel is a point with a brightness g (an anchor). Residual z = g - tau I(pi(p_C)), with the
picture I, the inverse exposure tau and the anchor p_C in the camera at the pose that is tried. Jacobian in the error
order [theta, position, tau] (Zhu et al. 2025, GS-LIVO, section V; columns by the chain pi, camera in body, body):

    H = [m J_pi X^T [p_B]x,  -m J_pi X^T R^T,  I],    m = (tau grad I + grad g) / 2

X is the camera's rotation in the body, p_B the anchor in the body frame. The mean of both gradients converges
quadratically near alignment (Benhimane and Malis 2004, ESM); their difference would vanish there. An offset common to
all pixels is estimated beside these and eliminated.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numba import njit
from numpy.typing import NDArray

COLUMNS = 7
"""theta 0:3, position 3:6, inverse exposure 6."""

LEAST_SCALE, MOST_SCALE = 0.02, 0.15
"""Brightness below which residuals are noise of picture and rendering, and above which they cannot be."""

OFFSET_SIGMA = 0.03
"""Standard deviation of what is added to the brightness of a picture as a whole, by the camera or by haze."""


@dataclass(frozen=True, slots=True)
class Anchors:
    """Known pixels as points with a brightness.

    Attributes:
        points: (N, 3) odom, metres. pixels: (N, 2) int32 rows and columns where they are known from.
        brightness: (N,) float32 in [0, 1]. slope: (N, 2) float32, its gradient along columns and rows, per pixel.
    """

    points: NDArray[np.float64]
    pixels: NDArray[np.int32]
    brightness: NDArray[np.float32]
    slope: NDArray[np.float32]

    def __len__(self) -> int:
        return len(self.points)


@dataclass(frozen=True, slots=True)
class PhotometricFit:
    """The measurement linearised at one pose.

    Attributes:
        information: (7, 7) H^T R^-1 H. vector: (7,) H^T R^-1 z.
        cost: mean robust cost of the anchors in view, dimensionless.
        seen: anchors in view. correlation: of picture and anchors, weighted, -1 to 1.
        rms: weighted root mean square residual, brightness.
    """

    information: NDArray[np.float64]
    vector: NDArray[np.float64]
    cost: float
    seen: int
    correlation: float
    rms: float


@njit(cache=True)
def _residuals(points, brightness, image, R, p, X, x, f, tau, out):
    """Columns of ``out``: in view, I, dI/du, dI/dv, residual; then p_C and p_B."""
    height, width = image.shape
    for i in range(len(points)):
        d0, d1, d2 = points[i, 0] - p[0], points[i, 1] - p[1], points[i, 2] - p[2]
        b0 = R[0, 0] * d0 + R[1, 0] * d1 + R[2, 0] * d2
        b1 = R[0, 1] * d0 + R[1, 1] * d1 + R[2, 1] * d2
        b2 = R[0, 2] * d0 + R[1, 2] * d1 + R[2, 2] * d2
        e0, e1, e2 = b0 - x[0], b1 - x[1], b2 - x[2]
        c0 = X[0, 0] * e0 + X[1, 0] * e1 + X[2, 0] * e2
        c1 = X[0, 1] * e0 + X[1, 1] * e1 + X[2, 1] * e2
        c2 = X[0, 2] * e0 + X[1, 2] * e1 + X[2, 2] * e2
        out[i, 0] = 0.0
        if c2 < 0.1:
            continue
        u, v = f[0] * c0 / c2 + f[2], f[1] * c1 / c2 + f[3]
        if not (1.0 <= u < width - 2.0 and 1.0 <= v < height - 2.0):
            continue
        j, k = int(u), int(v)
        a, b = u - j, v - k
        q00, q01, q10, q11 = image[k, j], image[k, j + 1], image[k + 1, j], image[k + 1, j + 1]
        value = (1 - b) * ((1 - a) * q00 + a * q01) + b * ((1 - a) * q10 + a * q11)
        out[i, 0], out[i, 1] = 1.0, value
        out[i, 2] = (1 - b) * (q01 - q00) + b * (q11 - q10)
        out[i, 3] = (1 - a) * (q10 - q00) + a * (q11 - q01)
        out[i, 4] = brightness[i] - tau * value
        out[i, 5], out[i, 6], out[i, 7] = c0, c1, c2
        out[i, 8], out[i, 9], out[i, 10] = b0, b1, b2


@njit(cache=True)
def _accumulate(rows, slope, brightness, R, X, f, tau, scale, information, vector, sums):
    """Cauchy weights; sums: cost, seen, weight, then of w g, w I, w g g, w I I, w g I, w z z."""
    h = np.empty(8)
    h[7] = 1.0
    for i in range(len(rows)):
        if rows[i, 0] == 0.0:
            continue
        z = rows[i, 4]
        ratio2 = (z / scale) ** 2
        w = 1.0 / (1.0 + ratio2)
        c0, c1, c2 = rows[i, 5], rows[i, 6], rows[i, 7]
        gu = 0.5 * (tau * rows[i, 2] + slope[i, 0]) * f[0] / c2
        gv = 0.5 * (tau * rows[i, 3] + slope[i, 1]) * f[1] / c2
        g2 = -(gu * c0 + gv * c1) / c2
        # m J_pi X^T, a row in the body frame
        m0 = gu * X[0, 0] + gv * X[0, 1] + g2 * X[0, 2]
        m1 = gu * X[1, 0] + gv * X[1, 1] + g2 * X[1, 2]
        m2 = gu * X[2, 0] + gv * X[2, 1] + g2 * X[2, 2]
        b0, b1, b2 = rows[i, 8], rows[i, 9], rows[i, 10]
        h[0], h[1], h[2] = m1 * b2 - m2 * b1, m2 * b0 - m0 * b2, m0 * b1 - m1 * b0
        for k in range(3):
            h[3 + k] = -(m0 * R[k, 0] + m1 * R[k, 1] + m2 * R[k, 2])
        h[6] = rows[i, 1]
        for k in range(8):
            vector[k] += w * h[k] * z
            for m in range(k, 8):
                information[k, m] += w * h[k] * h[m]
        value, g = rows[i, 1], brightness[i]
        sums[0] += np.log(1.0 + ratio2)
        sums[1] += 1.0
        sums[2] += w
        sums[3] += w * g
        sums[4] += w * value
        sums[5] += w * g * g
        sums[6] += w * value * value
        sums[7] += w * g * value
        sums[8] += w * z * z
    for k in range(8):
        for m in range(k):
            information[k, m] = information[m, k]


def linearise(
    anchors: Anchors,
    image: NDArray[np.float32],
    pose: tuple[NDArray[np.float64], NDArray[np.float64]],
    T_body_camera: NDArray[np.float64],
    K: NDArray[np.float64],
    tau: float,
    scale: float | None = None,
    offset: float | None = None,
) -> tuple[PhotometricFit, float]:
    """The measurement at one pose of the body.

    Args:
        image: (H, W) float32 brightness of the picture.
        pose: R (3, 3) and position (3,) of the body in odom.
        T_body_camera: (4, 4) optical frame in the body frame, at the picture's time.
        scale: residual at which an anchor counts half, brightness; None: by the spread of the residuals.
        offset: of the brightness of all anchors; None: the median of the residuals, within reason.

    Returns:
        the fit with R^-1 = 1 / scale^2, and the scale.
    """
    R, position = np.ascontiguousarray(pose[0]), pose[1]
    X, x = np.ascontiguousarray(T_body_camera[:3, :3]), T_body_camera[:3, 3].copy()
    f = np.array([K[0, 0], K[1, 1], K[0, 2], K[1, 2]])
    rows = np.empty((len(anchors), 11))
    _residuals(anchors.points, anchors.brightness, image, R, position, X, x, f, tau, rows)
    seen = rows[:, 0] > 0.0
    if offset is None:
        offset = (
            float(np.clip(np.median(rows[seen, 4]), -2.0 * OFFSET_SIGMA, 2.0 * OFFSET_SIGMA)) if seen.any() else 0.0
        )
    rows[:, 4] -= offset
    if scale is None:
        scale = _spread(rows[seen, 4]) if seen.any() else 1.0
    information, vector, sums = np.zeros((COLUMNS + 1, COLUMNS + 1)), np.zeros(COLUMNS + 1), np.zeros(9)
    _accumulate(rows, anchors.slope, anchors.brightness, R, X, f, tau, scale, information, vector, sums)
    information, vector = _without_offset(information / scale**2, vector / scale**2)
    fit = PhotometricFit(
        information, vector, float(sums[0] / max(sums[1], 1.0)), int(sums[1]),
        _correlation(sums), float(np.sqrt(sums[8] / max(sums[2], 1e-12))),
    )  # fmt: skip
    return fit, scale


def _without_offset(information: NDArray[np.float64], vector: NDArray[np.float64]) -> tuple[NDArray, NDArray]:
    """Of a measurement whose last column is an unknown offset of the brightness: the rest, the offset eliminated."""
    cross, own = information[:-1, -1], information[-1, -1] + 1.0 / OFFSET_SIGMA**2
    return information[:-1, :-1] - np.outer(cross, cross) / own, vector[:-1] - cross * (vector[-1] / own)


def _spread(residuals: NDArray[np.float64]) -> float:
    """Standard deviation by the smaller residuals, since up to half of a picture may show something else."""
    return float(np.clip(2.6 * np.quantile(np.abs(residuals), 0.3), LEAST_SCALE, MOST_SCALE))


def _correlation(sums: NDArray[np.float64]) -> float:
    w = max(sums[2], 1e-12)
    gg, vv = sums[5] / w - (sums[3] / w) ** 2, sums[6] / w - (sums[4] / w) ** 2
    return float((sums[7] / w - sums[3] * sums[4] / w**2) / np.sqrt(max(gg * vv, 1e-16)))
