# SPDX-FileCopyrightText: The Mem4Nav stack developers
# SPDX-License-Identifier: Apache-2.0
"""A robot in a town of Habitat in closed loop: it does what it is told, and Habitat shows what its sensors see."""

from __future__ import annotations

import logging
from collections.abc import Callable
from dataclasses import replace
from typing import TypeVar

import numpy as np
from numpy.typing import ArrayLike, NDArray

from sim_envs.city.drive import START_NS, rigid
from sim_envs.city.imu import ImuConfig
from sim_envs.city.lidar import Lidar, LidarConfig
from sim_envs.city.motion import State
from sim_envs.city.scenes.config import ROOF_CAMERAS
from sim_envs.city.stepping import ImuStream
from sim_envs.city.terrain import Terrain
from sim_envs.city.vehicle import Vehicle, VehicleConfig
from sim_envs.habitat.config import SensorConfig, SensorKind
from sim_envs.habitat.errors import WorkerDiedError
from sim_envs.habitat.lidar import DepthLidar, face_names
from sim_envs.habitat.worker import Simulator
from slam.calibration import Calibration
from slam.measurements import Image, Measurement, Scan

log = logging.getLogger(__name__)

ROBOT = VehicleConfig(top_speed=2.0, acceleration=1.0, braking=2.0, length_m=0.7, width_m=0.5, rear_m=0.35)
"""A small robot, as fast as somebody who runs slowly."""
CAMERAS = tuple(replace(camera, xyz=(0.0, 0.0, 1.5)) for camera in ROOF_CAMERAS)
_IMU_XYZ = (0.0, 0.0, 0.3)
_TRIES = 3
_EVERY = 2
_PROBE_M, _OFF_NAVMESH_M, _REACT_S = 0.25, 0.2, 0.3
Answer = TypeVar("Answer")


