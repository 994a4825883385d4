# SPDX-FileCopyrightText: The Mem4Nav stack developers
# SPDX-License-Identifier: Apache-2.0
"""Written directions followed by driving through ten towns, on perception alone."""

from __future__ import annotations

from concurrent.futures import ProcessPoolExecutor
from multiprocessing import get_context

import numpy as np

from bench.closed_loop import Run, drive_task
from bench.rows import Report

SEEDS, HELD_OUT = range(10), range(10, 20)
LEAST_SUCCESSES = 7
_COLUMNS = ["seed", "way", "turns", "ended", "succeeded", "off along", "simulated", "wall", "struck", "drift", "reason"]


def main() -> None:
    report = Report("driving_city")
    with ProcessPoolExecutor(2, mp_context=get_context("spawn")) as pool:
        runs = list(pool.map(drive_task, [*SEEDS, *HELD_OUT]))
    runs, held_out = runs[: len(SEEDS)], runs[len(SEEDS) :]
    finished, succeeded = (sum(done) for done in zip(*((run.finished, run.succeeded) for run in runs), strict=True))
    report.row(
        "routes that end, arrived or with a reason", f"{len(runs)} of {len(runs)}", str(finished), finished == 10
    )
    report.row("routes that end at their goal", f"at least {LEAST_SUCCESSES} of {len(runs)}", str(succeeded),
               succeeded >= LEAST_SUCCESSES)  # fmt: skip
    reached = sum(run.succeeded for run in held_out)
    report.row("ten more towns, which no setting was chosen by", f"at least {LEAST_SUCCESSES} of {len(held_out)}",
               str(reached), reached >= LEAST_SUCCESSES)  # fmt: skip
    runs += held_out
    report.at_most("longest route, simulated", max(run.simulated_s for run in runs) / 60.0, 10.0, "min", 1)
    struck = sum(run.struck > 0 for run in runs)
    report.row("routes on which a kerb or a vehicle was touched", "", str(struck))
    wall = float(np.median([run.wall_s / run.simulated_s for run in runs]))
    report.row("wall time over simulated time, median, two at a time", "", f"{wall:.1f}")
    report.table("Routes of 150 to 400 m with two turns or more; LiDAR and IMU alone", _COLUMNS, [*map(_row, runs)])
    report.note(
        "A route succeeds where the driver says that it has arrived and stands abreast of the goal within 3 m, on the "
        "goal's street. The directions name hydrants and benches, which the detector knows; nothing else moves."
    )
    report.save()


def _row(run: Run) -> list[str]:
    return [
        str(run.seed), f"{run.length_m:.0f} m", str(run.turns), run.phase, "yes" if run.succeeded else "no",
        f"{run.along_m:.1f} m", f"{run.simulated_s:.0f} s", f"{run.wall_s:.0f} s", str(run.struck),
        f"{run.drift_m:.2f} m", run.reason,
    ]  # fmt: skip


if __name__ == "__main__":
    main()
