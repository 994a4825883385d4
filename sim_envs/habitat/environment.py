# SPDX-FileCopyrightText: The Mem4Nav stack developers
# SPDX-License-Identifier: Apache-2.0
"""Episodes walked in Habitat, under the protocol of ``mem4nav.environment``."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

from mem4nav.environment import Action, Episode, Observation
from sim_envs.errors import SimError
from sim_envs.habitat.config import SensorConfig, SensorKind
from sim_envs.habitat.episodes import HabitatEpisode
from sim_envs.habitat.frames import yaw_of
from sim_envs.habitat.measures import WalkScore, score_walk
from sim_envs.habitat.panorama import PanoramaLidar, free_ways_deg
from sim_envs.habitat.worker import Pose, Simulator

MOST_STEPS = 2000
DEPTH_PANORAMA, PANORAMA = "depth_panorama", "panorama"
_PLACE_M = 2.0


@dataclass(frozen=True, slots=True)
class HabitatObservation(Observation):
    """What is perceived after a step; ``ways_deg`` are the directions that the last depth picture shows to be free.

    Attributes:
        T_odom_base: (4, 4) the foot of the walker; origin at the start, x east, y north: GPS and compass.
        returns: (N, 5) LiDAR: x, y, z in base_link, intensity and ring; None where nothing was looked at after this
            step.
        collided: the step ended at something.
    """

    T_odom_base: NDArray[np.float64] = field(default_factory=lambda: np.eye(4), compare=False)
    returns: NDArray[np.float64] | None = field(default=None, compare=False)
    collided: bool = False


def sensors(lidar: PanoramaLidar, rows_px: int = 512, *, reflectivity: bool = False) -> tuple[SensorConfig, ...]:
    """The panoramas that a LiDAR reads: depth, and RGB where its alpha is the reflectivity, as in towns of ours."""
    kinds = {DEPTH_PANORAMA: SensorKind.DEPTH} | ({PANORAMA: SensorKind.RGB} if reflectivity else {})
    return tuple(
        SensorConfig(name, kind, rows_px, 2 * rows_px, lidar.height_m, panorama=True) for name, kind in kinds.items()
    )


class HabitatEnvironment:
    """See ``mem4nav.environment.Environment``.

    Args:
        simulator: with the episodes' scene open.
        episodes: that it has.
        lidar: how depth becomes points; without, nothing is rendered, and ``returns`` are always None.
        look_m: a picture is made after so much way only; 0: after each step.
        most_steps: after which an episode is over.

    Attributes:
        episode: that is walked.
        path: (3,) ENU positions before the first step and after each.
        stopped: it ended with a stop.
    """

    def __init__(
        self, simulator: Simulator, episodes: Sequence[HabitatEpisode], *, lidar: PanoramaLidar | None = None,
        look_m: float = 0.0, most_steps: int = MOST_STEPS,
    ) -> None:  # fmt: skip
        self.simulator, self._lidar, self._look_m, self._most_steps = simulator, lidar, look_m, most_steps
        self._episodes = {episode.id: episode for episode in episodes}
        self.episode = episodes[0]
        self.path: list[NDArray[np.float64]] = []
        self.stopped = False
        self._has_panorama = any(sensor.name == PANORAMA for sensor in simulator.config.sensors)
        self._unseen_m, self._ways, self._back_deg = 0.0, (0.0,), 180.0

    def reset(self, episode: Episode) -> HabitatObservation:
        """Go to the episode's start and look."""
        if episode.id not in self._episodes:
            raise SimError(f"no episode {episode.id!r} among the {len(self._episodes)} of this scene")
        self.episode, self.path, self.stopped = self._episodes[episode.id], [], False
        self._unseen_m = np.inf
        self._back_deg = (heading_deg(self.episode.T_enu_base) + 180.0) % 360.0
        return self._seen(self.simulator.place(self.episode.T_enu_base), looked=True)

    def step(self, action: Action) -> tuple[HabitatObservation, bool]:
        """Act: 0.25 m forward or 15 degrees aside with the usual walker; turning around takes as long as it does."""
        if action is Action.STOP:
            self.stopped = True
            return self._seen(self.simulator.pose(), looked=False), True
        before = self.path[-1]
        count = round(180.0 / self.simulator.config.body.turn_deg) if action is Action.TURN_AROUND else 1
        name = "left" if action is Action.TURN_AROUND else action.value
        looks = self._lidar is not None and self._look_m <= 0.0
        poses = [self.simulator.step(name) if looks else self.simulator.act(name) for _ in range(count)]
        self._unseen_m += float(np.linalg.norm(poses[-1].position - before))
        pose = poses[-1]
        if not looks and self._lidar is not None and self._unseen_m >= self._look_m:
            pose, looks = Pose(self.simulator.observe().T_enu_base, pose.collided), True
        if action is Action.FORWARD:
            self._back_deg = (heading_deg(pose.T_enu_base) + 180.0) % 360.0
        return self._seen(pose, looked=looks), len(self.path) > self._most_steps

    def score(self) -> WalkScore:
        """Of the walk so far."""
        path = np.array(self.path)
        to_goal = self.simulator.distances(path, self.episode.goals)
        return score_walk(
            path, to_goal, stopped=self.stopped, radius_m=self.episode.radius_m, reference=self.episode.reference
        )

    def _seen(self, pose: Pose, *, looked: bool) -> HabitatObservation:
        self.path.append(pose.position.copy())
        heading = heading_deg(pose.T_enu_base)
        returns = None
        if looked and self._lidar is not None:
            reflects = self.simulator.alpha(PANORAMA) if self._has_panorama else None
            returns = self._lidar.scan(self.simulator.picture(DEPTH_PANORAMA), reflects)
            self._ways, self._unseen_m = free_ways_deg(returns, heading), 0.0
        T = pose.T_enu_base.copy()
        T[:3, 3] -= self.path[0]
        east, north = T[:2, 3].tolist()
        place = f"{round(east / _PLACE_M)}:{round(north / _PLACE_M)}"
        return HabitatObservation(
            place, (east, north), heading, self._ways, self._back_deg, steps=len(self.path) - 1, T_odom_base=T,
            returns=returns, collided=pose.collided,
        )  # fmt: skip


def heading_deg(T_enu_base: NDArray[np.float64]) -> float:
    """Compass heading of a pose (4, 4), degrees in [0, 360)."""
    return float(90.0 - np.degrees(yaw_of(T_enu_base))) % 360.0
