# SPDX-FileCopyrightText: The Mem4Nav stack developers
# SPDX-License-Identifier: Apache-2.0
"""A sweep as rays in the world and as points of one moment, by the vehicle's true motion."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from sim_envs.city.drive import START_NS
from sim_envs.city.motion import Motion
from slam.measurements import Scan


def pose_matrix(motion: Motion, time_s: float) -> NDArray[np.float64]:
    """(4, 4) base_link into map, seconds since the drive's start."""
    rotation, position = motion.pose(time_s)
    T = np.eye(4)
    T[:3, :3], T[:3, 3] = rotation[0], position[0]
    return T


def deskewed(scan: Scan, motion: Motion, T_base_lidar: NDArray[np.float64], time_s: float) -> NDArray[np.float32]:
    """(P, 3) points in base_link at one time t: T_base(t)^-1 T_base(t_i) T_base_lidar p_i."""
    _, rotation, position, which = _poses(scan, motion)
    T = pose_matrix(motion, time_s)
    turn = T[:3, :3].T @ rotation @ T_base_lidar[:3, :3]
    shift = (position + rotation @ T_base_lidar[:3, 3] - T[:3, 3]) @ T[:3, :3]
    return (np.einsum("nij,nj->ni", turn[which], scan.points) + shift[which]).astype(np.float32)


def rays_of(
    scan: Scan, motion: Motion, T_base_lidar: NDArray[np.float64]
) -> tuple[NDArray[np.float64], NDArray[np.float64], NDArray[np.float64]]:
    """(P, 3) origins and (P, 3) unit directions in map, and (P,) times, of the rays that returned."""
    time, rotation, position, which = _poses(scan, motion)
    origins = position + rotation @ T_base_lidar[:3, 3]
    turn = rotation @ T_base_lidar[:3, :3]
    along = scan.points / np.linalg.norm(scan.points, axis=1, keepdims=True)
    return origins[which], np.einsum("nij,nj->ni", turn[which], along), time[which]


def _poses(
    scan: Scan, motion: Motion
) -> tuple[NDArray[np.float64], NDArray[np.float64], NDArray[np.float64], NDArray[np.int64]]:
    """(C,) firing times, (C, 3, 3) and (C, 3) poses of base_link then, and (P,) which firing each point is of."""
    assert scan.offsets_ns is not None
    offsets, which = np.unique(scan.offsets_ns, return_inverse=True)
    time: NDArray[np.float64] = 1e-9 * (scan.stamp_ns - START_NS + offsets).astype(np.float64)
    rotation, position = motion.pose(time)
    return time, rotation, position, which
