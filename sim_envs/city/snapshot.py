# SPDX-FileCopyrightText: The Mem4Nav stack developers
# SPDX-License-Identifier: Apache-2.0
"""The world at one moment: all that moves, standing still in one mesh. For cameras, which see an instant."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from sim_envs.city.mesh import Mesh, merge, turned
from sim_envs.city.moving import Track, turn_about_z
from sim_envs.city.raycast import Hits, Raycaster
from sim_envs.city.world import World


@dataclass(frozen=True, slots=True)
class Snapshot:
    """All that moves, at one time.

    Attributes:
        world: what does not.
        mesh: all moving things in map, None where nothing moves.
        caster: its ray caster.
        owner: (F,) int64 index of the thing each face belongs to.
        foot: (M, 3) origins of the things, metres.
        yaw: (M,) radians.
    """

    world: World
    mesh: Mesh | None
    caster: Raycaster | None
    owner: NDArray[np.int64]
    foot: NDArray[np.float64]
    yaw: NDArray[np.float64]

    def cast(self, origin: NDArray[np.float64], directions: NDArray[np.floating]) -> tuple[Hits, NDArray[np.bool_]]:
        """First hits of (N, 3) rays from (3,), and (N,) whether each is a face of ``mesh``, not of the world's."""
        still = self.world.static.cast(origin, directions)
        if self.caster is None:
            return still, np.zeros(len(directions), bool)
        other = self.caster.cast(origin, directions)
        nearer = other.distance < still.distance
        for name in ("distance", "face", "normal", "bary"):
            getattr(still, name)[nearer] = getattr(other, name)[nearer]
        return still, nearer

    def blocked(self, origins: NDArray[np.floating], directions: NDArray[np.floating]) -> NDArray[np.bool_]:
        """(N,) whether anything lies along each ray."""
        dark = self.world.static.blocked(origins, directions)
        return dark if self.caster is None else dark | self.caster.blocked(origins, directions)

    def own_frame(self, places: NDArray[np.float64], owner: NDArray[np.int64]) -> NDArray[np.float64]:
        """(N, 3) places in map -> in the frame of the thing that each is on."""
        return turn_about_z(places - self.foot[owner], -self.yaw[owner])


def take_snapshot(world: World, tracks: Sequence[Track], time_s: float) -> Snapshot:
    """The world and these things at one time."""
    if not tracks:
        return Snapshot(world, None, None, np.zeros(0, np.int64), np.zeros((0, 3)), np.zeros(0))
    time = np.array([time_s])
    poses = [track.at(time) for track in tracks]
    foot, yaw = np.concatenate([p for p, _ in poses]), np.concatenate([y for _, y in poses])
    placed = [turned(t.model.mesh, float(y), f) for t, f, y in zip(tracks, foot, yaw, strict=True)]
    owner = np.repeat(np.arange(len(tracks)), [len(mesh.faces) for mesh in placed])
    mesh = merge(placed)
    return Snapshot(world, mesh, Raycaster(mesh), owner, foot, yaw)
