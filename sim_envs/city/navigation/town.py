# SPDX-FileCopyrightText: The Mem4Nav stack developers
# SPDX-License-Identifier: Apache-2.0
"""A town as an agent walks it: streets, what stands along them, and what is detected from each place."""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache

from sim_envs.city.config import CityConfig
from sim_envs.city.navigation.detector import Detections, DetectorConfig, detect
from sim_envs.city.navigation.street_plan import StreetPlan, plan_streets
from sim_envs.city.navigation.visibility import Thing, things_of, visible
from sim_envs.city.world import make_city
from sim_envs.errors import SimConfigError
from sim_envs.street_graph import StreetGraph


@dataclass(frozen=True, slots=True)
class Town:
    """One town.

    Attributes:
        seed: of its configuration.
        plan: its streets.
        things: what a direction may mention.
        truth: what can be seen from each place, without a detector's errors.
        detections: what an agent is told.
    """

    seed: int
    plan: StreetPlan
    things: tuple[Thing, ...]
    truth: Detections
    detections: Detections

    @property
    def graph(self) -> StreetGraph:
        """Its places and links."""
        return self.plan.graph


def make_town(config: CityConfig, detector: DetectorConfig | None = None) -> Town:
    """The town of a configuration, built once a process; without a detector, the default one with the town's seed.

    Raises:
        SimConfigError: for a town without anything to name.
        RaycastError: where open3d is missing.
    """
    return _build(config, detector or DetectorConfig(seed=config.seed))


@lru_cache(maxsize=64)
def _build(config: CityConfig, detector: DetectorConfig) -> Town:
    world = make_city(config)
    assert world.roads is not None
    plan = plan_streets(world.roads)
    things = things_of(world, plan)
    if not things:
        raise SimConfigError(f"town {config.seed} has neither shops nor furniture: no direction can be given in it")
    seen = visible(world, plan, things, detector.range_m)
    truth, told = (detect(things, seen, plan.graph.positions, eye) for eye in (detector.perfect(), detector))
    return Town(config.seed, plan, things, truth, told)
