# SPDX-FileCopyrightText: The Mem4Nav stack developers
# SPDX-License-Identifier: Apache-2.0
"""``mem4nav replay``: odometry and map from a recording."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Literal

import tyro

from mem4nav.cli.console import Terminal
from mem4nav.errors import UsageError


def replay(
    input: Annotated[Path, tyro.conf.Positional, tyro.conf.arg(metavar="INPUT")],
    *,
    out: Annotated[Path, tyro.conf.arg(metavar="DIR")],
    gt: Annotated[Path | None, tyro.conf.arg(metavar="FILE")] = None,
    gt_frame: Literal["base_link", "lidar"] = "base_link",
    config: Annotated[Path | None, tyro.conf.arg(metavar="FILE")] = None,
    map_in: Annotated[Path | None, tyro.conf.arg(metavar="DIR")] = None,
    pose_in: Annotated[tuple[float, ...], tyro.conf.arg(metavar="X Y Z [QX QY QZ QW]")] = (),
    start: Annotated[float, tyro.conf.arg(metavar="S")] = 0.0,
    duration: Annotated[float | None, tyro.conf.arg(metavar="S")] = None,
    no_imu: bool = False,
    no_camera: bool = False,
    no_map: bool = False,
    quiet: bool = False,
) -> None:
    """Odometry and map from a recording.

    Where it has pictures, a Gaussian map is fitted to them and helps the pose.

    Args:
        input: a rosbag1, rosbag2 or mcap, or a drive folder in the KITTI raw layout.
        out: gets map/, trajectory.tum, odom.tum, metrics.json, config.yaml, log.txt, map.png and report.html.
        gt: true poses in the TUM format; else those of the recording, where it holds any.
        gt_frame: what the poses of --gt are of.
        config: YAML with the keys `recording`, `odometry` and `mapping`.
        map_in: the map/ of an earlier replay, to go on with.
        pose_in: base_link in that map's frame at the first scan, within about a metre and ten degrees; else its origin.
        start: seconds to skip.
        duration: seconds to take.
        no_imu: use LiDAR alone.
        no_camera: leave pictures out: the map is one of planes, and the pose that of LiDAR and IMU.
        no_map: neither store nor draw a map, nor fit one to pictures; without it they cannot help the pose.
        quiet: say nothing but errors.
    """
    if start < 0.0:
        raise UsageError(f"--start {start:g}: a recording cannot be entered before it begins")
    if duration is not None and duration <= 0.0:
        raise UsageError(f"--duration {duration:g}: must be more than 0 seconds")
    if len(pose_in) not in (0, 3, 7) or (pose_in and map_in is None):
        raise UsageError(f"--pose-in has {len(pose_in)} numbers: give 3 or 7 of them, together with --map-in")
    # Imported here, so that --help and a mistyped option answer at once.
    from mem4nav.cli.replay_map import Start
    from mem4nav.cli.replay_run import Window, run
    from mem4nav.cli.truth import Truth
    from slam.config import load
    from slam.io.opening import open_recording
    from slam.replay_config import ReplayConfig
    from slam.trajectory import read_tum

    settings = load(ReplayConfig, config)
    truth = Truth(read_tum(gt), gt_frame, str(gt)) if gt is not None else None
    recording = open_recording(input, settings.recording)
    stored = Start.on(map_in, pose_in) if map_in is not None else None
    run(
        recording,
        settings,
        out,
        Terminal(quiet),
        truth=truth,
        window=Window(start, duration),
        start=stored,
        use_imu=not no_imu,
        use_camera=not no_camera,
        keep_map=not no_map,
    )
