# SPDX-FileCopyrightText: The Mem4Nav stack developers
# SPDX-License-Identifier: Apache-2.0
"""A town that scenes are taken from, one drive through it."""

from __future__ import annotations

from dataclasses import replace
from functools import cached_property

import numpy as np
from numpy.typing import NDArray
from scipy.spatial import KDTree

from sim_envs.city.drive import START_NS
from sim_envs.city.lidar import Lidar
from sim_envs.city.motion import Kidnapped, Motion, euler_rotation
from sim_envs.city.moving import Box, boxes_at
from sim_envs.city.render import Renderer
from sim_envs.city.routes import loop_route, loops
from sim_envs.city.scenes.catalogue import catalogue_of
from sim_envs.city.scenes.config import SceneConfig
from sim_envs.city.scenes.ownership import Ownership
from sim_envs.city.scenes.scene import Scene, things_of
from sim_envs.city.scenes.sweep import deskewed, pose_matrix
from sim_envs.city.traffic import make_traffic
from sim_envs.city.trajectory import drive_route
from sim_envs.city.world import make_city
from sim_envs.errors import SimConfigError

_SALT = 0x5CE


class SceneTown:
    """One town with its traffic, and a drive round one loop of its streets; all of it follows from the seed.

    Attributes:
        config: as given, with this town's own seed and rig.
        seed: of the town.
        world, motion, tracks: what is driven through, how, and what else moves there.
        calibration: of the rig.
    """

    def __init__(self, config: SceneConfig, seed: int) -> None:
        rng = np.random.default_rng([seed, _SALT])
        self.config = replace(config, city=replace(config.city, seed=seed), rig=config.play.vary(config.rig, rng))
        self.seed = seed
        self.world = make_city(self.config.city)
        assert self.world.roads is not None
        rings = loops(self.world.roads)
        if not rings:
            raise SimConfigError(
                f"town {seed} has no closed way: lower missing_streets ({config.city.missing_streets})"
            )
        route = loop_route(self.world.roads, rings[rng.integers(len(rings))], bool(rng.integers(2)))
        self.motion = drive_route(route, self.world.terrain, config.driving, rng)
        self.tracks = make_traffic(self.world, self.motion, config.traffic, seed)
        self.calibration = self.config.rig.calibration()
        self._lidar = Lidar(self.config.rig.lidar, self.calibration.T_base_lidar, seed)
        self._renderer = Renderer(self.world, self.tracks)
        self._catalogue = catalogue_of(self.world, self.config.city)
        self._ownership = Ownership(self.world, self.tracks, self._catalogue)

    @property
    def sweeps(self) -> int:
        """Sweeps of the LiDAR in the whole drive."""
        return int(self.motion.duration_s * 1e9) // self.config.rig.lidar.period_ns

    def frame(self, number: int) -> Scene:
        """Scene ``number`` of ``config.frames``, in the order of the way; chance says where in its stretch it lies."""
        rng = np.random.default_rng([self.seed, _SALT, number])
        time = np.interp((number + rng.random()) / self.config.frames, *self._progress)
        sweep = min(int(1e9 * time) // self.config.rig.lidar.period_ns, self.sweeps - 1)
        aside, turn = rng.uniform(-1.0, 1.0, 2) * [self.config.aside_m, np.radians(self.config.turn_deg)]
        # Displaced from before its beginning on: the vehicle is beside its lane's middle throughout.
        moved = Kidnapped(self.motion, -1.0, np.array([0.0, aside, 0.0]), euler_rotation(turn, 0.0, 0.0))
        return self._scene(f"town-{self.seed}-frame-{number:03d}", sweep, moved)

    def moment(self, sweep: int) -> Scene:
        """The scene at sweep ``sweep`` of the drive, the vehicle in its lane: successive ones are a recording."""
        return self._scene(f"town-{self.seed}-sweep-{sweep:05d}", sweep, self.motion)

    @cached_property
    def _progress(self) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
        """Share of the way that is done, what is beside sought things counting for more, and the time then."""
        time = np.linspace(0.0, self.motion.duration_s, max(2, round(20.0 * self.motion.duration_s)))
        _, place = self.motion.pose(time)
        steps = np.linalg.norm(np.diff(place, axis=0), axis=1)
        sought = [box.centre[:2] for box in self._catalogue.boxes if box.kind in self.config.sought]
        if sought:
            away, _ = KDTree(np.array(sought)).query(place[1:, :2])
            steps[away <= self.config.sought_m] *= self.config.sought_gain
        done = np.concatenate([[0.0], np.cumsum(steps)])
        return done / done[-1], time

    def _scene(self, name: str, sweep: int, motion: Motion) -> Scene:
        period, T_base_lidar = self.config.rig.lidar.period_ns, self.calibration.T_base_lidar
        moment_ns = sweep * period + period // 2
        time_s = 1e-9 * moment_ns
        T = pose_matrix(motion, time_s)
        scan = self._lidar.scan(sweep, START_NS, self.world, self.tracks, motion)
        assert scan.intensity is not None
        hit = self._ownership.of_points(scan, motion, T_base_lidar)
        pictures, shown = self._pictures(motion, time_s, T)
        boxes = self._catalogue.boxes + boxes_at(self.tracks, time_s)
        near = [index for index, box in enumerate(boxes) if self._within(box, T)]
        return Scene(
            name=name,
            stamp_ns=START_NS + moment_ns,
            points=deskewed(scan, motion, T_base_lidar, time_s),
            intensity=(scan.intensity / 255.0).astype(np.float32),
            pictures=pictures,
            calibration=self.calibration,
            T_world_base=T,
            things=things_of([boxes[index] for index in near], T, hit[near], shown[near]),
        )

    def _within(self, box: Box, T_world_base: NDArray[np.float64]) -> bool:
        return float(np.hypot(*(box.centre - T_world_base[:3, 3])[:2])) <= self.config.range_m

    def _pictures(
        self, motion: Motion, time_s: float, T_world_base: NDArray[np.float64]
    ) -> tuple[dict[str, NDArray[np.uint8]], NDArray[np.int64]]:
        """What each camera sees, and in how many pixels each thing of the town is seen."""
        cameras = self.config.rig.cameras
        pictures, shown = {}, np.zeros(self._ownership.count, np.int64)
        for number, camera in enumerate(cameras):
            # Each camera has noise and an exposure of its own.
            rendered = self._renderer.render(camera, motion, time_s, len(cameras) * self.seed + number)
            shown += self._ownership.of_pixels(camera, rendered, T_world_base)
            pictures[camera.name] = rendered.pixels
        return pictures, shown
