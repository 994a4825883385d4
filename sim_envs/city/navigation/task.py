# SPDX-FileCopyrightText: The Mem4Nav stack developers
# SPDX-License-Identifier: Apache-2.0
"""What a task is: legs that are walked one after the other, with one memory."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from enum import Enum

from mem4nav.environment import Action, Episode
from sim_envs.city.navigation.clauses import Clause


class LegKind(str, Enum):
    """How a leg is walked."""

    GUIDED = "guided"
    """Somebody leads: the agent watches while the leg's own actions are taken."""
    DIRECTIONS = "directions"
    """The agent follows turn-by-turn directions; they can be followed without memory."""
    MEMORY = "memory"
    """The agent finds something that it saw on an earlier leg."""


@dataclass(frozen=True, slots=True)
class Leg:
    """One walk, and its truth, which an agent that is tested does not get: it gets the episode alone.

    Attributes:
        episode: what the agent gets.
        kind: who leads.
        goal: the place to stop at.
        way: the actions that lead there, the stop included: of a guided leg those taken, of directions those of
            the one who takes them at their word, of a memory leg the fewest over streets walked before.
        meaning: the instruction as clauses; () on a guided leg.
        most_actions: the leg ends after so many.
        closed: links (from, to) that cannot be walked on this leg.
        shortest_m: length of the shortest open way from the start to the goal, over all streets.
    """

    episode: Episode
    kind: LegKind
    goal: str
    way: tuple[Action, ...]
    meaning: tuple[Clause, ...]
    most_actions: int
    closed: tuple[tuple[str, str], ...]
    shortest_m: float


@dataclass(frozen=True, slots=True)
class CityTask:
    """Legs in one town, walked in order by an agent whose memory is emptied before the first alone.

    Attributes:
        id: split, seed and number.
        kind: "return", "errands" or "blocked"; "directions": an exercise.
        town: seed of the town.
        legs: in order.
    """

    id: str
    kind: str
    town: int
    legs: tuple[Leg, ...]


@dataclass(frozen=True, slots=True)
class Walk:
    """What an agent did on a leg.

    Attributes:
        places: one before the first action and one after each.
        actions: as taken.
    """

    places: Sequence[str]
    actions: Sequence[Action]
