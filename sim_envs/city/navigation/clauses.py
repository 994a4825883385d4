# SPDX-FileCopyrightText: The Mem4Nav stack developers
# SPDX-License-Identifier: Apache-2.0
"""What an instruction means: clauses, and how they refer to things."""

from __future__ import annotations

from dataclasses import dataclass
from enum import Enum

from mem4nav.environment import Action, Sighting


class Verb(str, Enum):
    """What a clause asks for."""

    TURN_AROUND = "turn around"
    TURN = "turn"
    STOP = "stop"
    RETURN = "return"
    RETURN_TO_START = "return to start"


@dataclass(frozen=True, slots=True)
class Reference:
    """How something is referred to; what is "" is not mentioned.

    Attributes:
        category: "bank"; always there.
        name: as on its sign.
        colour: word for its colour.
        beside: the shop that it stands by.
    """

    category: str
    name: str = ""
    colour: str = ""
    beside: Reference | None = None

    @property
    def is_kind_alone(self) -> bool:
        """Whether nothing but the category is said."""
        return not self.name and not self.colour and self.beside is None

    def fits(self, category: str, name: str, colour: str) -> bool:
        """Whether something of that description may be meant, wherever it stands."""
        return category == self.category and self.name in ("", name) and self.colour in ("", colour)

    def matches(self, sighting: Sighting) -> bool:
        """Whether a sighting looks like what is meant."""
        return self.fits(sighting.category, sighting.name, sighting.tags.get("colour", ""))


@dataclass(frozen=True, slots=True)
class Clause:
    """One step of an instruction.

    Attributes:
        verb: what to do.
        turn: LEFT or RIGHT, for TURN.
        crossings: TURN: at which crossing, counted from the last turn (from the landmark, where there is one);
            STOP: how many crossings to walk past first. A crossing is a place of three ways or more.
        landmark: TURN: what to pass first, if anything; STOP and RETURN: where to stop.
        side: on which side of the street the landmark is, where that is said.
    """

    verb: Verb
    turn: Action | None = None
    crossings: int = 0
    landmark: Reference | None = None
    side: Action | None = None
