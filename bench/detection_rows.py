# SPDX-FileCopyrightText: The Mem4Nav stack developers
# SPDX-License-Identifier: Apache-2.0
"""Rows and tables of a detector on held-out towns, from the numbers of its parts."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

import numpy as np

from bench.detection_judging import BLACK, LESS, NO_CAMERAS, NO_LIDAR, WHOLE
from bench.rows import Report

Numbers = Mapping[str, Any]
MAP_BAR, AP_BAR, FEWEST = 0.65, 0.80, 150
MAIN_CLASSES = ("car", "pedestrian")
DEVKIT_GAP = 1e-6
CAMERA_BAR, LIDAR_BAR, CAMERAS_BAR = 0.9, 0.7, 0.03
SWITCH_BAR = 5.0


def held_out_rows(report: Report, runs: Sequence[Numbers], devkit_missing: str | None) -> None:
    """All sensors: `judged` of each seed; the first one's holds the gap to the devkit, unless that is missing."""
    _at_least(report, "mAP over all classes", lambda run: run["map"], runs, MAP_BAR)
    for name in MAIN_CLASSES:
        _at_least(report, f"AP of {name}", lambda run, name=name: run["per_class"][name]["ap"], runs, AP_BAR)
    counts = {(one["count"], name) for run in runs for name, one in run["per_class"].items()}
    fewest, name = min(counts)
    report.row("fewest instances of a class", f"at least {FEWEST}", f"{fewest} ({name})", fewest >= FEWEST)
    _at_least(report, "NDS", lambda run: run["nds"], runs)
    for when in ("before", "after"):
        what = f"expected calibration error, {when} calibration"
        _at_least(report, what, lambda run, when=when: run[f"ece_{when}"], runs)
    what = "mAP by nuscenes-devkit of the same boxes: difference"
    if devkit_missing is None:
        gap = runs[0]["devkit_gap"]
        report.row(what, f"at most {DEVKIT_GAP:g}", f"{gap:.1e}", gap <= DEVKIT_GAP)
    else:
        report.skip(what, devkit_missing)
    _tables(report, runs)


def sensor_rows(report: Report, found: Mapping[str, Numbers], camera: float | None, lidar: float | None) -> None:
    """What is left when sensors fail.

    Args:
        found: `judged` by what is wrong, names of `CHANGES`.
        camera, lidar: mAP of networks trained with cameras alone and with LiDAR alone; None where there are none.
    """
    whole = found[WHOLE]["map"]
    for change in (LESS, BLACK):
        share = found[change]["map"] / whole if whole else 0.0
        measured = f"{found[change]['map']:.3f} of {whole:.3f}: {share:.2f}"
        report.row(f"{change}: share of the mAP", f"at least {CAMERA_BAR}", measured, share >= CAMERA_BAR)
    _against(report, NO_LIDAR, found, camera, f"{LIDAR_BAR} of cameras trained alone", lambda one: LIDAR_BAR * one)
    bar = f"LiDAR trained alone less {CAMERAS_BAR}"
    _against(report, NO_CAMERAS, found, lidar, bar, lambda one: one - CAMERAS_BAR)
    rows = [[change, *(f"{number:.3f}" for number in _main(run))] for change, run in found.items()]
    report.table("Faults of sensors, fused head", ["", "mAP", "NDS", *MAIN_CLASSES], rows)


def tracking_rows(report: Report, drives: Sequence[Numbers]) -> None:
    """Identities over drives, of `tracked`."""
    objects, switched, switches = (sum(one[key] for one in drives) for key in ("objects", "switched", "switches"))
    seconds = sum(one["frames"] for one in drives) / 10.0
    what = f"{len(drives)} drives, {seconds:.0f} s: objects followed for over 2 s whose identity switches"
    if not objects:
        return report.row(what, f"at most {SWITCH_BAR:g} %", "no object is followed", False)
    share = 100.0 * switched / objects
    measured = f"{share:.1f} % ({switched} of {objects}, {switches} switches)"
    report.row(what, f"at most {SWITCH_BAR:g} %", measured, share <= SWITCH_BAR)


def _at_least(
    report: Report, what: str, number: Callable[[Numbers], float], runs: Sequence[Numbers], bar: float | None = None
) -> None:
    """The mean of the seeds against a bar, if any; all of them are told."""
    values = [number(run) for run in runs]
    mean = float(np.mean(values))
    measured = f"{mean:.3f} ({', '.join(f'{value:.3f}' for value in values)})"
    report.row(what, "" if bar is None else f"at least {bar:.2f}", measured, None if bar is None else mean >= bar)


def _against(
    report: Report,
    change: str,
    found: Mapping[str, Numbers],
    alone: float | None,
    bar: str,
    least: Callable[[float], float],
) -> None:
    if alone is None:
        return report.skip(f"{change}: mAP", "no network of the other sensor alone is trained to compare with")
    here = found[change]["map"]
    measured = f"{here:.3f}; trained alone {alone:.3f}"
    report.row(f"{change}: mAP", f"at least {bar}", measured, here >= least(alone))


def _main(run: Numbers) -> list[float]:
    return [run["map"], run["nds"], *(run["per_class"][name]["ap"] for name in MAIN_CLASSES)]


def _tables(report: Report, runs: Sequence[Numbers]) -> None:
    heads = list(runs[0]["per_head"])
    rows = [[head, *(f"{number:.3f}" for number in _head_means(runs, head))] for head in heads]
    report.table("Heads, mean of the seeds", ["head", "mAP", "NDS", *MAIN_CLASSES], rows)
    rows = []
    for name, one in runs[0]["per_class"].items():
        aps = [float(np.mean([run["per_head"][head]["per_class"][name]["ap"] for run in runs])) for head in heads]
        counts = ", ".join(str(run["per_class"][name]["count"]) for run in runs)
        errors = [_error(value) for value in one["errors"].values()]
        rows.append([name, counts, *(f"{ap:.3f}" for ap in aps), *errors])
    columns = ["class", "instances by seed", *(f"AP, {head}" for head in heads), *next(_errors(runs))]
    report.table("Classes, AP mean of the seeds, errors of the first", columns, rows)


def _head_means(runs: Sequence[Numbers], head: str) -> list[float]:
    return np.mean([_main(run["per_head"][head]) for run in runs], axis=0).tolist()


def _errors(runs: Sequence[Numbers]):
    return (one["errors"] for one in runs[0]["per_class"].values())


def _error(value: float | None) -> str:
    return "-" if value is None else f"{value:.2f}"
