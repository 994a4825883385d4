# SPDX-FileCopyrightText: The Mem4Nav stack developers
# SPDX-License-Identifier: Apache-2.0
"""The truth that a replay is judged by."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal

import numpy as np
from numpy.typing import NDArray

from slam.errors import TrajectoryError
from slam.metrics import Evaluation, evaluate
from slam.trajectory import Trajectory

if TYPE_CHECKING:
    from slam.io.recording import Recording
    from slam.replay import ReplayResult

MAX_GAP_S = 0.25


@dataclass(frozen=True, slots=True)
class Truth:
    """True poses of one frame of the robot.

    Attributes:
        trajectory: in a world of its own.
        frame: what the poses are of.
        source: one phrase for the report.
    """

    trajectory: Trajectory
    frame: Literal["base_link", "lidar"]
    source: str

    @classmethod
    def of(cls, recording: Recording) -> Truth | None:
        """What the recording itself knows."""
        trajectory = recording.ground_truth()
        return None if trajectory is None or not len(trajectory) else cls(trajectory, "base_link", "the recording")

    def judge(self, result: ReplayResult) -> Evaluation:
        """Errors of the estimated trajectory of the same frame.

        Raises:
            TrajectoryError: when the truth does not cover at least two scans.
        """
        estimate = result.base_trajectory() if self.frame == "base_link" else result.trajectory()
        return evaluate(estimate, at_scans(self.trajectory, estimate.stamps_ns))


def at_scans(truth: Trajectory, stamps_ns: NDArray[np.int64]) -> Trajectory:
    """The truth interpolated at those of the (N,) stamps that it covers without a gap.

    A truth that is sampled at other times than the scans would else be off by the way driven in between: 4 cm at 8 m/s
    and 5 ms.

    Raises:
        TrajectoryError: when it covers none of them.
    """
    _, first = np.unique(truth.stamps_ns, return_index=True)
    truth = truth.select(first)
    right = np.clip(np.searchsorted(truth.stamps_ns, stamps_ns), 0, len(truth) - 1)
    left = np.where(truth.stamps_ns[right] == stamps_ns, right, np.maximum(right - 1, 0))
    inside = (truth.stamps_ns[left] <= stamps_ns) & (stamps_ns <= truth.stamps_ns[right])
    close = truth.stamps_ns[right] - truth.stamps_ns[left] <= round(MAX_GAP_S * 1e9)
    if not np.any(inside & close):
        raise TrajectoryError(
            f"the truth, {truth.stamps_ns[0] / 1e9:.3f} s to {truth.stamps_ns[-1] / 1e9:.3f} s, covers none of the "
            f"scans, {stamps_ns.min() / 1e9:.3f} s to {stamps_ns.max() / 1e9:.3f} s: are the clocks the same?"
        )
    return truth.at(np.unique(stamps_ns[inside & close]))
