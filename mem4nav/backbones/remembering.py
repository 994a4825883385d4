# SPDX-FileCopyrightText: The Mem4Nav stack developers
# SPDX-License-Identifier: Apache-2.0
"""What an agent tells its memory at each step and what it asks, whichever network decides then."""

from __future__ import annotations

import math
import re
from collections.abc import Sequence
from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray

from mem4nav.backbones.words import landmark_words
from mem4nav.environment import Observation, Sighting, angle_between_deg
from mem4nav.memory.types import Hit, Recall

MOST_CLAUSES = 16
_CLAUSE = re.compile(r"[.;,!?\n]+|\bthen\b|\band\b", re.IGNORECASE)


class Encoder(Protocol):
    """Texts as unit vectors."""

    def encode(self, texts: Sequence[str]) -> NDArray[np.float32]:
        """(N, D) unit vectors, one for each text."""
        ...


class Memory(Protocol):
    """What is asked of a memory here: see mem4nav.memory."""

    def write_many(
        self, pose: NDArray[Any], embeddings: NDArray[Any], labels: Sequence[str], offsets: NDArray[Any] | None = None
    ) -> Any:
        """Remember observations; ``offsets`` (N, 3) metres in the pose's frame."""
        ...

    def visit(self, pose: NDArray[Any], embedding: NDArray[Any], *, name: str = "") -> Any:
        """Tell the topology graph where one is."""
        ...

    def recall(self, query: NDArray[Any], pose: NDArray[Any] | None = None) -> Recall:
        """What was seen that is like ``query``."""
        ...

    def clear(self) -> None:
        """Forget everything."""
        ...


class Remembering:
    """Writes what is seen, and asks for what the instruction names.

    Args:
        memory: in any mode; in that without memory, nothing is ever recalled.
        encoder: texts to embeddings of the memory's dimension.
        most: remembered observations that are handed on at each step.
        least_cosine: what is less like the instruction's clause than this is not handed on.
    """

    def __init__(self, memory: Memory, encoder: Encoder, most: int = 3, least_cosine: float = 0.4) -> None:
        self._memory = memory
        self._encoder = encoder
        self._most = most
        self._least_cosine = least_cosine
        self._asked: NDArray[np.float32] = np.zeros((0, 0), np.float32)
        self._told = ""

    def begin(self, instruction: str) -> None:
        """From now on, ask for what this instruction names."""
        clauses = [clause for part in _CLAUSE.split(instruction) if (clause := part.strip())]
        self._asked = self._encoder.encode(clauses[:MOST_CLAUSES]) if clauses else self._asked[:0]

    def step(self, observation: Observation) -> tuple[Hit, ...]:
        """Remembered observations that bear on the instruction, best first; what is seen now is remembered after."""
        pose = pose_of(observation)
        hits = self._ask(pose)
        if observation.place != self._told:
            self._tell(observation, pose)
            self._told = observation.place
        return hits

    def forget(self) -> None:
        """Empty the memory."""
        self._memory.clear()
        self._told = ""

    def _ask(self, pose: NDArray[np.float64]) -> tuple[Hit, ...]:
        found = [hit for clause in self._asked for hit in self._memory.recall(clause, pose).hits]
        found.sort(key=lambda hit: (-hit.cosine, -hit.step))
        newest: dict[str, Hit] = {}
        for hit in found:
            if hit.cosine >= self._least_cosine:
                newest.setdefault(hit.label, hit)
        return tuple(newest.values())[: self._most]

    def _tell(self, observation: Observation, pose: NDArray[np.float64]) -> None:
        labels = [landmark_words(sighting) for sighting in observation.landmarks]
        seen = self._encoder.encode([*labels, observation.place])
        offsets = np.array([_offset(observation, sighting) for sighting in observation.landmarks]).reshape(-1, 3)
        if labels:
            self._memory.write_many(pose, seen[:-1], labels, offsets)
        self._memory.visit(pose, seen[-1], name=observation.place)


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
