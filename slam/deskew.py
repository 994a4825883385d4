# SPDX-FileCopyrightText: The Mem4Nav stack developers
# SPDX-License-Identifier: Apache-2.0
"""Backward propagation: where the body was when each point was measured, seen from the scan's end."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numba import njit
from numpy.typing import NDArray

from slam import so3
from slam.ieskf import Path
from slam.measurements import Scan

BINS = 1024
"""Points of a scan share so many poses: at 20 m/s and 0.1 s a point is at most 1 mm from its own."""
BENDS = 64
"""Corrections of the motion within a scan are applied in so many steps."""


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


@dataclass(frozen=True, slots=True)
class Undoing:
    """What undoes the motion within a scan, as far as the prediction knows it.

    A point p of the LiDAR frame is at rotations[bin] p + translations[bin] in the body frame at the path's end.

    Attributes:
        bins: (N,) int32, which row a point takes; empty where all take the first.
        rotations: (B, 3, 3). translations: (B, 3), metres.
        shares: (B,) how much of the path was over at that time, in [0, 1].
    """

    bins: NDArray[np.int32]
    rotations: NDArray[np.float64]
    translations: NDArray[np.float64]
    shares: NDArray[np.float64]


def motion_within(scan: Scan, path: Path, T_body_lidar: NDArray[np.float64]) -> Undoing:
    """From the predicted path; without effect where the scan has no per-point time."""
    R_bl, t_bl = T_body_lidar[:3, :3], T_body_lidar[:3, 3]
    offsets = scan.offsets_ns
    if offsets is None or not len(offsets) or offsets.min() == offsets.max():
        return Undoing(np.zeros(0, np.int32), R_bl[None].copy(), t_bl[None].copy(), np.ones(1))
    low, high = int(offsets.min()), int(offsets.max())
    width = (high - low) // BINS + 1
    bins = ((offsets - low) // width).astype(np.int32)
    middles = scan.stamp_ns + low + width * np.arange(BINS, dtype=np.int64) + width // 2
    R, p = poses_at(path, middles)
    R_end, p_end = path.R[-1], path.position[-1]
    rotations, translations = R_end.T @ R, (p - p_end) @ R_end
    shares = (middles - path.stamps_ns[0]) / (path.stamps_ns[-1] - path.stamps_ns[0])
    return Undoing(
        bins, np.ascontiguousarray(rotations @ R_bl), rotations @ t_bl + translations, np.clip(shares, 0.0, 1.0)
    )


def bend(
    R_before: NDArray[np.float64],
    p_before: NDArray[np.float64],
    R: NDArray[np.float64],
    p: NDArray[np.float64],
    stiffness: float,
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Poses for points measured along a path whose end was corrected from (R_before, p_before) to (R, p).

    What a good prediction got wrong was wrong at its start already, and moves all points alike (stiffness 1). What a
    poor one got wrong has grown on the way: a point measured at share s of the path has moved by s of it (stiffness
    0). In between it moves by stiffness + (1 - stiffness) s of the end's correction.

    Returns:
        rotations (BENDS + 1, 3, 3) and translations (BENDS + 1, 3), body at the end into odom, for s = k / BENDS.
    """
    share = stiffness + (1.0 - stiffness) * np.linspace(0.0, 1.0, BENDS + 1)
    return _bend(so3.log(R @ R_before.T), R_before, share), p_before + np.outer(share, p - p_before)


@njit(cache=True)
def _bend(turn, R_before, share):
    out = np.empty((len(share), 3, 3))
    for k in range(len(share)):
        out[k] = so3.exp(turn * share[k]) @ R_before
    return out
