# SPDX-FileCopyrightText: The Mem4Nav stack developers
# SPDX-License-Identifier: Apache-2.0
"""A street with junctions and landmarks, walked: for tests of backbones."""

from __future__ import annotations

from mem4nav.backbones.hashed_words import HashedWords
from mem4nav.backbones.remembering import Remembering
from mem4nav.demonstration import Demonstration
from mem4nav.environment import Action, Observation, Sighting
from mem4nav.memory import MemoryMode, open_memory
from mem4nav.modular.landmark_words import LandmarkWords
from mem4nav.modular.mentions import Rarity
from mem4nav.modular.recollection import MEMORY, Recollection


def remembering(mode: MemoryMode = MemoryMode.FULL) -> Remembering:
    """What an agent remembers with, in an empty memory."""
    return Remembering(open_memory(mode), HashedWords())


def recollection(rarity: Rarity) -> Recollection:
    """What the modular agent remembers with, in an empty memory."""
    return Recollection(open_memory(MemoryMode.FULL, MEMORY), LandmarkWords(rarity))


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
