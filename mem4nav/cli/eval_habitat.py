# SPDX-FileCopyrightText: The Mem4Nav stack developers
# SPDX-License-Identifier: Apache-2.0
"""Walking episodes in habitat-sim: in towns of our own, or those of an episode file with its scenes."""

from __future__ import annotations

import json
import time
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np

from mem4nav.cli.console import Terminal
from mem4nav.cli.eval import LANGUAGE, Habitat
from mem4nav.cli.eval_agents import recipe_of
from mem4nav.cli.habitat_kept import Walked
from mem4nav.cli.habitat_walks import HabitatRecipe, jobs_of
from mem4nav.cli.metrics_file import peak_rss_mb, versions, write_metrics
from mem4nav.errors import UsageError
from mem4nav.evaluation import mean_interval, report_failures, spread, write_predictions
from sim_envs.habitat.episodes import HabitatEpisode, read_episodes
from sim_envs.habitat.interpreter import TOWNS, find_interpreter
from sim_envs.habitat.town_episodes import EPISODES_PER_TOWN, make_walkable_town
from slam.files import write_text

_EPISODES_A_JOB = 5


def evaluate_habitat(options: Habitat, terminal: Terminal) -> None:
    """Walk episodes; leave predictions.jsonl, scores.jsonl and metrics.json, and one file an episode to go on from.

    Raises:
        UsageError: where no episode is asked for, or an episode file has none.
        HabitatError: no habitat-sim is here, or a scene cannot be opened.
        EvaluationError: where every episode failed.
    """
    if options.episodes < 1:
        raise UsageError(f"--episodes {options.episodes}: at least one is needed")
    python = find_interpreter()
    if options.errands:
        return _evaluate_errands(options, python, terminal)
    wanted = _towns(options, python, terminal) if options.data is None else _own_file(options, options.data)
    backbone = recipe_of(options, options.benchmark) if options.agent in LANGUAGE else None
    folder = str(options.out / "episodes")
    recipe = HabitatRecipe(python, options.agent, options.seed, folder, options.pictures, backbone)
    found = {(file, episode.id): recipe.kept(episode).read() for file, _, episode in wanted}
    left = [one for one in wanted if not found[one[0], one[2].id]]
    jobs = jobs_of(left, _EPISODES_A_JOB)
    began = time.monotonic()
    with terminal.task(f"habitat, {options.agent}, {len(left)} of {len(wanted)} episodes", len(jobs)) as advance:
        walked = spread(recipe, jobs, workers=options.workers, advance=advance)
    for job, done in zip(jobs, walked, strict=True):
        found.update({(Path(job.file), one.prediction.id): [one] for one in done})
    results = [one for file, _, episode in wanted for one in found[file, episode.id]]
    _write(options, results, len(left), time.monotonic() - began, terminal)


def _evaluate_errands(options: Habitat, python: str, terminal: Terminal) -> None:
    """The same for tasks of several errands, of which each counts as an episode."""
    from mem4nav.cli.habitat_errands import ErrandRecipe

    if options.agent != "modular" or options.data is not None:
        raise UsageError("--errands are for --agent modular, in our own towns")
    scenes = str(options.scenes or TOWNS)
    recipe = ErrandRecipe(python, options.memory, options.seed, scenes, str(options.out / "errands"))
    towns = range(options.town, options.town + options.episodes)
    began = time.monotonic()
    with terminal.task(f"habitat, errands, memory {options.memory}", len(towns)) as advance:
        done = spread(recipe, towns, workers=options.workers, advance=advance)
    walked = [one for errands in done for one in errands]
    _write(options, walked, len(walked), time.monotonic() - began, terminal)


def _own_file(options: Habitat, file: Path) -> list[tuple[Path, Path, HabitatEpisode]]:
    """(file, folder of scenes, episode) of the first episodes of the user's own file."""
    episodes = read_episodes(file)[: options.episodes]
    if not episodes:
        raise UsageError(f"{file} has no episodes")
    folder = options.scenes or file.parent
    missing = next((one.scene for one in episodes if not (folder / one.scene).exists()), None)
    if missing:
        raise UsageError(f"scene {missing} of {file} is not in {folder}: name the folder of scenes with --scenes")
    return [(file, folder, episode) for episode in episodes]


