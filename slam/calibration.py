# SPDX-FileCopyrightText: The Mem4Nav stack developers
# SPDX-License-Identifier: Apache-2.0
"""Where the sensors sit and how the cameras project."""

from __future__ import annotations

from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray


def _identity() -> NDArray[np.float64]:
    return np.eye(4)


@dataclass(frozen=True, slots=True)
class Camera:
    """A pinhole camera with plumb-bob distortion (k1, k2, p1, p2, k3), optical frame z forward.

    Attributes:
        width, height: image size in pixels.
        K: (3, 3) float64 intrinsic matrix, pixels.
        distortion: (5,) float64.
        T_base_camera: (4, 4) float64, maps optical-frame points into base_link.
    """

    width: int
    height: int
    K: NDArray[np.float64]
    distortion: NDArray[np.float64] = field(default_factory=lambda: np.zeros(5))
    T_base_camera: NDArray[np.float64] = field(default_factory=_identity)


@dataclass(frozen=True, slots=True)
class Calibration:
    """Extrinsics of one rig; ``T_a_b`` maps points from frame b into frame a.

    Attributes:
        T_base_lidar: (4, 4) float64, LiDAR frame into base_link.
        T_base_imu: (4, 4) float64, IMU frame into base_link; None where the recording has no IMU
            or does not say where it sits.
        cameras: by name.
        source: where these numbers come from, one phrase for the log ("tf_static", "configuration", ...).
    """

    T_base_lidar: NDArray[np.float64] = field(default_factory=_identity)
    T_base_imu: NDArray[np.float64] | None = None
    cameras: dict[str, Camera] = field(default_factory=dict)
    source: str = "identity: nothing was given"
