# SPDX-FileCopyrightText: The Mem4Nav stack developers
# SPDX-License-Identifier: Apache-2.0
"""Things that move, as rays and truth see them: a rigid model on a motion of its own."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from sim_envs.city.materials import Semantic
from sim_envs.city.mesh import Mesh
from sim_envs.city.raycast import Hits, Raycaster


@dataclass(frozen=True, slots=True)
class Model:
    """A rigid shape standing on its own origin, x forward.

    Attributes:
        name: "car", "van", "cyclist", "pedestrian".
        semantic: its class in truth images and boxes.
        size: (3,) length, width, height of its bounding box, metres; the box is centred over the origin.
        mesh: its triangles.
        caster: its ray caster.
    """

    name: str
    semantic: Semantic
    size: NDArray[np.float64]
    mesh: Mesh
    caster: Raycaster

    @property
    def radius(self) -> float:
        """Of the ball round the box's centre that holds it, metres."""
        return 0.5 * float(np.linalg.norm(self.size))


@dataclass(frozen=True, slots=True)
class Track:
    """One moving thing: samples at even times between which it moves along straight lines.

    Attributes:
        identity: number that stays with it.
        model: its shape.
        step_s: time between samples, seconds.
        position: (T, 3) of the model's origin (on the ground), metres in map.
        yaw: (T,) unwrapped, radians about +z.
    """

    identity: int
    model: Model
    step_s: float
    position: NDArray[np.float64]
    yaw: NDArray[np.float64]

    def at(self, time_s: NDArray[np.float64]) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
        """(N, 3) origins and (N,) yaws at (N,) times."""
        low, share = self._cell(time_s)
        position = self.position[low] + share[:, None] * (self.position[low + 1] - self.position[low])
        return position, self.yaw[low] + share * (self.yaw[low + 1] - self.yaw[low])

    def velocity(self, time_s: NDArray[np.float64]) -> NDArray[np.float64]:
        """(N, 3) velocities at (N,) times, m/s in map."""
        low, _ = self._cell(time_s)
        return (self.position[low + 1] - self.position[low]) / self.step_s

    def _cell(self, time_s: NDArray[np.float64]) -> tuple[NDArray[np.int64], NDArray[np.float64]]:
        place = np.clip(np.asarray(time_s, float) / self.step_s, 0.0, len(self.yaw) - 1.000001)
        low = place.astype(np.int64)
        return low, place - low


@dataclass(frozen=True, slots=True)
class Box:
    """Truth about one moving or parked thing at one time.

    Attributes:
        identity: number that stays with it.
        kind: "car", "van", "cyclist", "pedestrian".
        centre: (3,) gravity centre of the box, metres in map.
        size: (3,) length, width, height, metres.
        yaw: radians about +z.
        velocity: (3,) m/s in map.
    """

    identity: int
    kind: str
    centre: NDArray[np.float64]
    size: NDArray[np.float64]
    yaw: float
    velocity: NDArray[np.float64]


def boxes_at(tracks: Sequence[Track], time_s: float) -> list[Box]:
    """Boxes of all things at one time."""
    time = np.array([time_s])
    found = []
    for track in tracks:
        position, yaw = track.at(time)
        centre = position[0] + [0.0, 0.0, 0.5 * track.model.size[2]]
        found.append(
            Box(track.identity, track.model.name, centre, track.model.size, float(yaw[0]), track.velocity(time)[0])
        )
    return found


@dataclass(slots=True)
class SceneHits:
    """First hits of N rays with everything, static or moving.

    Attributes:
        distance: (N,) float32, metres; inf for a miss.
        face: (N,) int64 triangle of the mesh that was hit, -1 for a miss.
        normal: (N, 3) float32 in map (static) or in the thing's own frame turned to map.
        bary: (N, 2) float32 weights of the triangle's second and third vertex.
        track: (N,) int32 index of the thing, -1 for the static world.
    """

    distance: NDArray[np.float32]
    face: NDArray[np.int64]
    normal: NDArray[np.float32]
    bary: NDArray[np.float32]
    track: NDArray[np.int32]


def cast_scene(
    static: Raycaster,
    tracks: Sequence[Track],
    origins: NDArray[np.float64],
    directions: NDArray[np.float64],
    time_s: NDArray[np.float64],
    reach_m: float,
) -> SceneHits:
    """Rays (N, 3) from (N, 3) origins, each at its own time (N,): things are met where they are then."""
    first = static.cast(origins, directions)
    track = np.full(len(directions), -1, np.int32)
    scene = SceneHits(first.distance, first.face, first.normal, first.bary, track)
    span = np.array([time_s.min(), 0.5 * (time_s.min() + time_s.max()), time_s.max()])
    middle = origins.mean(axis=0)
    drift = float(np.abs(origins - middle).max()) * 2.0
    for index, thing in enumerate(tracks):
        rays = _rays_near(thing, span, middle, drift, directions, reach_m)
        if rays.size:
            _meet(scene, index, thing, rays, origins, directions, time_s)
    return scene


def _rays_near(
    thing: Track,
    span: NDArray[np.float64],
    middle: NDArray[np.float64],
    drift: float,
    directions: NDArray[np.float64],
    reach_m: float,
) -> NDArray[np.int64]:
    """Rays that may pass through the ball that holds the thing during the time span (conservative)."""
    position, _ = thing.at(span)
    travel = float(np.linalg.norm(position - position[1], axis=1).max())
    centre = position[1] + [0.0, 0.0, 0.5 * thing.model.size[2]] - middle
    away, radius = float(np.linalg.norm(centre)), thing.model.radius + travel + drift
    if away - radius > reach_m:
        return np.empty(0, np.int64)
    if away <= radius:
        return np.arange(len(directions))
    return np.flatnonzero(directions @ (centre / away) >= np.sqrt(1.0 - (radius / away) ** 2))


def _meet(
    scene: SceneHits,
    index: int,
    thing: Track,
    rays: NDArray[np.int64],
    origins: NDArray[np.float64],
    directions: NDArray[np.float64],
    time_s: NDArray[np.float64],
) -> None:
    """Cast these rays at one thing, in its frame at each ray's time, and keep what lies nearer."""
    position, yaw = thing.at(time_s[rays])
    local = turn_about_z(origins[rays] - position, -yaw)
    hits: Hits = thing.model.caster.cast(local, turn_about_z(directions[rays], -yaw))
    nearer = hits.distance < scene.distance[rays]
    kept = rays[nearer]
    scene.distance[kept] = hits.distance[nearer]
    scene.face[kept] = hits.face[nearer]
    scene.normal[kept] = turn_about_z(hits.normal[nearer], yaw[nearer])
    scene.bary[kept] = hits.bary[nearer]
    scene.track[kept] = index


def turn_about_z(vectors: NDArray, yaw: NDArray[np.float64]) -> NDArray[np.float64]:
    """(N, 3) vectors, each turned about +z by its own (N,) angle."""
    c, s = np.cos(yaw), np.sin(yaw)
    return np.stack(
        [c * vectors[:, 0] - s * vectors[:, 1], s * vectors[:, 0] + c * vectors[:, 1], vectors[:, 2]], axis=1
    )
