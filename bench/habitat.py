# SPDX-FileCopyrightText: The Mem4Nav stack developers
# SPDX-License-Identifier: Apache-2.0
"""Habitat: oracle, random and modular agent in towns, frames through the worker, and habitat-lab's own measures.

Each episode leaves a file in ``out/bench/habitat``: a run that was broken off goes on there, and after a change of what
episodes depend on all is walked anew. The modular agent begins no more towns after ``MODULAR_S``, and the others walk
what it has walked: the next run goes on.
"""

from __future__ import annotations

import hashlib
import json
import os
import signal
import subprocess
import sys
import time
from dataclasses import asdict
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

import sim_envs.habitat
from bench.places import OUT, ROOT
from bench.rows import Report
from mem4nav.cli.main import main as mem4nav
from mem4nav.evaluation import Difference, paired_difference
from sim_envs.habitat import HabitatConfig, HabitatError, SensorConfig, SensorKind, Simulator, find_interpreter
from sim_envs.habitat.episodes import read_episodes
from sim_envs.habitat.frames import pose_from_enu
from sim_envs.habitat.town_episodes import EPISODES_PER_TOWN, WalkableTown, make_walkable_town

EPISODES, WORKERS, MODULAR_S = 100, 2, 1500.0
KILLS = (0.15, 0.45, 0.75)
"""A Habitat is killed once these shares of the oracle's episodes are done."""
_FRAMES, _ROUNDS = 60, 3
_ROOM = Path(sim_envs.habitat.__file__).parent
_SOURCES = ("sim_envs/city/**/*.py", "mem4nav/driving/*.py", "mem4nav/cli/habitat_walks.py", "detection/weights/*")
_UNUSED = ("poses.py",)
_HABITAT_SOURCES = (
    "environment", "lidar", "walker", "stepper", "baselines", "town", "town_episodes", "measures", "worker_main",
    "config",
)  # fmt: skip


def main() -> None:
    report = Report("habitat")
    try:
        python = find_interpreter()
    except HabitatError as error:
        report.skip("everything", str(error))
        report.save()
        return
    folder = OUT / "habitat" / _sources()
    _agents(report, folder)
    town = make_walkable_town(0, folder / "towns", python)
    _frames(report, python, town)
    _against_lab(report, python, town, folder)
    report.note("Towns are procedural; directions name benches and hydrants. The modular agent knows its pose.")
    report.save()


def _sources() -> str:
    """Of what episodes depend on."""
    paths = [path for pattern in _SOURCES for path in sorted(ROOT.glob(pattern)) if path.name not in _UNUSED]
    paths += [_ROOM / f"{name}.py" for name in _HABITAT_SOURCES]
    return hashlib.sha256(b"".join(path.read_bytes() for path in paths)).hexdigest()[:12]


def _agents(report: Report, folder: Path) -> None:
    """No verdicts before all episodes are walked."""
    modular = _modular(folder)
    count = modular["episodes"]
    oracle, chance = _killed_on_the_way(folder, count), _evaluated("random", folder, count)

    def judge(what: str, bar: str, measured: str, holds: bool) -> None:
        report.row(f"{what}, {count} of {EPISODES} episodes", bar, measured, holds if count == EPISODES else None)

    judge("oracle, success", "100 %", f"{oracle['success']:.1f} %", oracle["success"] == 100.0)
    judge("oracle, SPL", "above 95 %", f"{oracle['spl']:.1f} %", oracle["spl"] > 95.0)
    lost = count - oracle["episodes"] + oracle["failed"]
    measured = f"{lost} lost, {oracle['restarts']} begun anew"
    judge(f"oracle, Habitat killed {len(KILLS)} times", "0 lost", measured, lost == 0 and oracle["restarts"] > 0)
    low, high = modular["success_ci95"]
    measured = f"{modular['success']:.1f} % ({low:.1f} to {high:.1f})"
    judge("modular agent, success", "at least 40 %", measured, modular["success"] >= 40.0)
    lead = _lead(folder)
    low, high = (100.0 * bound for bound in lead.interval)
    measured = f"{100.0 * lead.mean:.1f} points ({low:.1f} to {high:.1f})"
    judge("the same above random, paired", "at least 30 points", measured, lead.mean >= 0.3)
    names = ("episodes", "success", "spl", "oracle_success", "ndtw", "sdtw", "distance_to_goal_m", "path_length_m")
    rows = [[agent, *(f"{found[name]:.1f}" for name in names)]
            for agent, found in (("oracle", oracle), ("random", chance), ("modular", modular))]  # fmt: skip
    report.table("Towns, percent and metres", ["agent", *names], rows)


