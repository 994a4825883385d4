# SPDX-FileCopyrightText: The Mem4Nav stack developers
# SPDX-License-Identifier: Apache-2.0
"""Words of instructions and of landmarks, brought to one spelling."""

from __future__ import annotations

import re
import unicodedata
from dataclasses import dataclass
from functools import lru_cache

LONGEST_CHARACTERS = 4000
"""Of a longer instruction only this beginning is read: the longest of Touchdown has 2,000."""


@dataclass(frozen=True, slots=True)
class Word:
    """A word or a mark of an instruction.

    Attributes:
        stem: in one spelling: lower case, no accents, no plural.
        start, end: where it stands in the text as written.
    """

    stem: str
    start: int
    end: int


@lru_cache(maxsize=65536)
def stem(word: str) -> str:
    """Lower case without accents or a plural's s: "Cafés" and "cafe" are one word."""
    plain = unicodedata.normalize("NFKD", word.lower()).encode("ascii", "ignore").decode()
    if len(plain) > 4 and plain.endswith("ies"):
        return plain[:-3] + "y"
    if len(plain) > 4 and plain.endswith(("sses", "ches", "shes", "xes")):
        return plain[:-2]
    if len(plain) > 3 and plain.endswith("s") and not plain.endswith("ss"):
        return plain[:-1]
    return plain


def words_of(text: str) -> tuple[Word, ...]:
    """The words and marks of a text, in order. Apostrophes join ("McDonald's" is one word), hyphens part."""
    text = text[:LONGEST_CHARACTERS]
    # Same length throughout, so that places in the text stay right.
    flat = "".join(_flat(character) for character in text)
    words = []
    for found in re.finditer(r"[a-z0-9]+(?:'[a-z]+)*|[.;:!?,]", flat):
        words.append(Word(stem(found.group().replace("'", "")), found.start(), found.end()))
    return tuple(words)


def stems_of(text: str) -> tuple[str, ...]:
    """The stems of a name's words."""
    return tuple(word.stem for word in words_of(text) if word.stem[:1].isalnum())


def _flat(character: str) -> str:
    if character in "\u2019\u2018`\u00b4":
        return "'"
    plain = unicodedata.normalize("NFKD", character.lower()).encode("ascii", "ignore").decode()
    return plain if len(plain) == 1 else " "
