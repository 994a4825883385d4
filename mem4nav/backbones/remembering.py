# SPDX-FileCopyrightText: The Mem4Nav stack developers
# SPDX-License-Identifier: Apache-2.0
"""What an agent tells its memory at each step and what it asks, whichever network decides then."""

from __future__ import annotations

import math
import re

import numpy as np
from numpy.typing import NDArray

from mem4nav.backbones.words import Remembered, landmark_words
from mem4nav.environment import Observation, Sighting, angle_between_deg
from mem4nav.memory import Hit, Memory, TextEncoder

MOST_CLAUSES = 16
_CLAUSE = re.compile(r"[.;,!?\n]+|\bthen\b|\band\b", re.IGNORECASE)


class Remembering:
    """Writes what is seen, and asks for what the instruction names.

    Args:
        memory: in any mode; in that without memory, nothing is ever recalled.
        encoder: texts to embeddings of the memory's dimension.
        most: memories that are handed on at each step.
        least_cosine: what is less like every clause of the instruction than this is not handed on.
    """

    def __init__(self, memory: Memory, encoder: TextEncoder, most: int = 3, least_cosine: float = 0.25) -> None:
        self._memory, self._encoder = memory, encoder
        self._most, self._least_cosine = most, least_cosine
        self._asked = encoder.encode([])
        self._place, self._node = "", -1

    def begin(self, instruction: str) -> None:
        """From now on, ask for what this instruction names; one is somewhere, and came by no known way."""
        clauses = [clause for part in _CLAUSE.split(instruction) if (clause := part.strip())]
        self._asked = self._encoder.encode(clauses[:MOST_CLAUSES])
        self._place, self._node = "", -1
        self._memory.graph.current = -1

    def step(self, observation: Observation) -> tuple[Remembered, ...]:
        """What is remembered of what the instruction names, best first; what is seen now is remembered after."""
        pose = pose_of(observation)
        hits = self._ask(pose)
        if observation.place != self._place:
            self._tell(observation, pose)
            self._place = observation.place
        return tuple(self._from_here(hit, observation) for hit in hits)

    def forget(self) -> None:
        """Empty the memory."""
        self._memory.clear()
        self._place, self._node = "", -1

    def _ask(self, pose: NDArray[np.float64]) -> list[Hit]:
        found = [hit for clause in self._asked for hit in self._memory.recall(clause, pose).hits]
        found.sort(key=lambda hit: (-hit.cosine, -hit.step))
        newest: dict[str, Hit] = {}
        for hit in found:
            if hit.cosine >= self._least_cosine:
                newest.setdefault(hit.label, hit)
        return list(newest.values())[: self._most]

    def _tell(self, observation: Observation, pose: NDArray[np.float64]) -> None:
        labels = [landmark_words(sighting) for sighting in observation.landmarks]
        seen = self._encoder.encode([*labels, " ".join(labels)])
        offsets = np.array([_offset(observation, sighting) for sighting in observation.landmarks]).reshape(-1, 3)
        if labels:
            self._memory.write_many(pose, seen[:-1], labels, offsets)
        node = self._memory.visit(pose, seen[-1], name=observation.place)
        if min(node, self._node) >= 0 and node != self._node:
            a, b = self._memory.graph.positions[[self._node, node]]
            # A street that was walked can be walked back.
            self._memory.graph.connect(node, self._node, float(np.linalg.norm(a - b)), 0.0)
        self._node = node

    def _from_here(self, hit: Hit, observation: Observation) -> Remembered:
        to = hit.position[:2] - np.asarray(observation.position_m)
        way = self._way_deg(hit)
        return Remembered(hit, _bearing_deg(to), float(np.hypot(*to)), way)

    def _way_deg(self, hit: Hit) -> float | None:
        """Compass bearing of the first street of the known way to where one is nearest to it."""
        positions = self._memory.graph.positions
        if self._node < 0:
            return None
        nearest = int(np.argmin(np.linalg.norm(positions - hit.position, axis=1)))
        path = self._memory.graph.path(self._node, nearest)
        return _bearing_deg((positions[path[1]] - positions[path[0]])[:2]) if len(path) > 1 else None


def pose_of(observation: Observation) -> NDArray[np.float64]:
    """(4, 4) T_map_base of the observer: map x east, y north; base x ahead, y left."""
    heading = math.radians(observation.heading_deg)
    pose = np.eye(4)
    pose[:2, 0] = math.sin(heading), math.cos(heading)
    pose[:2, 1] = -math.cos(heading), math.sin(heading)
    pose[:2, 3] = observation.position_m
    return pose


def _offset(observation: Observation, sighting: Sighting) -> tuple[float, float, float]:
    """Where the landmark stands in the observer's frame, metres ahead, to the left and up."""
    right = math.radians(angle_between_deg(observation.heading_deg, sighting.bearing_deg))
    return sighting.distance_m * math.cos(right), -sighting.distance_m * math.sin(right), 0.0


def _bearing_deg(to: NDArray[np.float64]) -> float:
    return math.degrees(math.atan2(to[0], to[1])) % 360.0
