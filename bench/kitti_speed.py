# SPDX-FileCopyrightText: The Mem4Nav stack developers
# SPDX-License-Identifier: Apache-2.0
"""CPU time of a scan on KITTI 0005, LiDAR only, one thread: ours, VGICP and kiss-icp in turn on each scan.

Timed is what lies between the (N, 3) array of a scan and its pose and map update.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import Any

import numpy as np
from numpy.typing import NDArray

from bench import peers
from bench.kitti_drives import DRIVE_0005, bundles, opened, ours
from bench.rows import Report
from slam.bundle import ScanBundle
from slam.io.recording import Recording

REPETITIONS = 3
NAMES = ("ours", "VGICP", "kiss-icp")


def main() -> None:
    report = Report("kitti_speed")
    report.attempt(f"lidar/{DRIVE_0005}", _measure)
    report.save()


def _measure(report: Report) -> None:
    recording = opened(DRIVE_0005)
    scans = bundles(recording, use_imu=False)
    _in_turn(recording, scans[:8])
    times = np.array([_in_turn(recording, scans) for _ in range(REPETITIONS)])[:, 1:]
    cpu, wall = np.median(times[..., 0], axis=1), np.median(times[..., 1], axis=1)
    ratio = np.median(cpu[:, 0] / cpu[:, 1])
    what = "median CPU time of a scan, LiDAR only, one thread, against VGICP's (aim 0.5)"
    report.at_most(what, float(ratio), 0.7, "of VGICP's", 2)
    report.row("the same against kiss-icp's", "", f"{np.median(cpu[:, 0] / cpu[:, 2]):.2f} of kiss-icp's")
    rows = [
        [
            name,
            *(f"{value:.1f}" for value in cpu[:, k]),
            f"{np.median(wall[:, k]):.1f}",
            f"{_tail(times[..., 0], k):.1f}",
        ]
        for k, name in enumerate(NAMES)
    ]
    columns = ["odometry", *(f"CPU, run {n + 1}" for n in range(REPETITIONS)), "wall, median", "CPU, 95th percentile"]
    report.table(
        f"Milliseconds a scan, median over {times.shape[1]} scans of {_points(scans):.0f} points", columns, rows
    )


def _in_turn(recording: Recording, scans: list[ScanBundle]) -> NDArray[np.float64]:
    """(scans, 3 odometries, [CPU, wall]) milliseconds."""
    steps = (ours(recording), peers.vgicp(), peers.kiss_icp())
    times = np.empty((len(scans), len(steps), 2))
    for n, bundle in enumerate(scans):
        points = bundle.scan.points.astype(np.float64)
        for k, (step, given) in enumerate(zip(steps, (bundle, points, points), strict=True)):
            times[n, k] = _timed(step, given)
    return times


def _timed(step: Callable[[Any], Any], given: Any) -> tuple[float, float]:
    wall, cpu = time.perf_counter_ns(), time.process_time_ns()
    step(given)
    return 1e-6 * (time.process_time_ns() - cpu), 1e-6 * (time.perf_counter_ns() - wall)


def _tail(cpu: NDArray[np.float64], k: int) -> float:
    return float(np.percentile(cpu[..., k], 95))


def _points(scans: list[ScanBundle]) -> float:
    return float(np.mean([len(bundle.scan.points) for bundle in scans]))


if __name__ == "__main__":
    main()
