# SPDX-FileCopyrightText: The Mem4Nav stack developers
# SPDX-License-Identifier: Apache-2.0
"""Tasks of several errands in one town of Habitat, without a reset in between: where a memory pays."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from mem4nav.cli.habitat_kept import Kept, Walked, followed, opened, scored
from mem4nav.cli.habitat_walks import LIDAR, LandmarkDetector
from mem4nav.environment import Action, Episode
from mem4nav.memory import MemoryMode, open_memory
from mem4nav.modular.recollection import MEMORY
from sim_envs.habitat.baselines import TourGuide
from sim_envs.habitat.config import HabitatConfig
from sim_envs.habitat.environment import HabitatEnvironment, HabitatObservation
from sim_envs.habitat.errand_tasks import ErrandTask, make_errand_task
from sim_envs.habitat.errand_walker import ErrandWalker

_MOST_STEPS = 3000


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
            who = {"memory": self.memory, "seed": self.seed}
            kept = Kept(Path(self.folder) / f"{task.stage.stem}.json", who)
            names = [errand.id for errand in task.errands]
            return kept.read() or kept.walk(names, lambda restarts: self._walked(task, detect, restarts))

        return walk

    def _walked(self, task: ErrandTask, detect: LandmarkDetector, restarts: int) -> list[Walked]:
        legs = [task.tour, *task.errands]
        with opened(HabitatConfig(task.stage, sensors=LIDAR.sensors(reflectivity=True)), self.python) as simulator:
            guided = HabitatEnvironment(simulator, legs, most_steps=_MOST_STEPS)
            shown = followed(guided, TourGuide(guided), Episode(task.tour.id, "", ""))
            environment = _OnwardEnvironment(simulator, legs, lidar=LIDAR, most_steps=_MOST_STEPS)
            memory = open_memory(MemoryMode(self.memory), MEMORY)
            agent = ErrandWalker(detect, memory, self.seed, simulator.config.body.turn_deg)
            tour = Episode(task.tour.id, task.tour.instruction, "")
            followed(environment, agent, tour, [Action(action) for action in shown.actions])
            return [scored(environment, agent, Episode(leg.id, leg.instruction, ""), restarts) for leg in task.errands]
