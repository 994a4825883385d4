# SPDX-FileCopyrightText: The Mem4Nav stack developers
# SPDX-License-Identifier: Apache-2.0
"""What stands along the kerb, and what is parked beside it: places first, shapes in ``furniture``."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from sim_envs.city.config import CityConfig
from sim_envs.city.ground import KERB_M, KERB_RADIUS_M
from sim_envs.city.roads import PARKING_M, RoadGraph
from sim_envs.city.terrain import Terrain

_SLOT_M = 3.5
_CAR_SLOT_M = 6.2


@dataclass(frozen=True, slots=True)
class Place:
    """Where something stands.

    Attributes:
        kind: "tree", "lamp", "hydrant", "bench", "bus stop", "traffic light", "car".
        position: (3,) of its foot, metres in map.
        heading: direction it faces, radians; the street for furniture, that of travel for cars.
        edge: number of the street section, -1 at a crossing.
    """

    kind: str
    position: NDArray[np.float64]
    heading: float
    edge: int


def furniture_places(rng: np.random.Generator, config: CityConfig, terrain: Terrain, graph: RoadGraph) -> list[Place]:
    """Along both kerbs of every section, and traffic lights before every crossing."""
    if not config.furniture:
        return []
    places = []
    for edge in range(len(graph.edges)):
        for side in (-1.0, 1.0):
            places += _along_kerb(rng, config, terrain, graph, edge, side)
        places += _lights(terrain, graph, edge)
    return places


def parking_places(
    rng: np.random.Generator, config: CityConfig, terrain: Terrain, graph: RoadGraph, taken: list[Place]
) -> list[Place]:
    """Places in the parking lanes that are taken, none before a bus stop."""
    stops = np.array([p.position[:2] for p in taken if p.kind == "bus stop"]).reshape(-1, 2)
    places = []
    for edge in range(len(graph.edges)):
        length, clear = _span(graph, edge)
        for side in (-1.0, 1.0):
            for s in np.arange(clear + 8.0, length - clear - 8.0, _CAR_SLOT_M):
                taken_here = rng.random() < config.parked_share
                shift = rng.uniform(-0.4, 0.4)
                foot, heading = _spot(graph, edge, s + shift, side, -0.5 * PARKING_M)
                near_stop = len(stops) and np.linalg.norm(stops - foot, axis=1).min() < 9.0
                if taken_here and not near_stop:
                    places.append(Place("car", terrain.lift(foot), heading - 0.5 * np.pi, edge))
    return places


def _along_kerb(
    rng: np.random.Generator, config: CityConfig, terrain: Terrain, graph: RoadGraph, edge: int, side: float
) -> list[Place]:
    length, clear = _span(graph, edge)
    slots = np.arange(clear + 4.0, length - clear - 4.0, _SLOT_M)
    kinds = _slot_kinds(rng, len(slots), _SLOT_M / config.tree_spacing_m)
    places = []
    for s, kind in zip(slots, kinds, strict=True):
        if kind:
            foot, heading = _spot(graph, edge, float(s), side, {"bus stop": 1.1}.get(kind, 0.75))
            places.append(Place(kind, terrain.lift(foot, KERB_M), heading, edge))
    return places


def _slot_kinds(rng: np.random.Generator, count: int, tree_share: float) -> list[str]:
    """What stands in each slot, "" for nothing; lamps at a steady distance, at most one bus stop with room."""
    kinds = ["tree" if rng.random() < tree_share else "" for _ in range(count)]
    for i in range(int(rng.integers(0, 8)), count, 8):
        kinds[i] = "lamp"
    for kind, chance in (("hydrant", 0.5), ("bench", 0.5)):
        if count and rng.random() < chance:
            kinds[int(rng.integers(count))] = kind
    if count > 6 and rng.random() < 0.3:
        middle = int(rng.integers(2, count - 2))
        kinds[middle - 1 : middle + 2] = ["", "bus stop", ""]
    return kinds


def _lights(terrain: Terrain, graph: RoadGraph, edge: int) -> list[Place]:
    """One at the right kerb before each end of the section that is a crossing, facing those who come."""
    length, clear = _span(graph, edge)
    places = []
    for near, side, forward in ((length - clear - 2.0, -1.0, 1.0), (clear + 2.0, 1.0, -1.0)):
        foot, _ = _spot(graph, edge, near, side, 0.45)
        along = graph.nodes[graph.edges[edge, 1], :2] - graph.nodes[graph.edges[edge, 0], :2]
        heading = float(np.arctan2(-forward * along[1], -forward * along[0]))
        places.append(Place("traffic light", terrain.lift(foot, KERB_M), heading, edge))
    return places


def _span(graph: RoadGraph, edge: int) -> tuple[float, float]:
    """Length of a section and how much of it at each end belongs to the crossing."""
    a, b = graph.nodes[graph.edges[edge], :2]
    return float(np.linalg.norm(b - a)), 0.5 * float(graph.widths.max()) + KERB_RADIUS_M


def _spot(graph: RoadGraph, edge: int, s: float, side: float, behind: float) -> tuple[NDArray[np.float64], float]:
    """Point s along a section, ``behind`` metres behind its left (+1) or right (-1) kerb; heading to the street."""
    a, b = graph.nodes[graph.edges[edge], :2]
    along = (b - a) / np.linalg.norm(b - a)
    left = np.array([-along[1], along[0]])
    foot = a + s * along + side * (0.5 * graph.widths[edge] + behind) * left
    return foot, float(np.arctan2(-side * left[1], -side * left[0]))
