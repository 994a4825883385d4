# SPDX-FileCopyrightText: The Mem4Nav stack developers
# SPDX-License-Identifier: Apache-2.0
"""What the agent tells its memory at each place, and what it asks it."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from mem4nav.environment import Observation, angle_between_deg
from mem4nav.memory import Memory, MemoryConfig, Recall
from mem4nav.modular.labels import Landmark, in_view
from mem4nav.modular.landmark_words import DIMENSION, LandmarkWords

MEMORY = MemoryConfig(dimension=DIMENSION, near_m=40.0)
"""Of the memory that the modular agent is given: landmarks are seen from as far as this."""
_RECALLED, _RECALLED_AFAR = 6, 64
_REACH_M = 300.0
_LEAST_COSINE = 0.25
_SAME_WAY_DEG = 25.0
_NEVER_SURE = 2.0
_NEARER = 0.6


@dataclass(frozen=True, slots=True)
class KnownWay:
    """A way that was walked before: the heading of its first hop, None where one is at its end."""

    heading_deg: float | None


class Recollection:
    """A memory, spoken to in landmarks and places.

    Args:
        memory: in any mode.
        words: embeds labels and phrases.
    """

    def __init__(self, memory: Memory, words: LandmarkWords) -> None:
        self.memory = memory
        self._words = words
        self._told: dict[tuple[str, str], float] = {}
        self._place, self._heading_deg = "", 0.0
        self._node = -1
        self._leaving_deg: dict[tuple[int, int], float] = {}

    def clear(self) -> None:
        """Forget everything."""
        self.memory.clear()
        self._told.clear()
        self._leaving_deg.clear()
        self.set_down()

    def set_down(self) -> None:
        """One is somewhere, and came by no known way."""
        self._place, self._node = "", -1
        self.memory.graph.current = -1

    def tell(self, observation: Observation) -> None:
        """Be at a place: a node of the graph; closed ways are struck out, and what is seen anew is written."""
        if observation.place == self._place:
            self._heading_deg = observation.heading_deg
            return
        fresh = []
        for sighting, landmark in zip(observation.landmarks, in_view(observation), strict=True):
            # From much nearer than before it is seen better: that is worth another entry.
            if sighting.distance_m < _NEARER * self._told.get((sighting.id, landmark.label), np.inf):
                self._told[sighting.id, landmark.label] = sighting.distance_m
                fresh.append(landmark)
        pose = _upright(observation.position_m)
        self._visit(observation, pose)
        self._place, self._heading_deg = observation.place, observation.heading_deg
        self._close(observation)
        if fresh:
            labels = [landmark.label for landmark in fresh]
            away = np.array([landmark.position_m for landmark in fresh]) - observation.position_m
            offsets = np.concatenate([away, np.zeros((len(fresh), 1))], axis=1)
            self.memory.write_many(pose, self._words.encode(labels), labels, offsets)

    def recall(
        self, stems: tuple[str, ...], position_m: tuple[float, float], everywhere: bool = False
    ) -> list[Landmark]:
        """Landmarks that these words may mean, best first; ``everywhere``: however far away."""
        query, top = self._words.phrase(stems), _RECALLED_AFAR if everywhere else _RECALLED
        reach = None if everywhere else _REACH_M
        return self._landmarks(self.memory.recall(query, _upright(position_m), top, within_m=reach))

    def recall_all(self, stems: tuple[str, ...], position_m: tuple[float, float]) -> list[Landmark]:
        """The same of everything: what is like the words and stands nearby does not keep back what is meant."""
        asked, here = self._words.phrase(stems), _upright(position_m)
        return self._landmarks(self.memory.recall(asked, here, _RECALLED_AFAR, sure_cosine=_NEVER_SURE))

    def _landmarks(self, found: Recall) -> list[Landmark]:
        return [
            Landmark(hit.label, (float(hit.position[0]), float(hit.position[1])))
            for hit in found.hits
            if hit.cosine >= _LEAST_COSINE and not hit.gone
        ]

    @property
    def knows_ways(self) -> bool:
        """Whether the memory has a graph, and one is on it."""
        return self._node >= 0

    def heading_to(self, observation: Observation, place: str) -> float | None:
        """Compass heading of the first hop of the way to a place; None there, or where no way is known."""
        nodes = self.memory.graph.way_to(place, self._node).nodes if self._node >= 0 else ()
        if len(nodes) < 2:
            return None
        return self._leaving(observation, nodes[1])

    def first_position(self) -> tuple[float, float] | None:
        """(east, north) of the first place ever told; None without a graph."""
        positions = self.memory.graph.positions
        return (float(positions[0][0]), float(positions[0][1])) if len(positions) else None

    def way_near(self, observation: Observation, target: tuple[float, float]) -> KnownWay | None:
        """The first hop of the way to the known place nearest to a target; None where no way is known."""
        graph = self.memory.graph
        if self._node < 0:
            return None
        nearest = int(np.argmin(np.linalg.norm(graph.positions[:, :2] - target, axis=1)))
        nodes = graph.path(self._node, nearest)
        if not nodes:
            return None
        return KnownWay(None if len(nodes) == 1 else self._leaving(observation, nodes[1]))

    def _leaving(self, observation: Observation, node: int) -> float:
        """Compass heading of the hop to a node: as it was walked; else to where the node lies, which on crooked links,
        and where places lie close together, may be nearest to another way.
        """
        towards = _bearing(self.memory.graph.positions[node][:2] - observation.position_m)
        return self._leaving_deg.get((self._node, node), towards)

    def _close(self, observation: Observation) -> None:
        """Ways that are visibly closed are no ways any more, in either direction."""
        graph = self.memory.graph
        for heading in observation.blocked_deg:
            for start, end in [edge for edge in graph.edges if edge[0] == self._node]:
                away = _bearing(graph.positions[end][:2] - observation.position_m)
                if abs(angle_between_deg(away, heading)) < _SAME_WAY_DEG:
                    graph.edges.pop((start, end), None)
                    graph.edges.pop((end, start), None)

    def _visit(self, observation: Observation, pose: NDArray[np.float64]) -> None:
        before = self._node
        self._node = self.memory.visit(pose, self._words.phrase((observation.place,)), name=observation.place)
        if min(before, self._node) >= 0 and before != self._node:
            positions = self.memory.graph.positions
            metres = float(np.linalg.norm(positions[before] - positions[self._node]))
            # A street that was walked can be walked back.
            self.memory.graph.connect(self._node, before, metres, 0.0)
            self._leaving_deg[before, self._node] = self._heading_deg
            self._leaving_deg[self._node, before] = observation.back_deg


def _bearing(away: NDArray[np.float64]) -> float:
    return float(np.degrees(np.arctan2(away[0], away[1]))) % 360.0


def _upright(position_m: tuple[float, float]) -> NDArray[np.float64]:
    """(4, 4) T_map_base, base's axes those of the map: bearings are by compass already."""
    pose = np.eye(4)
    pose[:2, 3] = position_m
    return pose
