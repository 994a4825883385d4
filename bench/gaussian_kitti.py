# SPDX-FileCopyrightText: The Mem4Nav stack developers
# SPDX-License-Identifier: Apache-2.0
"""KITTI 0052: held-out pictures rendered from the Gaussian map, beside coloured points and warped pictures."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
from numpy.typing import NDArray

from bench.held_out import EVERY, SCALE, Frame, RangePicture, Score, frames, mean_score, moving, score
from bench.kitti_drives import DRIVE_0052, opened
from bench.map_baselines import ColouredPoints, nearest_frame, warped
from bench.rows import Report
from slam.gaussian_map.held_out import HeldOutView, ViewScore
from slam.gaussian_map.mapping_config import MappingConfig
from slam.io.recording import Recording
from slam.replay import ReplayResult, replay

OURS, ALL, NEAR, WARPED = (
    "Gaussian map",
    "points of all scans",
    "points of the 8 nearest scans",
    "nearest picture warped",
)
NEAREST = 8
Method = Callable[[Frame], NDArray[np.float32]]


def main() -> None:
    report = Report("gaussian_kitti")
    report.attempt(f"lidar/{DRIVE_0052}", _measure)
    report.note(
        f"Of every {EVERY} pictures the last is held out, its scan is used for the pose alone; poses are those of "
        f"the odometry without IMU; pictures at {SCALE:g} of their resolution. Near: pixels within 4 px of a return "
        "of that scan. Still: without the pixels near returns that at least 3 other scans look past, a rule that is "
        "the same for all. Points are coloured by their own picture and splatted with a depth test, holes filled from "
        "the nearest pixel; a picture is warped by the depth that its scan has between its returns. On the whole "
        "picture the map is black where it shows nothing, as above the LiDAR's field of view; the others fill it."
    )
    report.save()


def _measure(report: Report) -> None:
    recording = opened(DRIVE_0052)
    way = replay(recording, use_imu=False).base_trajectory()
    taken = list(frames(recording, way))
    training, judged = [f for f in taken if not f.held_out], [f for f in taken if f.held_out]
    result, shown = with_views(recording)
    others = [RangePicture(frame.points, frame.origin) for frame in training]
    masks = [moving(frame, others) for frame in judged]
    methods = {OURS: lambda frame: shown[frame.stamp_ns].colour, **_baselines(training)}
    scores = {
        name: [score(method(frame), frame, mask) for frame, mask in zip(judged, masks, strict=True)]
        for name, method in methods.items()
    }
    off_m = {found.stamp_ns: found.depth_error_m for found in result.scores}
    depths = [off_m[frame.stamp_ns] for frame in judged]
    _rows(report, {name: mean_score(found) for name, found in scores.items()}, depths)
    _tables(report, judged, scores, depths)
    assert result.gaussians is not None
    report.note(
        f"{len(result.gaussians)} Gaussians; {result.mapping_s:.1f} s of {result.wall_s:.1f} s were spent on fitting."
    )


def with_views(recording: Recording) -> tuple[ReplayResult, dict[int, HeldOutView]]:
    """A replay with a Gaussian map, and what it shows of the held-out pictures by their stamps."""
    shown: dict[int, HeldOutView] = {}

    def keep(view: HeldOutView, _: ViewScore) -> None:
        shown[view.look.stamp_ns] = view

    return replay(recording, use_imu=False, mapping=MappingConfig(scale=SCALE, hold_out=EVERY), on_view=keep), shown


def _baselines(training: list[Frame]) -> dict[str, Method]:
    every = ColouredPoints.of(training)

    def near(frame: Frame) -> NDArray[np.float32]:
        by_time = sorted(training, key=lambda other: abs(other.index - frame.index))
        return ColouredPoints.of(by_time[:NEAREST]).seen_from(frame.view)

    return {
        ALL: lambda frame: every.seen_from(frame.view),
        NEAR: near,
        WARPED: lambda frame: warped(nearest_frame(training, frame.view), frame.view),
    }


def _rows(report: Report, means: dict[str, Score], depths: list[float]) -> None:
    ours, best = means[OURS], max((ALL, NEAR), key=lambda name: means[name].near_db)
    report.row(
        "0052: PSNR near returns (aim 23 dB)", "at least 20.5 dB", f"{ours.near_db:.2f} dB", ours.near_db >= 20.5
    )
    gain = ours.near_db - means[best].near_db
    report.row(f"0052: the same against the better coloured points ({best})", "at least 1.5 dB more", f"{gain:+.2f} dB",
               gain >= 1.5)  # fmt: skip
    depth = float(np.median(depths))
    report.row("0052: median |depth of the rendering - of the scan|", "under 0.3 m", f"{depth:.3f} m", depth < 0.3)
    against = ours.near_db - means[WARPED].near_db
    report.row("0052: PSNR near returns against the nearest picture warped", "", f"{against:+.2f} dB")


def _tables(report: Report, judged: list[Frame], scores: dict[str, list[Score]], depths: list[float]) -> None:
    rows = []
    for name, found in scores.items():
        m = mean_score(found)
        rows.append([name, f"{m.near_db:.2f}", f"{m.still_db:.2f}", f"{m.full_db:.2f}", f"{m.ssim:.3f}"])
    columns = ["method", "near, dB", "near and still, dB", "whole picture, dB", "SSIM"]
    report.table(f"KITTI 0052, means over {len(judged)} held-out pictures", columns, rows)
    each = [
        [frame.index, *(f"{scores[name][n].near_db:.2f}" for name in scores), f"{depths[n]:.3f}"]
        for n, frame in enumerate(judged)
    ]
    report.table("Each held-out picture, dB near returns", ["picture", *scores, "depth error, m"], each)


if __name__ == "__main__":
    main()
