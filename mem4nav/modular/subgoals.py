# SPDX-FileCopyrightText: The Mem4Nav stack developers
# SPDX-License-Identifier: Apache-2.0
"""An instruction becomes sub-goals: where to turn, one after another, and where to stop."""

from __future__ import annotations

from dataclasses import dataclass

from mem4nav.modular.words import Word, stems_of, words_of

LEFT, RIGHT = -1, 1
_TURN_VERBS = frozenset(
    stems_of(
        "turn make take hang bear veer turning making taking bearing veering hanging took cut curve hook swing might"
    )
)
_GO_VERBS = frozenset(stems_of("go head cross continue move walk travel proceed keep step going heading walking"))
_BETWEEN = frozenset(
    stems_of(
        "a an another the your that to immediate immediately quick slight sharp hard first second third fourth next "
        "1st 2nd 3rd 4th slightly one more directly this again very soft easy only last quickly then and wide final "
        "big fifth 5th small left right here there available possible double "
        "on onto degree 90 far near hard sudden very tight main minor major complete following"
    )
)
_MARKS = frozenset(".;:!?")
_SIDES = {"left": LEFT, "right": RIGHT}
_SIDE_OF = frozenset(("side", "corner", "hand"))
_TURNED_INTO = frozenset(("street", "sidestreet", "road", "fork", "intersection"))
_TOLD_BEFORE = 14
_LONGEST_CHAIN = 6
_ON_IT = frozenset(("it", "them", "these", "this", "that", "here", "there", "those"))
_NOT_A_DEED = frozenset(("your", "the", "a", "before", "after", "you", "this", "of", "left", "right"))
"""Words after which "turn" is a thing, or a turn that was told already."""


@dataclass(frozen=True, slots=True)
class Turn:
    """A turn that the text asks for: the index of its first and last word, and to which side."""

    first: int
    last: int
    side: int


@dataclass(frozen=True, slots=True)
class SubGoal:
    """A stretch of the way, up to a turn or to the stop.

    Attributes:
        side: LEFT, RIGHT, or 0 where the stretch ends at the goal.
        begin, end: words [begin, end) that tell of this stretch.
        turn_first, turn_last: words of the turn itself; ``end`` for the goal.
        sentence_begin, sentence_end: words of the sentence in which the turn stands; of the last sentence for the goal.
    """

    side: int
    begin: int
    end: int
    turn_first: int
    turn_last: int
    sentence_begin: int
    sentence_end: int


@dataclass(frozen=True, slots=True)
class Instruction:
    """A text, read.

    Attributes:
        text: as written.
        words: its words and marks.
        goals: at least one; the last ends at the goal.
    """

    text: str
    words: tuple[Word, ...]
    goals: tuple[SubGoal, ...]

    def begins(self, goal: int) -> int:
        """The first word about a sub-goal that tells nothing of the one before it."""
        return max(self.goals[goal].begin, self.goals[goal - 1].end if goal else 0)

    def clause(self, goal: int) -> str:
        """What is written about a sub-goal."""
        part = self.words[self.goals[goal].begin : self.goals[goal].end]
        return self.text[part[0].start : part[-1].end] if part else ""


def read_instruction(text: str) -> Instruction:
    """Sub-goals of a text. Any text is read; one without turns has one sub-goal, the stop."""
    words = words_of(text)
    stems = [word.stem for word in words]
    turns = _turns(stems)
    goals, begin = [], 0
    for number, turn in enumerate(turns):
        first, last = _sentence(stems, turn.first)
        if number + 1 < len(turns):
            end = min(_told_until(stems, last), _next_begin(stems, turns[number + 1], turn))
        else:
            end = min(_told_until(stems, last), len(stems))
        end = max(end, turn.last + 1)
        goals.append(SubGoal(turn.side, begin, end, turn.first, turn.last, max(first, begin), min(last, end)))
        begin = min(max(turn.last + 1, begin), len(stems))
    first, last = _sentence(stems, len(stems) - 1) if stems else (0, 0)
    goals.append(SubGoal(0, begin, len(stems), len(stems), len(stems), max(first, begin), last))
    return Instruction(text, words, tuple(goals))


def _turns(stems: list[str]) -> list[Turn]:
    turns: list[Turn] = []
    for index, word in enumerate(stems):
        if word == "turn" and _turns_there(stems, index):
            side = 0 if _SIDES.keys() & set(stems[index : index + 5]) else _side_of_street(stems, index)
            if side:
                turns.append(Turn(index, index + 1, side))
        if word in ("left", "right"):
            first = _turn_begin(stems, index)
            if turns and (first is None or first <= turns[-1].last):
                first = _chained(stems, index, turns[-1].last)
            if first is not None and not _is_look(stems, first, index):
                last = index + 1 if _next(stems, index) in ("turn", "onto") else index
                turns.append(Turn(first, last, LEFT if word == "left" else RIGHT))
    return turns


