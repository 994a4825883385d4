# SPDX-FileCopyrightText: The Mem4Nav stack developers
# SPDX-License-Identifier: Apache-2.0
"""The town in closed loop: a vehicle that does what it is told, and what its sensors then measure."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

import numpy as np
from numpy.typing import ArrayLike, NDArray

from sim_envs.city.drive import START_NS, DriveConfig, rigid
from sim_envs.city.ground import kerb_line
from sim_envs.city.imu import GRAVITY, ImuConfig
from sim_envs.city.lidar import Lidar
from sim_envs.city.motion import Motion, State, carried
from sim_envs.city.moving import Track, boxes_at
from sim_envs.city.polygons import contains, rectangles_overlap
from sim_envs.city.render import Renderer
from sim_envs.city.vehicle import Vehicle, VehicleConfig
from sim_envs.city.world import World
from slam.calibration import Calibration
from slam.measurements import Image, ImuSample, Measurement

_NEAR_M = 12.0


class SteppedDrive:
    """A vehicle in a world, driven step by step; the same commands give the same bytes.

    The sensors' stamps, frames and errors are those of ``SimulatedDrive``, and so is the rig.

    Args:
        world: where.
        config: the rig and the seed of its errors; what it says of the route, the speeds and the traffic is not used.
        start: x, y (metres, map) and yaw (radians) of base_link.
        vehicle: what the vehicle can do.
        tracks: what else moves, in the drive's own time.

    Attributes:
        calibration: of the rig.
        motion: where base_link is, from 0 up to the end of the last step.
        steps: how many were made; each lasts one sweep of the LiDAR.
    """

    def __init__(
        self,
        world: World,
        config: DriveConfig,
        start: ArrayLike,
        vehicle: VehicleConfig | None = None,
        tracks: Sequence[Track] = (),
    ) -> None:
        self.world, self.config, self.tracks = world, config, list(tracks)
        T_lidar, T_imu = (
            rigid(config.lidar_xyz, *config.lidar_ypr_deg),
            rigid(config.imu_xyz, *config.imu_ypr_deg),
        )
        cameras = {camera.name: camera.calibration() for camera in config.cameras}
        self.calibration = Calibration(T_lidar, T_imu, cameras, "the simulator's own rig")
        self.motion = Vehicle(vehicle or VehicleConfig(), world.terrain, start)
        self.steps = 0
        self._lidar = Lidar(config.lidar, T_lidar, config.seed)
        self._imu = ImuStream(config.imu, T_imu, config.seed)
        self._renderer = Renderer(world, self.tracks) if config.cameras else None
        self._kerbs = [kerb_line(block) for block in world.blocks]

    @property
    def period_s(self) -> float:
        """Length of a step."""
        return 1e-9 * self.config.lidar.period_ns

    @property
    def stamp_ns(self) -> int:
        """The simulated time: the end of the last step."""
        return START_NS + self.steps * self.config.lidar.period_ns

    def step(self, speed: float, turn_rate: float) -> list[Measurement]:
        """Drive on for one sweep towards a speed (m/s) and a turn rate (rad/s, positive to the left).

        Returns:
            what is measured meanwhile, in the order of its arrival: the sweep comes last.
        """
        begin = self.steps * self.period_s
        self.motion.advance(speed, turn_rate, self.period_s)
        self.steps += 1
        end = self.steps * self.period_s
        timed: list[Measurement] = [*self._imu.until(self.motion, end), *self._images(begin, end)]
        timed.sort(key=lambda measurement: measurement.stamp_ns)
        return [*timed, self._lidar.scan(self.steps - 1, START_NS, self.world, self.tracks, self.motion)]

    def rings(self, points: NDArray[np.floating]) -> NDArray[np.uint16]:
        """(N,) ring of the LiDAR, lowest first, that each point (N, 3) of a sweep was measured by."""
        return self._lidar.rings(points)

    def truth(self) -> State:
        """Exact motion of base_link in map at the end of the last step."""
        return self.motion.at(self.steps * self.period_s)

    def struck(self) -> str:
        """What the vehicle's outline touches at the end of the last step: "vehicle", "kerb", or "" for nothing."""
        time_s = self.steps * self.period_s
        corners = self.motion.outline(time_s)
        middle = corners.mean(axis=0)
        for box in [*boxes_at(self.tracks, time_s), *self.world.parked]:
            if np.hypot(*(box.centre[:2] - middle)) < _NEAR_M and rectangles_overlap(corners, _outline(box)):
                return "vehicle"
        return "kerb" if any(contains(kerb, corners).any() for kerb in self._kerbs) else ""

    def _images(self, begin: float, end: float) -> Iterator[Image]:
        """Pictures taken in (begin, end]; the first step also has those of its beginning."""
        for camera in self.config.cameras:
            assert self._renderer is not None
            first = int(np.floor((begin - camera.phase_s) * camera.rate_hz + 1e-9)) + 1 if begin > 0.0 else 0
            last = int(np.floor((end - camera.phase_s) * camera.rate_hz + 1e-9))
            for index in range(max(first, 0), last + 1):
                time_s = camera.phase_s + index / camera.rate_hz
                pixels = self._renderer.render(camera, self.motion, time_s, self.config.seed).pixels
                yield Image(START_NS + round(time_s * 1e9), camera.name, pixels)


