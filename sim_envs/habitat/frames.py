# SPDX-FileCopyrightText: The Mem4Nav stack developers
# SPDX-License-Identifier: Apache-2.0
"""Habitat's frame and ours.

Habitat: x right, y up, looking along -z; quaternions of a body that looks along its own -z. Ours: ENU, and a body that
looks along its own +x with z up. East, north, up = x, -z, y.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import ArrayLike, NDArray
from scipy.spatial.transform import Rotation

R_ENU_HABITAT = np.array([[1.0, 0.0, 0.0], [0.0, 0.0, -1.0], [0.0, 1.0, 0.0]])
"""Maps vectors of Habitat's world into ENU."""

R_BASE_HEAD = np.array([[0.0, 0.0, -1.0], [-1.0, 0.0, 0.0], [0.0, 1.0, 0.0]])
"""Maps vectors of Habitat's body (x right, y up, z backward) into base_link (x forward, y left, z up)."""


def to_enu(points: ArrayLike) -> NDArray[np.float64]:
    """(..., 3) metres in Habitat's world -> (..., 3) in ENU."""
    return np.asarray(points, float) @ R_ENU_HABITAT.T


def from_enu(points: ArrayLike) -> NDArray[np.float64]:
    """(..., 3) metres in ENU -> (..., 3) in Habitat's world."""
    return np.asarray(points, float) @ R_ENU_HABITAT


def pose_to_enu(position: ArrayLike, quaternion: ArrayLike) -> NDArray[np.float64]:
    """(4, 4) T_enu_base of a body's position (3,) and quaternion xyzw (4,) in Habitat's world."""
    T = np.eye(4)
    T[:3, :3] = R_ENU_HABITAT @ Rotation.from_quat(np.asarray(quaternion, float)).as_matrix() @ R_BASE_HEAD.T
    T[:3, 3] = to_enu(position)
    return T


def pose_from_enu(T_enu_base: NDArray[np.float64]) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Position (3,) and quaternion xyzw (4,) in Habitat's world of a (4, 4) T_enu_base."""
    R = R_ENU_HABITAT.T @ T_enu_base[:3, :3] @ R_BASE_HEAD
    return from_enu(T_enu_base[:3, 3]), Rotation.from_matrix(R).as_quat()


def upright_pose(position: ArrayLike, yaw: float) -> NDArray[np.float64]:
    """(4, 4) T_enu_base of a body that stands at (3,) metres and looks along yaw radians (0: east)."""
    T = np.eye(4)
    T[:3, :3] = Rotation.from_euler("z", yaw).as_matrix()
    T[:3, 3] = np.asarray(position, float)
    return T


def yaw_of(T_enu_base: NDArray[np.float64]) -> float:
    """Where a pose looks, radians from east."""
    return float(np.arctan2(T_enu_base[1, 0], T_enu_base[0, 0]))
