# SPDX-FileCopyrightText: The Mem4Nav stack developers
# SPDX-License-Identifier: Apache-2.0
"""The Newer College scans of the shared data, and deskewing them with one constant twist."""

from __future__ import annotations

from pathlib import Path

import numpy as np
from scipy.optimize import least_squares

from slam.deskew import Undoing, motion_within
from slam.ieskf import FilterState, predict
from slam.inertial import modelled_steps
from slam.measurements import Scan
from slam.odometry_config import MotionConfig

SHIPPED_FLIP = np.array([-1.0, -1.0, 1.0])
SHIPPED_SHIFT = np.array([-0.006, 0.012, -0.029])
"""The shipped deskewed scans lie in a frame with x and y negated and this translation, metres."""


def load(folder: Path, index: int) -> tuple[Scan, np.ndarray]:
    """A raw scan with its point times, and the shipped deskewed points (N, 3) in the raw scan's frame at its start."""
    raw = np.fromfile(folder / f"raw_{index:02d}.bin", np.float32).reshape(-1, 3)
    shipped = np.fromfile(folder / f"deskewed_{index:02d}.bin", np.float32).reshape(-1, 3)
    seconds = np.fromfile(folder / f"times_{index:02d}.bin", np.float32)
    offsets = np.round(seconds.astype(float) * 1e9).astype(np.int64)
    return Scan(0, raw, offsets), (shipped - SHIPPED_SHIFT) * SHIPPED_FLIP


def undone(points: np.ndarray, undoing: Undoing) -> np.ndarray:
    """Points (N, 3) of the LiDAR frame where they are seen from the scan's end."""
    R, t = undoing.rotations[undoing.bins], undoing.translations[undoing.bins]
    return np.einsum("nij,nj->ni", R, points) + t


def deskewed_to_start(scan: Scan, twist: np.ndarray) -> np.ndarray:
    """Points (N, 3) as seen from the scan's start by a sensor that keeps the twist (turn rate, velocity)."""
    state = FilterState(0, velocity=twist[3:].copy(), bg=-twist[:3])
    end, path = predict(state, modelled_steps(0, int(scan.offsets_ns.max()), MotionConfig()))
    at_end = undone(scan.points.astype(float), motion_within(scan, path, np.eye(4)))
    return at_end @ end.R.T + end.position


def best_twist(scan: Scan, shipped: np.ndarray, every: int = 20) -> np.ndarray:
    """(6,) the constant twist that brings the raw scan closest to the shipped one."""
    part = Scan(scan.stamp_ns, scan.points[::every], scan.offsets_ns[::every])
    target = shipped[::every]
    fit = least_squares(
        lambda x: (deskewed_to_start(part, x) - target).ravel(), np.zeros(6), loss="soft_l1", f_scale=0.05
    )
    return fit.x