def _lead(folder: Path) -> Difference:
    """The modular agent's success above the random one's."""
    walked, chance = _scores(folder / "modular"), _scores(folder / "random")
    return paired_difference(*([rows[name]["success"] for name in walked] for rows in (walked, chance)))


def _command(agent: str, folder: Path, episodes: int) -> list[str]:
    return ["eval", "habitat", "--agent", agent, "--episodes", str(episodes), "--workers", str(WORKERS), "--scenes",
            str(folder / "towns"), "--out", str(folder / agent), "--quiet"]  # fmt: skip


def _evaluated(agent: str, folder: Path, episodes: int) -> dict[str, Any]:
    if code := mem4nav(_command(agent, folder, episodes)):
        raise RuntimeError(f"eval habitat --agent {agent} ended with code {code}")
    return _metrics(folder / agent)


def _modular(folder: Path) -> dict[str, Any]:
    """From where the last run ended: some more towns while there is time."""
    began, at_once = time.monotonic(), WORKERS * EPISODES_PER_TOWN
    wanted = max(at_once, _done(folder / "modular"))
    found = _evaluated("modular", folder, wanted)
    while wanted < EPISODES and time.monotonic() - began < MODULAR_S:
        wanted = min(EPISODES, wanted + at_once)
        found = _evaluated("modular", folder, wanted)
    return found


def _killed_on_the_way(folder: Path, count: int) -> dict[str, Any]:
    """The oracle's episodes, while a Habitat is killed now and then."""
    process = subprocess.Popen([sys.executable, "-m", "mem4nav.cli.main", *_command("oracle", folder, count)], cwd=ROOT)
    kills = [share * count for share in KILLS if share * count > _done(folder / "oracle")]
    while process.poll() is None:
        time.sleep(0.2)
        if kills and _done(folder / "oracle") >= kills[0] and (habitats := _habitats(process.pid)):
            os.kill(habitats[0], signal.SIGKILL)
            kills.pop(0)
    if process.returncode:
        raise RuntimeError(f"eval habitat --agent oracle ended with code {process.returncode}")
    return _metrics(folder / "oracle")


def _done(out: Path) -> int:
    return len(list((out / "episodes").glob("*.json")))


def _habitats(pid: int) -> list[int]:
    """Processes of Habitat below a process."""
    try:
        children = [int(child) for child in Path(f"/proc/{pid}/task/{pid}/children").read_text().split()]
        own = [pid] if b"worker_main.py" in Path(f"/proc/{pid}/cmdline").read_bytes() else []
    except OSError:
        return []
    return own + [found for child in children for found in _habitats(child)]


def _metrics(out: Path) -> dict[str, Any]:
    return json.loads((out / "metrics.json").read_text(encoding="utf-8"))


def _scores(out: Path) -> dict[str, dict[str, Any]]:
    return {row["id"]: row for row in map(json.loads, (out / "scores.jsonl").read_text().splitlines())}


