# SPDX-FileCopyrightText: The Mem4Nav stack developers
# SPDX-License-Identifier: Apache-2.0
"""Habitat episodes of a scene, walked one after the other; each leaves a file, so that a run can go on later."""

from __future__ import annotations

import json
import logging
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from urllib.parse import quote

import numpy as np
from numpy.typing import NDArray

from detection.sample import Boxes, Sample
from mem4nav.agent import Agent
from mem4nav.cli.habitat_pictures import topdown_png
from mem4nav.environment import Episode
from mem4nav.evaluation import Prediction, follow
from sim_envs.habitat.baselines import OracleAgent, RandomAgent
from sim_envs.habitat.config import HabitatConfig, SensorConfig, SensorKind
from sim_envs.habitat.environment import HabitatEnvironment
from sim_envs.habitat.episodes import HabitatEpisode, read_episodes
from sim_envs.habitat.errors import WorkerDiedError
from sim_envs.habitat.lidar import DepthLidar
from sim_envs.habitat.measures import WalkScore
from sim_envs.habitat.town import is_town
from sim_envs.habitat.walker import Walker
from sim_envs.habitat.worker import Simulator
from slam.files import write_bytes, write_text

log = logging.getLogger(__name__)

FAILED = WalkScore(0.0, 0.0, 0.0, float("nan"), 0.0, 0.0, 0.0, 0)
_TRIES = 3
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
class Walked:
    """One episode, done.

    Attributes:
        prediction: what the agent did.
        score: what that is worth.
        restarts: how often Habitat had to be started again for it.
    """

    prediction: Prediction
    score: WalkScore
    restarts: int = 0


@dataclass(frozen=True, slots=True)
class HabitatRecipe:
    """What a process needs to walk episodes; see ``mem4nav.evaluation.spread``.

    Attributes:
        python: interpreter that has habitat_sim.
        agent: "oracle", "random" or "modular".
        seed: of what is random.
        folder: gets one file an episode.
        pictures: and one picture of each from above.
    """

    python: str
    agent: str
    seed: int
    folder: str
    pictures: bool = False

    def build(self) -> Callable[[Job], list[Walked]]:
        """Walks jobs."""

        def walk(job: Job) -> list[Walked]:
            episodes = [one for one in read_episodes(Path(job.file)) if one.id in job.names]
            sees = self.agent == "modular"
            eyes = LIDAR.sensors(reflectivity=is_town(Path(job.scene))) if sees else _EYE
            with opened(HabitatConfig(Path(job.scene), sensors=eyes), self.python) as simulator:
                environment = HabitatEnvironment(simulator, episodes, lidar=LIDAR if sees else None)
                make = self._maker(environment)
                return [self._walk(environment, make, episode) for episode in episodes]

        return walk

    def done(self, episode: HabitatEpisode) -> Walked | None:
        """What an earlier run of the same agent and seed left of an episode."""
        try:
            row = json.loads(self._path(episode).read_text(encoding="utf-8"))
            if (row["agent"], row["seed"]) != (self.agent, self.seed):
                return None
            return Walked(Prediction(**row["prediction"]), WalkScore(**row["score"]), row["restarts"])
        except (OSError, ValueError, KeyError, TypeError):
            return None

    def _walk(
        self, environment: HabitatEnvironment, make: Callable[[HabitatEpisode], Agent], episode: HabitatEpisode
    ) -> Walked:
        for restarts in range(_TRIES):
            try:
                if restarts:
                    environment.simulator.restart()
                walked = _walked(environment, make(episode), episode, restarts)
                if self.pictures and environment.path:
                    write_bytes(self._path(episode).with_suffix(".png"), topdown_png(environment))
            except WorkerDiedError as error:
                log.warning("episode %s begins anew: %s", episode.id, error)
                continue
            row = {"agent": self.agent, "seed": self.seed, **asdict(walked)}
            write_text(self._path(episode), json.dumps(row) + "\n")
            return walked
        return Walked(Prediction(episode.id, error=f"Habitat died {_TRIES} times"), FAILED, _TRIES)

    def _maker(self, environment: HabitatEnvironment) -> Callable[[HabitatEpisode], Agent]:
        """What makes the agent for an episode."""
        if self.agent == "oracle":
            return lambda episode: OracleAgent(environment)
        if self.agent == "random":
            # Drawn from the episode's own name, so that it does not matter which process walks it, or when.
            return lambda episode: RandomAgent([self.seed, *episode.id.encode()])
        detect, turn_deg = LandmarkDetector(LIDAR.height_m), environment.simulator.config.body.turn_deg
        return lambda episode: Walker(detect, turn_deg)

    def _path(self, episode: HabitatEpisode) -> Path:
        return Path(self.folder) / f"{quote(f'{Path(episode.scene).stem}-{episode.id}', safe='')}.json"


def opened(config: HabitatConfig, python: str) -> Simulator:
    """A simulator; one that dies while it opens its scene is started again.

    Raises:
        HabitatError: the scene cannot be opened.
    """
    for _ in range(_TRIES - 1):
        try:
            return Simulator(config, python)
        except WorkerDiedError as error:
            log.warning("Habitat is started again: %s", error)
    return Simulator(config, python)


def _walked(environment: HabitatEnvironment, agent: Agent, episode: HabitatEpisode, restarts: int) -> Walked:
    """Raises WorkerDiedError where Habitat died: what else goes wrong stands in the prediction."""
    prediction = follow(environment, agent, Episode(episode.id, episode.instruction, ""))
    if prediction.error.startswith(WorkerDiedError.__name__):
        raise WorkerDiedError(prediction.error)
    if prediction.error or not environment.path:
        return Walked(prediction, FAILED, restarts)
    return Walked(prediction, environment.score(), restarts)


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
