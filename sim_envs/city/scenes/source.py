# SPDX-FileCopyrightText: The Mem4Nav stack developers
# SPDX-License-Identifier: Apache-2.0
"""Streams of scenes: many towns mixed, to learn from; one drive in the order of time, to track in."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence

from sim_envs.city.scenes.ahead import in_turn, made_ahead
from sim_envs.city.scenes.config import SceneConfig
from sim_envs.city.scenes.scene import Scene
from sim_envs.city.scenes.town import SceneTown
from sim_envs.errors import SimConfigError


def town_scenes(config: SceneConfig, seeds: Iterable[int]) -> Iterator[Scene]:
    """All scenes of the first town, then of the next; each town is built once and let go."""
    for seed in seeds:
        town = SceneTown(config, seed)
        yield from (town.frame(number) for number in range(config.frames))


def mixed_scenes(config: SceneConfig, seeds: Sequence[int], *, lanes: int = 4, workers: int = 0) -> Iterator[Scene]:
    """Scenes of many towns: ``lanes`` towns are open at a time, and give one scene each in turn.

    The order and every byte depend on the configuration, the seeds and the lanes alone, not on the workers.

    Args:
        config: how scenes are made.
        seeds: of the towns; lane i takes every ``lanes``-th from number i on.
        lanes: towns open at a time, 100 MB each.
        workers: processes that make scenes ahead, at most one a lane; 0 makes each when it is asked for, here.
            They end when the iterator is closed or let go, and when this process dies. The main module of the program
            is imported in each, so a script must start its work under ``if __name__ == "__main__"``.

    Raises:
        SimConfigError: no lane.
        SimError: a process failed or was killed.
    """
    if lanes < 1 or workers < 0:
        raise SimConfigError(
            f"{lanes} lanes, {workers} workers: there must be at least 1 lane and no less than 0 workers"
        )
    shares = [tuple(seeds[lane::lanes]) for lane in range(lanes)]
    if workers:
        return made_ahead(town_scenes, config, shares, min(workers, lanes))
    return in_turn([town_scenes(config, share) for share in shares])


def drive_scenes(config: SceneConfig, seed: int, seconds: float = 20.0) -> Iterator[Scene]:
    """A drive through one town from its beginning, a scene at every sweep (10 a second by default)."""
    town = SceneTown(config, seed)
    last = min(town.sweeps, round(seconds * config.rig.lidar.rate_hz))
    yield from (town.moment(sweep) for sweep in range(last))