class HabitatDrive:
    """The twin of ``sim_envs.city.stepping.SteppedDrive``: the same stamps, frames and IMU, but Habitat's eyes.

    The robot's motion is smooth, as an IMU asks for, and lies on the town's ground; Habitat's walker is put where the
    robot is. What is not walkable stops it before it is there. All points of a sweep are of one instant, its stamp.

    Args:
        simulator: with the scene open, the sensors of the LiDAR with reflectivity, and perhaps ``camera_sensors``.
        terrain: what the robot stands on.
        start: x, y (metres, ENU) and yaw (radians).
        lidar: how depth becomes points.
        seed: of the IMU's errors.
        robot: what it can do.

    Attributes:
        calibration: of the rig.
        motion: where base_link is, from 0 up to the end of the last step.
        steps: how many were made; each lasts a tenth of a second.
    """

    def __init__(
        self, simulator: Simulator, terrain: Terrain, start: ArrayLike, lidar: DepthLidar, *, seed: int = 0,
        robot: VehicleConfig = ROBOT,
    ) -> None:  # fmt: skip
        self._simulator, self._lidar, self._robot = simulator, lidar, robot
        shown = {sensor.name for sensor in simulator.config.sensors}
        self._cameras = [camera for camera in CAMERAS if _eye_name(camera.name) in shown]
        T_lidar, T_imu = rigid((0.0, 0.0, lidar.height_m)), rigid(_IMU_XYZ)
        cameras = {camera.name: camera.calibration() for camera in self._cameras}
        self.calibration = Calibration(T_lidar, T_imu, cameras, "the simulator's own rig")
        self.motion = Vehicle(robot, terrain, start)
        self.steps = 0
        self._period_ns = LidarConfig().period_ns
        spinning = LidarConfig(channels=lidar.channels, columns=lidar.columns, fov_deg=lidar.fov_deg)
        self._rings, self._imu = Lidar(spinning, T_lidar, seed), ImuStream(ImuConfig(), T_imu, seed)

    @property
    def period_s(self) -> float:
        """Length of a step."""
        return 1e-9 * self._period_ns

    @property
    def stamp_ns(self) -> int:
        """The simulated time: the end of the last step."""
        return START_NS + self.steps * self._period_ns

    def step(self, speed: float, turn_rate: float) -> list[Measurement]:
        """Drive on for a tenth of a second towards a speed (m/s) and a turn rate (rad/s, positive to the left).

        Returns:
            what is measured meanwhile, in the order of its arrival: the sweep comes last.

        Raises:
            WorkerDiedError: Habitat died again and again; once, it is started again.
        """
        free = self._asked(lambda: self._is_free(speed))
        self.motion.advance(speed if free else 0.0, turn_rate, self.period_s)
        self.steps += 1
        felt = list(self._imu.until(self.motion, self.steps * self.period_s))
        return [*felt, *self._asked(self._seen)]

    def rings(self, points: NDArray[np.floating]) -> NDArray[np.uint16]:
        """(N,) ring of the LiDAR, lowest first, that each point (N, 3) of a sweep was measured by."""
        return self._rings.rings(points)

    def truth(self) -> State:
        """Exact motion of base_link in map at the end of the last step."""
        return self.motion.at(self.steps * self.period_s)

    def close(self) -> None:
        """End Habitat."""
        self._simulator.close()

    def _is_free(self, speed: float) -> bool:
        """Whether all is walkable up to where the robot would stand if it braked a moment after this step."""
        state = self.truth()
        position, ahead = state.position[0], state.rotation[0, :, 0] * np.sign(speed)
        fast = abs(float(state.velocity[0] @ ahead))
        reach = _PROBE_M + fast * _REACT_S + 0.5 * fast**2 / self._robot.braking
        probes = position + np.arange(_PROBE_M, reach + _PROBE_M, _PROBE_M)[:, None] * ahead
        return not speed or all(self._is_walkable(probe) for probe in probes)

    def _is_walkable(self, point: NDArray[np.float64]) -> bool:
        found = self._simulator.snap(point)
        return found is not None and float(np.hypot(*(found - point)[:2])) < _OFF_NAVMESH_M

    def _seen(self) -> list[Measurement]:
        """The pictures that are due, five a second, and the sweep."""
        due = self._cameras if self.steps % _EVERY == 0 else []
        depth, colour = face_names(SensorKind.DEPTH), face_names(SensorKind.RGB)
        state, T = self.truth(), np.eye(4)
        T[:3, :3], T[:3, 3] = state.rotation[0], state.position[0]
        simulator = self._simulator
        simulator.place(T)
        simulator.observe([*depth, *colour, *(_eye_name(camera.name) for camera in due)])
        pictures = [
            Image(self.stamp_ns, camera.name, simulator.picture(_eye_name(camera.name)).copy()) for camera in due
        ]
        returns = self._lidar.scan(
            [simulator.picture(name) for name in depth], [simulator.alpha(name) for name in colour]
        )
        points = returns[:, :3] - [0.0, 0.0, self._lidar.height_m]
        sweep = Scan(self.stamp_ns, points, np.zeros(len(points), np.int64), returns[:, 3].astype(np.float32))
        return [*pictures, sweep]

    def _asked(self, ask: Callable[[], Answer]) -> Answer:
        """What Habitat answers; where it dies, a fresh one is asked."""
        for _ in range(_TRIES - 1):
            try:
                return ask()
            except WorkerDiedError as error:
                log.warning("Habitat is started again: %s", error)
                self._simulator.restart()
        return ask()


def camera_sensors() -> tuple[SensorConfig, ...]:
    """Habitat's eyes for ``CAMERAS``."""
    return tuple(
        SensorConfig(
            _eye_name(camera.name), SensorKind.RGB, camera.height, camera.width, camera.xyz[2], camera.fov_deg,
            yaw_deg=camera.ypr_deg[0],
        )
        for camera in CAMERAS
    )  # fmt: skip


def _eye_name(camera: str) -> str:
    return f"camera_{camera}"
