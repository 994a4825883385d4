# SPDX-FileCopyrightText: The Mem4Nav stack developers
# SPDX-License-Identifier: Apache-2.0
"""Habitat: oracle, random and modular agent in towns, frames through the worker, and habitat-lab's own measures."""

from __future__ import annotations

import json
import subprocess
import tempfile
import time
from pathlib import Path
from typing import Any

import numpy as np

import sim_envs.habitat
from bench.rows import Report
from mem4nav.cli.main import main as mem4nav
from sim_envs.habitat import HabitatConfig, HabitatError, SensorConfig, SensorKind, Simulator, find_interpreter
from sim_envs.habitat.episodes import read_episodes
from sim_envs.habitat.town_episodes import WalkableTown, make_walkable_town

BASELINE_EPISODES, MODULAR_EPISODES = 100, 20
_FRAMES, _ROUNDS = 60, 3
_LAB_REPLAY = Path(sim_envs.habitat.__file__).with_name("lab_replay.py")


def main() -> None:
    report = Report("habitat")
    try:
        python = find_interpreter()
    except HabitatError as error:
        report.skip("everything", str(error))
        report.save()
        return
    with tempfile.TemporaryDirectory() as folder:
        _agents(report, Path(folder))
        town = make_walkable_town(0, Path(folder) / "towns", python)
        _frames(report, town)
        _against_lab(report, python, town, Path(folder))
    report.note("Towns are procedural; directions name benches and hydrants. The modular agent knows its pose.")
    report.save()


def _agents(report: Report, folder: Path) -> None:
    oracle = _evaluated("oracle", BASELINE_EPISODES, folder)
    chance = _evaluated("random", BASELINE_EPISODES, folder)
    modular = _evaluated("modular", MODULAR_EPISODES, folder)
    report.row("oracle, success", "100 %", f"{oracle['success']:.1f} %", oracle["success"] == 100.0)
    report.row("oracle, SPL", "above 95 %", f"{oracle['spl']:.1f} %", oracle["spl"] > 95.0)
    report.row("modular agent, success", "at least 40 %", f"{modular['success']:.1f} %", modular["success"] >= 40.0)
    lead = modular["success"] - chance["success"]
    report.row("the same above random", "at least 30 points", f"{lead:.1f} points", lead >= 30.0)
    names = ("episodes", "success", "spl", "oracle_success", "ndtw", "sdtw", "distance_to_goal_m", "seconds")
    rows = [[agent, *(f"{found[name]:.1f}" for name in names)]
            for agent, found in (("oracle", oracle), ("random", chance), ("modular", modular))]  # fmt: skip
    report.table("Towns, percent and metres", ["agent", *names], rows)


def _evaluated(agent: str, episodes: int, folder: Path) -> dict[str, Any]:
    out = folder / agent
    code = mem4nav(["eval", "habitat", "--agent", agent, "--episodes", str(episodes), "--scenes",
                    str(folder / "towns"), "--out", str(out), "--quiet"])  # fmt: skip
    if code:
        raise RuntimeError(f"eval habitat --agent {agent} ended with code {code}")
    return json.loads((out / "metrics.json").read_text(encoding="utf-8"))


def _frames(report: Report, town: WalkableTown) -> None:
    """The rate through the worker against what Habitat itself took for the same frames, round by round."""
    sensors = (SensorConfig("rgb", SensorKind.RGB), SensorConfig("depth", SensorKind.DEPTH))
    shares, rates = [], []
    with Simulator(HabitatConfig(town.scene.stage, sensors=sensors)) as simulator:
        simulator.place(read_episodes(town.episodes)[0].T_enu_base)
        for _ in range(_ROUNDS):
            began = time.perf_counter()
            inside = sum(simulator.step("left").simulated_s for _ in range(_FRAMES))
            took = time.perf_counter() - began
            shares.append(inside / took)
            rates.append(_FRAMES / took)
    share = float(np.median(shares))
    what = f"640x480 RGB and depth through the worker, of the rate within it ({town.scene.stage.name})"
    measured = f"{100.0 * share:.0f} % ({np.median(rates):.0f} frames a second)"
    report.row(what, "at least 70 %", measured, share >= 0.7)


def _against_lab(report: Report, python: str, town: WalkableTown, folder: Path) -> None:
    what = "success and SPL in habitat-lab 0.3.3, largest difference"
    probe = subprocess.run([python, "-c", "import importlib.util as u; assert u.find_spec('habitat')"], check=False,
                           capture_output=True)  # fmt: skip
    if probe.returncode:
        return report.skip(what, "no habitat-lab beside habitat-sim")
    ours = {row["id"]: row for row in map(json.loads, (folder / "oracle" / "scores.jsonl").read_text().splitlines())}
    replayed = subprocess.run(
        [python, "-W", "ignore", str(_LAB_REPLAY), str(town.episodes), str(folder / "towns"),
         str(folder / "oracle" / "predictions.jsonl")], capture_output=True, text=True, check=True,
    )  # fmt: skip
    theirs = [json.loads(line) for line in replayed.stdout.splitlines() if line.startswith('{"id"')]
    worst = max(abs(ours[row["id"]][key] - row[key]) for row in theirs for key in ("success", "spl"))
    report.row(f"{what}, {len(theirs)} episodes", "at most 0.001", f"{worst:.1e}", worst <= 1e-3)


if __name__ == "__main__":
    main()
