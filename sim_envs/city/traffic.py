# SPDX-FileCopyrightText: The Mem4Nav stack developers
# SPDX-License-Identifier: Apache-2.0
"""Cars, cyclists and pedestrians that go their ways without touching the vehicle or each other."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from sim_envs.city.ground import KERB_M
from sim_envs.city.models import make_models
from sim_envs.city.motion import Motion
from sim_envs.city.moving import Model, Track
from sim_envs.city.polygons import inset, rounded
from sim_envs.city.roads import Block
from sim_envs.city.routes import Route, loop_route, loops, smooth_loop
from sim_envs.city.terrain import Terrain
from sim_envs.city.world import World

_STEP_S = 0.1
_NEAR_M = 70.0
_TRIES = 12
_EGO_DISCS = np.array([-0.2, 1.35, 2.9])


@dataclass(frozen=True, slots=True)
class TrafficConfig:
    """How much moves in the town, near the vehicle.

    Attributes:
        cars: driving cars and vans.
        cyclists: people on bicycles.
        pedestrians: people on the sidewalks.
    """

    cars: int = 12
    cyclists: int = 5
    pedestrians: int = 24


@dataclass(frozen=True, slots=True)
class _Trail:
    """Discs that cover a thing over time: (T, D, 2) centres and their radius."""

    centres: NDArray[np.float64]
    radius: float


def make_traffic(world: World, motion: Motion, config: TrafficConfig, seed: int) -> list[Track]:
    """Tracks for the whole of a motion; candidates that would come too close to anything are left out."""
    if world.roads is None:
        return []
    rng = np.random.default_rng([seed, 0x7AF])
    models = make_models(rng)
    time = np.arange(0.0, motion.duration_s + 2 * _STEP_S, _STEP_S)
    trails = [_ego_trail(motion, time)]
    tracks: list[Track] = []
    for kind, count in (("car", config.cars), ("cyclist", config.cyclists), ("pedestrian", config.pedestrians)):
        found = 0
        for _ in range(count * _TRIES):
            if found == count:
                break
            track = _candidate(rng, world, kind, models[kind], time, len(tracks))
            trail = _trail(track)
            if _stays_near(trail, trails[0]) and all(_apart(trail, other) for other in trails):
                tracks.append(track)
                trails.append(trail)
                found += 1
    return tracks


def _candidate(
    rng: np.random.Generator, world: World, kind: str, models: list[Model], time: NDArray, identity: int
) -> Track:
    model = models[rng.integers(len(models))]
    if kind == "pedestrian":
        route = _sidewalk(rng, world.blocks)
        return _walk(route, world.terrain, model, time, float(rng.uniform(0.9, 1.6)), rng, identity, KERB_M)
    rings = loops(world.roads)
    ring = rings[rng.integers(len(rings))]
    clockwise = bool(rng.integers(2))
    shift, speed = (0.0, (5.5, 9.0)) if kind == "car" else (0.85, (3.8, 5.5))
    route = loop_route(world.roads, ring, clockwise, shift)
    return _walk(route, world.terrain, model, time, float(rng.uniform(*speed)), rng, identity, 0.0)


def _sidewalk(rng: np.random.Generator, blocks: list[Block]) -> Route:
    """Round a block on its sidewalk; those who go the other way keep further from the kerb."""
    inner = [block for block in blocks if (block.edges >= 0).all()]
    block = inner[rng.integers(len(inner))]
    backwards = bool(rng.integers(2))
    line = rounded(inset(block.corners, block.half_widths + (2.35 if backwards else 1.6)), 2.0, 0.25)
    return smooth_loop(line[::-1] if backwards else line)


def _walk(
    route: Route,
    terrain: Terrain,
    model: Model,
    time: NDArray,
    speed: float,
    rng: np.random.Generator,
    identity: int,
    above: float,
) -> Track:
    """Round and round a route, slower in its corners."""
    s = np.linspace(0.0, route.length, int(route.length / 0.5) + 2)
    allowed = np.minimum(speed, np.sqrt(2.0 / np.maximum(np.abs(route.curvature(s)), 1e-4)))
    lap = np.concatenate([[0.0], np.cumsum(2.0 * np.diff(s) / (allowed[1:] + allowed[:-1]))])
    phase = (time + rng.uniform(0.0, lap[-1])) % lap[-1]
    station = np.interp(phase, lap, s)
    position = route.at(station)
    return Track(identity, model, _STEP_S, terrain.lift(position, above), np.unwrap(route.heading(station)))


def _ego_trail(motion: Motion, time: NDArray) -> _Trail:
    rotation, position = motion.pose(np.minimum(time, motion.duration_s))
    ahead = rotation[:, None, :2, 0] * _EGO_DISCS[:, None]
    return _Trail(position[:, None, :2] + ahead, 1.1)


def _trail(track: Track) -> _Trail:
    length, width, _ = track.model.size
    count = max(1, round(length / 1.5))
    along = np.linspace(-0.5, 0.5, count) * (length - width) if count > 1 else np.zeros(1)
    ahead = np.stack([np.cos(track.yaw), np.sin(track.yaw)], axis=1)
    return _Trail(track.position[:, None, :2] + along[:, None] * ahead[:, None], 0.5 * width + 0.25)


def _apart(first: _Trail, second: _Trail) -> bool:
    middle = np.linalg.norm(first.centres.mean(axis=1) - second.centres.mean(axis=1), axis=1)
    close = np.flatnonzero(middle < 9.0)
    gap = np.linalg.norm(first.centres[close, :, None] - second.centres[close, None], axis=-1)
    return bool((gap > first.radius + second.radius).all())


def _stays_near(trail: _Trail, ego: _Trail) -> bool:
    return bool((np.linalg.norm(trail.centres[:, 0] - ego.centres[:, 0], axis=1) < _NEAR_M).any())
