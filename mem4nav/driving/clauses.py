# SPDX-FileCopyrightText: The Mem4Nav stack developers
# SPDX-License-Identifier: Apache-2.0
"""What an instruction asks of a driver: sub-goals as the modular backbone reads them, told as counts and landmarks."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from enum import Enum

from mem4nav.errors import Mem4NavError
from mem4nav.modular.beginning import begins_behind
from mem4nav.modular.counts import CROSSINGS, count_in
from mem4nav.modular.mentions import MentionFinder, Rarity
from mem4nav.modular.phrases import phrases_of
from mem4nav.modular.subgoals import Instruction, SubGoal, read_instruction
from mem4nav.modular.turning import turn_ordinal

_SIDES = {"left": -1, "right": 1}
_SIDE_REACH = 4
_MARKS = frozenset(".;:!?")
_STOPS = frozenset(("stop", "halt", "wait", "park", "end"))
_USUAL = (
    (r"\b(left|right)( turn)? there\b", r"\1"),
    (r"\bstraight to\b", "to"),
    (r"\bhang a\b", "make a"),
    (r"\bmake a u-?turn\b", "turn around"),
    (r";", "."),
)
_CATEGORIES: Mapping[str, str] = {"hydrant": "fire_hydrant"}
"""OpenStreetMap's value for a class of the detector, where they differ."""
_COUNTED = frozenset(("traffic light",))
"""Classes that directions count crossings by; they are no landmarks."""
_UNSPECIFIC = Rarity({}, 0)


class InstructionError(Mem4NavError):
    """Directions that cannot be driven with what can be perceived."""


class Verb(str, Enum):
    """What a clause asks for."""

    TURN_AROUND = "turn around"
    TURN = "turn"
    STOP = "stop"


@dataclass(frozen=True, slots=True)
class Clause:
    """One step of the directions.

    Attributes:
        verb: what to do.
        text: what is written about it.
        side: TURN: -1 left, 1 right.
        crossings: TURN: at which crossing, counted from the last turn (from the landmark, where there is one);
            STOP: how many crossings to pass first.
        landmark: class of the detector: TURN: what to pass first; STOP: where to stop. "" where nothing is named.
        landmark_side: on which side of the street it is: -1 left, 1 right, 0 unsaid.
    """

    verb: Verb
    text: str
    side: int = 0
    crossings: int = 0
    landmark: str = ""
    landmark_side: int = 0


def read_clauses(text: str, classes: Sequence[str]) -> tuple[Clause, ...]:
    """The clauses of an instruction, for a driver whose detector has these classes.

    Raises:
        InstructionError: the text is empty, ends at nothing, or names a landmark that no class stands for.
    """
    instruction = read_instruction(_in_usual_words(text))
    if not instruction.words:
        raise InstructionError("the instruction is empty: write where to turn and where to stop")
    clauses = [Clause(Verb.TURN_AROUND, instruction.clause(0))] if begins_behind(instruction) else []
    begin = 0
    for goal in instruction.goals:
        end = _told_until(instruction, goal)
        clauses.append(_clause(instruction, goal, begin, end, classes))
        begin = end
    return tuple(clauses)


def _in_usual_words(text: str) -> str:
    """Turns of speech that the reader of sub-goals would take for something else, in words that it knows."""
    for found, usual in _USUAL:
        text = re.sub(found, usual, text, flags=re.IGNORECASE)
    return text


def _told_until(instruction: Instruction, goal: SubGoal) -> int:
    """The word after the last that tells of a turn: what joins two clauses follows it."""
    stems = _stems(instruction)
    if not goal.side:
        return len(stems)
    for at in range(goal.turn_last + 1, len(stems)):
        after = stems[at + 1] if at + 1 < len(stems) else ""
        if stems[at] in _MARKS or (stems[at] == "," and after in ("then", "and")):
            return at + 1
        if stems[at] == "and" and after in _STOPS:
            return at + 1
    return len(stems)


def _clause(instruction: Instruction, goal: SubGoal, begin: int, end: int, classes: Sequence[str]) -> Clause:
    """What words [begin, end) ask for."""
    text = _written(instruction, begin, end)
    landmark, first, last = _landmark(instruction, begin, end, classes) or ("", end, begin)
    side = _side_of(instruction, last) if landmark else 0
    stems = _stems(instruction)
    if goal.side:
        return Clause(Verb.TURN, text, goal.side, _turn_count(stems, goal, last, end), landmark, side)
    if not landmark:
        raise InstructionError(f"{text!r} names nothing to stop at: it takes one of {', '.join(_nameable(classes))}")
    return Clause(Verb.STOP, text, 0, count_in(stems[begin:first], CROSSINGS).number, landmark, side)


def _landmark(instruction: Instruction, begin: int, end: int, classes: Sequence[str]) -> tuple[str, int, int] | None:
    """(class, first word, word after the last) of what words [begin, end) name; None where they name nothing."""
    finder = MentionFinder(instruction.words, _UNSPECIFIC)
    known = [
        (name, mention.first, mention.last)
        for name in _nameable(classes)
        for mention in finder(f"({_CATEGORIES.get(name, name)})")
        if begin <= mention.first and mention.last <= end
    ]
    for phrase in phrases_of(instruction.text, instruction.words):
        taken = any(first < phrase.last and phrase.first < last for _, first, last in known)
        if begin <= phrase.first and phrase.last <= end and not taken:
            said = _written(instruction, phrase.first, phrase.last)
            raise InstructionError(
                f"{said!r} cannot be told from others by what is perceived: directions may name "
                f"{', '.join(_nameable(classes))}"
            )
    return min(known, key=lambda one: one[1]) if known else None


def _nameable(classes: Sequence[str]) -> list[str]:
    return [name for name in classes if name not in _COUNTED]


def _turn_count(stems: Sequence[str], goal: SubGoal, begin: int, end: int) -> int:
    """At which crossing to turn, counted by words [begin, end)."""
    told = stems[begin:end]
    ordinal, count = turn_ordinal(stems, goal), count_in(told, CROSSINGS)
    if ordinal > 1 or not count.number:
        return max(ordinal, 1)
    return count.number + int(count.beyond or "ignore" in told)


def _side_of(instruction: Instruction, after: int) -> int:
    """The side told right after a landmark: "on your left", "to the right"; 0 where none is."""
    told = _stems(instruction)[after : after + _SIDE_REACH]
    if told[:1] not in (["on"], ["to"]):
        return 0
    return next((_SIDES[stem] for stem in told if stem in _SIDES), 0)


def _written(instruction: Instruction, begin: int, end: int) -> str:
    """Words [begin, end) as they stand in the text."""
    part = instruction.words[begin:end]
    return instruction.text[part[0].start : part[-1].end] if part else ""


def _stems(instruction: Instruction) -> list[str]:
    return [word.stem for word in instruction.words]
