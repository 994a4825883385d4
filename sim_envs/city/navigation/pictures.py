# SPDX-FileCopyrightText: The Mem4Nav stack developers
# SPDX-License-Identifier: Apache-2.0
"""Pictures from where somebody stands in a town."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
from numpy.typing import ArrayLike, NDArray

from sim_envs.city.camera import CameraConfig
from sim_envs.city.config import CityConfig
from sim_envs.city.motion import State, euler_rotation
from sim_envs.city.navigation.visibility import EYE_M
from sim_envs.city.render import Renderer
from sim_envs.city.world import make_city


class Photographer:
    """Takes the view ahead at eye height; the town without traffic, at rest.

    Args:
        town: to build; its triangles are held as long as this is.
        camera: its place on a vehicle is left out.
    """

    def __init__(self, town: CityConfig, camera: CameraConfig) -> None:
        self.town = town
        self._camera = replace(camera, xyz=(0.0, 0.0, EYE_M))
        self._world = make_city(town)
        self._renderer = Renderer(self._world, [])

    def view(self, position_m: tuple[float, float], heading_deg: float) -> NDArray[np.uint8]:
        """(H, W, 3) picture from metres east and north, facing a compass heading."""
        foot = self._world.terrain.lift(np.array(position_m))
        standing = _Standing(foot, float(np.radians(90.0 - heading_deg)))
        return self._renderer.render(self._camera, standing, 0.0, self.town.seed).pixels


class _Standing:
    """A body that does not move, upright, for a renderer that asks where it is."""

    duration_s = 0.0

    def __init__(self, foot: NDArray[np.float64], yaw: float) -> None:
        self._foot = foot
        self._rotation = euler_rotation(yaw, 0.0, 0.0)

    def pose(self, time_s: ArrayLike) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
        """(N, 3, 3) rotations and (N, 3) positions at (N,) times: the same at each."""
        count = np.size(time_s)
        return np.repeat(self._rotation[None], count, axis=0), np.repeat(self._foot[None], count, axis=0)

    def at(self, time_s: ArrayLike) -> State:
        """State at (N,) times, all derivatives zero."""
        rotation, position = self.pose(time_s)
        rest = np.zeros_like(position)
        return State(np.atleast_1d(np.asarray(time_s, float)), position, rotation, rest, rest, rest, rest)
