# SPDX-FileCopyrightText: The Mem4Nav stack developers
# SPDX-License-Identifier: Apache-2.0
"""Walks of Habitat's towns as tasks for a robot, by number."""

from __future__ import annotations

import fcntl
from dataclasses import dataclass
from pathlib import Path

from sim_envs.city import make_city
from sim_envs.habitat.config import HabitatConfig
from sim_envs.habitat.drive import HabitatDrive, camera_sensors
from sim_envs.habitat.episodes import HabitatEpisode, read_episodes
from sim_envs.habitat.frames import yaw_of
from sim_envs.habitat.interpreter import TOWNS
from sim_envs.habitat.lidar import DepthLidar
from sim_envs.habitat.town_episodes import EPISODES_PER_TOWN, make_walkable_town, town_config
from sim_envs.habitat.worker import Simulator


@dataclass(frozen=True, slots=True)
class HabitatTask:
    """Directions in a town, and where they begin.

    Attributes:
        number: of the task.
        stage: of the town; what Habitat opens.
        episode: the directions.
    """

    number: int
    stage: Path
    episode: HabitatEpisode

    @property
    def town(self) -> int:
        """Number of the town."""
        return self.number // EPISODES_PER_TOWN


def make_habitat_task(number: int, folder: Path = TOWNS, python: str | None = None) -> HabitatTask:
    """A task by number, five to a town, which is made where the folder does not hold it.

    Raises:
        HabitatError: habitat-sim is missing.
    """
    folder.mkdir(parents=True, exist_ok=True)
    with (folder / ".making").open("w") as making:
        # The simulator and who says the directions start together: one makes the town, the other waits.
        fcntl.flock(making, fcntl.LOCK_EX)
        town = make_walkable_town(number // EPISODES_PER_TOWN, folder, python)
    episodes = read_episodes(town.episodes)
    return HabitatTask(number, town.scene.stage, episodes[number % EPISODES_PER_TOWN % len(episodes)])


def open_drive(task: HabitatTask, lidar: DepthLidar, *, cameras: bool = False) -> HabitatDrive:
    """A drive that begins where a task does.

    Raises:
        HabitatError: the scene cannot be opened.
    """
    sensors = (*lidar.sensors(reflectivity=True), *(camera_sensors() if cameras else ()))
    simulator = Simulator(HabitatConfig(task.stage, sensors=sensors))
    start = task.episode.T_enu_base
    pose = [*start[:2, 3], yaw_of(start)]
    return HabitatDrive(simulator, make_city(town_config(task.town)).terrain, pose, lidar, seed=task.number)
