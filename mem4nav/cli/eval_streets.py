# SPDX-FileCopyrightText: The Mem4Nav stack developers
# SPDX-License-Identifier: Apache-2.0
"""Running an agent on Touchdown's and Map2Seq's streets."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from mem4nav.cli.console import Terminal
from mem4nav.cli.eval import StreetOptions
from mem4nav.cli.eval_agents import AgentRecipe, recipe_of
from mem4nav.cli.metrics_file import peak_rss_mb, versions, write_metrics
from mem4nav.environment import Episode
from mem4nav.errors import UsageError
from mem4nav.evaluation import (
    Prediction,
    follow,
    report_failures,
    score_all,
    spread,
    summarise,
    write_predictions,
    write_scores,
)
from mem4nav.navigation_metrics import Hops
from sim_envs.street_environment import MOST_ACTIONS, LandmarkSource, StreetEnvironment
from sim_envs.street_graph import StreetGraph
from sim_envs.touchdown import OsmLandmarks, Task, load_split, load_streets
from sim_envs.touchdown.clip_landmarks import ClipLandmarks

Job = tuple[Episode, ...]


@dataclass(frozen=True, slots=True)
class StreetRecipe:
    """What a process needs to walk routes: one job's routes share a memory."""

    data: Path
    clip_scores: Path | None
    agent: AgentRecipe

    def build(self) -> Callable[[Job], list[Prediction]]:
        """Walks jobs."""
        graph = load_streets(self.data / "touchdown")
        environment = StreetEnvironment(graph, self.landmarks(graph))
        agent = self.agent.build()

        def walk(job: Job) -> list[Prediction]:
            agent.forget()
            return [follow(environment, agent, episode, last=MOST_ACTIONS) for episode in job]

        return walk

    def landmarks(self, graph: StreetGraph) -> LandmarkSource:
        """What can be seen from each place."""
        if self.clip_scores is not None:
            return ClipLandmarks(self.clip_scores, graph)
        return OsmLandmarks(self.data / "map2seq" / "osm", graph)


def evaluate_streets(options: StreetOptions, terminal: Terminal) -> None:
    """Walk every route of the split; leave predictions.jsonl, scores.jsonl and metrics.json.

    Raises:
        UsageError: where the split is empty.
        EvaluationError: where every route failed.
    """
    tasks = load_split(options.split)
    if not tasks:
        raise UsageError(f"{options.split} holds no routes")
    recipe = StreetRecipe(options.data, options.clip_scores, recipe_of(options, options.benchmark))
    episodes = tuple(task.episode for task in tasks)
    jobs = [episodes] if options.keep_memory else [(episode,) for episode in episodes]
    began = time.monotonic()
    with terminal.task(f"{options.benchmark}, {len(tasks)} routes", len(jobs)) as advance:
        done = spread(recipe, jobs, workers=options.workers, ray=options.ray or None, advance=advance)
    seconds = time.monotonic() - began
    predictions = [prediction for job in done for prediction in job]
    summary = _score(options, tasks, predictions)
    costs = {"seconds": seconds, "workers": options.workers, "peak_rss_mb": peak_rss_mb(), "versions": versions()}
    write_metrics(options.out, {**summary, **_circumstances(options, recipe), **costs})
    report_failures(predictions)
    terminal.table(f"{options.benchmark}, {options.split.name}", _rows(summary))


def _score(options: StreetOptions, tasks: list[Task], predictions: list[Prediction]) -> dict[str, Any]:
    scores = score_all(predictions, [task.route for task in tasks], hops_of(load_streets(options.data / "touchdown")))
    write_predictions(options.out / "predictions.jsonl", predictions)
    write_scores(options.out / "scores.jsonl", predictions, scores)
    return summarise(predictions, scores, options.seed)


def hops_of(graph: StreetGraph) -> Hops:
    """Distances on a street graph."""
    return Hops({place: [graph.places[end] for end in graph.neighbours(i)] for i, place in enumerate(graph.places)})


def _circumstances(options: StreetOptions, recipe: StreetRecipe) -> dict[str, Any]:
    clip = options.clip_scores
    return {
        "benchmark": options.benchmark,
        "split": str(options.split),
        "observations": f"CLIP scores of panoramas ({clip})" if clip else "OpenStreetMap landmarks, no images",
        "memory_across_routes": options.keep_memory,
        **recipe.agent.describe(),
    }


def _rows(summary: dict[str, Any]) -> list[tuple[str, str]]:
    low, high = summary["tc_ci95"]
    auc = summary["confidence_auc"]
    return [
        ("routes", f"{summary['episodes']}"),
        ("failed", f"{summary['failed']}"),
        ("task completion", f"{summary['tc']:.1f} % ({low:.1f} to {high:.1f})"),
        ("hops to the goal", f"{summary['spd']:.1f}"),
        ("nDTW, SDTW, SED", f"{summary['ndtw']:.1f}, {summary['sdtw']:.1f}, {summary['sed']:.1f}"),
        ("key points", f"{summary['kpa']:.1f} %"),
        ("knows when it is right", "-" if auc is None else f"{auc:.2f} (area under the ROC curve)"),
    ]
