# SPDX-FileCopyrightText: The Mem4Nav stack developers
# SPDX-License-Identifier: Apache-2.0
"""Episodes walked in Habitat, under the protocol of ``mem4nav.environment``."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

from mem4nav.environment import Action, Episode, Observation
from sim_envs.errors import SimError
from sim_envs.habitat.config import SensorKind
from sim_envs.habitat.episodes import HabitatEpisode
from sim_envs.habitat.frames import yaw_of
from sim_envs.habitat.lidar import DepthLidar, face_names, free_ways_deg
from sim_envs.habitat.measures import WalkScore, score_walk
from sim_envs.habitat.worker import Pose, Simulator

MOST_STEPS = 2000
_PLACE_M = 2.0


class Look(Protocol):
    """Looks round; what it costs, whoever asks decides to spend."""

    def __call__(self, *, reflectivity: bool = True) -> NDArray[np.float64]:
        """See ``HabitatObservation.look``."""
        ...


@dataclass(frozen=True, slots=True)
class HabitatObservation(Observation):
    """What is perceived after a step; ``ways_deg`` are the directions that the last look showed to be free.

    Attributes:
        T_odom_base: (4, 4) the foot of the walker; origin at the start, x east, y north: GPS and compass.
        look: gives the LiDAR's returns from here, (N, 5): x, y, z in base_link, intensity and ring; with
            ``reflectivity=False`` every intensity is the same, and it takes half as long. None without a LiDAR.
        collided: the step ended at something.
    """

    T_odom_base: NDArray[np.float64] = field(default_factory=lambda: np.eye(4), compare=False)
    look: Look | None = field(default=None, compare=False)
    collided: bool = False


class HabitatEnvironment:
    """See ``mem4nav.environment.Environment``.

    Args:
        simulator: with the episodes' scene open.
        episodes: that it has.
        lidar: how depth becomes points; its sensors are the simulator's. Without, nothing is rendered.
        most_steps: after which an episode is over.

    Attributes:
        episode: that is walked.
        path: (3,) ENU positions before the first step and after each.
        stopped: it ended with a stop.
    """

    def __init__(
        self, simulator: Simulator, episodes: Sequence[HabitatEpisode], *, lidar: DepthLidar | None = None,
        most_steps: int = MOST_STEPS,
    ) -> None:  # fmt: skip
        self.simulator, self._lidar, self._most_steps = simulator, lidar, most_steps
        self._episodes = {episode.id: episode for episode in episodes}
        self.episode = episodes[0]
        self.path: list[NDArray[np.float64]] = []
        self.stopped = False
        shown = {sensor.name for sensor in simulator.config.sensors}
        self._reflects = shown.issuperset(face_names(SensorKind.RGB))
        self._ways, self._back_deg, self._origin = (0.0,), 180.0, np.zeros(3)

    def reset(self, episode: Episode) -> HabitatObservation:
        """Go to the episode's start."""
        self._take_up(episode)
        pose = self.simulator.place(self.episode.T_enu_base)
        self._origin = pose.position.copy()
        return self._begun(pose)

    def go_on(self, episode: Episode) -> HabitatObservation:
        """Begin an episode where the last one ended, in the same frame."""
        self._take_up(episode)
        return self._begun(self.simulator.pose())

    def step(self, action: Action) -> tuple[HabitatObservation, bool]:
        """Act: 0.25 m forward or 15 degrees aside with the usual walker; turning around takes as long as it does."""
        if action is Action.STOP:
            self.stopped = True
            return self._seen(self.simulator.pose()), True
        count = round(180.0 / self.simulator.config.body.turn_deg) if action is Action.TURN_AROUND else 1
        name = "left" if action is Action.TURN_AROUND else action.value
        pose = [self.simulator.act(name) for _ in range(count)][-1]
        if action is Action.FORWARD:
            self._back_deg = (heading_deg(pose.T_enu_base) + 180.0) % 360.0
        return self._seen(pose), len(self.path) > self._most_steps

    def score(self) -> WalkScore:
        """Of the walk so far."""
        path = np.array(self.path)
        to_goal = self.simulator.distances(path, self.episode.goals)
        return score_walk(
            path, to_goal, stopped=self.stopped, radius_m=self.episode.radius_m, reference=self.episode.reference
        )

    def _take_up(self, episode: Episode) -> None:
        if episode.id not in self._episodes:
            raise SimError(f"no episode {episode.id!r} among the {len(self._episodes)} of this scene")
        self.episode, self.path, self.stopped = self._episodes[episode.id], [], False

    def _begun(self, pose: Pose) -> HabitatObservation:
        self._ways = (heading_deg(pose.T_enu_base),)
        self._back_deg = (self._ways[0] + 180.0) % 360.0
        return self._seen(pose)

    def _seen(self, pose: Pose) -> HabitatObservation:
        self.path.append(pose.position.copy())
        T = pose.T_enu_base.copy()
        T[:3, 3] -= self._origin
        east, north = T[:2, 3].tolist()
        place = f"{round(east / _PLACE_M)}:{round(north / _PLACE_M)}"
        return HabitatObservation(
            place, (east, north), heading_deg(pose.T_enu_base), self._ways, self._back_deg,
            steps=len(self.path) - 1, T_odom_base=T, look=None if self._lidar is None else self._look,
            collided=pose.collided,
        )  # fmt: skip

    def _look(self, *, reflectivity: bool = True) -> NDArray[np.float64]:
        assert self._lidar is not None
        kinds = (SensorKind.DEPTH, SensorKind.RGB) if reflectivity and self._reflects else (SensorKind.DEPTH,)
        names = {kind: face_names(kind) for kind in kinds}
        pose = self.simulator.observe([name for faces in names.values() for name in faces])
        depth = np.stack([self.simulator.picture(name) for name in names[SensorKind.DEPTH]])
        reflects = [self.simulator.alpha(name) for name in names.get(SensorKind.RGB, ())]
        returns = self._lidar.scan(depth, np.stack(reflects) if reflects else None)
        self._ways = free_ways_deg(returns, heading_deg(pose.T_enu_base))
        return returns


def heading_deg(T_enu_base: NDArray[np.float64]) -> float:
    """Compass heading of a pose (4, 4), degrees in [0, 360)."""
    return float(90.0 - np.degrees(yaw_of(T_enu_base))) % 360.0
