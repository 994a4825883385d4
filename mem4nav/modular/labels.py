# SPDX-FileCopyrightText: The Mem4Nav stack developers
# SPDX-License-Identifier: Apache-2.0
"""Landmarks as the agent knows them: in view or remembered, each under a label of words."""

from __future__ import annotations

import math
from dataclasses import dataclass
from functools import lru_cache

from mem4nav.environment import Observation, Sighting


@dataclass(frozen=True, slots=True)
class Landmark:
    """What is known of a landmark.

    Attributes:
        label: "Starbucks (cafe; coffee_shop)", "Rosa's Barber (blue barber)": name, colour, category, cuisine.
        position_m: (east, north).
    """

    label: str
    position_m: tuple[float, float]


def label_of(sighting: Sighting) -> str:
    """The words under which a landmark is remembered."""
    colour = sighting.tags.get("colour", "")
    cuisine = sighting.tags.get("cuisine", "")
    kind = f"{colour} {sighting.category}".strip() + (f"; {cuisine}" if cuisine else "")
    return f"{sighting.name} ({kind})".strip()


@dataclass(frozen=True, slots=True)
class Described:
    """What a label says."""

    name: str
    category: str
    cuisine: str
    colour: str


@lru_cache(maxsize=65536)
def read_label(label: str) -> Described:
    """The parts of a label; one of another form is a name."""
    name, opening, rest = label.rpartition("(")
    if not opening or not rest.endswith(")"):
        return Described(label, "", "", "")
    kind, _, cuisine = rest[:-1].partition("; ")
    colour, _, category = kind.rpartition(" ")
    return Described(name.strip(), category, cuisine, colour)


def in_view(observation: Observation) -> list[Landmark]:
    """The landmarks of an observation, at their places."""
    east, north = observation.position_m
    found = []
    for sighting in observation.landmarks:
        bearing = math.radians(sighting.bearing_deg)
        at = (east + sighting.distance_m * math.sin(bearing), north + sighting.distance_m * math.cos(bearing))
        found.append(Landmark(label_of(sighting), at))
    return found
