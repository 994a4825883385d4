# SPDX-FileCopyrightText: The Mem4Nav stack developers
# SPDX-License-Identifier: Apache-2.0
"""What is seen and what is remembered, in words; and the action that an answer in words names.

The phrases are those of VELMA (Schumann et al., AAAI 2024, section 3.2), which its published language models were
tuned on: "There is a 4-way intersection. "Bank" on your left." Names come from maps that anyone may edit, so they
are quoted and cut short, and nothing but letters, digits and marks of one line is left of them.
"""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from mem4nav.environment import Action, Observation, Sighting, angle_between_deg
from mem4nav.memory import Hit

LONGEST_NAME = 60

_SIDES = (
    (-112.5, "behind you"),
    (-67.5, "on your left"),
    (-22.5, "slightly left"),
    (22.5, "ahead"),
    (67.5, "slightly right"),
    (112.5, "on your right"),
    (181.0, "behind you"),
)
_NAMED = re.compile(r"\b(forward|left|right|turn[\s_-]*around|stop)\b", re.IGNORECASE)


@dataclass(frozen=True, slots=True)
class Remembered:
    """A memory, and where it is from here.

    Attributes:
        hit: what was seen.
        bearing_deg: compass bearing of it.
        distance_m: to it, as the crow flies.
        way_deg: compass bearing of where the known way to it begins; None where none is known or one is there.
    """

    hit: Hit
    bearing_deg: float
    distance_m: float
    way_deg: float | None = None


def plain(text: str, longest: int) -> str:
    """``text`` on one line of at most ``longest`` characters; control and format characters and double quotes go."""
    kept = (" " if unicodedata.category(c)[0] in "CZ" else c for c in text[: 4 * longest] if c not in '"“”')
    line = " ".join("".join(kept).split())
    return line if len(line) <= longest else line[: longest - 3].rstrip() + "..."


def side(relative_deg: float) -> str:
    """Where something at this angle from the heading is (degrees, positive to the right)."""
    return next(words for limit, words in _SIDES if relative_deg < limit)


def landmark_words(sighting: Sighting) -> str:
    """What the landmark is called: its name and category, or its category alone."""
    category = sighting.category.replace("_", " ")
    known = f"{sighting.name}, {category}" if sighting.name and category else sighting.name or category
    return plain(known, LONGEST_NAME)


def observation_words(observation: Observation) -> str:
    """The junction, closed ways and landmarks at a place, one sentence each, the landmarks from near to far."""
    sentences = [*_junction(observation), *_closed(observation)]
    for sighting in sorted(observation.landmarks, key=lambda s: (s.distance_m, s.id)):
        where = side(angle_between_deg(observation.heading_deg, sighting.bearing_deg))
        sentences.append(f'"{landmark_words(sighting)}" {where}.')
    return " ".join(sentences)


def memory_words(memories: Iterable[Remembered], observation: Observation) -> str:
    """What is remembered, as seen from here; "" where that is nothing."""
    told = [f'"{plain(memory.hit.label, LONGEST_NAME)}" {_whereabouts(memory, observation)}' for memory in memories]
    return f"Past memory: {'; '.join(told)}." if told else ""


def named_action(answer: str, choices: Sequence[Action] = tuple(Action)) -> Action | None:
    """The one action that an answer names; None where it names none, several, or one that is not among ``choices``.

    Of an answer of several lines that name several, the last line counts: models that think aloud end with the answer.
    """
    lines = [line for line in answer.splitlines() if line.strip()]
    for text in (answer, lines[-1] if lines else ""):
        named = {_action(match) for match in _NAMED.findall(text)}
        if len(named) == 1:
            (action,) = named
            return action if action in choices else None
    return None


def _junction(observation: Observation) -> list[str]:
    ways = len(observation.ways_deg)
    if ways > 2:
        return [f"There is a {ways}-way intersection."]
    return ["The street ends here."] if ways == 1 else []


def _closed(observation: Observation) -> list[str]:
    relative = [angle_between_deg(observation.heading_deg, way) for way in observation.blocked_deg]
    return [f"The way {side(angle)} is blocked." for angle in relative]


def _whereabouts(memory: Remembered, observation: Observation) -> str:
    ahead = observation.heading_deg
    told = f"{side(angle_between_deg(ahead, memory.bearing_deg))}, {memory.distance_m:.0f} metres away"
    if memory.way_deg is not None:
        told += f", the way there begins {side(angle_between_deg(ahead, memory.way_deg))}"
    return f"{told}, no longer there" if memory.hit.gone else told


def _action(named: str) -> Action:
    word = re.sub(r"[\s_-]+", "_", named.lower())
    return Action.TURN_AROUND if word in ("turnaround", "turn_around") else Action(word)
