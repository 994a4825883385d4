# SPDX-FileCopyrightText: The Mem4Nav stack developers
# SPDX-License-Identifier: Apache-2.0
"""A city bag through the bag player and the odometry node over DDS, beside the library's replay of the same bag."""

from __future__ import annotations

import importlib.util
import time
from collections.abc import Callable
from pathlib import Path

import numpy as np

from bench import peers
from bench.drives import bags
from bench.ros_runs import Played, company, play
from bench.rows import Report
from slam.io import open_recording
from slam.measurements import Scan
from slam.replay import ReplayResult, replay
from slam.results import ScanResult

SEED, SCANS = 1, "scans of 64 x 1,536 rays"
RATES = (1.0, 4.0)


def main() -> None:
    report = Report("ros_replay")
    if importlib.util.find_spec("rclpy") is None:
        report.skip("replay over DDS", "rclpy is not here: pip install 'mem4nav[ros]'")
        return report.save()
    bag = bags("city_dense", (SEED,))[SEED]
    _sizes(report, bag)
    replay(open_recording(bag), duration_s=2.0, use_camera=False)
    libraries, runs = [_library(bag)], {}
    for rate in RATES:
        with company() as together:
            runs[rate] = play(together, bag, rate)
        libraries.append(_library(bag))
    library = sorted(libraries, key=_cpu_s)[len(libraries) // 2]
    _bars(report, runs, library)
    _pace(report, bag, runs[1.0])
    _table(report, runs, library)
    report.note(
        f"The library runs before, between and after the playings, warmed up as the node is, as fast as it goes: "
        f"{', '.join(f'{_cpu_s(one):.1f}' for one in libraries)} s of CPU; the median counts."
    )
    _with_camera(report, bag)
    _peer(report, bag, library)
    report.save()


def _library(bag: Path, on_result: Callable[[ScanResult], None] | None = None) -> ReplayResult:
    return replay(open_recording(bag), use_camera=False, on_result=on_result)


def _sizes(report: Report, bag: Path) -> None:
    from slam.io.bag_source import open_bag

    topics = open_bag(bag).topics
    counts = ", ".join(f"{topic.name} {topic.count}" for topic in sorted(topics.values(), key=lambda one: one.name))
    scans = [item for item in open_recording(bag).measurements() if isinstance(item, Scan)]
    points = np.median([len(scan.points) for scan in scans])
    report.note(
        f"The bag of seed {SEED} holds {SCANS}, {points:,.0f} points each (22 bytes a point: {points * 22e-6:.2f} MB), "
        f"pictures of 640 x 480; messages: {counts}."
    )


def _bars(report: Report, runs: dict[float, Played], library: ReplayResult) -> None:
    real, total = runs[1.0], len(library.results)
    share = len(real.positions) / total
    report.row(
        "scans processed at 1x", "100 %", f"{100 * share:.1f} % ({len(real.positions)} of {total})", share == 1.0
    )
    for rate, run in runs.items():
        apart_mm = _apart_mm(run, library)
        complete = len(run.positions) == total
        report.row(
            f"largest distance from the library's replay at {rate:g}x",
            "at most 1 mm",
            f"{apart_mm:.3f} mm" + ("" if complete else f", {total - len(run.positions)} scans dropped"),
            apart_mm <= 1.0,
        )
    p95 = max(latency[1] for latency in real.latencies_ms)
    report.at_most("p95 of a scan's latency at 1x, the worst 200 scans in a row", p95, 60.0, "ms", 1)
    cpu = _cpu_s(library)
    report.row(
        "CPU time of the node over the library's, at 1x", "at most 1.25",
        f"{real.cpu_s / cpu:.2f} ({real.cpu_s:.1f} s over {cpu:.1f} s)", real.cpu_s / cpu <= 1.25,
    )  # fmt: skip


def _pace(report: Report, bag: Path, real: Played) -> None:
    """A scan costs more where code and map have left the caches since the one before, a tenth of a second ago."""
    began_s, first_ns = time.monotonic(), 0

    def wait(result: ScanResult) -> None:
        nonlocal first_ns
        first_ns = first_ns or result.stamp_ns
        time.sleep(max(0.0, began_s + 1e-9 * (result.stamp_ns - first_ns) - time.monotonic()))

    cpu = _cpu_s(_library(bag, wait))
    report.row(
        "the same, the library at the recording's pace as well", "",
        f"{real.cpu_s / cpu:.2f} ({real.cpu_s:.1f} s over {cpu:.1f} s)",
    )  # fmt: skip


def _apart_mm(run: Played, library: ReplayResult) -> float:
    true = {result.stamp_ns: result.T_odom_base[:3, 3] for result in library.results}
    return 1e3 * max(float(np.linalg.norm(at - true[stamp])) for stamp, at in run.positions.items())


def _cpu_s(library: ReplayResult) -> float:
    """Reading, decoding and odometry."""
    return library.read_cpu_s + 1e-9 * sum(scan.cpu_ns for scan in library.results)


def _table(report: Report, runs: dict[float, Played], library: ReplayResult) -> None:
    rows = [
        [
            f"{rate:g}x", len(run.positions), f"{np.median([p50 for p50, _ in run.latencies_ms]):.1f}",
            f"{max(p95 for _, p95 in run.latencies_ms):.1f}", f"{run.cpu_s:.1f}", f"{run.wall_s:.1f}",
            run.dropped.get("points", 0), f"{run.resident_mb[-1]:.0f}",
        ]
        for rate, run in runs.items()
    ]  # fmt: skip
    rows.append(["library", len(library.results), "", "", f"{_cpu_s(library):.1f}", f"{library.wall_s:.1f}", 0, ""])
    columns = ["rate", "scans", "p50, ms", "p95, ms", "CPU, s", "wall, s", "clouds dropped", "resident, MB"]
    report.table("LiDAR and IMU; the player, the node and a listener share the cores", columns, rows)


def _with_camera(report: Report, bag: Path) -> None:
    """The same with a picture to every scan: the map of Gaussians is built and holds the pose."""
    with company() as together:
        run = play(together, bag, 1.0, cameras=("front",))
    scans = open_recording(bag).scan_count
    report.row(
        "with the camera and its map at 1x: scans processed, p95 of the latency", "",
        f"{100 * len(run.positions) / scans:.1f} %, {max(p95 for _, p95 in run.latencies_ms):.1f} ms",
    )  # fmt: skip


def _peer(report: Report, bag: Path, library: ReplayResult) -> None:
    if importlib.util.find_spec("kiss_icp") is None:
        return report.skip("kiss-icp's library on the same bag", "kiss-icp is not here: pip install kiss-icp")
    step, times = peers.kiss_icp_deskewing(), []
    for item in open_recording(bag).measurements(images=False):
        if isinstance(item, Scan):
            began = time.process_time()
            step(item)
            times.append(time.process_time() - began)
    ours = np.median([scan.cpu_ns for scan in library.results]) * 1e-6
    report.row(
        "CPU time of a scan, median: ours, kiss-icp's library (one thread, no IMU; its ROS node has no wheel)", "",
        f"{ours:.1f} ms, {1e3 * float(np.median(times)):.1f} ms",
    )  # fmt: skip


if __name__ == "__main__":
    main()
