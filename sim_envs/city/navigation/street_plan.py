# SPDX-FileCopyrightText: The Mem4Nav stack developers
# SPDX-License-Identifier: Apache-2.0
"""The streets of a procedural town as a graph of places about every ten metres."""

from __future__ import annotations

import itertools
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from sim_envs.city.roads import RoadGraph
from sim_envs.street_graph import StreetGraph

SPACING_M = 10.0


@dataclass(frozen=True, slots=True)
class StreetPlan:
    """A town's places and how they make up its streets.

    Attributes:
        graph: the places; the first ones are the crossings, with the numbers they have in the town.
        sections: for each street section, its places from one crossing to the other, both included.
        corners: places where a street ends in another and nothing else: one can but go round.
    """

    graph: StreetGraph
    sections: tuple[tuple[int, ...], ...]
    corners: frozenset[int]

    def is_crossing(self, number: int) -> bool:
        """Whether three ways or more meet at a place: where there is something to decide."""
        return len(self.graph.ways[number]) >= 3

    def is_end(self, number: int) -> bool:
        """Whether street sections end at a place: a crossing or a corner."""
        return self.is_crossing(number) or number in self.corners

    def run(self, start: int, first: int) -> list[int]:
        """From a place over its neighbour ``first`` to the next crossing, both ends included."""
        places = [start, first]
        while not self.is_crossing(places[-1]):
            onward = [place for place in self.graph.neighbours(places[-1]) if place != places[-2]]
            places.append(onward[0])
        return places


def plan_streets(roads: RoadGraph) -> StreetPlan:
    """Places at crossings and evenly along the centre line of each section, linked both ways."""
    points = [roads.nodes[:, :2]]
    sections, count = [], len(roads.nodes)
    for a, b in roads.edges.tolist():
        start, end = roads.nodes[a, :2], roads.nodes[b, :2]
        inner = max(0, round(float(np.linalg.norm(end - start)) / SPACING_M) - 1)
        share = np.arange(1, inner + 1)[:, None] / (inner + 1)
        points.append(start + share * (end - start))
        sections.append((a, *range(count, count + inner), b))
        count += inner
    positions = np.concatenate(points)
    names = [f"p{number:03d}" for number in range(count)]
    links = []
    for section in sections:
        for a, b in itertools.pairwise(section):
            heading = compass_deg(positions[b] - positions[a])
            links += [(names[a], heading, names[b]), (names[b], heading + 180.0, names[a])]
    graph = StreetGraph(names, positions, links)
    corners = frozenset(number for number in range(len(roads.nodes)) if len(graph.ways[number]) == 2)
    return StreetPlan(graph, tuple(sections), corners)


def compass_deg(away: NDArray[np.float64]) -> float:
    """Degrees clockwise from north of a (2,) vector east and north, in [0, 360)."""
    return float(np.degrees(np.arctan2(away[0], away[1]))) % 360.0
