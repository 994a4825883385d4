# SPDX-FileCopyrightText: The Mem4Nav stack developers
# SPDX-License-Identifier: Apache-2.0
"""What each part of the memory earns: the modular agent trained anew without it, on real streets and in the town.

Each mode is trained with three seeds, with fewer networks than ship. What a mode and seed did stays in
``out/bench/memory_ablation``: a run that was broken off goes on there, and after a change of the agent or its memory
all is measured anew.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable, Sequence
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass
from functools import cache, partial
from itertools import product

import numpy as np

from bench.places import OUT, ROOT
from bench.rows import Report
from mem4nav.cli.eval_city import Errand, walk_task
from mem4nav.cli.eval_streets import hops_of
from mem4nav.cli.train_demonstrations import city_lessons, street_lessons
from mem4nav.evaluation import follow, paired_difference, report_failures, score_all
from mem4nav.memory import MemoryMode, open_memory
from mem4nav.modular.agent import ModularAgent
from mem4nav.modular.learning import learn
from mem4nav.modular.lessons import Lesson
from mem4nav.modular.model import Settings
from mem4nav.modular.recollection import MEMORY
from mem4nav.modular.training import FitConfig
from shared_data import data_folder
from sim_envs.city.navigation import LegKind, make_tasks
from sim_envs.street_environment import MOST_ACTIONS, StreetEnvironment
from sim_envs.touchdown import OsmLandmarks, load_split, load_streets
from slam.files import write_text

NETWORKS, SEEDS, WORKERS = 1, (0, 1, 2), 2
EVERY = 3
"""Each so many-th route of Map2Seq is learnt from: 21 agents are trained."""
TRAINING_TASKS, DEV_TASKS = 120, 60
MODES = ("full", "no-octree", "no-graph", "no-ltm", "no-stm", "cache", "none")
_NETWORKS = f"networks to a policy: {NETWORKS} (5 ship)"
_WORLD_SOURCES = {"map2seq": "sim_envs/touchdown/*.py", "city": "sim_envs/city/**/*.py"}
Outcomes = list[float]


@dataclass(frozen=True, slots=True)
class World:
    """Where agents learn and are measured.

    Attributes:
        lessons: to learn from.
        walk: lets an agent walk all that it is measured on; for each route or task, how much of it succeeded.
        retrospect: whether agents pick the goal when they have passed it.
    """

    lessons: tuple[Lesson, ...]
    walk: Callable[[ModularAgent], Outcomes]
    retrospect: bool


def main() -> None:
    report = Report("memory_ablation")
    report.attempt("map2seq", _streets)
    _city(report)
    report.save()


def _streets(report: Report) -> None:
    found = _measure("map2seq")
    routes = len(found["full"][0])
    caption = (
        f"Map2Seq unseen dev, {routes} routes: TC, each mode trained for itself on every {EVERY}rd route of "
        f"train_pool.jsonl, {_NETWORKS}; differences paired by route, over the mean of the seeds"
    )
    _table(report, caption, found)


def _city(report: Report) -> None:
    found = _measure("city")
    caption = (
        f"City dev, {DEV_TASKS} tasks: success on the legs that need memory, each mode trained for itself on "
        f"{TRAINING_TASKS} tasks and the exercises of their towns, {_NETWORKS}; differences paired by task, over the "
        "mean of the seeds"
    )
    _table(report, caption, found)
    full, none = (100.0 * float(np.mean(found[mode])) for mode in ("full", "none"))
    measured = f"{full:.1f} against {none:.1f} %"
    report.row("city, legs that need memory: full against none", "10 points", measured, full - none >= 10.0)


def _table(report: Report, caption: str, found: dict[str, list[Outcomes]]) -> None:
    """One row a mode; a note on the parts that are not missed."""
    full, rows, unmissed = np.mean(found["full"], axis=0), [], []
    for mode, runs in found.items():
        row = [mode, *(f"{100.0 * np.mean(run):.1f}" for run in runs), f"{100.0 * np.mean(runs):.1f}"]
        if mode != "full":
            off = paired_difference(np.mean(runs, axis=0), full)
            low, high = (100.0 * bound for bound in off.interval)
            row += [f"{100.0 * off.mean:+.1f}", f"{low:+.1f} to {high:+.1f}", f"{off.p_value:.3f}"]
            unmissed += [mode] if high >= 0.0 else []
        rows.append(row + [""] * (len(SEEDS) + 5 - len(row)))
    seeds = [f"seed {seed}" for seed in SEEDS]
    report.table(caption, ["memory", *seeds, "mean", "against full", "95 %", "p"], rows)
    if unmissed:
        report.note(f"No loss can be told from chance here for: {', '.join(unmissed)}.")


def _measure(name: str) -> dict[str, list[Outcomes]]:
    """Of every mode, the outcomes of every seed."""
    jobs = list(product(MODES, SEEDS))
    with ProcessPoolExecutor(WORKERS) as pool:
        done = dict(zip(jobs, pool.map(partial(_outcomes, name, _sources(name)), jobs), strict=True))
    return {mode: [done[mode, seed] for seed in SEEDS] for mode in MODES}


def _outcomes(name: str, sources: str, job: tuple[str, int]) -> Outcomes:
    """From the file that a job left, else measured."""
    mode, seed = job
    path = OUT / "memory_ablation" / f"{name}-{mode}-{seed}.json"
    kept = json.loads(path.read_text(encoding="utf-8")) if path.is_file() else {}
    if kept.get("sources") != sources:
        kept = {"sources": sources, "outcomes": _walked(_world(name), mode, seed)}
        write_text(path, json.dumps(kept))
        print(f"{name} {mode} seed {seed}: {100.0 * np.mean(kept['outcomes']):.1f}", flush=True)
    return kept["outcomes"]


def _walked(world: World, mode: str, seed: int) -> Outcomes:
    """Train one, and let it walk."""
    settings = Settings(memory=mode, retrospect=world.retrospect, seed=seed)
    model = learn(world.lessons, settings, config=FitConfig(networks=NETWORKS))
    return world.walk(ModularAgent(model, open_memory(MemoryMode(mode), MEMORY)))


def _sources(name: str) -> str:
    """Of the agent, its memory and a world: what outcomes depend on."""
    digest = hashlib.sha256(f"{NETWORKS} {EVERY} {TRAINING_TASKS} {DEV_TASKS}".encode())
    own = ("mem4nav/modular/*.py", "mem4nav/memory/*.py", "mem4nav/cli/train_demonstrations.py", "sim_envs/*.py")
    for pattern in (*own, _WORLD_SOURCES[name]):
        for path in sorted(ROOT.glob(pattern)):
            # No route on real streets is an errand.
            if name == "city" or path.name != "errand.py":
                digest.update(path.read_bytes())
    return digest.hexdigest()


@cache
def _world(name: str) -> World:
    return {"map2seq": _street_world, "city": _city_world}[name]()


def _street_world() -> World:
    data = data_folder()
    graph = load_streets(data / "touchdown")
    landmarks = OsmLandmarks(data / "map2seq" / "osm", graph)
    environment, hops = StreetEnvironment(graph, landmarks), hops_of(graph)
    lessons = tuple(street_lessons(load_split(data / "map2seq" / "train_pool.jsonl")[::EVERY], graph, landmarks))
    tasks = load_split(data / "map2seq" / "unseen_dev.jsonl")

    def walk(agent: ModularAgent) -> Outcomes:
        predictions = []
        for task in tasks:
            agent.forget()
            predictions.append(follow(environment, agent, task.episode, last=MOST_ACTIONS))
        scores = score_all(predictions, [task.route for task in tasks], hops)
        report_failures(predictions)
        return [float(score.tc) for score in scores]

    return World(lessons, walk, retrospect=True)


def _city_world() -> World:
    tasks = make_tasks("dev", 0, DEV_TASKS)

    def walk(agent: ModularAgent) -> Outcomes:
        return [_remembered(walk_task(task, agent)) for task in tasks]

    return World(tuple(city_lessons(0, TRAINING_TASKS)), walk, retrospect=False)


def _remembered(errands: Sequence[Errand]) -> float:
    return float(np.mean([errand.outcome.success for errand in errands if errand.leg is LegKind.MEMORY]))


if __name__ == "__main__":
    main()
