# SPDX-FileCopyrightText: The Mem4Nav stack developers
# SPDX-License-Identifier: Apache-2.0
"""Half an hour of a bag in a loop through the player and the odometry node: the node's memory, and /dev/shm."""

from __future__ import annotations

import importlib.util
import time

import numpy as np

from bench.drives import bags
from bench.ros_runs import Played, company, play
from bench.rows import Report

SEED, SPAN_S, WARM_S = 1, 1800.0, 300


def main() -> None:
    report = Report("ros_soak")
    if importlib.util.find_spec("rclpy") is None:
        report.skip("half an hour over DDS", "rclpy is not here: pip install 'mem4nav[ros]'")
        return report.save()
    end = time.monotonic() + SPAN_S
    with company() as together:
        run = play(together, bags("small", (SEED,))[SEED], 1.0, loop=True, until=lambda _: time.monotonic() > end)
    report.row("node's memory over half an hour, after the first five minutes", "at most 1 MB a minute", *_slope(run))
    grown = max(run.shared_mb) - run.shared_mb[WARM_S]
    report.row("growth of /dev/shm after the first five minutes", "none", f"{grown:.1f} MB", grown < 1.0)
    marks = np.linspace(0, len(run.resident_mb) - 1, 10).astype(int)
    rows = [[int(n), f"{run.resident_mb[n]:.1f}", f"{run.shared_mb[n]:.1f}"] for n in marks]
    report.table("The loop of seed 1 again and again, at 1x", ["second", "resident, MB", "/dev/shm, MB"], rows)
    report.save()


def _slope(run: Played) -> tuple[str, bool]:
    """Megabytes a minute that the node's memory grows by, by least squares."""
    after = np.array(run.resident_mb[WARM_S:])
    slope = float(np.polyfit(np.arange(len(after)) / 60.0, after, 1)[0])
    return f"{slope:.2f} MB a minute", abs(slope) < 1.0


if __name__ == "__main__":
    main()
