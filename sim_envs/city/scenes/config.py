# SPDX-FileCopyrightText: The Mem4Nav stack developers
# SPDX-License-Identifier: Apache-2.0
"""Which towns scenes are taken from, and what the vehicle carries there."""

from __future__ import annotations

from dataclasses import dataclass, field, replace

import numpy as np

from sim_envs.city.camera import CameraConfig
from sim_envs.city.config import CityConfig
from sim_envs.city.drive import rigid
from sim_envs.city.lidar import LidarConfig
from sim_envs.city.traffic import TrafficConfig
from sim_envs.city.trajectory import DrivingConfig
from sim_envs.errors import SimConfigError
from slam.calibration import Calibration


def _roof_camera(name: str, xyz: tuple[float, float, float], yaw_deg: float) -> CameraConfig:
    none = (0.0, 0.0, 0.0, 0.0, 0.0)
    return CameraConfig(name, 320, 192, 100.0, none, xyz, (yaw_deg, 0.0, 0.0), samples=1)


ROOF_CAMERAS = (
    _roof_camera("front", (1.4, 0.0, 1.7), 0.0),
    _roof_camera("left", (0.9, 0.5, 1.7), 90.0),
    _roof_camera("back", (0.4, 0.0, 1.7), 180.0),
    _roof_camera("right", (0.9, -0.5, 1.7), -90.0),
)
"""Four pictures of 320 x 192 pixels all round, overlapping by 10 degrees at each corner."""


@dataclass(frozen=True, slots=True)
class Rig:
    """Sensors on the vehicle.

    Attributes:
        cameras: any number, by different names.
        lidar: the LiDAR.
        lidar_xyz: where it sits in base_link, metres.
        lidar_ypr_deg: its yaw, pitch, roll.
    """

    cameras: tuple[CameraConfig, ...] = ROOF_CAMERAS
    lidar: LidarConfig = field(default_factory=LidarConfig)
    lidar_xyz: tuple[float, float, float] = (0.9, 0.0, 1.9)
    lidar_ypr_deg: tuple[float, float, float] = (0.0, 0.0, 0.0)

    def calibration(self) -> Calibration:
        """Where everything sits, as a detector is told."""
        cameras = {camera.name: camera.calibration() for camera in self.cameras}
        return Calibration(rigid(self.lidar_xyz, *self.lidar_ypr_deg), None, cameras, "the simulator's own rig")


@dataclass(frozen=True, slots=True)
class RigPlay:
    """How much rigs differ from town to town; each number is the most either way, 0 for not at all.

    Attributes:
        height_m: of each sensor.
        yaw_deg: of each sensor.
        fov_deg: of each camera.
    """

    height_m: float = 0.0
    yaw_deg: float = 0.0
    fov_deg: float = 0.0

    def vary(self, rig: Rig, rng: np.random.Generator) -> Rig:
        """A rig that differs so much; the calibration tells the truth about it."""
        x, y, z = rig.lidar_xyz
        yaw, pitch, roll = rig.lidar_ypr_deg
        cameras = tuple(self._moved(camera, rng) for camera in rig.cameras)
        lift, turn = rng.uniform(-1.0, 1.0, 2) * [self.height_m, self.yaw_deg]
        return replace(
            rig, cameras=cameras, lidar_xyz=(x, y, z + float(lift)), lidar_ypr_deg=(yaw + float(turn), pitch, roll)
        )

    def _moved(self, camera: CameraConfig, rng: np.random.Generator) -> CameraConfig:
        lift, turn, wider = (float(v) for v in rng.uniform(-1.0, 1.0, 3) * [self.height_m, self.yaw_deg, self.fov_deg])
        (x, y, z), (yaw, pitch, roll) = camera.xyz, camera.ypr_deg
        return replace(camera, xyz=(x, y, z + lift), ypr_deg=(yaw + turn, pitch, roll), fov_deg=camera.fov_deg + wider)


@dataclass(frozen=True, slots=True)
class SceneConfig:
    """Towns, what moves there, and how scenes are taken from them.

    Attributes:
        city: the towns; its seed is replaced by each town's own.
        traffic: what moves in each.
        driving: speeds of the vehicle.
        rig: its sensors.
        play: how much the rig differs from town to town.
        frames: scenes of one town, along one loop of it; a town takes over a second to build.
        sought: kinds of furniture that are rare and small: beside them scenes lie closer together than elsewhere,
        sought_m: where one is not further than this from the way, metres,
        sought_gain: by this factor.
        range_m: things whose centre is not further than this from base_link are listed, metres on the ground.
        aside_m: each scene's vehicle stands up to this far beside its lane's middle, metres.
        turn_deg: and is turned by up to this, either way.
    """

    city: CityConfig = field(default_factory=lambda: CityConfig(streets=4, block_m=46.0))
    traffic: TrafficConfig = field(default_factory=lambda: TrafficConfig(cars=12, cyclists=14, pedestrians=30))
    driving: DrivingConfig = field(default_factory=lambda: DrivingConfig(moving_start=True))
    rig: Rig = field(default_factory=Rig)
    play: RigPlay = field(default_factory=RigPlay)
    frames: int = 24
    sought: tuple[str, ...] = ("hydrant",)
    sought_m: float = 9.0
    sought_gain: float = 6.0
    range_m: float = 45.0
    aside_m: float = 0.6
    turn_deg: float = 8.0

    def __post_init__(self) -> None:
        if self.frames < 1 or self.range_m <= 0.0:
            raise SimConfigError(f"{self.frames} frames a town with things within {self.range_m} m: nothing to see")
