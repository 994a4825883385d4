# SPDX-FileCopyrightText: The Mem4Nav stack developers
# SPDX-License-Identifier: Apache-2.0
"""Tasks of several errands in one town of Habitat, without a reset in between: where a memory pays."""

from __future__ import annotations

import json
import logging
from collections.abc import Callable
from dataclasses import asdict, dataclass
from pathlib import Path

from mem4nav.cli.habitat_walks import FAILED, LIDAR, LandmarkDetector, Walked, opened
from mem4nav.environment import Action, Episode
from mem4nav.evaluation import Prediction, follow
from mem4nav.memory import MemoryMode, open_memory
from mem4nav.modular.recollection import MEMORY
from sim_envs.habitat.baselines import TourGuide
from sim_envs.habitat.config import HabitatConfig
from sim_envs.habitat.environment import HabitatEnvironment, HabitatObservation
from sim_envs.habitat.errand_tasks import ErrandTask, make_errand_task
from sim_envs.habitat.errand_walker import ErrandWalker
from sim_envs.habitat.errors import WorkerDiedError
from sim_envs.habitat.measures import WalkScore
from slam.files import write_text

log = logging.getLogger(__name__)

_TRIES, _MOST_STEPS = 3, 3000


class _OnwardEnvironment(HabitatEnvironment):
    """Every episode but the first begins where the one before ended."""

    def reset(self, episode: Episode) -> HabitatObservation:
        return self.go_on(episode) if self.path else super().reset(episode)


@dataclass(frozen=True, slots=True)
class ErrandRecipe:
    """What a process needs to do the errands of towns by number; see ``mem4nav.evaluation.spread``.

    Attributes:
        python: interpreter that has habitat_sim.
        memory: mode of the agent's memory.
        seed: of where it searches.
        scenes: folder of towns.
        folder: gets one file a town.
    """

    python: str
    memory: str
    seed: int
    scenes: str
    folder: str

    def build(self) -> Callable[[int], list[Walked]]:
        """Does the errands of a town; those that an earlier run of the same memory and seed left are read."""
        detect = LandmarkDetector(LIDAR.height_m)

        def walk(number: int) -> list[Walked]:
            task = make_errand_task(number, Path(self.scenes), self.python)
            path = Path(self.folder) / f"{task.stage.stem}.json"
            return self._done(path) or self._tried(task, path, detect)

        return walk

    def _done(self, path: Path) -> list[Walked]:
        try:
            kept = json.loads(path.read_text(encoding="utf-8"))
            if (kept["memory"], kept["seed"]) != (self.memory, self.seed):
                return []
            return [
                Walked(Prediction(**one["prediction"]), WalkScore(**one["score"]), one["restarts"])
                for one in kept["errands"]
            ]
        except (OSError, ValueError, KeyError, TypeError):
            return []

    def _tried(self, task: ErrandTask, path: Path, detect: LandmarkDetector) -> list[Walked]:
        for restarts in range(_TRIES):
            try:
                walked = self._walked(task, detect, restarts)
            except WorkerDiedError as error:
                log.warning("the errands of %s begin anew: %s", path.stem, error)
                continue
            rows = [asdict(one) for one in walked]
            write_text(path, json.dumps({"memory": self.memory, "seed": self.seed, "errands": rows}) + "\n")
            return walked
        return [Walked(Prediction(one.id, error=f"Habitat died {_TRIES} times"), FAILED, _TRIES)
                for one in task.errands]  # fmt: skip

    def _walked(self, task: ErrandTask, detect: LandmarkDetector, restarts: int) -> list[Walked]:
        legs = [task.tour, *task.errands]
        with opened(HabitatConfig(task.stage, sensors=LIDAR.sensors(reflectivity=True)), self.python) as simulator:
            guided = HabitatEnvironment(simulator, legs, most_steps=_MOST_STEPS)
            shown = _followed(guided, TourGuide(guided), Episode(task.tour.id, "", ""))
            environment = _OnwardEnvironment(simulator, legs, lidar=LIDAR, most_steps=_MOST_STEPS)
            memory = open_memory(MemoryMode(self.memory), MEMORY)
            agent = ErrandWalker(detect, memory, self.seed, simulator.config.body.turn_deg)
            tour = Episode(task.tour.id, task.tour.instruction, "")
            _followed(environment, agent, tour, [Action(action) for action in shown.actions])
            return [_scored(environment, agent, Episode(leg.id, leg.instruction, ""), restarts) for leg in task.errands]


def _followed(environment, agent, episode: Episode, guide=()) -> Prediction:
    """Raises WorkerDiedError where Habitat died: what else goes wrong stands in the prediction."""
    prediction = follow(environment, agent, episode, guide=guide)
    if prediction.error.startswith(WorkerDiedError.__name__):
        raise WorkerDiedError(prediction.error)
    return prediction


def _scored(environment: HabitatEnvironment, agent: ErrandWalker, episode: Episode, restarts: int) -> Walked:
    prediction = _followed(environment, agent, episode)
    return Walked(prediction, FAILED if prediction.error else environment.score(), restarts)
