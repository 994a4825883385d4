# SPDX-FileCopyrightText: The Mem4Nav stack developers
# SPDX-License-Identifier: Apache-2.0
"""What a policy sees of the places where one could stop: one row of numbers for each place of the walk.

The stop is picked in retrospect: only who has passed the bagel shop knows which place was "just past" it.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from mem4nav.modular.counts import CROSSINGS, LIGHTS, count_in
from mem4nav.modular.evidence import said_side, strength
from mem4nav.modular.labels import Landmark
from mem4nav.modular.mentions import Mention, MentionFinder
from mem4nav.modular.stop_words import AT, BEFORE, PAST, ToldStop, between_crossings
from mem4nav.modular.subgoals import Instruction
from mem4nav.modular.track import APART_M, LATEST, Track, light_ahead_m

_STOPS = frozenset(("stop", "stopping", "destination", "goal", "arrive", "end", "there", "reach"))
RELATIONS = 4
CENTRES_M = np.array([-45.0, -28.0, -16.0, -8.0, 0.0, 8.0, 16.0, 28.0, 45.0])
"""How far ahead of a place a landmark lies: bumps that overlap to 1."""
CUES = (
    "step", "few", "couple", "one", "two", "2", "3", "three", "halfway", "half", "middle", "block", "end", "almost",
    "intersection", "light", "corner", "immediately", "just", "before", "past", "after", "turn", "turning", "at",
    "way", "down", "reach", "reaching", "building", "first", "second", "center", "in", "mid", "about", "start", "begin",
    "long", "enter", "entering", "cross", "crossing", "next", "through",
)  # fmt: skip
_AT_MARK_M = 4.0
_ASIDE_M, _AHEAD_M = 40.0, 60.0
_PLAINLY_ASIDE_M, _WRONG_SIDE = 4.0, 0.35
"""A landmark that lies so far to the other side than the text says counts for so much."""
_LEAST_STRENGTH = 1e-3


@dataclass(frozen=True, slots=True)
class _Remark:
    """A mention that bears on the stop: which kind of remark (row of the histogram), how telling, on which side."""

    row: int
    strength: float
    side: int


class StopFeatures:
    """The numbers for one instruction on one walk.

    Args:
        instruction: read.
        finder: of its mentions.
        track: the way walked.
        length_prior: whether to tell how far along the longest route each place is.
    """

    def __init__(
        self, instruction: Instruction, finder: MentionFinder, track: Track, length_prior: bool = True
    ) -> None:
        self._length_prior = length_prior
        self._instruction = instruction
        self._finder = finder
        self._track = track
        self._stems = [word.stem for word in instruction.words]
        self._begin = instruction.begins(len(instruction.goals) - 1)
        self._first, self._last = self._stop_sentence()
        self._told = ToldStop.of(self._stems[self._first : self._last])

    def rows(self, goal: int, since: int, places: range, landmarks: Sequence[Landmark]) -> NDArray[np.float32]:
        """(P, F): the places, given by their steps in the track.

        Args:
            goal: the sub-goal that is followed.
            since: the step at which it began.
            places: steps of the track.
            landmarks: all that are known, in view or recalled.
        """
        walked = self._walked(goal, since, places)
        seen = self._seen(places, landmarks)
        between = self._told.rows(*self._between(places), np.arange(places.start, places.stop) - since)
        ahead = np.zeros((len(places), 1))
        shared = np.array([float(cue in self._stems[self._first : self._last]) for cue in CUES])
        shared = np.broadcast_to(shared, (len(places), len(shared)))
        return np.concatenate([walked, seen, shared, between, ahead], axis=1).astype(np.float32)

    def ahead(self, goal: int, since: int) -> NDArray[np.float32]:
        """(1, F): that the goal was not reached yet, as one more place to pick."""
        last = len(self._track.steps) - 1
        row = self.rows(goal, since, range(last, last + 1), ())
        row[:, -1] = 1.0
        return row

    def _stop_sentence(self) -> tuple[int, int]:
        """First and last word of the sentence that says stop; of the last sentence where none says it."""
        final = self._instruction.goals[-1]
        said = [at for at in range(final.begin, len(self._stems)) if self._stems[at] in ("stop", "stopping")]
        said = said or [at for at in range(final.begin, len(self._stems)) if self._stems[at] in _STOPS]
        at = said[-1] if said else max(final.sentence_begin, 0)
        first = at
        while first > final.begin and self._stems[first - 1] not in (".", ";"):
            first -= 1
        last = at
        while last < len(self._stems) and self._stems[last] not in (".", ";"):
            last += 1
        return first, last

    def _walked(self, goal: int, since: int, places: range) -> NDArray[np.float64]:
        """(P, ...) steps and metres since the sub-goal began, and from the last crossing and to the next."""
        steps = self._track.steps
        at = np.arange(places.start, places.stop)
        metres = np.array([step.walked_m for step in steps])
        here = metres[at]
        marks = metres[[step.light or step.crossing for step in steps]]
        after = here - _nearest(marks, here, -1)
        before = _nearest(marks, here, 1) - here
        if at[-1] == len(steps) - 1:
            before[-1] = min(before[-1], max(light_ahead_m(steps[-1]), _AT_MARK_M))
        own = np.stack([
            at < since, np.minimum((at - since) / 10.0, 2.0), np.minimum(after, 100.0) / 50.0,
            np.minimum(before, 100.0) / 50.0, after < 8.0, (after >= 8.0) & (after < 20.0), before < 8.0,
            (before >= 8.0) & (before < 20.0), after / np.maximum(after + before, 1.0),
            [steps[place].observation.is_crossing for place in places],
        ], axis=1)  # fmt: skip
        left = np.full((len(at), 1), (len(self._instruction.goals) - 1 - goal) / 2.0)
        first = (at - since)[:, None] == np.arange(7)
        return np.concatenate([first, own, left, self._length(at), self._counted(since, here, metres)], axis=1)

    def _between(self, places: range) -> tuple[NDArray[np.float64], NDArray[np.float64], NDArray[np.bool_]]:
        """(P,) metres from the crossing before each place, to the one after it, and whether it lies in one."""
        steps = self._track.steps
        at = [step.walked_m for step in steps if step.observation.is_crossing]
        return between_crossings(at, np.array([steps[place].walked_m for place in places]))

    def _length(self, at: NDArray[np.int64]) -> NDArray[np.float64]:
        """(P, 5) how far along the longest route."""
        early, late = np.maximum(at - 40, 0) / 5.0, np.maximum(40 - at, 0) / 5.0
        return np.stack([at / LATEST, at < 34, at > LATEST, early, late], axis=1) * self._length_prior

    def _counted(self, since: int, here: NDArray[np.float64], metres: NDArray[np.float64]) -> NDArray[np.float64]:
        """(P, 20) how the lights or crossings passed fit the number that the text counts."""
        steps = self._track.steps
        stems = self._stems[self._begin : self._last]
        begun = metres[since] + (APART_M if since else -1.0)
        columns = []
        for units in (LIGHTS, CROSSINGS):
            count = count_in(stems, units)
            counted = metres[[step.light or (units is CROSSINGS and step.crossing) for step in steps]]
            reached = (counted[counted > begun][None] <= here[:, None] + 6.0).sum(axis=1)
            off, known = reached - count.number, float(count.number > 0)
            columns.append((off[:, None] == np.array([-2, -1, 0, 1, 2])) * known)
            columns.append(np.stack([off < -2, off > 2, off < count.beyond], axis=1) * known)
            columns.append(np.broadcast_to([known, float(count.beyond)], (len(here), 2)))
        return np.concatenate(columns, axis=1)

    def _seen(self, places: range, landmarks: Sequence[Landmark]) -> NDArray[np.float64]:
        """(P, ...) for each kind of remark: how far ahead of each place what it names lies; as it is, and measured by
        the best of the places: a landmark that the text half names tells where to stop if no other fits it better.
        """
        steps = self._track.steps
        histogram = np.zeros((len(places), _ROWS, len(CENTRES_M)))
        at = np.array([steps[place].observation.position_m for place in places])
        course = np.radians([self._track.long_course_deg(place) for place in places])
        for landmark in landmarks:
            remarks = [r for mention in self._finder(landmark.label) if (r := self._remark(mention)) is not None]
            if not remarks:
                continue
            east, north = (np.asarray(landmark.position_m) - at).T
            ahead = east * np.sin(course) + north * np.cos(course)
            right = east * np.cos(course) - north * np.sin(course)
            bumps = _bumps(ahead) * ((np.abs(right) < _ASIDE_M) & (np.abs(ahead) < _AHEAD_M))[:, None]
            for remark in remarks:
                fits = np.where(remark.side * right < -_PLAINLY_ASIDE_M, _WRONG_SIDE, 1.0)[:, None]
                own = histogram[:, remark.row]
                np.maximum(own, remark.strength * fits * bumps, out=own)
        best = histogram.max(axis=(0, 2))
        relative = histogram / np.maximum(best, _LEAST_STRENGTH)[None, :, None]
        shared = np.broadcast_to(best, (len(places), _ROWS))
        return np.concatenate([histogram.reshape(len(places), -1), relative.reshape(len(places), -1), shared], axis=1)

    def _remark(self, mention: Mention) -> _Remark | None:
        if mention.first < self._begin:
            return None
        return _Remark(self._row(mention), strength(mention), said_side(self._stems, mention))

    def _row(self, mention: Mention) -> int:
        if mention.first >= self._last:
            far = "far" in self._stems[self._last :] and "too" in self._stems[self._last :]
            return _FAR if far else _LATER
        if mention.first < self._first:
            return _PASSED
        relation = self._relation(mention)
        return relation if mention.named else _KINDS + relation

    def _relation(self, mention: Mention) -> int:
        """0 past it, 1 before it, 2 at it, 3 none said: the nearest such word in front of a mention."""
        for stem in reversed(self._stems[max(self._first, mention.first - 8) : mention.first]):
            for relation, words in enumerate((PAST, BEFORE, AT)):
                if stem in words:
                    return relation
        return 3


_KINDS = RELATIONS
_PASSED, _LATER, _FAR = 2 * RELATIONS, 2 * RELATIONS + 1, 2 * RELATIONS + 2
_ROWS = _FAR + 1


def _nearest(marks: NDArray[np.float64], here: NDArray[np.float64], side: int) -> NDArray[np.float64]:
    """(P,) metres along the way of the last mark up to here (side -1), or of the first one beyond (side 1)."""
    beyond = marks[None] > here[:, None] + _AT_MARK_M
    if side > 0:
        return np.where(beyond, marks[None], np.inf).min(axis=1, initial=np.inf).clip(max=here + 300.0)
    return np.where(beyond, -np.inf, marks[None]).max(axis=1, initial=-np.inf).clip(min=here - 300.0)


def _bumps(ahead_m: NDArray[np.float64]) -> NDArray[np.float64]:
    """(P, C) linear interpolation weights of (P,) distances on CENTRES_M."""
    clipped = np.clip(ahead_m, CENTRES_M[0], CENTRES_M[-1])
    right = np.clip(np.searchsorted(CENTRES_M, clipped), 1, len(CENTRES_M) - 1)
    share = (clipped - CENTRES_M[right - 1]) / (CENTRES_M[right] - CENTRES_M[right - 1])
    weights = np.zeros((len(ahead_m), len(CENTRES_M)))
    rows = np.arange(len(ahead_m))
    weights[rows, right - 1], weights[rows, right] = 1.0 - share, share
    return weights
