# SPDX-FileCopyrightText: The Mem4Nav stack developers
# SPDX-License-Identifier: Apache-2.0
"""Unpaced replay of the city's bags: how much faster than the sensors, and what the first start costs."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import tempfile
from pathlib import Path

import numpy as np

from bench.drives import SEEDS, bags
from bench.places import ROOT
from bench.rows import Report
from slam.io import open_recording
from slam.replay import ReplayResult, replay

REPETITIONS = 3


def main() -> None:
    report = Report("bag_replay")
    paths = bags("city", SEEDS)
    replay(open_recording(paths[SEEDS[0]]), duration_s=5.0)
    factors, rows = {}, []
    for seed, path in paths.items():
        runs = sorted((replay(open_recording(path)) for _ in range(REPETITIONS)), key=lambda run: run.wall_s)
        run = runs[REPETITIONS // 2]
        factors[seed] = run.duration_s / run.wall_s
        rows.append([seed, *_numbers(run), f"{factors[seed]:.1f}"])
    listed = ", ".join(f"{factor:.1f}" for factor in factors.values())
    what = f"realtime_factor, warm cache, median of {REPETITIONS} runs, seeds {', '.join(map(str, factors))}"
    report.row(what, "at least 5", listed, min(factors.values()) >= 5.0)
    columns = [
        "seed",
        "scans",
        "recorded, s",
        "wall, s",
        "of it reading, s",
        "ms a scan, wall",
        "ms a scan, CPU",
        "factor by CPU time",
        "factor",
    ]
    report.table("Unpaced replay, every scan processed, no pictures; milliseconds are medians", columns, rows)
    report.note(
        "The factor by CPU time is the recorded time over the CPU time of reading and odometry: what the factor would "
        "be were the cores not shared with others."
    )
    _start_rows(report, paths[SEEDS[0]])
    report.save()


def _numbers(run: ReplayResult) -> list[str]:
    wall_ms, cpu_ms = (
        np.median([getattr(scan, name) for scan in run.results]) * 1e-6 for name in ("wall_ns", "cpu_ns")
    )
    seconds = (run.duration_s, run.wall_s, run.read_wall_s)
    cpu_s = run.read_cpu_s + 1e-9 * sum(scan.cpu_ns for scan in run.results)
    by_cpu = f"{run.duration_s / cpu_s:.1f}"
    return [str(len(run.results)), *(f"{value:.2f}" for value in seconds), f"{wall_ms:.1f}", f"{cpu_ms:.1f}", by_cpu]


def _start_rows(report: Report, path: Path) -> None:
    with tempfile.TemporaryDirectory() as empty:
        cold, warm = (_seconds_to_start(path, empty) for _ in range(2))
    for name, (first, tenth) in (("cold (empty numba cache)", cold), ("warm", warm)):
        report.row(
            f"start of a process, {name}: seconds to the first and the tenth pose", "", f"{first:.1f}, {tenth:.1f} s"
        )


def _seconds_to_start(path: Path, cache: str) -> list[float]:
    """Of a fresh process, from its start to the first and to the tenth pose."""
    command = [sys.executable, "-m", "bench.first_start", str(path)]
    environment = {**os.environ, "NUMBA_CACHE_DIR": cache}
    done = subprocess.run(command, cwd=ROOT, env=environment, capture_output=True, text=True, check=True)
    return json.loads(done.stdout)


if __name__ == "__main__":
    main()