def _frames(report: Report, python: str, town: WalkableTown) -> None:
    """The rate through the worker against that of the same Habitat asked in its own process, round by round."""
    config = HabitatConfig(town.scene.stage, sensors=(
        SensorConfig("rgb", SensorKind.RGB), SensorConfig("depth", SensorKind.DEPTH)))  # fmt: skip
    start = read_episodes(town.episodes)[0].T_enu_base
    shares, rates = [], []
    with Simulator(config, python) as simulator, _inside(python, config, start) as inside:
        simulator.place(start)
        for _ in range(_ROUNDS):
            own = _frames_inside(inside)
            began = time.perf_counter()
            for _ in range(_FRAMES):
                simulator.step("left")
            took = time.perf_counter() - began
            shares.append(own / took)
            rates.append(_FRAMES / took)
        assert inside.stdin is not None
        inside.stdin.close()
    share = float(np.median(shares))
    what = f"640x480 RGB and depth through the worker, of the rate in Habitat's process ({town.scene.stage.name})"
    each = ", ".join(f"{100.0 * one:.0f}" for one in shares)
    measured = f"{100.0 * share:.0f} % ({np.median(rates):.0f} frames a second; rounds {each} %)"
    report.row(what, "at least 70 %", measured, share >= 0.7)


def _inside(python: str, config: HabitatConfig, start: NDArray[np.float64]) -> subprocess.Popen[str]:
    sensors = [asdict(sensor) | {"kind": sensor.kind.value, "offset": 0} for sensor in config.sensors]
    opening = {
        "scene": str(config.scene), "dataset": "", "navmesh": "", "cell_m": config.cell_m, "sensors": sensors,
        "body": asdict(config.body),
    }  # fmt: skip
    quiet = {"MAGNUM_LOG": "quiet", "HABITAT_SIM_LOG": "quiet", "OMP_NUM_THREADS": "1", "LP_NUM_THREADS": "1"}
    position, rotation = pose_from_enu(start)
    place = {"position": position.tolist(), "rotation": rotation.tolist()}
    script = Path(__file__).with_name("habitat_frames.py")
    command = [python, "-W", "ignore", str(script), json.dumps(opening), json.dumps(place)]
    return subprocess.Popen(
        command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True, env=quiet | dict(os.environ)
    )


def _frames_inside(inside: subprocess.Popen[str]) -> float:
    """Seconds for a round of frames."""
    assert inside.stdin is not None and inside.stdout is not None
    inside.stdin.write(f"{_FRAMES}\n")
    inside.stdin.flush()
    return next(float(line.split()[1]) for line in inside.stdout if line.startswith("seconds "))


def _against_lab(report: Report, python: str, town: WalkableTown, folder: Path) -> None:
    what = "success and SPL in habitat-lab 0.3.3, largest difference"
    probe = subprocess.run([python, "-c", "import importlib.util as u; assert u.find_spec('habitat')"], check=False,
                           capture_output=True)  # fmt: skip
    if probe.returncode:
        return report.skip(what, "no habitat-lab beside habitat-sim")
    theirs = [row for agent in ("oracle", "modular") for row in _replayed(python, town, folder, agent)]
    worst = max(row["difference"] for row in theirs)
    report.row(f"{what}, {len(theirs)} episodes", "at most 0.001", f"{worst:.1e}", worst <= 1e-3)


def _replayed(python: str, town: WalkableTown, folder: Path, agent: str) -> list[dict[str, Any]]:
    """An agent's episodes in a town, as habitat-lab scores their actions."""
    ours = _scores(folder / agent)
    command = [python, "-W", "ignore", str(_ROOM / "lab_replay.py"), str(town.episodes), str(folder / "towns"),
               str(folder / agent / "predictions.jsonl")]  # fmt: skip
    replayed = subprocess.run(command, capture_output=True, text=True, check=True)
    rows = [json.loads(line) for line in replayed.stdout.splitlines() if line.startswith('{"id"')]
    return [row | {"difference": max(abs(ours[row["id"]][key] - row[key]) for key in ("success", "spl"))}
            for row in rows]  # fmt: skip


if __name__ == "__main__":
    main()
