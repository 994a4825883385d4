# SPDX-FileCopyrightText: The Mem4Nav stack developers
# SPDX-License-Identifier: Apache-2.0
"""How long the navigation agent learns, by ``mem4nav train`` as a user runs it, and what it is worth then."""

from __future__ import annotations

from typing import Any

from bench.navigation import metrics_of, tc_of
from bench.places import OUT
from bench.rows import Report
from shared_data import data_folder

LONGEST_MIN = 15.0
_FOLDER = OUT / "agent_training"


def main() -> None:
    report = Report("agent_training")
    report.attempt("map2seq", _map2seq)
    _trained(report, "city")
    report.save()


def _map2seq(report: Report) -> None:
    data = data_folder()
    streets = ["--data", str(data), "--split"]
    learnt = _trained(report, "map2seq", *streets, str(data / "map2seq/train_pool.jsonl"))
    unseen = [*streets, str(data / "map2seq/unseen_dev.jsonl"), "--checkpoint", learnt["checkpoint"]]
    found = metrics_of(_FOLDER / "eval", ["eval", "map2seq", *unseen, "--workers", "2"])
    report.row("TC of these weights, unseen dev", "-", tc_of(found))


def _trained(report: Report, benchmark: str, *options: str) -> dict[str, Any]:
    """Train, and say how long it took, lessons and all."""
    learnt = metrics_of(_FOLDER / benchmark, ["train", benchmark, *options])
    minutes = learnt["seconds"] / 60.0
    what = f"`mem4nav train {benchmark}`, {learnt['walks']} walks"
    report.row(what, "under 15 min on two cores", f"{minutes:.1f} min", minutes < LONGEST_MIN)
    return learnt


if __name__ == "__main__":
    main()
