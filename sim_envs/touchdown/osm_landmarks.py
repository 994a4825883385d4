# SPDX-FileCopyrightText: The Mem4Nav stack developers
# SPDX-License-Identifier: Apache-2.0
"""What can be seen from each panorama, from OpenStreetMap as Map2Seq publishes it.

Three files: nodes.txt (street nodes: id, lat, lng), pois.txt (id, lat, lng, tags) and poi_links.txt (street node,
heading, lat and lng of the nearest side of the point of interest, its id). A panorama sees what the street nodes
within 8 m of it see; where there is none, what the nearest one sees.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from scipy.spatial import cKDTree

from mem4nav.environment import Sighting
from sim_envs.street_graph import StreetGraph
from sim_envs.touchdown.streets import read_lines, to_metres

JOIN_M = 8.0
_MAIN_TAGS = ("amenity", "shop", "tourism", "leisure", "railway", "highway", "historic", "sport", "landuse")


class OsmLandmarks:
    """Landmark source of a street graph.

    Args:
        folder: holds nodes.txt, pois.txt and poi_links.txt. Links to points that do not exist are left out.
        graph: the panoramas that look.

    Raises:
        StreetGraphError: for a file that is missing or cannot be read.
    """

    def __init__(self, folder: str | Path, graph: StreetGraph) -> None:
        folder = Path(folder)
        nodes = read_lines(folder / "nodes.txt", _node)
        pois = dict(read_lines(folder / "pois.txt", _poi))
        links = [link for link in read_lines(folder / "poi_links.txt", _link) if link[3] in pois]
        self._tags = {name: (main_category(tags), tags) for name, tags in pois.items()}
        self._graph = graph
        self._seen: dict[int, tuple[Sighting, ...]] = {}
        self._links = _by_node(links, graph.origin_deg)
        self._names = [name for name, *_ in nodes]
        at = np.array([node[1:] for node in nodes], np.float64).reshape(-1, 2)
        self._tree = cKDTree(to_metres(at, graph.origin_deg))

    def sightings(self, number: int) -> tuple[Sighting, ...]:
        """What is visible from a panorama, nearest first."""
        if number not in self._seen:
            self._seen[number] = self._look(self._graph.positions[number])
        return self._seen[number]

    def _look(self, position: NDArray[np.float64]) -> tuple[Sighting, ...]:
        near = self._tree.query_ball_point(position, JOIN_M) or [int(self._tree.query(position)[1])]
        nearest: dict[str, tuple[float, NDArray[np.float64]]] = {}
        for node in near:
            for name, point in self._links.get(self._names[node], ()):
                away = point - position
                distance = float(np.hypot(*away))
                if name not in nearest or distance < nearest[name][0]:
                    nearest[name] = (distance, away)
        seen = [self._sighting(name, distance, away) for name, (distance, away) in nearest.items()]
        return tuple(sorted(seen, key=lambda sighting: (sighting.distance_m, sighting.id)))

    def _sighting(self, name: str, distance: float, away: NDArray[np.float64]) -> Sighting:
        category, tags = self._tags[name]
        bearing = float(np.degrees(np.arctan2(away[0], away[1]))) % 360.0
        return Sighting(name, tags.get("name", ""), category, tags, bearing, distance)


def main_category(tags: Mapping[str, str]) -> str:
    """The value of the first of the main keys: "cafe" of ``amenity=cafe``; "" where none of them is there."""
    return next((tags[key] for key in _MAIN_TAGS if key in tags), "")


def _by_node(
    links: list[tuple[str, float, float, str]], origin_deg: tuple[float, float]
) -> dict[str, list[tuple[str, NDArray[np.float64]]]]:
    points = to_metres(np.array([link[1:3] for link in links], np.float64).reshape(-1, 2), origin_deg)
    by_node: dict[str, list[tuple[str, NDArray[np.float64]]]] = {}
    for (node, _, _, name), point in zip(links, points, strict=True):
        by_node.setdefault(node, []).append((name, point))
    return by_node


def _node(line: str) -> tuple[str, float, float]:
    name, lat, lng = line.split(",")[:3]
    return name, float(lat), float(lng)


def _poi(line: str) -> tuple[str, dict[str, str]]:
    name, _, _, tags = line.split(",", 3)
    return name, {str(key): str(value) for key, value in json.loads(tags).items()}


def _link(line: str) -> tuple[str, float, float, str]:
    node, _, lat, lng, name = line.split(",")
    return node, float(lat), float(lng), name.strip()
