# SPDX-FileCopyrightText: The Mem4Nav stack developers
# SPDX-License-Identifier: Apache-2.0
"""Following written directions with the shipped weights: the real streets of Map2Seq and Touchdown, and the town.

Every number is that of ``mem4nav eval``, run as a user would. ``memory_ablation`` takes the memory apart.
"""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from bench.places import OUT
from bench.rows import Report
from shared_data import data_folder

CITY_TASKS = 60
MODES = ("full", "none")


def main() -> None:
    report = Report("navigation")
    report.attempt("map2seq", _map2seq)
    report.attempt("touchdown", _touchdown)
    _city(report)
    report.save()


def _map2seq(report: Report) -> None:
    data = data_folder()
    streets = ["map2seq", "--data", str(data), "--split", str(data / "map2seq" / "unseen_dev.jsonl")]
    whole = _eval("map2seq", streets)
    ahead = _eval("map2seq-ahead", [*streets, "--no-turn-around"])
    unaware = _eval("map2seq-no-length-prior", [*streets, "--no-length-prior"])
    report.row("Map2Seq unseen dev, 800 routes: TC", "at least 48", tc_of(whole), whole["tc"] >= 48.0)
    report.row("the same without turn_around: TC", "at least 40", tc_of(ahead), ahead["tc"] >= 40.0)
    report.row("the same without turn_around: nDTW", "at least 48", f"{ahead['ndtw']:.1f}", ahead["ndtw"] >= 48.0)
    known = "trained without knowing that every route has 35 to 45 places: TC"
    report.row(known, "at least 43", tc_of(unaware), unaware["tc"] >= 43.0)
    auc = whole["confidence_auc"]
    report.row("confidence: area under the ROC curve", "at least 0.75", f"{auc:.3f}", auc >= 0.75)
    report.row("800 routes, two workers", "under 30 s", f"{whole['seconds']:.1f} s", whole["seconds"] < 30.0)
    runs = {"turning back": whole, "without turn_around": ahead, "without the length prior": unaware}
    _table(report, f"Map2Seq unseen dev; trained on {whole['training_data']}", runs)


def _touchdown(report: Report) -> None:
    data = data_folder()
    found = _eval("touchdown", ["touchdown", "--data", str(data), "--split", str(data / "touchdown/unseen_dev.jsonl")])
    report.row("Touchdown unseen dev, 800 routes: TC", "at least 10", tc_of(found), found["tc"] >= 10.0)
    _table(report, f"Touchdown unseen dev; trained on {found['training_data']}", {"turning back": found})


def _table(report: Report, caption: str, runs: dict[str, dict[str, Any]]) -> None:
    columns = ["TC", "SPD", "SED", "nDTW", "SDTW", "KPA"]
    rows = [[name, *(f"{metrics[key.lower()]:.1f}" for key in columns)] for name, metrics in runs.items()]
    report.table(caption, ["", *columns], rows)


def _city(report: Report) -> None:
    found = {mode: _eval(f"city-{mode}", ["city", "--episodes", str(CITY_TASKS), "--memory", mode]) for mode in MODES}
    full, none = found["full"]["success_memory"], found["none"]["success_memory"]
    measured = f"{full:.1f} against {none:.1f} %"
    report.row("city, errands that need memory: full against none", "10 points", measured, full - none >= 10.0)
    keys = ["success_memory", "success_return", "success_errands", "success_blocked", "success_directions", "spl"]
    rows = [[mode, *(f"{metrics[key]:.1f}" for key in keys)] for mode, metrics in found.items()]
    names = [key.removeprefix("success_") for key in keys]
    report.table(f"City dev, {CITY_TASKS} tasks, success in percent; weights of the full memory", ["", *names], rows)


def tc_of(metrics: dict[str, Any]) -> str:
    """Task completion with its interval, in percent."""
    low, high = metrics["tc_ci95"]
    return f"{metrics['tc']:.1f} ({low:.1f} to {high:.1f})"


def _eval(name: str, options: list[str]) -> dict[str, Any]:
    return metrics_of(OUT / "navigation" / name, ["eval", *options, "--workers", "2"])


def metrics_of(out: Path, words: Sequence[str]) -> dict[str, Any]:
    """What a command of ``mem4nav``, run as a user would, leaves in metrics.json."""
    command = [sys.executable, "-m", "mem4nav.cli.main", *words, "--out", str(out), "--quiet"]
    subprocess.run(command, check=True)
    return json.loads((out / "metrics.json").read_text(encoding="utf-8"))


if __name__ == "__main__":
    main()
