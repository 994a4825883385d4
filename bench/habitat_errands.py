# SPDX-FileCopyrightText: The Mem4Nav stack developers
# SPDX-License-Identifier: Apache-2.0
"""Errands in towns of Habitat without a reset: an agent that remembers the tour against the same one that does not.

Each town and seed leaves a file in ``out/bench/habitat_errands``: a run that was broken off goes on there. After
``ROUNDS_S`` no more towns are begun: the next run goes on.
"""

from __future__ import annotations

import json
import time
from typing import Any

import numpy as np

from bench.places import OUT
from bench.rows import Report
from mem4nav.cli.main import main as mem4nav
from mem4nav.evaluation import paired_difference
from sim_envs.habitat import HabitatError, find_interpreter

SEEDS, TOWNS, WORKERS, ROUNDS_S = (0, 1, 2), 3, 2, 3000.0
_FIRST_TOWN, _TOWNS_APART = 100, 10
MODES = ("full", "none")
Rows = dict[str, dict[str, Any]]


def main() -> None:
    report = Report("habitat_errands")
    try:
        find_interpreter()
    except HabitatError as error:
        report.skip("everything", str(error))
        report.save()
        return
    towns, found = _rounds()
    _judge(report, found, towns == TOWNS)
    report.note(
        f"Each seed has towns of its own, of which {towns} of {TOWNS} were walked. Both agents are shown the tour; the "
        "last errand of a town leads to where it began, the others to a bench or a hydrant that it passed."
    )
    report.save()


def _rounds() -> tuple[int, dict[str, list[Rows]]]:
    """How many towns each seed has walked, one more in each round while there is time, and {mode: seed by seed}."""
    began, towns, found = time.monotonic(), 0, {}
    while towns < TOWNS and (not towns or time.monotonic() - began < ROUNDS_S):
        towns += 1
        found = {mode: [_walked(mode, seed, towns) for seed in SEEDS] for mode in MODES}
    return towns, found


def _walked(mode: str, seed: int, towns: int) -> Rows:
    """{errand: its score} of a seed's first towns."""
    out = OUT / "habitat_errands" / f"{mode}-{seed}"
    code = mem4nav(["eval", "habitat", "--errands", "--memory", mode, "--seed", str(seed), "--episodes", str(towns),
                    "--town", str(_FIRST_TOWN + _TOWNS_APART * seed), "--workers", str(WORKERS), "--scenes",
                    str(OUT / "habitat_errands" / "towns"), "--out", str(out), "--quiet"])  # fmt: skip
    if code:
        raise RuntimeError(f"eval habitat --errands --memory {mode} ended with code {code}")
    return {row["id"]: row for row in map(json.loads, (out / "scores.jsonl").read_text().splitlines())}


def _judge(report: Report, found: dict[str, list[Rows]], complete: bool) -> None:
    """No verdicts before all towns are walked."""
    full, none = ({name: row for rows in found[mode] for name, row in rows.items()} for mode in MODES)
    for measure, what in (("success", "success"), ("spl", "SPL")):
        off = paired_difference(*([rows[name][measure] for name in full] for rows in (full, none)))
        low, high = (100.0 * bound for bound in off.interval)
        measured = f"{100.0 * off.mean:+.1f} points (95 % {low:+.1f} to {high:+.1f})"
        report.row(
            f"{len(full)} errands, {what}: full memory above none",
            "interval above 0",
            measured,
            low > 0.0 if complete else None,
        )
    rows = [_row(mode, found[mode]) for mode in MODES]
    seeds = [f"success, seed {seed}" for seed in SEEDS]
    report.table("Errands, percent and metres", [
        "memory", *seeds, "success", "SPL", "to a landmark", "to the beginning", "way, m"], rows)  # fmt: skip


def _row(mode: str, found: list[Rows]) -> list[str]:
    rows = [row for one in found for row in one.values()]
    last = {row["id"].partition("/")[0]: row["id"] for row in rows}
    beginning = [row for row in rows if row["id"] in last.values()]
    landmark = [row for row in rows if row["id"] not in last.values()]

    def percent(some: Any, measure: str = "success") -> str:
        return f"{100.0 * np.mean([row[measure] for row in some]):.1f}"

    seeds = [percent(one.values()) for one in found]
    way = f"{np.mean([row['path_length_m'] for row in rows]):.0f}"
    return [mode, *seeds, percent(rows), percent(rows, "spl"), percent(landmark), percent(beginning), way]


if __name__ == "__main__":
    main()
