# SPDX-FileCopyrightText: The Mem4Nav stack developers
# SPDX-License-Identifier: Apache-2.0
"""A replay from an opened recording to the files of its results; ``replay`` and ``demo`` share it."""

from __future__ import annotations

import logging
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from mem4nav.cli.console import Terminal
from mem4nav.cli.metrics_file import write_metrics
from mem4nav.cli.replay_metrics import headline, replay_metrics
from mem4nav.cli.report import Story, map_png, write_report
from mem4nav.cli.truth import Truth
from mem4nav.errors import UsageError
from slam.config import dump, dump_yaml
from slam.errors import TrajectoryError
from slam.files import write_bytes, write_text
from slam.io.recording import Recording
from slam.io.settings import RecordingConfig
from slam.map_store import load_map, save_map
from slam.metrics import Evaluation
from slam.octree import PlaneMap
from slam.odometry_config import MapConfig, OdometryConfig
from slam.replay import ReplayResult, replay
from slam.trajectory import Trajectory, write_tum

logger = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class ReplayConfig:
    """What ``--config`` may hold, and what config.yaml beside the results does hold."""

    recording: RecordingConfig = field(default_factory=RecordingConfig)
    """How the recording is read, where it is not to be recognised."""
    odometry: OdometryConfig = field(default_factory=OdometryConfig)
    """The filter, its map and its health."""


@dataclass(frozen=True, slots=True)
class Window:
    """The part of a recording to take, in seconds from its start; no duration means to the end."""

    start_s: float = 0.0
    duration_s: float | None = None

    @property
    def whole(self) -> bool:
        """Whether it is all of the recording."""
        return self.start_s == 0.0 and self.duration_s is None


@dataclass(frozen=True, slots=True)
class Start:
    """A stored map to start in, and where in it.

    Attributes:
        map: the map.
        T_map_base: (4, 4) float64, base_link at the first scan in the frame of the map.
    """

    map: PlaneMap
    T_map_base: NDArray[np.float64]

    @classmethod
    def on(cls, folder: Path, pose: Sequence[float], config: MapConfig) -> Start:
        """From the map in ``folder``, and x y z with or without qx qy qz qw; no numbers mean the map's origin."""
        position, quaternion = [*pose[:3]] or [0.0, 0.0, 0.0], [*pose[3:]] or [0.0, 0.0, 0.0, 1.0]
        if abs(np.linalg.norm(quaternion) - 1.0) > 0.01:
            raise UsageError(f"--pose-in: the quaternion {quaternion} is not of unit length")
        at = Trajectory(np.zeros(1, np.int64), np.array([position]), np.array([quaternion]))
        return cls(load_map(folder, config), at.matrices()[0])


def run(
    recording: Recording,
    settings: ReplayConfig,
    out: Path,
    terminal: Terminal,
    *,
    title: str | None = None,
    truth: Truth | None = None,
    window: Window | None = None,
    start: Start | None = None,
    use_imu: bool = True,
    keep_map: bool = True,
) -> dict[str, Any]:
    """Replay, judge, and store the trajectory, metrics, configuration, log, map and report in ``out``.

    Args:
        truth: else what the recording itself holds.

    Returns:
        what metrics.json holds.

    Raises:
        TrajectoryError: when the truth that was asked for does not fit; the results are stored all the same.
    """
    window = window or Window()
    out.mkdir(parents=True, exist_ok=True)
    total = recording.scan_count if window.whole else None
    with terminal.task(f"replaying {recording.name}", total) as advance:
        result = replay(
            recording,
            settings.odometry,
            use_imu=use_imu,
            start_map=start.map if start else None,
            start_pose=start.T_map_base if start else None,
            start_s=window.start_s,
            duration_s=window.duration_s,
            on_result=lambda _: advance(),
        )
    evaluation, misfit, source = _judge(result, truth, recording)
    metrics = replay_metrics(result, evaluation, source)
    notes = [*recording.notes, f"extrinsics from {recording.calibration.source}", *result.log]
    notes += [f"no comparison with the truth: {misfit}"] if misfit else []
    story = Story(title or recording.name, headline(metrics), result, evaluation, metrics, dump_yaml(settings), notes)
    _store(out, story, settings, keep_map)
    terminal.say(f"{story.title}: {story.verdict}")
    terminal.say(f"results in {out}: report.html, trajectory.tum, metrics.json")
    if misfit and truth is not None:
        raise misfit
    return metrics


def _judge(
    result: ReplayResult, asked: Truth | None, recording: Recording
) -> tuple[Evaluation | None, TrajectoryError | None, str]:
    truth = asked or Truth.of(recording)
    if truth is None:
        return None, None, ""
    try:
        return truth.judge(result), None, truth.source
    except TrajectoryError as error:
        logger.warning("no comparison with the truth: %s", error)
        return None, error, truth.source


def _store(out: Path, story: Story, settings: ReplayConfig, keep_map: bool) -> None:
    write_tum(out / "trajectory.tum", story.result.trajectory())
    dump(settings, out / "config.yaml")
    write_metrics(out, story.metrics)
    write_text(out / "log.txt", "".join(f"{line}\n" for line in story.notes))
    picture = map_png(story.result) if keep_map else None
    if keep_map:
        save_map(out / "map", story.result.map)
    if picture is not None:
        write_bytes(out / "map.png", picture)
    write_report(out / "report.html", story, picture)
