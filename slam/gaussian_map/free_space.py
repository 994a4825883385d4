# SPDX-FileCopyrightText: The Mem4Nav stack developers
# SPDX-License-Identifier: Apache-2.0
"""Gaussians that stand where the LiDAR now looks through: what moved away, or never was."""

from __future__ import annotations

import numpy as np
from numba import njit
from numpy.typing import NDArray

from slam.gaussian_map.returns import Returns
from slam.splatting.gaussians import Gaussians
from slam.splatting.view import View


@njit(cache=True)
def _looked_through(means, R, t, fx, fy, cx, cy, depth, reach_px, margin_m, margin_share, out):
    height, width = depth.shape
    for i in range(len(means)):
        x, y, z = means[i, 0], means[i, 1], means[i, 2]
        c = R[2, 0] * x + R[2, 1] * y + R[2, 2] * z + t[2]
        if c < 0.5:
            continue
        a = R[0, 0] * x + R[0, 1] * y + R[0, 2] * z + t[0]
        b = R[1, 0] * x + R[1, 1] * y + R[1, 2] * z + t[1]
        j, k = int(np.floor(fx * a / c + cx + 0.5)), int(np.floor(fy * b / c + cy + 0.5))
        if not (0 <= j < width and 0 <= k < height):
            continue
        nearest, count = np.inf, 0
        for m in range(max(0, k - reach_px), min(height, k + reach_px + 1)):
            for n in range(max(0, j - reach_px), min(width, j + reach_px + 1)):
                if depth[m, n] > 0.0:
                    nearest, count = min(nearest, depth[m, n]), count + 1
        out[i] = count >= 2 and c < nearest - margin_m - margin_share * nearest


def looked_through(
    gaussians: Gaussians,
    view: View,
    returns: Returns,
    reach_px: int = 3,
    margin_m: float = 0.3,
    margin_share: float = 0.05,
) -> NDArray[np.bool_]:
    """(N,) which Gaussians lie in front of all returns about their place in the picture, and by more than the margins.

    Args:
        reach_px: two returns at least must lie so near, in columns and in rows: at the edge of an object one of them
            is its own.
    """
    depth = np.zeros((view.height, view.width), np.float32)
    depth[returns.rows, returns.columns] = returns.depths
    out = np.zeros(gaussians.size, np.bool_)
    R, t, K = np.ascontiguousarray(view.T_camera_world[:3, :3]), view.T_camera_world[:3, 3].copy(), view.K
    _looked_through(
        gaussians.means, R, t, K[0, 0], K[1, 1], K[0, 2], K[1, 2], depth, reach_px, margin_m, margin_share, out
    )
    return out
