# SPDX-FileCopyrightText: The Mem4Nav stack developers
# SPDX-License-Identifier: Apache-2.0
"""What each part of the detector earns: networks of equal training, and the recipe of forty minutes.

``python -m bench.detection_training --variants full lidar --seeds 0`` trains some of it; the rows are of all that is
trained by then. Every training is kept, and goes on where it was broken off.
"""

from __future__ import annotations

import argparse
from collections.abc import Sequence
from concurrent.futures import ProcessPoolExecutor
from itertools import product
from multiprocessing import get_context
from typing import Any

from bench.detection_frames import TRAINING_FRAMES, WORKERS
from bench.detection_judging import mean_map
from bench.detection_runs import (
    BATCH,
    HELD_OUT_SEED,
    NAMES,
    ONE_HOT,
    RECIPE,
    RECIPE_MINUTES,
    SEEDS,
    STEPS,
    VARIANTS,
    metrics_of,
    prepare,
    run,
)
from bench.rows import Report

Runs = dict[int, dict[str, Any]]
"""Metrics by seed."""


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m bench.detection_training", description=__doc__)
    parser.add_argument("--variants", nargs="*", choices=NAMES, default=list(NAMES))
    parser.add_argument("--seeds", nargs="*", type=int, choices=SEEDS, default=list(SEEDS))
    parser.add_argument("--device", choices=("cpu", "cuda"), help="else a GPU where there is one")
    parser.add_argument("--workers", type=int, default=WORKERS, help="networks that learn at a time")
    asked = parser.parse_args()
    report = Report("detection_training")
    prepare()
    _train(asked.variants, asked.seeds, asked.device, asked.workers)
    summarise(report, {name: _trained(name) for name in NAMES})
    report.save()


def _train(names: Sequence[str], seeds: Sequence[int], device: str | None, workers: int) -> None:
    """The recipe last, and one at a time: its minutes are those of a machine of its own."""
    jobs = [(name, seed, device) for seed, name in product(seeds, names) if name != RECIPE]
    for some, at_a_time in ((jobs, workers), ([(RECIPE, seed, device) for seed in seeds if RECIPE in names], 1)):
        with ProcessPoolExecutor(at_a_time, mp_context=get_context("spawn")) as pool:
            list(pool.map(run, *zip(*some, strict=True)) if some else [])


def _trained(name: str) -> Runs:
    found = {seed: metrics_of(name, seed) for seed in SEEDS}
    return {seed: metrics for seed, metrics in found.items() if metrics is not None}


def summarise(report: Report, found: dict[str, Runs]) -> None:
    """Rows and the table of what is trained; skipped rows say what is not.

    Args:
        found: metrics by seed, of every variant and of the recipe.
    """
    _gain(report, found)
    _recipe(report, found[RECIPE])
    _ablation(report, found)


def _gain(report: Report, found: dict[str, Runs]) -> None:
    what = "fused, without semantic transfer, against the better of LiDAR alone and cameras alone: mAP"
    names = ("no-semantic", "lidar", "camera")
    seeds = sorted(set.intersection(*(set(found[name]) for name in names)))
    if not seeds:
        missing = ", ".join(name for name in names if not found[name]) or "the same seed of all three"
        return report.skip(what, f"not trained yet: {missing}")
    fused, lidar, camera = (100.0 * mean_map([found[name][seed] for seed in seeds]) for name in names)
    gain = fused - max(lidar, camera)
    measured = f"{fused:.1f} against {lidar:.1f} and {camera:.1f}: {gain:+.1f} ({_seeds(seeds)})"
    report.row(what, "at least +5 points", measured, gain >= 5.0)


def _recipe(report: Report, runs: Runs) -> None:
    what = f"`mem4nav detect train --minutes {RECIPE_MINUTES}`: mAP"
    if not runs:
        return report.skip(what, f"not trained yet: {RECIPE}")
    maps = [run["map"] for run in runs.values()]
    mean, spread = mean_map(list(runs.values())), max(maps) - min(maps)
    report.row(what, "at least 0.50", f"{mean:.3f} ({_seeds(runs)})", mean >= 0.5)
    if len(maps) < len(SEEDS):
        return report.skip("the same: greatest less least of the seeds", f"only {_seeds(runs)} trained yet")
    report.at_most("the same: greatest less least of the seeds", spread, 0.05, "mAP")


def _ablation(report: Report, found: dict[str, Runs]) -> None:
    full = {seed: run["map"] for seed, run in found["full"].items()}
    one_hot = {seed: run[ONE_HOT] for seed, run in found["full"].items()}
    named = [(VARIANTS[name].title, found[name]) for name in VARIANTS]
    rows = [_row(title, runs, full) for title, runs in [*named, ("all of it, scores of one class alone", one_hot)]]
    caption = (
        f"mAP on held-out towns of seed {HELD_OUT_SEED}, networks of {STEPS} steps of {BATCH} frames out of the same "
        f"{TRAINING_FRAMES}; differences over the seeds that both have"
    )
    seeds = [f"seed {seed}" for seed in SEEDS]
    report.table(caption, ["network", *seeds, "mean", "against all", "LiDAR's head", "cameras' head"], rows)


def _row(title: str, runs: Runs, full: dict[int, float]) -> list[str]:
    if not runs:
        return [title, *["-"] * (len(SEEDS) + 4)]
    both = [seed for seed in runs if seed in full]
    off = sum(runs[seed]["map"] - full[seed] for seed in both) / len(both) if both else None
    maps = [f"{runs[seed]['map']:.3f}" if seed in runs else "-" for seed in SEEDS]
    heads = [mean_map([run["per_head"][head] for run in runs.values()]) for head in ("lidar", "camera")]
    gap = "-" if off is None else f"{off:+.3f}"
    return [title, *maps, f"{mean_map(list(runs.values())):.3f}", gap, *(f"{head:.3f}" for head in heads)]


def _seeds(seeds: Sequence[int] | Runs) -> str:
    numbers = list(seeds)
    return f"seed{'s' if len(numbers) > 1 else ''} {', '.join(map(str, numbers))}"


if __name__ == "__main__":
    main()
