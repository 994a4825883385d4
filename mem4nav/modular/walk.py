# SPDX-FileCopyrightText: The Mem4Nav stack developers
# SPDX-License-Identifier: Apache-2.0
"""Following one instruction: where in the text one is, and what the policies see. Training and acting share it."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from mem4nav.environment import Observation, angle_between_deg
from mem4nav.modular.evidence import part_of
from mem4nav.modular.labels import Landmark, in_view
from mem4nav.modular.mentions import MentionFinder, Rarity
from mem4nav.modular.phrases import Phrase, phrases_of
from mem4nav.modular.recollection import Recollection
from mem4nav.modular.shapes import leads_on
from mem4nav.modular.stopping import StopFeatures
from mem4nav.modular.subgoals import read_instruction
from mem4nav.modular.track import BEND_DEG, BEND_REACH, Track
from mem4nav.modular.turning import Choice, TurnFeatures, choices

_STOP_PLACES, _HALT_PLACES = 28, 14
_BEND_AT_T_DEG, _BEND_AT_ONCE_DEG = 75.0, 80.0
_MOST_PHRASES = 12


class Walk:
    """One instruction, and the way walked since it was given.

    Args:
        text: the instruction.
        rarity: of words.
        recollection: what is told and asked; may remember other walks.
        length_prior: whether the policies see how much of the longest route is walked.

    Attributes:
        instruction: the text, read.
        track: the way.
        goal: the sub-goal that is followed.
        since: the step of the track at which it began.
    """

    def __init__(self, text: str, rarity: Rarity, recollection: Recollection, length_prior: bool = True) -> None:
        self.instruction = read_instruction(text)
        self.track = Track()
        self.goal, self.since = 0, 0
        self._recollection = recollection
        self._finder = MentionFinder(self.instruction.words, rarity)
        self._phrases = phrases_of(text, self.instruction.words)
        self._turning = TurnFeatures(self.instruction, self._finder, self.track, length_prior)
        self._stopping = StopFeatures(self.instruction, self._finder, self.track, length_prior)
        self.recalled: tuple[str, ...] = ()

    def arrive(self, observation: Observation) -> None:
        """Be at the next place."""
        self.track.arrive(observation)
        self._recollection.tell(observation)
        self._follow_bend()

    def crossing(self) -> list[Choice]:
        """The ways to choose from here; fewer than two where there is nothing to choose."""
        here = self.track.steps[-1].observation
        return choices(here) if here.is_crossing else []

    def turn_rows(self) -> NDArray[np.float32]:
        """(C, F) numbers of the choices at this crossing."""
        return self._turning.rows(self.goal, self.since, self._landmarks((1, 2, 3)))

    def take(self, choice: Choice) -> None:
        """Leave the crossing by a choice."""
        side = self.instruction.goals[self.goal].side
        if side and (choice.turn == side or (not choice.turn and self._bends(side, choice.heading_deg))):
            self._advance(len(self.track.steps) - 1)

    def stop_places(self) -> range:
        """The steps of the track that may be picked as the goal: the last ones."""
        return range(max(0, len(self.track.steps) - _STOP_PLACES), len(self.track.steps))

    def stop_rows(self) -> NDArray[np.float32]:
        """(P + 1, F) numbers of ``stop_places``, and in the last row of going on."""
        places = self._stopping.rows(self.goal, self.since, self.stop_places(), self._landmarks((1, 2, 3, 4)))
        return np.concatenate([places, self._stopping.ahead(self.goal, self.since)])

    def halt_rows(self) -> NDArray[np.float32]:
        """(P + 1, F) the last of ``stop_rows``: of the places just walked, and of going on; a copy of them alone."""
        return self.stop_rows()[-_HALT_PLACES - 1 :].copy()

    def named_landmarks(self) -> tuple[int, int]:
        """Of the names in the text, how many are of landmarks that memory or the view has, and how many are not."""
        here = self.track.steps[-1].observation
        met = missed = 0
        for phrase in self._phrases:
            if phrase.named:
                found = [*in_view(here), *self._recollection.recall(self._stems(phrase), here.position_m, True)]
                spoken = (mention for landmark in found for mention in self._finder(landmark.label))
                is_met = any(m.named and m.first < phrase.last and phrase.first < m.last for m in spoken)
                met, missed = met + is_met, missed + (not is_met)
        return met, missed

    def _stems(self, phrase: Phrase) -> tuple[str, ...]:
        return tuple(word.stem for word in self.instruction.words[phrase.first : phrase.last])

    def _bends(self, side: int, heading_deg: float) -> bool:
        """Whether the way that one faces is the turn to this side: at a T no way leads straight on."""
        course = self.track.long_course_deg(len(self.track.steps) - 1, self.since)
        onward = self.track.steps[-1].observation.turns_onward(course)
        return side * angle_between_deg(course, heading_deg) > _BEND_AT_T_DEG and not leads_on(onward)

    def _follow_bend(self) -> None:
        """A street that bends by itself does the turn that the words ask for. It shows a few places later, and has to
        be known at the next crossing.
        """
        side, last = self.instruction.goals[self.goal].side, len(self.track.steps) - 1
        if side and self._bent(last - BEND_REACH, side, BEND_DEG):
            self._advance(last - BEND_REACH)
        elif side and self.track.steps[last].observation.is_crossing and self._bent(last - 2, side, _BEND_AT_ONCE_DEG):
            self._advance(last - 2)

    def _bent(self, at: int, side: int, degrees: float) -> bool:
        """Whether the street has bent at a step, where there was no other way to choose."""
        if at <= self.since + 1 or self.track.steps[at].observation.is_crossing:
            return False
        return side * self.track.bend_deg(at) > degrees

    def _advance(self, at: int) -> None:
        self.goal, self.since = min(self.goal + 1, len(self.instruction.goals) - 1), at

    def _landmarks(self, parts: tuple[int, ...]) -> list[Landmark]:
        """In view, and what memory has for the phrases of the sub-goal; each once."""
        here = self.track.steps[-1].observation
        known = {(landmark.label, _cell(landmark)): landmark for landmark in in_view(here)}
        self.recalled = ()
        asked: set[tuple[str, ...]] = set()
        for phrase in self._phrases:
            stems = self._stems(phrase)
            if part_of(self.instruction, self.goal, phrase.first) in parts and stems not in asked:
                asked.add(stems)
                found = self._recollection.recall(stems, here.position_m) if len(asked) <= _MOST_PHRASES else []
                self.recalled += tuple(landmark.label for landmark in found[:1])
                known |= {(landmark.label, _cell(landmark)): landmark for landmark in found}
        return list(known.values())


def _cell(landmark: Landmark) -> tuple[int, int]:
    return round(landmark.position_m[0] / 3.0), round(landmark.position_m[1] / 3.0)
