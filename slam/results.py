# SPDX-FileCopyrightText: The Mem4Nav stack developers
# SPDX-License-Identifier: Apache-2.0
"""What the odometry says about each scan."""

from __future__ import annotations

from dataclasses import dataclass, field
from enum import Enum

import numpy as np
from numpy.typing import NDArray


class State(str, Enum):
    """How far a pose can be trusted."""

    OK = "ok"
    DEGRADED = "degraded"
    LOST = "lost"


@dataclass(frozen=True, slots=True)
class Health:
    """Verdict on one scan.

    Attributes:
        state: ok, degraded (the geometry leaves ``axes`` unconstrained) or lost (the scan does not
            fit the map; the pose is a prediction).
        axes: (K, 3) float64 unit directions in odom along which translation is unconstrained.
        reasons: short phrases with numbers, empty when all is well.
    """

    state: State = State.OK
    axes: NDArray[np.float64] = field(default_factory=lambda: np.zeros((0, 3)))
    reasons: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class ScanResult:
    """Pose and verdict for one scan.

    Attributes:
        stamp_ns: header stamp of the scan, at which the pose holds.
        T_odom_base: (4, 4) float64, base_link into odom.
        T_odom_lidar: (4, 4) float64, LiDAR frame into odom.
        covariance: (6, 6) float64 of [rotation (rad, body frame), position (m, odom)].
        health: how far to trust it.
        segment: number of the segment; a new one starts after ``lost`` or a lasting jump of the clock,
            and its poses are related to those of the one before by dead reckoning alone.
        points, matched: points after downsampling, and how many of them found a plane.
        residual_m: root mean square point-to-plane distance of the matched points.
        camera: "used" where pictures helped the pose, else why they did not; empty where there were none.
        wall_ns, cpu_ns: time spent on this scan, all threads of the process for the latter.
    """

    stamp_ns: int
    T_odom_base: NDArray[np.float64]
    T_odom_lidar: NDArray[np.float64]
    covariance: NDArray[np.float64]
    health: Health
    segment: int = 0
    points: int = 0
    matched: int = 0
    residual_m: float = float("nan")
    camera: str = ""
    wall_ns: int = 0
    cpu_ns: int = 0
