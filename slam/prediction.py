# SPDX-FileCopyrightText: The Mem4Nav stack developers
# SPDX-License-Identifier: Apache-2.0
"""Where the body should be at the end of a scan: by the IMU, by the motion model where it is silent or wrong."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from slam import so3
from slam.bundle import ImuBlock
from slam.deskew import bend, poses_at
from slam.ieskf import FilterState, Path, predict
from slam.inertial import Inertial, modelled_steps
from slam.odometry_config import OdometryConfig

TURN_RATE_GAIN = 0.6
LEVER_M = 20.0
"""A rotation counts by how far it moves a point so far away."""
START_ERROR_M = 0.05
"""What may be wrong with a point at the start of a scan."""
LEAST_STIFFNESS = 0.5
"""Below, an error at the start comes back larger and reversed at the end where few points of the end are seen."""

Poses = tuple[NDArray[np.float64], NDArray[np.float64]]


@dataclass(frozen=True, slots=True)
class Prediction:
    """Where the filter expects the body at the scan's end, and how it gets there.

    Attributes:
        state: the prior. path: body poses from the state before to it.
        stiffness: see ``slam.deskew.bend``.
    """

    state: FilterState
    path: Path
    stiffness: float

    def bent_to(self, end: FilterState) -> Poses:
        """Rotations and translations by share of the path, for points laid out with the prior's motion."""
        return bend(self.state.R, self.state.position, end.R, end.position, self.stiffness)

    def pose_at(self, stamp_ns: int, end: FilterState) -> NDArray[np.float64]:
        """(4, 4) body in odom at a stamp within the scan, now that the end is known to be ``end``."""
        R, p = poses_at(self.path, np.array([stamp_ns], np.int64))
        first_ns, last_ns = int(self.path.stamps_ns[0]), int(self.path.stamps_ns[-1])
        share = min(max((stamp_ns - first_ns) / (last_ns - first_ns), 0.0), 1.0)
        rotations, translations = self.bent_to(end)
        k = round(share * (len(rotations) - 1))
        T = np.eye(4)
        T[:3, :3] = rotations[k] @ self.state.R.T @ R[0]
        T[:3, 3] = rotations[k] @ self.state.R.T @ (p[0] - self.state.position) + translations[k]
        return T


class Predictor:
    """Carries the filter from scan to scan.

    Attributes:
        inertial: the recent samples.
        turn_rate: (3,) rad/s of the body, as the last scans showed it; used where the gyroscope is silent.
    """

    def __init__(self, config: OdometryConfig, use_imu: bool) -> None:
        self.config, self.use_imu = config, use_imu
        self.inertial = Inertial(config.imu, config.motion)
        self.turn_rate = np.zeros(3)
        self._clips = self._repeats = False

    def take_in(self, block: ImuBlock) -> list[str]:
        """Keep the samples of a bundle; returns sentences on what was recognised, when it begins."""
        if not self.use_imu or not len(block):
            return []
        news = [self.inertial.note] if self.inertial.recognise_unit(block) else []
        clipped, stuck = self.inertial.clipped, self.inertial.stuck
        self.inertial.add(block)
        clips, repeats = self.inertial.clipped > clipped, self.inertial.stuck > stuck
        if clips and not self._clips:
            news.append("IMU saturated: the motion model takes over on the axes at their limit")
        if repeats and not self._repeats:
            news.append("IMU repeats itself: left out until its readings change")
        self._clips, self._repeats = clips, repeats
        return news

    def predict(self, state: FilterState, end_ns: int, *, trust_imu: bool = True) -> Prediction:
        """From ``state`` to ``end_ns``; ``trust_imu`` False leaves the samples out."""
        if self.use_imu:
            samples = self.inertial if trust_imu else Inertial(self.config.imu, self.config.motion)
            steps = samples.steps(state.stamp_ns, end_ns, self.turn_rate + state.bg)
        else:
            steps = modelled_steps(state.stamp_ns, end_ns, self.config.motion)
        prior, path = predict(state, steps)
        return Prediction(prior, path, _stiffness(state, prior))

    def learn(self, before: FilterState, after: FilterState) -> None:
        """See how fast the body really turned between two scans."""
        measured = so3.log(before.R.T @ after.R) / ((after.stamp_ns - before.stamp_ns) * 1e-9)
        self.turn_rate = self.turn_rate + TURN_RATE_GAIN * (measured - self.turn_rate)


def _stiffness(before: FilterState, prior: FilterState) -> float:
    """How much of the prior's error was there when the scan began, from how its covariance has grown since."""
    grown = np.diag(prior.P)[:6] - np.diag(before.P)[:6]
    growth2 = max(0.0, LEVER_M**2 * grown[:3].mean() + grown[3:].mean())
    return max(LEAST_STIFFNESS, START_ERROR_M**2 / (START_ERROR_M**2 + growth2))
