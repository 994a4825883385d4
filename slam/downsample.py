# SPDX-FileCopyrightText: The Mem4Nav stack developers
# SPDX-License-Identifier: Apache-2.0
"""One pass over a scan: drop what cannot be used, undo the motion, keep one point a voxel."""

from __future__ import annotations

import math

import numpy as np
from numba import njit, uint64
from numpy.typing import NDArray

from slam import morton
from slam.deskew import Undoing

_TABLE = 1 << 18


@njit(cache=True)
def _thin(points, bins, rotations, translations, shares, near2, far2, voxel, average, table, stamp, out):
    """See Downsampler; returns (points kept, finite points, points within range)."""
    keys, owners, marks = table
    mask, inv = uint64(len(keys) - 1), 1.0 / voxel
    kept, finite, in_range = 0, 0, 0
    counts = np.empty(len(out), np.int32)
    for i in range(len(points)):
        a, b, c = float(points[i, 0]), float(points[i, 1]), float(points[i, 2])
        range2 = a * a + b * b + c * c
        if not math.isfinite(range2):
            continue
        finite += 1
        if range2 < near2 or range2 > far2:
            continue
        in_range += 1
        k = bins[i] if len(bins) > 0 else 0
        R, t = rotations[k], translations[k]
        x = R[0, 0] * a + R[0, 1] * b + R[0, 2] * c + t[0]
        y = R[1, 0] * a + R[1, 1] * b + R[1, 2] * c + t[1]
        z = R[2, 0] * a + R[2, 1] * b + R[2, 2] * c + t[2]
        key = morton.encode(np.int64(math.floor(x * inv)), np.int64(math.floor(y * inv)), np.int64(math.floor(z * inv)))
        h = morton.mix(key) & mask
        while marks[h] == stamp and keys[h] != key:
            h = (h + uint64(1)) & mask
        if marks[h] != stamp:
            if 2 * kept > len(keys):
                break
            marks[h], keys[h], owners[h] = stamp, key, kept
            out[kept, 0], out[kept, 1], out[kept, 2] = x, y, z
            out[kept, 3], counts[kept] = shares[k] if average else points[i, 3], 1
            kept += 1
        elif average:
            row = owners[h]
            out[row, 0] += x
            out[row, 1] += y
            out[row, 2] += z
            out[row, 3] += shares[k]
            counts[row] += 1
    for row in range(kept):
        for column in range(4):
            out[row, column] /= counts[row]
    return kept, finite, in_range


class Downsampler:
    """Voxel-grid filters over a hash table that is kept between scans."""

    def __init__(self) -> None:
        self._table = (np.zeros(_TABLE, np.uint64), np.zeros(_TABLE, np.int32), np.zeros(_TABLE, np.int32))
        self._stamp = 0

    def centroids(
        self, points: NDArray[np.floating], undoing: Undoing, limits_m: tuple[float, float], voxel_m: float
    ) -> tuple[NDArray[np.float64], int, int]:
        """The mean of the points in each voxel, after the motion within the scan is undone.

        Args:
            points: (N, 3) in the LiDAR frame, metres; NaN and inf are skipped.
            limits_m: nearest and farthest range that count.
            voxel_m: side of a voxel.

        Returns:
            (M, 4) float64: x, y, z in the body frame at the end, and the mean share of the path at their times;
            finite points; points in range.
        """
        near, far = limits_m
        return self._run(points, undoing, near**2, far**2, voxel_m, average=True)

    def first(self, points: NDArray[np.float64], voxel_m: float) -> NDArray[np.float64]:
        """(M, 4) of the (N, 4) rows x, y, z, share: the first in each voxel of side ``voxel_m``."""
        as_is = Undoing(np.zeros(0, np.int32), np.eye(3)[None], np.zeros((1, 3)), np.ones(1))
        return self._run(points, as_is, 0.0, np.inf, voxel_m, average=False)[0]

    def _run(self, points, undoing: Undoing, near2: float, far2: float, voxel_m: float, *, average: bool):
        self._stamp += 1
        out = np.empty((len(points), 4))
        kept, finite, in_range = _thin(
            points, undoing.bins, undoing.rotations, undoing.translations, undoing.shares, near2, far2, voxel_m,
            average, self._table, self._stamp, out,
        )  # fmt: skip
        return out[:kept], finite, in_range
