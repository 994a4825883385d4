# SPDX-FileCopyrightText: The Mem4Nav stack developers
# SPDX-License-Identifier: Apache-2.0
"""Backward propagation: where the body was when each point was measured, seen from the scan's end."""

from __future__ import annotations

import numpy as np
from numba import njit
from numpy.typing import NDArray

from slam import so3
from slam.ieskf import Path
from slam.measurements import Scan

BINS = 1024
"""Points of a scan share so many poses: at 20 m/s and 0.1 s a point is at most 1 mm from its own."""


@njit(cache=True)
def _poses(seconds, R, p, v, gyro, at, out_R, out_p):
    """Pose on the path at the times ``at`` (rising), extrapolated with constant twist at both ends."""
    k = 0
    for i in range(len(at)):
        while k < len(seconds) - 2 and at[i] > seconds[k + 1]:
            k += 1
        dt, step = at[i] - seconds[k], seconds[k + 1] - seconds[k]
        out_R[i] = R[k] @ so3.exp(gyro[k] * dt)
        acceleration = (v[k + 1] - v[k]) / step
        if dt < 0.0 or dt > step:
            acceleration = np.zeros(3)
        out_p[i] = p[k] + v[k] * dt + acceleration * (0.5 * dt * dt)


def poses_at(path: Path, stamps_ns: NDArray[np.int64]) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """R (B, 3, 3) and position (B, 3) of the body in odom on a predicted path, at rising stamps."""
    origin = path.stamps_ns[0]
    out_R, out_p = np.empty((len(stamps_ns), 3, 3)), np.empty((len(stamps_ns), 3))
    _poses(
        (path.stamps_ns - origin) * 1e-9, path.R, path.position, path.velocity, path.gyro,
        (stamps_ns - origin) * 1e-9, out_R, out_p,
    )  # fmt: skip
    return out_R, out_p


def motion_within(
    scan: Scan, path: Path, T_body_lidar: NDArray[np.float64]
) -> tuple[NDArray[np.int32], NDArray[np.float64], NDArray[np.float64]]:
    """What undoes the motion within a scan.

    Returns:
        bins (N,) int32, rotations (B, 3, 3), translations (B, 3): a point p in the LiDAR frame is at
        rotations[bin] p + translations[bin] in the body frame at the path's end. One pose and no bins where the
        scan has no per-point time.
    """
    R_bl, t_bl = T_body_lidar[:3, :3], T_body_lidar[:3, 3]
    offsets = scan.offsets_ns
    if offsets is None or not len(offsets) or offsets.min() == offsets.max():
        return np.zeros(0, np.int32), R_bl[None].copy(), t_bl[None].copy()
    low, high = int(offsets.min()), int(offsets.max())
    width = (high - low) // BINS + 1
    bins = ((offsets - low) // width).astype(np.int32)
    middles = scan.stamp_ns + low + width * np.arange(BINS, dtype=np.int64) + width // 2
    R, p = poses_at(path, middles)
    R_end, p_end = path.R[-1], path.position[-1]
    R_rel = R_end.T @ R
    t_rel = (p - p_end) @ R_end
    return bins, np.ascontiguousarray(R_rel @ R_bl), R_rel @ t_bl + t_rel
