# SPDX-FileCopyrightText: The Mem4Nav stack developers
# SPDX-License-Identifier: Apache-2.0
"""Which thing each ray and each pixel met, by the triangle that it met first: exact, whatever boxes overlap."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from sim_envs.city.camera import CameraConfig, pixel_rays
from sim_envs.city.materials import SEMANTIC, Semantic
from sim_envs.city.motion import Motion
from sim_envs.city.moving import Track, cast_scene
from sim_envs.city.render import Rendered
from sim_envs.city.scenes.catalogue import Catalogue
from sim_envs.city.scenes.sweep import rays_of
from sim_envs.city.world import World
from slam.measurements import Scan

_SLACK_M = 1.0


class Ownership:
    """Counts what was seen of each thing: those of the catalogue first, then those that move.

    Attributes:
        count: of all things.
    """

    def __init__(self, world: World, tracks: Sequence[Track], catalogue: Catalogue) -> None:
        self._world = world
        self._tracks = tracks
        self._still = len(catalogue.boxes)
        self._owner = catalogue.owner
        # What no labelled triangle belongs to (sky, streets, walls) need not be cast again.
        self._labelled = np.zeros(len(Semantic), bool)
        self._labelled[SEMANTIC[world.mesh.material[catalogue.owner >= 0]]] = True
        self._rays: dict[CameraConfig, NDArray[np.float32]] = {}
        self.count = self._still + len(tracks)

    def of_points(self, scan: Scan, motion: Motion, T_base_lidar: NDArray[np.float64]) -> NDArray[np.int64]:
        """(count,) how many returns of a sweep each thing gave."""
        origins, directions, time = rays_of(scan, motion, T_base_lidar)
        reach = float(np.linalg.norm(scan.points, axis=1).max(initial=0.0)) + _SLACK_M
        hits = cast_scene(self._world.static, self._tracks, origins, directions, time, reach)
        return self._counts(hits.face, hits.track)

    def of_pixels(self, camera: CameraConfig, seen: Rendered, T_world_base: NDArray[np.float64]) -> NDArray[np.int64]:
        """(count,) how many pixels of a picture show each thing."""
        if camera not in self._rays:
            self._rays[camera] = pixel_rays(camera.calibration()).astype(np.float32).reshape(-1, 3)
        track = seen.instance.ravel()
        asked = np.flatnonzero(self._labelled[seen.semantic.ravel()] | (track >= 0))
        T = T_world_base @ camera.calibration().T_base_camera
        hits = self._world.static.cast(T[:3, 3], self._rays[camera][asked] @ T[:3, :3].T.astype(np.float32))
        return self._counts(hits.face, track[asked])

    def _counts(self, face: NDArray[np.int64], track: NDArray[np.int32]) -> NDArray[np.int64]:
        """(count,) of N rays that met triangle ``face`` of the world, or moving thing ``track`` unless that is -1."""
        still = self._owner[face[(track < 0) & (face >= 0)]]
        seen = np.concatenate([still[still >= 0], self._still + track[track >= 0]])
        return np.bincount(seen, minlength=self.count)
