# SPDX-FileCopyrightText: The Mem4Nav stack developers
# SPDX-License-Identifier: Apache-2.0
"""A street with junctions and landmarks, walked, and a memory that keeps everything: for tests of backbones."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from mem4nav.demonstration import Demonstration
from mem4nav.environment import Action, Observation, Sighting
from mem4nav.memory.types import Hit, Recall


class KeepsAll:
    """Remembers every label once, at the newest place, and answers with the nearest by cosine."""

    def __init__(self) -> None:
        self.hits: dict[str, Hit] = {}
        self.visits: list[str] = []

    def write_many(self, pose, embeddings, labels: Sequence[str], offsets=None) -> None:
        for embedding, label, offset in zip(embeddings, labels, offsets, strict=True):
            position = pose[:3, :3] @ offset + pose[:3, 3]
            step = len(self.hits)
            self.hits[label] = Hit(step, 0.0, label, position, np.asarray(embedding, np.float32), step)

    def visit(self, pose, embedding, *, name: str = "") -> None:
        self.visits.append(name)

    def recall(self, query, pose=None) -> Recall:
        found = sorted(self.hits.values(), key=lambda hit: -float(hit.embedding @ query))[:3]
        hits = tuple(Hit(h.entry, float(h.embedding @ query), h.label, h.position, h.embedding, h.step) for h in found)
        return Recall("long-term" if hits else "none", hits[0].cosine if hits else 0.0, hits)

    def clear(self) -> None:
        self.hits.clear()
        self.visits.clear()


class KeepsNothing(KeepsAll):
    """The memory in the mode without memory."""

    def write_many(self, pose, embeddings, labels, offsets=None) -> None:
        pass


def sighting(name: str, category: str = "shop", bearing_deg: float = 0.0, distance_m: float = 10.0) -> Sighting:
    return Sighting(f"{name}/{category}", name, category, {}, bearing_deg, distance_m)


def on_street(metres: float, *landmarks: Sighting, junction: bool = False, heading_deg: float = 0.0) -> Observation:
    """A place so many metres north of the street's beginning."""
    ways = (0.0, 90.0, 180.0, 270.0) if junction else (0.0, 180.0)
    return Observation(f"at {metres:g} m", (0.0, metres), heading_deg, ways, (heading_deg + 180.0) % 360.0, landmarks)


def walk(instruction: str, turn: Action = Action.LEFT, remembers: bool = False) -> Demonstration:
    """Ten metres on, a turn at the junction, and the end."""
    bakery, bank = sighting("Blue", "bakery", 90.0), sighting("First", "bank", 270.0)
    heading = -90.0 if turn is Action.LEFT else 90.0
    observations = (
        on_street(0.0, bakery),
        on_street(10.0, bank, junction=True),
        on_street(10.0, bank, junction=True, heading_deg=heading % 360.0),
    )
    return Demonstration(instruction, observations, (Action.FORWARD, turn, Action.STOP), remembers)
