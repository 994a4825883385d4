# SPDX-FileCopyrightText: The Mem4Nav stack developers
# SPDX-License-Identifier: Apache-2.0
"""What rain does to a LiDAR: drops send near returns, and far returns drown."""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from slam.measurements import Scan

_NEAR_SHARE = 4e-4
_NEAR_MEAN_M = 3.0
_EXTINCTION = 1e-3


def rained_on(scan: Scan, rate_mm_h: float, rng: np.random.Generator) -> Scan:
    """The scan as it would be in rain.

    A share of the beams that grows with the rate returns from a drop on the way (exponential
    range, mean 3 m, never behind the true return); others are lost with the two-way extinction
    1 - exp(-2 alpha r), alpha proportional to rate^0.6.
    """
    count = len(scan.points)
    distance = np.linalg.norm(scan.points, axis=1)
    drop = 0.6 + rng.exponential(_NEAR_MEAN_M, count)
    near = (rng.random(count) < _NEAR_SHARE * rate_mm_h) & (drop < distance)
    alpha = _EXTINCTION * rate_mm_h**0.6
    kept = near | (rng.random(count) < np.exp(-2.0 * alpha * distance))
    scale = np.where(near, drop / np.maximum(distance, 1e-6), 1.0)
    points = (scan.points * scale[:, None])[kept].astype(scan.points.dtype)
    intensity = None
    if scan.intensity is not None:
        intensity = np.where(near, 4.0 * rng.random(count), scan.intensity)[kept].astype(np.float32)
    offsets = None if scan.offsets_ns is None else scan.offsets_ns[kept]
    return replace(scan, points=points, offsets_ns=offsets, intensity=intensity)