def _turn_begin(stems: list[str], index: int) -> int | None:
    """First word of the turn that "left" or "right" at ``index`` belongs to; None where it only says a side."""
    if _next(stems, index) in _SIDE_OF | {"of"} and not _street(stems, index):
        return None
    for back in range(1, 7):
        at = index - back
        if at < 0 or stems[at] in _MARKS:
            return index if back == 1 and _bare(stems, index) else None
        if stems[at] in _TURN_VERBS:
            return at if _street(stems, index) or not {"on", "onto"} & set(stems[at:index]) else None
        if back <= 2 and stems[at] in _GO_VERBS and _side_ends(stems, index):
            return at
        if stems[at] not in _BETWEEN:
            if back == 1:
                return index if stems[at] in (",", "then") and _bare(stems, index) else None
            joined = "then" in stems[at + 1 : index] or (back == 2 and stems[index - 1] == "and")
            return at + 1 if joined and _bare(stems, index) else None
    return None


def _turns_there(stems: list[str], index: int) -> bool:
    """ "Turn here", "turn on it", "turn and walk": to which side was told before."""
    after = _next(stems, index)
    if after in ("and", ".", ","):
        return not (index and stems[index - 1] in _NOT_A_DEED)
    if after in ("on", "at", "onto", "in"):
        return bool(_ON_IT & set(stems[index + 2 : index + 4]))
    return after in ("here", "there", "into", "down")


def _chained(stems: list[str], index: int, before: int) -> int | None:
    """First word of "another quick left" at ``index``, which has no verb of its own; None where it only says a side.

    Args:
        stems: of the text.
        index: of "left" or "right".
        before: last word of the turn before it.
    """
    said = set(stems[before + 1 : index])
    article, at_once = bool(said & {"a", "an"}), bool(said & {"immediate", "immediately", "quick", "quickly"})
    again = "another" in said or ("then" in said and (article or at_once or bool(said & {"next", "first", "second"})))
    again = again or (bool(said) and said <= {"and", "then"} and _bare(stems, index))
    if index - before - 1 > _LONGEST_CHAIN or not said <= _BETWEEN | {","} or _next(stems, index) in _SIDE_OF:
        return None
    return before + 1 if again or ("and" in said and article and at_once) else None


def _next(stems: list[str], index: int) -> str:
    """The word after one; "" at the end of the text."""
    return stems[index + 1] if index + 1 < len(stems) else ""


def _is_look(stems: list[str], first: int, index: int) -> bool:
    """Where one stands at the goal: "turn to your right so you face the hydrant", "if you turn left, you will see"."""
    if "if" in stems[max(first - 2, 0) : first]:
        return True
    after = stems[index + 1 : index + 3]
    to_the_side = "to" in stems[first:index] and after[:1] == ["so"]
    return to_the_side or after in (["to", "see"], ["to", "face"], ["to", "look"], ["and", "look"])


def _street(stems: list[str], index: int) -> bool:
    """ "Take the left side street": the side is that of a street."""
    after = stems[index + 1 : index + 3]
    return after[:1] in (["sidestreet"], ["street"], ["fork"]) or after == ["side", "street"]


def _side_of_street(stems: list[str], index: int) -> int:
    """ "There is a street to the left. Turn there": the side that was told last, of something to turn into."""
    for at in range(index - 1, max(index - _TOLD_BEFORE, -1), -1):
        if stems[at] in _SIDES and set(stems[max(0, at - 6) : at + 4]) & _TURNED_INTO:
            return _SIDES[stems[at]]
    return 0


def _bare(stems: list[str], index: int) -> bool:
    """ "Left at the light." without a verb."""
    return _next(stems, index) in ("at", "turn", "on", "onto", "again")


def _side_ends(stems: list[str], index: int) -> bool:
    return _next(stems, index) in {
        "",
        ".",
        ",",
        "at",
        "and",
        "when",
        "onto",
        "on",
        "then",
        "down",
        "again",
        "through",
    }


def _sentence(stems: list[str], index: int) -> tuple[int, int]:
    """Words [first, last) of the sentence around a word; the closing mark is its last."""
    first = index
    while first > 0 and stems[first - 1] not in _MARKS:
        first -= 1
    last = index
    while last < len(stems) and stems[last] not in _MARKS:
        last += 1
    return first, min(last + 1, len(stems))


_MOTION = _TURN_VERBS | _GO_VERBS | frozenset(stems_of("pass stop follow through at after start come past once you'll"))


def _told_until(stems: list[str], last: int) -> int:
    """A following sentence that only describes ("KFC is on the corner.") still tells of the same place."""
    if last < len(stems) and stems[last] not in _MOTION:
        first, after = _sentence(stems, last)
        if not (set(stems[first:after]) & (_MOTION - {"at", "after", "through", "past"})):
            return after
    return last


def _next_begin(stems: list[str], following: Turn, turn: Turn) -> int:
    """The text of a turn ends, at the latest, where the next one begins."""
    for at in range(following.first, turn.last, -1):
        if stems[at] in (",", "then", "and"):
            return at
    return following.first
