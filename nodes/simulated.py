# SPDX-FileCopyrightText: The Mem4Nav stack developers
# SPDX-License-Identifier: Apache-2.0
"""What the simulator node runs: the town, or Habitat. Imported when it is asked for: each needs its own packages."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

from nodes.running import RefusedError
from sim_envs.city.motion import State
from slam.calibration import Calibration
from slam.measurements import Measurement

SIMS = ("city", "habitat")


class Drive(Protocol):
    """A robot that is driven step by step; see ``sim_envs.city.stepping.SteppedDrive``."""

    calibration: Calibration

    @property
    def period_s(self) -> float: ...

    @property
    def stamp_ns(self) -> int: ...

    def step(self, speed: float, turn_rate: float) -> list[Measurement]: ...

    def rings(self, points: NDArray[np.floating]) -> NDArray[np.uint16]: ...

    def truth(self) -> State: ...


@dataclass(frozen=True, slots=True)
class Rig:
    """What the robot carries.

    Attributes:
        channels, columns: of the LiDAR.
        cameras: four pictures all round, five a second.
    """

    channels: int
    columns: int
    cameras: bool


@dataclass(frozen=True, slots=True)
class Simulated:
    """A task in a simulator.

    Attributes:
        instruction: the written directions.
        start: puts a robot where the task begins.
    """

    instruction: str
    start: Callable[[Rig], Drive]


def simulated(sim: str, task: int, towns: str = "") -> Simulated:
    """The task with a number.

    Args:
        towns: folder of Habitat's towns; empty: in the cache.

    Raises:
        RefusedError: there is no such simulator, or it is not here.
    """
    if sim not in SIMS:
        raise RefusedError(f"sim is {sim!r}: it is one of {', '.join(SIMS)}")
    return _habitat(task, towns) if sim == "habitat" else _city(task)


def _city(number: int) -> Simulated:
    from sim_envs.city import DriveConfig, LidarConfig, make_city
    from sim_envs.city.navigation.drivable import make_drivable_task
    from sim_envs.city.scenes.config import ROOF_CAMERAS
    from sim_envs.city.stepping import SteppedDrive

    task = make_drivable_task(number)

    def start(rig: Rig) -> Drive:
        seen = tuple(replace(camera, rate_hz=5.0) for camera in ROOF_CAMERAS) if rig.cameras else ()
        lidar = LidarConfig(channels=rig.channels, columns=rig.columns)
        config = DriveConfig(seed=task.town.seed, lidar=lidar, cameras=seen)
        return SteppedDrive(make_city(task.town), config, task.start)

    return Simulated(task.instruction, start)


def _habitat(number: int, towns: str) -> Simulated:
    from sim_envs.habitat.drive_tasks import make_habitat_task, open_drive
    from sim_envs.habitat.errors import HabitatError
    from sim_envs.habitat.interpreter import TOWNS
    from sim_envs.habitat.lidar import DepthLidar

    try:
        task = make_habitat_task(number, Path(towns) if towns else TOWNS)
    except HabitatError as error:
        raise RefusedError(str(error)) from None

    def start(rig: Rig) -> Drive:
        return open_drive(task, DepthLidar(channels=rig.channels, columns=rig.columns), cameras=rig.cameras)

    return Simulated(task.episode.instruction, start)
