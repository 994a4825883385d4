# SPDX-FileCopyrightText: The Mem4Nav stack developers
# SPDX-License-Identifier: Apache-2.0
"""Habitat episodes of a scene, walked one after the other; each leaves a file, so that a run can go on later."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import quote

import numpy as np
from numpy.typing import NDArray

from detection.sample import Boxes, Sample
from mem4nav.agent import Agent
from mem4nav.cli.eval_agents import AgentRecipe
from mem4nav.cli.habitat_kept import Kept, Walked, opened, scored
from mem4nav.cli.habitat_pictures import topdown_png
from mem4nav.environment import Episode
from sim_envs.habitat.baselines import OracleAgent, RandomAgent
from sim_envs.habitat.config import HabitatConfig, SensorConfig, SensorKind
from sim_envs.habitat.environment import HabitatEnvironment
from sim_envs.habitat.episodes import HabitatEpisode, read_episodes
from sim_envs.habitat.lidar import DepthLidar
from sim_envs.habitat.strider import Strider
from sim_envs.habitat.town import is_town
from sim_envs.habitat.walker import Walker
from slam.files import write_bytes

LIDAR = DepthLidar()
_EYE = (SensorConfig("eye", SensorKind.DEPTH, 8, 8),)


@dataclass(frozen=True, slots=True)
class Job:
    """Episodes of one scene.

    Attributes:
        file: that holds them.
        scene: what Habitat opens.
        names: which of its episodes.
    """

    file: str
    scene: str
    names: tuple[str, ...]


class LandmarkDetector:
    """The shipped detector on LiDAR returns; see ``sim_envs.habitat.walker.Detects``.

    Args:
        lidar_m: height of the LiDAR over the ground.
    """

    def __init__(self, lidar_m: float) -> None:
        import torch

        from detection.inference import CITY_WEIGHTS, Detector

        torch.set_num_threads(1)
        self._detector = Detector.load(CITY_WEIGHTS)
        self.classes = self._detector.config.classes
        self._origin = np.array([0.0, 0.0, lidar_m])

    def __call__(self, returns: NDArray[np.float64]) -> Boxes:
        """Boxes in base_link of (N, 4) returns whose ground is at z = 0."""
        rows = np.column_stack([returns, np.zeros(len(returns))]).astype(np.float32)
        return self._detector.detect([Sample("", 0, rows, lidar_origin=self._origin)])[0]["fused"]


@dataclass(frozen=True, slots=True)
class HabitatRecipe:
    """What a process needs to walk episodes; see ``mem4nav.evaluation.spread``.

    Attributes:
        python: interpreter that has habitat_sim.
        agent: "oracle", "random", "modular", or another, that the backbone is the agent of.
        seed: of what is random.
        folder: gets one file an episode.
        pictures: and one picture of each from above.
        backbone: decides for the strider; None: the agent is one of those above.
    """

    python: str
    agent: str
    seed: int
    folder: str
    pictures: bool = False
    backbone: AgentRecipe | None = None

    def build(self) -> Callable[[Job], list[Walked]]:
        """Walks jobs."""
        backbone = None if self.backbone is None else self.backbone.build()

        def walk(job: Job) -> list[Walked]:
            episodes = [one for one in read_episodes(Path(job.file)) if one.id in job.names]
            sees = self.agent not in ("oracle", "random")
            eyes = LIDAR.sensors(reflectivity=is_town(Path(job.scene))) if sees else _EYE
            with opened(HabitatConfig(Path(job.scene), sensors=eyes), self.python) as simulator:
                environment = HabitatEnvironment(simulator, episodes, lidar=LIDAR if sees else None)
                make = self._maker(environment, backbone)
                return [one for episode in episodes for one in self._walk(environment, make, episode)]

        return walk

    def kept(self, episode: HabitatEpisode) -> Kept:
        """What an episode leaves."""
        name = quote(f"{Path(episode.scene).stem}-{episode.id}", safe="")
        backbone = {} if self.backbone is None else self.backbone.describe()
        return Kept(Path(self.folder) / f"{name}.json", {**backbone, "agent": self.agent, "seed": self.seed})

    def _walk(
        self, environment: HabitatEnvironment, make: Callable[[HabitatEpisode], Agent], episode: HabitatEpisode
    ) -> list[Walked]:
        kept = self.kept(episode)

        def walk(restarts: int) -> list[Walked]:
            if restarts:
                environment.simulator.restart()
            agent = make(episode)
            agent.forget()
            walked = scored(environment, agent, Episode(episode.id, episode.instruction, ""), restarts)
            if self.pictures and environment.path:
                write_bytes(kept.file.with_suffix(".png"), topdown_png(environment))
            return [walked]

        return kept.walk([episode.id], walk)

    def _maker(self, environment: HabitatEnvironment, backbone: Agent | None) -> Callable[[HabitatEpisode], Agent]:
        """What makes the agent for an episode."""
        if self.agent == "oracle":
            return lambda episode: OracleAgent(environment)
        if self.agent == "random":
            # Drawn from the episode's own name, so that it does not matter which process walks it, or when.
            return lambda episode: RandomAgent([self.seed, *episode.id.encode()])
        detect, turn_deg = LandmarkDetector(LIDAR.height_m), environment.simulator.config.body.turn_deg
        if backbone is not None:
            return lambda episode: Strider(backbone, detect, turn_deg)
        return lambda episode: Walker(detect, turn_deg)


def jobs_of(wanted: Sequence[tuple[Path, Path, HabitatEpisode]], most: int) -> list[Job]:
    """(file, folder of scenes, episode) as jobs of at most so many episodes, in their order."""
    grouped: dict[tuple[Path, Path], list[str]] = {}
    for file, scenes, episode in wanted:
        grouped.setdefault((file, scenes / episode.scene), []).append(episode.id)
    return [
        Job(str(file), str(scene), tuple(names[first : first + most]))
        for (file, scene), names in grouped.items()
        for first in range(0, len(names), most)
    ]
