# SPDX-FileCopyrightText: The Mem4Nav stack developers
# SPDX-License-Identifier: Apache-2.0
"""The landmarks that an instruction speaks of, found in the text alone: names by their capitals, kinds by the word."""

from __future__ import annotations

from dataclasses import dataclass

from mem4nav.modular.mentions import KINDS
from mem4nav.modular.words import Word, stems_of

_STARTERS = frozenset(
    stems_of(
        "go head turn walk continue pass stop take make proceed keep move the there at you your after once when it if "
        "on in follow cross straight start then this a an go exit enter immediately destination another about just "
        "past begin both next first second as from travel through step not now follow heading going end ignore with "
        "stay do be left right before second third and to bear veer approach light intersection i t well "
        "thank one please now somebody return find wait"
    )
)
_JOINING = frozenset(("of", "de", "la", "le", "the", "and", "a"))
_KIND_PHRASES = {stems_of(phrase) for phrases in KINDS.values() for phrase in phrases}
_LONGEST_KIND = max(len(phrase) for phrase in _KIND_PHRASES)


@dataclass(frozen=True, slots=True)
class Phrase:
    """Words [first, last) that name a landmark or say its kind."""

    first: int
    last: int
    named: bool


def phrases_of(text: str, words: tuple[Word, ...]) -> tuple[Phrase, ...]:
    """All of them, in the order of the text."""
    found: list[Phrase] = []
    at = 0
    while at < len(words):
        last = _name_end(text, words, at)
        named = last > at
        if not named:
            last = _kind_end(words, at)
        if last > at:
            found.append(Phrase(at, last, named))
            at = last
        else:
            at += 1
    return tuple(found)


def _name_end(text: str, words: tuple[Word, ...], first: int) -> int:
    if not _begins_name(text, words, first):
        return first
    last = first + 1
    while last < len(words):
        ahead = last
        while ahead < len(words) and ahead < last + 2 and words[ahead].stem in _JOINING:
            ahead += 1
        if ahead == len(words) or not (text[words[ahead].start].isupper() or text[words[ahead].start].isdigit()):
            break
        last = ahead + 1
    return last


def _begins_name(text: str, words: tuple[Word, ...], at: int) -> bool:
    starts_sentence = at == 0 or words[at - 1].stem in (".", ";", ":", "!", "?")
    capital = text[words[at].start].isupper()
    return capital and words[at].stem not in _STARTERS and (not starts_sentence or len(words[at].stem) > 1)


def _kind_end(words: tuple[Word, ...], first: int) -> int:
    for length in range(min(_LONGEST_KIND, len(words) - first), 0, -1):
        if tuple(word.stem for word in words[first : first + length]) in _KIND_PHRASES:
            return first + length
    return first
