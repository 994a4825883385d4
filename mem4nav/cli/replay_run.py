# SPDX-FileCopyrightText: The Mem4Nav stack developers
# SPDX-License-Identifier: Apache-2.0
"""A replay from an opened recording to the files of its results; ``replay`` and ``demo`` share it."""

from __future__ import annotations

import logging
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from mem4nav.cli.console import Terminal
from mem4nav.cli.metrics_file import write_metrics
from mem4nav.cli.replay_map import Start, keep, spool
from mem4nav.cli.replay_metrics import headline, map_metrics, replay_metrics
from mem4nav.cli.report import Chapter, Story, map_png, write_report
from mem4nav.cli.truth import Truth
from slam.config import dump, dump_yaml
from slam.errors import TrajectoryError
from slam.files import write_bytes, write_text
from slam.io.recording import Recording
from slam.metrics import Evaluation
from slam.replay import ReplayResult, replay
from slam.replay_config import ReplayConfig
from slam.trajectory import Trajectory, write_tum

logger = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class Window:
    """The part of a recording to take, in seconds from its start; no duration means to the end."""

    start_s: float = 0.0
    duration_s: float | None = None

    @property
    def whole(self) -> bool:
        """Whether it is all of the recording."""
        return self.start_s == 0.0 and self.duration_s is None


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
    use_camera: bool = True,
    keep_map: bool = True,
    last: Chapter | None = None,
) -> dict[str, Any]:
    """Replay, judge, and store trajectories, metrics, configuration, log, map and report in ``out``.

    Args:
        truth: else what the recording itself holds.
        use_camera: False leaves pictures out.
        keep_map: False stores no map, and fits none to pictures.
        last: what else the report and metrics.json tell.

    Returns:
        what metrics.json holds.

    Raises:
        TrajectoryError: when the truth that was asked for does not fit; the results are stored all the same.
    """
    window, last = window or Window(), last or Chapter()
    out.mkdir(parents=True, exist_ok=True)
    with spool(out / "spool", keep_map) as regions, _progress(terminal, recording, window) as advance:
        start_map = start.map(settings.odometry.map, settings.mapping.map, regions) if start else None
        result = replay(
            recording,
            settings.odometry,
            use_imu=use_imu,
            mapping=settings.mapping if use_camera and keep_map else None,
            start_map=start_map,
            start_pose=start.T_map_base if start else None,
            regions=regions,
            start_s=window.start_s,
            duration_s=window.duration_s,
            on_result=lambda _: advance(),
        )
        _write_ways(out, result)
        map_bytes = keep(out / "map", result, start_map) if keep_map else None
    evaluation, misfit, source = _judge(result, truth, recording)
    metrics = replay_metrics(result, evaluation, source) | map_metrics(result, map_bytes) | last.metrics
    notes = [*recording.notes, f"extrinsics from {recording.calibration.source}", *result.log]
    notes += [f"no comparison with the truth: {misfit}"] if misfit else []
    verdict, config = headline(metrics), dump_yaml(settings)
    story = Story(title or recording.name, verdict, result, evaluation, metrics, config, notes, last)
    _store(out, story, settings, map_png(result) if keep_map else None)
    terminal.say(f"{story.title}: {story.verdict}")
    terminal.say(f"results in {out}: report.html, trajectory.tum, metrics.json")
    if keep_map:
        terminal.say(f"to see the map: mem4nav view {out}")
    if misfit and truth is not None:
        raise misfit
    return metrics


def _progress(terminal: Terminal, recording: Recording, window: Window):
    return terminal.task(f"replaying {recording.name}", recording.scan_count if window.whole else None)


def _write_ways(out: Path, result: ReplayResult) -> None:
    """The LiDAR in its first frame, and base_link in the frame of the map."""
    write_tum(out / "trajectory.tum", result.trajectory())
    stamps = [one.stamp_ns for one in result.results]
    write_tum(out / "odom.tum", Trajectory.from_matrices(stamps, [one.T_odom_base for one in result.results]))


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


def _store(out: Path, story: Story, settings: ReplayConfig, picture: bytes | None) -> None:
    dump(settings, out / "config.yaml")
    write_metrics(out, story.metrics)
    write_text(out / "log.txt", "".join(f"{line}\n" for line in story.notes))
    if picture is not None:
        write_bytes(out / "map.png", picture)
    write_report(out / "report.html", story, picture)