def _outline(box) -> NDArray[np.float64]:
    """(4, 2) corners of a box on the plan, counter-clockwise."""
    along = np.array([np.cos(box.yaw), np.sin(box.yaw)])
    left = np.array([-along[1], along[0]])
    signs = np.array([[1, -1], [1, 1], [-1, 1], [-1, -1]])
    half = 0.5 * box.size[:2]
    return box.centre[:2] + signs[:, :1] * half[0] * along + signs[:, 1:] * half[1] * left


class ImuStream:
    """The samples of ``read_imu``, made as the motion comes to be known."""

    def __init__(self, config: ImuConfig, T_base_imu: NDArray[np.float64], seed: int) -> None:
        self._config, self._T = config, T_base_imu
        self._rng = np.random.default_rng([seed, 0x1A1])
        self._made = 0
        self._gyro_bias, self._accel_bias = (
            size * _direction(self._rng) for size in (config.gyro_bias, config.accel_bias)
        )

    def until(self, motion: Motion, end_s: float) -> Iterator[ImuSample]:
        """The samples up to and including one at ``end_s`` that were not made before."""
        config, rng = self._config, self._rng
        count = int(np.floor(end_s * config.rate_hz + 1e-6)) + 1
        time = np.arange(self._made, count) / config.rate_hz
        self._made = count
        body = carried(motion.at(time), self._T[:3, 3], self._T[:3, :3])
        force = np.einsum("nji,nj->ni", body.rotation, body.acceleration - GRAVITY)
        spread, step = np.sqrt(config.rate_hz), 1.0 / np.sqrt(config.rate_hz)
        for at, rate, pull in zip(time, body.angular_rate, force, strict=True):
            self._gyro_bias = self._gyro_bias + config.gyro_walk * step * rng.standard_normal(3)
            self._accel_bias = self._accel_bias + config.accel_walk * step * rng.standard_normal(3)
            gyro = rate + self._gyro_bias + config.gyro_noise * spread * rng.standard_normal(3)
            accel = pull + self._accel_bias + config.accel_noise * spread * rng.standard_normal(3)
            yield ImuSample(
                START_NS + round(at * 1e9),
                np.clip(gyro, -config.gyro_limit, config.gyro_limit),
                np.clip(accel, -config.accel_limit, config.accel_limit),
            )


def _direction(rng: np.random.Generator) -> NDArray[np.float64]:
    """A random (3,) unit vector."""
    vector = rng.standard_normal(3)
    return vector / np.linalg.norm(vector)
