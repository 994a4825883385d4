# SPDX-FileCopyrightText: The Mem4Nav stack developers
# SPDX-License-Identifier: Apache-2.0
"""Going to something that was seen before: "go back to the bank". No turns are told; memory has to know the way."""

from __future__ import annotations

import math
from collections import Counter

import numpy as np

from mem4nav.environment import Observation, angle_between_deg
from mem4nav.modular.beginning import begins_behind
from mem4nav.modular.counts import CROSSINGS, count_in
from mem4nav.modular.evidence import strength
from mem4nav.modular.labels import Landmark, in_view, read_label
from mem4nav.modular.mentions import MentionFinder, Rarity, kind_phrases, kind_stems
from mem4nav.modular.phrases import Phrase, phrases_of
from mem4nav.modular.recollection import KnownWay, Recollection
from mem4nav.modular.subgoals import Instruction
from mem4nav.modular.words import stems_of

_CUES = frozenset(
    stems_of(
        "back return again once remember seen saw earlier passed before bring waiting errand began begin started start "
        "set out head go find take came"
    )
)
_BEGINNING = frozenset(stems_of("began started start set begin beginning"))
_COLOURS = frozenset(
    stems_of("red green blue yellow orange purple violet pink white black brown grey gray beige turquoise silver")
)
_SAME_M = 20.0
_THERE_M = 7.0
_BACK_DEG = 25.0
_AS_GOOD = 0.95
_WORN_DEG = 70.0


def is_errand(instruction: Instruction) -> bool:
    """Whether a text names a place to go to and says nothing of the way."""
    stems = [word.stem for word in instruction.words]
    told = len(instruction.goals) > 1 or count_in(stems, CROSSINGS).number or begins_behind(instruction)
    return not told and bool(_CUES & set(stems))


class Errand:
    """Where the thing is that an instruction asks for, and which way to try.

    Args:
        instruction: that is an errand.
        rarity: of words.
        recollection: what is remembered.
    """

    def __init__(self, instruction: Instruction, rarity: Rarity, recollection: Recollection) -> None:
        self._instruction = instruction
        self._recollection = recollection
        self._finder = MentionFinder(instruction.words, rarity)
        self._phrases = phrases_of(instruction.text, instruction.words)
        self._stems = {word.stem for word in instruction.words}
        self._left: Counter[tuple[str, float]] = Counter()
        self.recalled: tuple[str, ...] = ()

    def target(self, here: Observation) -> tuple[float, float] | None:
        """(east, north) of what is asked for, as far as memory and the view tell; None where they do not."""
        meant = [found for phrase in self._phrases if (found := self._candidates(phrase, here))]
        if not meant:
            return self._recollection.first_position() if self._stems & _BEGINNING else None
        wanted = meant[0]
        if len(meant) > 1:
            # "The hydrant by the bakery": of those that fit, the one nearest to what it is by.
            beside = meant[1][0].position_m
            wanted.sort(key=lambda found: math.dist(found.position_m, beside))
        best = wanted[0]
        self.recalled = tuple(dict.fromkeys(found.label for found in wanted[:3]))
        same = [found.position_m for found in wanted if math.dist(found.position_m, best.position_m) < _SAME_M]
        east, north = np.median(np.array(same), axis=0)
        return float(east), float(north)

    def heading(self, here: Observation, target: tuple[float, float] | None) -> float | None:
        """Compass heading to leave by; None where one is as near to the target as one gets."""
        if target is not None:
            if math.dist(target, here.position_m) < _THERE_M:
                return None
            known = self._recollection.way_near(here, target)
            if known is not None:
                return None if self._turns_back(here, target, known) else known.heading_deg
        return self._towards(here, target)

    def _turns_back(self, here: Observation, target: tuple[float, float], known: KnownWay) -> bool:
        """Whether, close to the target, the way leads back to where one has just come from: no place is nearer."""
        if known.heading_deg is None or not self._left or math.dist(target, here.position_m) > _SAME_M:
            return False
        return abs(angle_between_deg(known.heading_deg, here.back_deg)) < _BACK_DEG

    def _candidates(self, phrase: Phrase, here: Observation) -> list[Landmark]:
        """Landmarks that a phrase may mean: those in view first, then as memory ranks them."""
        colours = self._colours(phrase)
        words = self._words(phrase)
        asked = (*colours, *(words if phrase.named else kind_stems(words)))
        known = [*in_view(here), *self._recollection.recall_all(asked, here.position_m)]
        rated = [(self._fit(landmark, phrase, colours), landmark) for landmark in known]
        best = max((fit for fit, _ in rated), default=0.0)
        return [landmark for fit, landmark in rated if fit > 0.0 and fit >= _AS_GOOD * best]

    def _words(self, phrase: Phrase) -> tuple[str, ...]:
        return tuple(word.stem for word in self._instruction.words[phrase.first : phrase.last])

    def _colours(self, phrase: Phrase) -> tuple[str, ...]:
        """Said of what has no name: "the red bakery", "the bakery with the red front"."""
        if phrase.named:
            return ()
        words = [word.stem for word in self._instruction.words]
        after = words[phrase.last : phrase.last + 3] if words[phrase.last : phrase.last + 1] == ["with"] else []
        return tuple(stem for stem in words[max(phrase.first - 1, 0) : phrase.first] + after if stem in _COLOURS)

    def _fit(self, landmark: Landmark, phrase: Phrase, colours: tuple[str, ...]) -> float:
        """How well a landmark is what a phrase says: a kind that is spoken of is no part of a name."""
        said = read_label(landmark.label)
        if not phrase.named:
            meant = self._words(phrase) in kind_phrases(said.category, said.cuisine)
            return float(meant) * (2.0 if set(stems_of(said.colour)) & set(colours) else 1.0)
        words = range(phrase.first, phrase.last)
        spoken = (m for m in self._finder(landmark.label) if m.first in words or m.last - 1 in words)
        return max((strength(mention) for mention in spoken), default=0.0)

    def _towards(self, here: Observation, target: tuple[float, float] | None) -> float | None:
        """The open way that points best at the target and was tried least."""
        ways = [way for way in here.ways_deg if way not in here.blocked_deg]
        if not ways:
            return None

        def cost(way: float) -> float:
            if target is None:
                off = 120.0 * (way == here.back_deg) + 20.0 * (way != here.heading_deg)
            else:
                east, north = np.subtract(target, here.position_m)
                off = abs(angle_between_deg(math.degrees(math.atan2(east, north)), way))
            return off + _WORN_DEG * self._left[here.place, way]

        return min(ways, key=cost)

    def leave(self, here: Observation, heading_deg: float) -> None:
        """Note that a way is taken: the next time another one is tried rather."""
        self._left[here.place, heading_deg] += 1
