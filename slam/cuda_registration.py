# SPDX-FileCopyrightText: The Mem4Nav stack developers
# SPDX-License-Identifier: Apache-2.0
"""The LiDAR measurement on the graphics processor, for points whose planes are known (see ``slam.registration``)."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
from numpy.typing import NDArray

from slam.gpu import Device, blocks_for
from slam.registration import Fit, Noise

SUMS = 36
"""Numbers that a block of threads adds up; see cuda/point_to_plane.cu."""

_INFORMATION = np.triu_indices(6)
_NOISE = np.triu_indices(3)


def linearise(
    device: Device,
    planes: Any,
    points: Any,
    matches: Any,
    poses: tuple[NDArray[np.float64], NDArray[np.float64]],
    stiffness: float,
    lever: NDArray[np.float64],
    pose_variance: tuple[float, NDArray[np.float64]],
    noise: Noise,
) -> Fit:
    """Sum up the normal equations at other poses, of points that ``slam.registration.linearise`` has matched.

    Arrays of the device are taken as they are, others are copied there: of a scan's iterations only the poses change.

    Args:
        planes: (C, 16) float64, ``PlaneMap.arrays.planes``.
        points: (N, 4) float64 in the body frame, metres, and the share of the path.
        matches: (N,) int64 row of each point's plane; negative for none, points not looked for (UNKNOWN) included.
        poses, stiffness, lever, pose_variance, noise: as there.
    """
    xp, n, blocks = device.xp, len(points), blocks_for(len(points))
    turn, shift = pose_variance
    settings = np.array([stiffness, *(poses[0][-1] @ lever), turn, *shift, *noise], np.float64)
    partials = xp.empty((blocks, SUMS), np.float64)
    arrays = [xp.ascontiguousarray(xp.asarray(array)) for array in (points, matches, planes, *poses, settings)]
    counts = (np.int32(n), np.int32(len(poses[0])))
    device.launch("point_to_plane", "point_to_plane", blocks, *arrays, *counts, partials)
    return _fit(device.to_host(partials).sum(axis=0))


def _fit(sums: NDArray[np.float64]) -> Fit:
    information, noise_information = np.zeros((6, 6)), np.zeros((3, 3))
    information[_INFORMATION], noise_information[_NOISE] = sums[:21], sums[27:33]
    matched, squares, weight = round(float(sums[33])), float(sums[34]), float(sums[35])
    return Fit(
        information + np.triu(information, 1).T,
        sums[21:27].copy(),
        noise_information + np.triu(noise_information, 1).T,
        matched,
        math.sqrt(squares / matched) if matched else math.nan,
        weight,
    )
