# SPDX-FileCopyrightText: The Mem4Nav stack developers
# SPDX-License-Identifier: Apache-2.0
"""The last act of ``mem4nav demo``: the shipped agent walks one task of the town, and remembers."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from mem4nav.cli.eval import City
from mem4nav.cli.eval_agents import recipe_of, shipped_weights
from mem4nav.cli.eval_city import Errand, walk_task
from mem4nav.memory import Memory, MemoryMode, open_memory
from mem4nav.modular.agent import ModularAgent
from mem4nav.modular.model import load_model
from mem4nav.modular.recollection import MEMORY
from sim_envs.city import CameraConfig
from sim_envs.city.navigation import CityTask, LegKind, make_task
from sim_envs.city.navigation.pictures import Photographer
from sim_envs.city.navigation.tasks import town_of
from sim_envs.city.navigation.town import Town, make_town

TASK = ("dev", 0, 4)
"""Split, seed and number. Chosen because it shows both directions and errands, and ends as most such tasks do, with
three of four; it proves nothing."""
CAMERA = CameraConfig(width=400, height=250, exposure_swing=0.0, gain_step=1.0)


@dataclass(frozen=True, slots=True)
class View:
    """A picture from the walk: (H, W, 3) uint8 pixels, and what to say of it."""

    said: str
    pixels: NDArray[np.uint8]


@dataclass(frozen=True, slots=True)
class Episode:
    """One task of the town as an agent walked it.

    Attributes:
        task: its legs and their goals.
        town: where.
        errands: of each leg what was done and what that is worth.
        memory: as it was at the end.
        weights: name of the file with what the agent had learnt.
        views: pictures from the way.
    """

    task: CityTask
    town: Town
    errands: tuple[Errand, ...]
    memory: Memory
    weights: str
    views: tuple[View, ...] = ()

    @property
    def verdict(self) -> str:
        """How it ended, in one line."""
        own = [errand for errand in self.errands if errand.leg is not LegKind.GUIDED]
        done = sum(errand.outcome.success for errand in own)
        actions = sum(len(errand.prediction.actions) for errand in own)
        return f"{done} of {len(own)} instructions followed to their goal, in {actions} actions"

    def metrics(self) -> dict[str, Any]:
        """For metrics.json."""
        legs = [
            {
                "id": errand.prediction.id,
                "leg": errand.leg.value,
                "instruction": leg.episode.instruction,
                "actions": len(errand.prediction.actions),
                "success": errand.outcome.success,
                "spl": errand.outcome.spl,
                **({"error": errand.prediction.error} if errand.prediction.error else {}),
            }
            for leg, errand in zip(self.task.legs, self.errands, strict=True)
        ]
        graph = self.memory.graph
        held = {"places": len(graph), "ways": len(graph.edges), "sightings": len(self.memory)}
        return {"task": self.task.id, "kind": self.task.kind, "weights": self.weights, "legs": legs, "memory": held}


def walk_episode() -> Episode:
    """Walk the task with the whole memory and the weights that ship for the town.

    Raises:
        UsageError: where no such weights ship.
        RaycastError: where open3d is missing.
    """
    weights = shipped_weights(recipe_of(City(out=Path()), City.benchmark))
    memory = open_memory(MemoryMode.FULL, MEMORY)
    agent = ModularAgent(load_model(weights), memory)
    task = make_task(*TASK)
    errands = walk_task(task, agent)
    town = make_town(town_of(task.town))
    return Episode(task, town, tuple(errands), memory, weights.name, _views(task, town, errands))


def _views(task: CityTask, town: Town, errands: list[Errand]) -> tuple[View, ...]:
    """What lay ahead at the beginning of the last errand that succeeded, in its middle, and at its end."""
    done = [number for number, errand in enumerate(errands) if errand.outcome.success]
    chosen = done[-1] if done else len(errands) - 1
    walked = errands[chosen].prediction
    photographer = Photographer(town_of(task.town), CAMERA)
    views = []
    for step in (0, len(walked.actions) // 2, len(walked.actions)):
        east, north = town.graph.positions[town.graph.number(walked.panos[step])]
        pixels = photographer.view((float(east), float(north)), walked.headings[step])
        views.append(View(f"{chosen + 1}., after {step} actions", pixels))
    return tuple(views)
