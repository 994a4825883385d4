# SPDX-FileCopyrightText: The Mem4Nav stack developers
# SPDX-License-Identifier: Apache-2.0
"""Streams of scenes: many towns mixed, to learn from; one drive in the order of time, to track in."""

from __future__ import annotations

from collections.abc import Iterable, Iterator

from sim_envs.city.scenes.config import SceneConfig
from sim_envs.city.scenes.scene import Scene
from sim_envs.city.scenes.town import SceneTown


def town_scenes(config: SceneConfig, seeds: Iterable[int]) -> Iterator[Scene]:
    """All scenes of the first town, then of the next; each town is built once and let go."""
    for seed in seeds:
        town = SceneTown(config, seed)
        yield from (town.frame(number) for number in range(config.frames))


def drive_scenes(config: SceneConfig, seed: int, seconds: float = 20.0, every: int = 1) -> Iterator[Scene]:
    """A drive through one town from its beginning, a scene at every so manyth sweep (10 a second by default)."""
    town = SceneTown(config, seed)
    last = min(town.sweeps, round(seconds * config.rig.lidar.rate_hz))
    yield from (town.moment(sweep) for sweep in range(0, last, every))