@dataclass(frozen=True, slots=True)
class TownRecipe:
    """What a process needs to make towns by number."""

    folder: str
    python: str

    def build(self) -> Callable[[int], int]:
        """Makes them, and says how many episodes each has."""
        return lambda number: len(read_episodes(make_walkable_town(number, Path(self.folder), self.python).episodes))


def _towns(options: Habitat, python: str, terminal: Terminal) -> list[tuple[Path, Path, HabitatEpisode]]:
    """(file, folder of scenes, episode) in as many of our own towns as that takes."""
    folder, number = options.scenes or TOWNS, options.town
    likely = range(number, number - (-options.episodes // EPISODES_PER_TOWN))
    with terminal.task("habitat, towns", len(likely)) as advance:
        spread(TownRecipe(str(folder), python), likely, workers=options.workers, advance=advance)
    wanted: list[tuple[Path, Path, HabitatEpisode]] = []
    while len(wanted) < options.episodes:
        town = make_walkable_town(number, folder, python)
        number += 1
        for episode in read_episodes(town.episodes)[: options.episodes - len(wanted)]:
            wanted.append((town.episodes, folder, episode))
    return wanted


def _write(options: Habitat, walked: Sequence[Walked], fresh: int, seconds: float, terminal: Terminal) -> None:
    write_predictions(options.out / "predictions.jsonl", [one.prediction for one in walked])
    rows = [{"id": one.prediction.id, **asdict(one.score)} for one in walked]
    write_text(options.out / "scores.jsonl", "".join(json.dumps(row) + "\n" for row in rows))
    summary = summarise_habitat(walked, options.seed)
    backbone = recipe_of(options, options.benchmark).describe() if options.agent in LANGUAGE else {"memory": "none"}
    write_metrics(options.out, {
        **summary, **backbone, "benchmark": options.benchmark, "agent": options.agent, "seed": options.seed,
        "errands": options.errands, **({"memory": options.memory} if options.errands else {}),
        "data": str(options.data or "our own towns"), "walked_now": fresh, "seconds": seconds,
        "workers": options.workers, "peak_rss_mb": peak_rss_mb(), "versions": versions(),
    })  # fmt: skip
    report_failures([one.prediction for one in walked])
    terminal.table(f"habitat, {options.agent}", _rows(summary))


def summarise_habitat(walked: Sequence[Walked], seed: int) -> dict[str, Any]:
    """Means over episodes; success, SPL and likenesses in percent."""
    scores = [one.score for one in walked]

    def mean(name: str, factor: float = 100.0) -> float:
        values = np.array([getattr(score, name) for score in scores], float)
        values = values[np.isfinite(values)]
        return factor * float(values.mean()) if len(values) else float("nan")

    success = np.array([score.success for score in scores])
    return {
        "episodes": len(walked),
        "failed": sum(bool(one.prediction.error) for one in walked),
        "success": mean("success"),
        "success_ci95": [100.0 * bound for bound in mean_interval(success, seed)],
        **{name: mean(name) for name in ("spl", "oracle_success", "ndtw", "sdtw")},
        **{name: mean(name, 1.0) for name in ("distance_to_goal_m", "path_length_m", "steps")},
        "restarts": sum(one.restarts for one in walked),
        "units": "success, spl, oracle_success, ndtw and sdtw in percent",
    }


def _rows(summary: dict[str, Any]) -> list[tuple[str, str]]:
    low, high = summary["success_ci95"]
    return [
        ("episodes, failed", f"{summary['episodes']}, {summary['failed']}"),
        ("success", f"{summary['success']:.1f} % ({low:.1f} to {high:.1f})"),
        ("SPL", f"{summary['spl']:.1f} %"),
        ("was ever at the goal", f"{summary['oracle_success']:.1f} %"),
        ("nDTW, SDTW", f"{summary['ndtw']:.1f}, {summary['sdtw']:.1f} %"),
        ("distance to goal", f"{summary['distance_to_goal_m']:.1f} m"),
        ("way, steps", f"{summary['path_length_m']:.0f} m, {summary['steps']:.0f}"),
    ]
