# SPDX-FileCopyrightText: The Mem4Nav stack developers
# SPDX-License-Identifier: Apache-2.0
"""Drives through the small world, recorded once for all tests, their replay, and how far it is from the truth."""

from __future__ import annotations

from functools import cache

import numpy as np

from slam.measurements import Measurement
from slam.metrics import align
from slam.replay import ReplayResult, replay
from slam.trajectory import Trajectory
from small_world import TENTH, Drive, Stream

HOUR_NS = 3_600_000_000_000


@cache
def recorded(**settings) -> tuple[Drive, tuple[Measurement, ...]]:
    """A drive and its measurements, inertial ones included, in the order of their arrival."""
    drive = Drive(**settings)
    return drive, tuple(drive.stream())


@cache
def replayed(imu: bool = True, **settings) -> ReplayResult:
    """A drive without faults, replayed."""
    return replay(Stream(recorded(**settings)[1], imu))


def indices(result: ReplayResult) -> np.ndarray:
    """(N,) number of the scan behind each result; stamps may be off by an hour."""
    stamps = np.array([r.stamp_ns for r in result.results])
    return np.round(stamps % HOUR_NS / TENTH).astype(int)


def ate_m(result: ReplayResult, drive: Drive) -> float:
    """Root mean square distance of base_link from the truth after SE(3) alignment, metres."""
    estimate, truth = positions(result), drive.truth().positions[indices(result)]
    T = align(estimate, truth)
    return float(np.sqrt(np.mean(np.sum((estimate @ T[:3, :3].T + T[:3, 3] - truth) ** 2, axis=1))))


def errors_m(result: ReplayResult, drive: Drive) -> np.ndarray:
    """(N,) distance of base_link from the truth, both seen from their first pose, metres."""
    truth = drive.truth().select(indices(result)).relative().positions
    return np.linalg.norm(base(result).relative().positions - truth, axis=1)


def base(result: ReplayResult) -> Trajectory:
    """base_link in odom, levelled."""
    return result.base_trajectory()


def positions(result: ReplayResult) -> np.ndarray:
    """(N, 3) of base_link in odom."""
    return base(result).positions


def pose_bytes(result: ReplayResult) -> list[bytes]:
    """The bytes of every pose and covariance: two replays that agree in all of them are the same."""
    return [r.T_odom_lidar.tobytes() + r.T_odom_base.tobytes() + r.covariance.tobytes() for r in result.results]
