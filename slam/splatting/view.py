# SPDX-FileCopyrightText: The Mem4Nav stack developers
# SPDX-License-Identifier: Apache-2.0
"""A pinhole view to be rendered."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from slam.calibration import Camera


@dataclass(frozen=True, slots=True)
class View:
    """Where from, and how large.

    Attributes:
        width, height: pixels.
        K: (3, 3) float64 intrinsics, pixels; pixel centres are whole numbers. No skew.
        T_camera_world: (4, 4) float64, world points into the optical frame (z forward, y down).
    """

    width: int
    height: int
    K: NDArray[np.float64]
    T_camera_world: NDArray[np.float64]

    @classmethod
    def of(cls, camera: Camera, T_world_base: NDArray[np.float64], scale: float = 1.0) -> View:
        """What ``camera`` sees, its distortion undone, at ``scale`` of its resolution."""
        width, height = round(camera.width * scale), round(camera.height * scale)
        T_world_camera = T_world_base @ camera.T_base_camera
        return cls(width, height, scaled_intrinsics(camera, width, height), np.linalg.inv(T_world_camera))

    @property
    def position(self) -> NDArray[np.float64]:
        """(3,) of the camera in the world, metres."""
        return -self.T_camera_world[:3, :3].T @ self.T_camera_world[:3, 3]

    def rays(self, rows: NDArray[np.integer], columns: NDArray[np.integer]) -> NDArray[np.float64]:
        """(N, 3, camera) what lies at depth 1 behind pixels (N,)."""
        K = self.K
        return np.stack([(columns - K[0, 2]) / K[0, 0], (rows - K[1, 2]) / K[1, 1], np.ones(len(rows))], axis=1)

    def project(self, points: NDArray[np.floating]) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
        """Of points (N, 3, world): (N, 2) pixels u, v, and (N,) depths, metres. Behind the camera u, v say nothing."""
        seen = points @ self.T_camera_world[:3, :3].T + self.T_camera_world[:3, 3]
        ahead = np.maximum(seen[:, 2:], 1e-6)
        return seen[:, :2] / ahead * self.K[[0, 1], [0, 1]] + self.K[:2, 2], seen[:, 2]


def scaled_intrinsics(camera: Camera, width: int, height: int) -> NDArray[np.float64]:
    """(3, 3) intrinsics of the whole picture shrunk to another size; pixel areas shrink about the picture's edges."""
    K = camera.K.astype(np.float64).copy()
    for row, factor in ((0, width / camera.width), (1, height / camera.height)):
        K[row, row] *= factor
        K[row, 2] = (K[row, 2] + 0.5) * factor - 0.5
    return K
