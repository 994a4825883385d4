# SPDX-FileCopyrightText: The Mem4Nav stack developers
# SPDX-License-Identifier: Apache-2.0
"""The detector that ships, on held-out towns: what it finds, what faults of sensors cost, whether things keep their
identity; and what it makes of real frames.

``python -m bench.detection --checkpoint FILE`` judges another one. Frames, and the numbers of each part, are kept in
``out/bench/detection``: a run that was broken off goes on there.
"""

from __future__ import annotations

import argparse
import hashlib
from concurrent.futures import ProcessPoolExecutor
from functools import partial
from multiprocessing import get_context
from pathlib import Path
from typing import Any

import numpy as np
import torch

from bench.detection_devkit import devkit_missing
from bench.detection_frames import WORKERS, drive_frames, held_out_frames
from bench.detection_judging import CHANGES, WHOLE, judged, judging_key, loaded, tracked
from bench.detection_real import real_frames
from bench.detection_rows import held_out_rows, sensor_rows, tracking_rows
from bench.detection_runs import SEEDS as TRAINED_SEEDS
from bench.detection_runs import STEPS, metrics_of
from bench.places import OUT, ROOT
from bench.resuming import measured
from bench.rows import Report
from detection.inference import CITY_WEIGHTS

FOLDER = OUT / "detection"
SEEDS = (0, 1, 2)
DRIVE = "drive"
Job = tuple[str, int]
"""What is wrong with the sensors, or a drive; and the seed of the towns."""


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m bench.detection", description=__doc__)
    parser.add_argument("--checkpoint", type=Path, default=CITY_WEIGHTS, help="else the detector that ships")
    checkpoint = parser.parse_args().checkpoint
    torch.set_num_threads(1)
    report = Report("detection")
    if checkpoint.is_file():
        _towns(report, checkpoint)
    else:
        report.skip("held-out towns", f"there is no detector: {checkpoint} is missing")
    real_frames(report, loaded(checkpoint) if checkpoint.is_file() else None, FOLDER)
    report.save()


def _towns(report: Report, checkpoint: Path) -> None:
    for seed in SEEDS:
        held_out_frames(seed)
        drive_frames(seed)
    jobs = [(WHOLE, seed) for seed in SEEDS] + [(change, SEEDS[0]) for change in CHANGES if change != WHOLE]
    jobs += [(DRIVE, seed) for seed in SEEDS]
    key = judging_key(hashlib.sha256(checkpoint.read_bytes()).hexdigest())
    with ProcessPoolExecutor(WORKERS, mp_context=get_context("spawn")) as pool:
        found = dict(zip(jobs, pool.map(partial(_part, checkpoint, key), jobs), strict=True))
    held_out_rows(report, [found[WHOLE, seed] for seed in SEEDS], devkit_missing())
    changed = {change: found[change, SEEDS[0]] for change in CHANGES}
    sensor_rows(report, changed, trained_alone("camera"), trained_alone("lidar"))
    tracking_rows(report, [found[DRIVE, seed] for seed in SEEDS])
    name = checkpoint.relative_to(ROOT) if checkpoint.is_relative_to(ROOT) else checkpoint.name
    report.note(
        f"The detector is {name}; faults of sensors are judged on the towns of seed {SEEDS[0]}. Networks of one kind "
        f"of sensor are those of `bench.detection_training`, {STEPS} steps long."
    )


def _part(checkpoint: Path, key: str, job: Job) -> dict[str, Any]:
    """From the file that a job left, else measured."""
    torch.set_num_threads(1)
    kind, seed = job
    path = FOLDER / "parts" / f"{kind.replace(' ', '-')}-{seed}.json"

    def measure() -> dict[str, Any]:
        detector = loaded(checkpoint)
        if kind == DRIVE:
            return tracked(detector, drive_frames(seed))
        return judged(detector, held_out_frames(seed), kind, devkit=job == (WHOLE, SEEDS[0]))

    return measured(path, key, measure)


def trained_alone(name: str) -> float | None:
    """mAP of networks of one kind of sensor on the same towns, mean of the seeds; None before any is trained."""
    runs = [run for seed in TRAINED_SEEDS if (run := metrics_of(name, seed)) is not None]
    return float(np.mean([run["map"] for run in runs])) if runs else None


if __name__ == "__main__":
    main()
