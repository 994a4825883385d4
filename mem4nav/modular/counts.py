# SPDX-FileCopyrightText: The Mem4Nav stack developers
# SPDX-License-Identifier: Apache-2.0
"""How many lights or crossings a stretch of an instruction counts: "go through two lights, turn at the next"."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from mem4nav.modular.words import stems_of

_CARDINAL = {"one": 1, "1": 1, "two": 2, "2": 2, "both": 2, "couple": 2, "three": 3, "3": 3, "four": 4, "4": 4,
             "five": 5, "5": 5, "six": 6, "6": 6}  # fmt: skip
ORDINALS = {"first": 1, "1st": 1, "second": 2, "2nd": 2, "third": 3, "3rd": 3, "fourth": 4, "4th": 4, "fifth": 5,
            "5th": 5, "sixth": 6, "6th": 6}  # fmt: skip
_NUMBERS = frozenset((*_CARDINAL, *ORDINALS))
_NEXT = frozenset(("next", "following", "another", "immediate"))
_SAME = frozenset((*stems_of("a an the this that these"), "at"))
LIGHTS = frozenset(("light",))
CROSSINGS = frozenset(("light", "intersection", "crossing", "crosswalk", "junction", "sidestreet", "sign"))
_ONLY_NUMBERED = frozenset(("street", "block", "road", "corner"))
"""Words that count crossings with a number before them ("two blocks"), and else only speak of the street."""
_PASSING = frozenset(("through", "pass", "past", "passing", "cross", "crossing", "straight", "continue", "by", "over"))
_SKIPPED = frozenset(("more", "set", "of", "traffic", "stop", "way", "double", "small", "long", "full", "other", "big"))
_REACH = 6


@dataclass(frozen=True, slots=True)
class Count:
    """At which of the counted things a stretch ends.

    Attributes:
        number: 1 for "the next light"; 0 where nothing is counted.
        beyond: the last of them is passed ("go through two lights"): the end lies after it.
    """

    number: int
    beyond: bool


def count_in(stems: Sequence[str], units: frozenset[str]) -> Count:
    """Add up what the words of a stretch count of LIGHTS or of CROSSINGS, in their order.

    What is passed ("through two lights", "past the 1st light") is left behind. Else an ordinal names the place itself
    ("at the third light"), "next" is one more than what was last spoken of, and "the" is what comes first.
    """
    passed, reached, beyond = 0, 0, False
    for index, word in enumerate(stems):
        counts = word in units or (units is CROSSINGS and word in _ONLY_NUMBERED)
        found = _quantity(stems, index) if counts else None
        if found is None or (word in _ONLY_NUMBERED and found[0] not in _NUMBERS):
            continue
        quantity, beyond = found
        if quantity in _NEXT:
            reached = max(passed, reached) + 1
        elif quantity in _SAME:
            reached = passed + 1
        elif quantity in _CARDINAL:
            reached = passed + _CARDINAL[quantity]
        else:
            ordinal = ORDINALS[quantity]
            reached = ordinal if ordinal > passed else passed + ordinal
        if beyond:
            passed = reached
    return Count(reached, beyond)


def _quantity(stems: Sequence[str], index: int) -> tuple[str, bool] | None:
    """The word that says how many of, or which, unit at ``index``; and whether it is passed."""
    at = index - 1
    while at >= 0 and (stems[at] in _SKIPPED or (at + 1 < index and stems[at + 1] == "way")):
        at -= 1
    if at < 0 or not any(stems[at] in words for words in (_CARDINAL, ORDINALS, _NEXT, _SAME)):
        return None
    word = stems[at]
    if at and word in ("one", "1", "next", "following") and stems[at - 1] in ORDINALS:
        word = stems[at - 1]
    if word in _NEXT and at + 1 < index and stems[at + 1] in _CARDINAL:
        word = stems[at + 1]
    before = list(stems[max(0, at - _REACH) : at])
    mark = max((i for i, stem in enumerate(before) if stem in (".", ",", "and", ";")), default=-1)
    return word, bool(_PASSING & set(before[mark + 1 :]))
