# SPDX-FileCopyrightText: The Mem4Nav stack developers
# SPDX-License-Identifier: Apache-2.0
"""How long the navigation agent learns, by ``mem4nav train`` as a user runs it, and what it is worth then."""

from __future__ import annotations

import json
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

from bench.places import OUT
from bench.rows import Report
from shared_data import data_folder

LONGEST_MIN = 15.0


def main() -> None:
    report = Report("agent_training")
    report.attempt("map2seq", _map2seq)
    _city(report)
    report.save()


def _map2seq(report: Report) -> None:
    data = data_folder()
    streets = ["map2seq", "--data", str(data), "--split"]
    learnt, minutes = _run("train", *streets, str(data / "map2seq/train_pool.jsonl"))
    row = f"`mem4nav train map2seq`, {learnt['walks']} walks"
    report.row(row, "under 15 min on two cores", f"{minutes:.1f} min", minutes < LONGEST_MIN)
    checkpoint = ["--checkpoint", learnt["checkpoint"], "--workers", "2"]
    found, _ = _run("eval", *streets, str(data / "map2seq/unseen_dev.jsonl"), *checkpoint)
    low, high = found["tc_ci95"]
    report.row("TC of these weights, unseen dev", "-", f"{found['tc']:.1f} ({low:.1f} to {high:.1f})")


def _city(report: Report) -> None:
    learnt, minutes = _run("train", "city")
    row = f"`mem4nav train city`, {learnt['walks']} walks, towns and tasks made for it"
    report.row(row, "under 15 min on two cores", f"{minutes:.1f} min", minutes < LONGEST_MIN)


def _run(command: str, benchmark: str, *options: str) -> tuple[dict[str, Any], float]:
    """What a command leaves in metrics.json, and the minutes that it took."""
    out: Path = OUT / "agent_training" / command / benchmark
    began = time.monotonic()
    line = [sys.executable, "-m", "mem4nav.cli.main", command, benchmark, *options, "--out", str(out), "--quiet"]
    subprocess.run(line, check=True)
    return json.loads((out / "metrics.json").read_text(encoding="utf-8")), (time.monotonic() - began) / 60.0


if __name__ == "__main__":
    main()
