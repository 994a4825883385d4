# SPDX-FileCopyrightText: The Mem4Nav stack developers
# SPDX-License-Identifier: Apache-2.0
"""Running an agent on the tasks of procedural towns."""

from __future__ import annotations

import json
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from mem4nav.agent import Agent
from mem4nav.cli.console import Terminal
from mem4nav.cli.eval import City
from mem4nav.cli.eval_agents import AgentRecipe, recipe_of
from mem4nav.cli.metrics_file import peak_rss_mb, versions, write_metrics
from mem4nav.environment import Action
from mem4nav.errors import UsageError
from mem4nav.evaluation import Prediction, follow, mean_interval, report_failures, roc_auc, spread, write_predictions
from sim_envs.city.navigation import VERSION, CityEnvironment, CityTask, Leg, LegKind, Outcome, Walk, make_task, score
from sim_envs.city.navigation.tasks import TASKS_PER_TOWN
from slam.files import write_text


@dataclass(frozen=True, slots=True)
class Errand:
    """One leg of a task, and how it ended.

    Attributes:
        task: kind of the task.
        leg: kind of the leg.
        prediction: what the agent did.
        outcome: what that is worth.
    """

    task: str
    leg: LegKind
    prediction: Prediction
    outcome: Outcome


@dataclass(frozen=True, slots=True)
class CityRecipe:
    """What a process needs to walk tasks by number; a job is the tasks of one town, which takes long to build."""

    split: str
    town_seed: int
    agent: AgentRecipe

    def build(self) -> Callable[[range], list[Errand]]:
        """Walks jobs."""
        agent = self.agent.build()

        def walk(job: range) -> list[Errand]:
            tasks = [make_task(self.split, self.town_seed, number) for number in job]
            return [errand for task in tasks for errand in walk_task(task, agent)]

        return walk


def walk_task(task: CityTask, agent: Agent) -> list[Errand]:
    """All legs of a task, with a memory that is emptied before the first."""
    environment = CityEnvironment([task])
    agent.forget()
    errands = []
    for leg in task.legs:
        prediction = follow(environment, agent, leg.episode, guide=leg.way if leg.kind is LegKind.GUIDED else ())
        errands.append(Errand(task.kind, leg.kind, prediction, _outcome(task, leg, prediction)))
    return errands


def _outcome(task: CityTask, leg: Leg, prediction: Prediction) -> Outcome:
    if prediction.error:
        return Outcome(False, 0.0)
    return score(task, leg, Walk(prediction.panos, [Action(action) for action in prediction.actions]))


def evaluate_city(options: City, terminal: Terminal) -> None:
    """Walk the first tasks of a split; leave predictions.jsonl, scores.jsonl and metrics.json.

    Raises:
        UsageError: where no task is asked for.
        EvaluationError: where every errand failed.
    """
    if options.episodes < 1:
        raise UsageError(f"--episodes {options.episodes}: at least one task is needed")
    recipe = CityRecipe(options.split, options.town_seed, recipe_of(options, options.benchmark))
    numbers = range(options.episodes)
    jobs = [numbers[first : first + TASKS_PER_TOWN] for first in numbers[::TASKS_PER_TOWN]]
    began = time.monotonic()
    with terminal.task(f"city, {options.episodes} tasks in {len(jobs)} towns", len(jobs)) as advance:
        done = spread(recipe, jobs, workers=options.workers, ray=options.ray or None, advance=advance)
    seconds = time.monotonic() - began
    errands = [errand for job in done for errand in job]
    write_predictions(options.out / "predictions.jsonl", [errand.prediction for errand in errands])
    own = [errand for errand in errands if errand.leg is not LegKind.GUIDED]
    write_text(options.out / "scores.jsonl", "".join(json.dumps(_score_row(errand)) + "\n" for errand in own))
    summary = summarise_city(own, options.seed)
    costs = {"seconds": seconds, "workers": options.workers, "peak_rss_mb": peak_rss_mb(), "versions": versions()}
    write_metrics(options.out, {**summary, **_circumstances(options, recipe), **costs})
    report_failures([errand.prediction for errand in own])
    terminal.table(f"city, {options.episodes} tasks of {options.split}", _rows(summary))


def summarise_city(errands: Sequence[Errand], seed: int) -> dict[str, Any]:
    """Success in percent: of all errands that nobody led, of each kind of leg, of each kind of task."""
    success = np.array([errand.outcome.success for errand in errands], float)
    groups: dict[str, list[float]] = {}
    for errand, one in zip(errands, success, strict=True):
        groups.setdefault(f"success_{errand.leg.value}", []).append(one)
        if errand.leg is LegKind.MEMORY:
            groups.setdefault(f"success_{errand.task}", []).append(one)
    return {
        "episodes": len(errands),
        "failed": sum(bool(errand.prediction.error) for errand in errands),
        "lost": sum(errand.prediction.lost for errand in errands),
        "success": 100.0 * float(success.mean()),
        "success_ci95": [100.0 * bound for bound in mean_interval(success, seed)],
        "spl": 100.0 * float(np.mean([errand.outcome.spl for errand in errands])),
        **{name: 100.0 * float(np.mean(values)) for name, values in sorted(groups.items())},
        "confidence_auc": roc_auc([errand.prediction.confidence for errand in errands], success),
        "units": "success and spl in percent; that of a kind of task is of its legs that need memory alone",
    }


def _circumstances(options: City, recipe: CityRecipe) -> dict[str, Any]:
    return {
        "benchmark": "city",
        "generator": VERSION,
        "split": options.split,
        "town_seed": options.town_seed,
        "tasks": options.episodes,
        "observations": "simulated detections, no images",
        **recipe.agent.describe(),
    }


def _score_row(errand: Errand) -> dict[str, Any]:
    outcome = {"success": errand.outcome.success, "spl": errand.outcome.spl}
    return {"id": errand.prediction.id, "task": errand.task, "leg": errand.leg.value, **outcome}


def _rows(summary: dict[str, Any]) -> list[tuple[str, str]]:
    low, high = summary["success_ci95"]
    kinds = [name for name in summary if name.startswith("success_") and name != "success_ci95"]
    return [
        ("errands", f"{summary['episodes']}"),
        ("failed", f"{summary['failed']}"),
        ("success", f"{summary['success']:.1f} % ({low:.1f} to {high:.1f})"),
        ("SPL", f"{summary['spl']:.1f} %"),
        *((name.replace("_", ", "), f"{summary[name]:.1f} %") for name in kinds),
    ]
