# SPDX-FileCopyrightText: The Mem4Nav stack developers
# SPDX-License-Identifier: Apache-2.0
"""What the landmarks in view say about one sub-goal: which of them its words name, where, and on which side."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from mem4nav.modular.labels import Landmark
from mem4nav.modular.mentions import Mention, MentionFinder
from mem4nav.modular.subgoals import Instruction

PARTS = ("told before", "on the way", "before the turn", "after the turn", "later")
"""Where in the text a mention stands, seen from a sub-goal."""
HERE_M, NEAR_M = 18.0, 38.0
_SIDES = {"left": -1, "right": 1}
_CORNERS = {"near": -1, "far": 1}
_IS_THERE = frozenset(("is", "be", "see", "have", "a", "the"))
_AROUND, _BEFORE = 7, 6


@dataclass(frozen=True, slots=True)
class Evidence:
    """Strengths in [0, ~1.5].

    Attributes:
        named, kinds: (5,) best mention of each of PARTS, by name and by kind.
        said: the best mention in the turn's own sentence, and the landmark it is of; None where there is none.
    """

    named: NDArray[np.float64]
    kinds: NDArray[np.float64]
    said: tuple[Mention, Landmark] | None


def strength(mention: Mention) -> float:
    """How telling a mention is."""
    return mention.share * min(mention.weight / 5.0, 1.5)


def closeness(distance_m: float) -> float:
    """1 up to HERE_M, falling to 0 at NEAR_M."""
    return min(max((NEAR_M - distance_m) / (NEAR_M - HERE_M), 0.0), 1.0)


def part_of(instruction: Instruction, goal: int, word: int) -> int:
    """Index into PARTS of a word, seen from a sub-goal."""
    own = instruction.goals[goal]
    if word < instruction.begins(goal):
        return 0
    if word >= own.end:
        return 4
    if word < own.sentence_begin:
        return 1
    return 2 if word < own.turn_first else 3


def gather(
    instruction: Instruction, goal: int, finder: MentionFinder, landmarks: Sequence[Landmark], near: Sequence[float]
) -> Evidence:
    """Landmarks and how close each is, weighed against the words of one sub-goal."""
    named, kinds = np.zeros(len(PARTS)), np.zeros(len(PARTS))
    best, said = 0.0, None
    for landmark, close in zip(landmarks, near, strict=True):
        for mention in finder(landmark.label) if close > 0.0 else ():
            part = part_of(instruction, goal, mention.first)
            value = strength(mention) * close
            strengths = named if mention.named else kinds
            strengths[part] = max(strengths[part], value)
            if part in (2, 3) and value > best:
                best, said = value, (mention, landmark)
    return Evidence(named, kinds, said)


def agreement(instruction: Instruction, mention: Mention, bearing_deg: float) -> tuple[float, float]:
    """Whether "on the left" and "near corner" after a mention fit the bearing from the direction of walking."""
    sine, cosine = np.sin(np.radians(bearing_deg)), np.cos(np.radians(bearing_deg))
    around = [word.stem for word in instruction.words[mention.last : mention.last + _AROUND]]
    return float(_said(around, _SIDES) * sine), float(_said(around, _CORNERS) * cosine)


def said_side(stems: Sequence[str], mention: Mention) -> int:
    """-1 for what is said to be on the left, 1 on the right, 0 where no side is said: "the bank on your left"."""
    after = _said(stems[mention.last : mention.last + _AROUND], _SIDES)
    return after or _said_before(stems[max(mention.first - _BEFORE, 0) : mention.first])


def _said_before(stems: Sequence[str]) -> int:
    """ "On your left is the bank": the side, unless it is that of a turn."""
    for at in range(len(stems) - 1, -1, -1):
        if stems[at] in (".", ";", ","):
            return 0
        if stems[at] in _SIDES and _IS_THERE & set(stems[at:]) and "turn" not in stems[max(at - 3, 0) : at]:
            return _SIDES[stems[at]]
    return 0


def _said(stems: Sequence[str], meanings: dict[str, int]) -> int:
    for stem in stems:
        if stem in meanings:
            return meanings[stem]
        if stem in (".", ";"):
            return 0
    return 0
