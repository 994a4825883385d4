# SPDX-FileCopyrightText: The Mem4Nav stack developers
# SPDX-License-Identifier: Apache-2.0
"""How the ways at a crossing lie, against the words that tell of it: "at the T", "the slight left", "at the light".

A network learns such products of words and angles by itself too, but from some thousands of crossings it learns them
badly: with them, one of seven routes that went wrong goes right.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

_STRAIGHT_DEG = 35.0
_LIGHT = frozenset(("light",))
_CROSSING = frozenset(("intersection", "crossing", "crosswalk", "junction", "corner"))
_TEE = frozenset(("t", "tee"))
_END = frozenset(("end", "dead"))
_FORK = frozenset(("fork", "split", "veer", "bear", "slight", "slightly", "bend", "curve"))
_STREET = frozenset(("street", "road", "sidestreet", "alley", "block", "avenue", "lane"))


@dataclass(frozen=True, slots=True)
class Told:
    """Which kinds of place the words about a turn speak of."""

    light: bool
    crossing: bool
    tee: bool
    end: bool
    fork: bool
    street: bool

    @classmethod
    def of(cls, stems: Iterable[str]) -> Told:
        """From the words."""
        said = frozenset(stems)
        return cls(*(bool(said & kind) for kind in (_LIGHT, _CROSSING, _TEE, _END, _FORK, _STREET)))


@dataclass(frozen=True, slots=True)
class Crossing:
    """What is seen of a crossing.

    Attributes:
        choices_deg: turns from the course to the ways that may be taken, positive to the side of the turn that is due.
        ways_deg: the same of all ways but the one back.
        light: whether a traffic light stands here.
        ways: how many there are, the one back counted.
    """

    choices_deg: Sequence[float]
    ways_deg: Sequence[float]
    light: bool
    ways: int


def leads_on(turns_deg: Iterable[float]) -> bool:
    """Whether one of the ways, given by the turns to them, leads straight on."""
    return any(abs(turn) < _STRAIGHT_DEG for turn in turns_deg)


def shape_rows(crossing: Crossing, told: Told, due: bool) -> NDArray[np.float64]:
    """(C, 25) a row for each choice.

    Args:
        crossing: as it is seen.
        told: of the turn.
        due: a turn is due; else the goal.
    """
    turns = np.asarray(crossing.choices_deg, np.float64)
    size = np.abs(turns)
    turned, straight = (turns > 30.0) & (turns < 165.0), size < 30.0
    small = (turns > 12.0) & (turns < 50.0)
    squarest = np.arange(len(turns)) == int(np.abs(turns - 85.0).argmin())
    own = [turned, straight, (turns < -30.0) & (turns > -165.0), small, turns / 90.0, squarest & turned, size > 150.0,
           size <= size.min() + 1e-6]  # fmt: skip
    ends = not leads_on(crossing.ways_deg)
    forks = ends and any(turn > 45.0 for turn in crossing.ways_deg) and any(turn < -45.0 for turn in crossing.ways_deg)
    at_light = crossing.light
    fitting = [
        turned & (told.light and at_light), turned & (told.light and not at_light),
        turned & (at_light and not told.light), turned & (told.tee and ends), turned & (told.tee and not ends),
        turned & (told.end and ends), turned & (told.end and not ends),
        turned & (ends and not told.end and not told.tee), small & told.fork, small & (not told.fork),
        (turns > 60.0) & told.fork, turned & (told.crossing and not told.light),
        turned & (told.street and not told.light and not told.crossing), turned & forks, turned & (crossing.ways == 3),
    ]  # fmt: skip
    columns = [*own, *(column & due for column in fitting), straight & (not due), ~straight & (not due)]
    return np.stack([np.asarray(column, np.float64) for column in columns], axis=1)
