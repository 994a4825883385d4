# SPDX-FileCopyrightText: The Mem4Nav stack developers
# SPDX-License-Identifier: Apache-2.0
"""What a policy sees of the ways at a crossing: one row of numbers for each way that could be taken."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise

import numpy as np
from numpy.typing import NDArray

from mem4nav.environment import Observation, angle_between_deg, ways_onward
from mem4nav.modular.counts import CROSSINGS, LIGHTS, ORDINALS, Count, count_in
from mem4nav.modular.evidence import Evidence, agreement, closeness, gather, part_of
from mem4nav.modular.labels import Landmark
from mem4nav.modular.mentions import MentionFinder
from mem4nav.modular.phrases import phrases_of
from mem4nav.modular.shapes import Crossing, Told, leads_on, shape_rows
from mem4nav.modular.subgoals import Instruction, SubGoal
from mem4nav.modular.track import AHEAD_DEG, APART_M, LATEST, Step, Track, lights_around, nearest_light_m

CUES = (
    "first", "second", "third", "next", "following", "immediately", "immediate", "end", "block", "t", "fork", "slight",
    "slightly", "sharp", "veer", "bear", "long", "short", "until", "light", "intersection", "street", "road", "corner",
    "sidestreet", "here", "soon", "almost", "straight", "through", "pass", "1st", "2nd", "3rd", "go", "head", "way",
    "one", "two", "ahead", "dead", "curve", "double", "front", "where", "when", "with", "after", "before", "4th",
)  # fmt: skip
_NEAR_ENOUGH = 0.4
_SAME_CROSSING_M = 15.0
_NEXT_PART = frozenset((".", ";", ",", "and", "then"))
_DOUBLE = frozenset(("double", "both", "median"))
_AT_ONCE = frozenset(("immediately", "immediate"))
_SOON = frozenset(("quick", "quickly", "soon", "shortly"))
_HALVES_M, _HALF_APART_M, _HALF_WAY_M, _DOUBLE_M = 12.0, 15.0, 8.0, 25.0
"""A double crossing has two halves: so far apart each counts; so far from the turn before they begin to count, and so
far before here they end; so near behind one another two crossings may be halves of one."""
_LIGHT_HERE_M, _NEXT_LIGHT_M = 15.0, (9.0, 26.0)
_OFFSETS = (-2, -1, 0, 1, 2)


@dataclass(frozen=True, slots=True)
class Choice:
    """A way that may be taken at a crossing.

    Attributes:
        heading_deg: its compass heading.
        turn: -1 for the first of the ways, 1 for the last, 0 for the one that is faced.
    """

    heading_deg: float
    turn: int


def choices(observation: Observation) -> list[Choice]:
    """The ways that one action and a step forward reach: the leftmost, the one ahead, the rightmost."""
    onward = ways_onward(observation.ways_deg, observation.back_deg)
    if len(onward) < 2:
        return [Choice(observation.heading_deg, 0)]
    ahead = [Choice(observation.heading_deg, 0)]
    left = [] if onward[0] == observation.heading_deg else [Choice(onward[0], -1)]
    right = [] if onward[-1] == observation.heading_deg else [Choice(onward[-1], 1)]
    return left + ahead + right


class TurnFeatures:
    """The numbers for one instruction on one walk.

    Args:
        instruction: read.
        finder: of its mentions.
        track: the way so far, kept up by the caller.
        length_prior: whether to tell how much of the longest route is walked.
    """

    def __init__(
        self, instruction: Instruction, finder: MentionFinder, track: Track, length_prior: bool = True
    ) -> None:
        self._length_prior = length_prior
        self._instruction = instruction
        self._finder = finder
        self._track = track
        self._stems = [word.stem for word in instruction.words]
        self._phrases = phrases_of(instruction.text, instruction.words)

    def rows(self, goal: int, since: int, landmarks: Sequence[Landmark]) -> NDArray[np.float32]:
        """(C, F): the choices at the track's last step.

        Args:
            goal: the sub-goal that is followed.
            since: the step at which it began.
            landmarks: all that are known, in view or recalled.
        """
        here = self._track.steps[-1].observation
        side = self._instruction.goals[goal].side or 1
        course = self._track.long_course_deg(len(self._track.steps) - 1, since)
        ways = np.array([self._way(here, choice, side) for choice in choices(here)])
        shared = np.concatenate([
            self._counted(goal, since), self._walked(goal, since), self._seen(goal, since, landmarks),
            self._doubled(goal, since), self._around(goal, course),
        ])  # fmt: skip
        shared = np.broadcast_to(shared, (len(ways), len(shared)))
        return np.concatenate([ways, self._shape(goal, course), shared], axis=1).astype(np.float32)

    def _way(self, here: Observation, choice: Choice, side: int) -> NDArray[np.float64]:
        course = self._track.steps[-1].course_deg
        angle = side * angle_between_deg(course, choice.heading_deg) / 90.0
        wanted = float(choice.turn * side > 0)
        against = float(choice.turn * side < 0)
        sides = [side * turn for turn in here.turns_onward(course)]
        straightest = abs(angle) * 90.0 - min((abs(turn) for turn in sides), default=0.0)
        shape = [
            float(any(40.0 < turn < 160.0 for turn in sides)),
            float(leads_on(sides)),
            float(any(-160.0 < turn < -40.0 for turn in sides)),
            float(sum(10.0 < turn < 160.0 for turn in sides)),
        ]
        return np.array([wanted, against, float(choice.turn == 0), angle, abs(angle), straightest / 90.0, *shape])

    def _shape(self, goal: int, course_deg: float) -> NDArray[np.float64]:
        """(C, ...) how the ways lie, against the words of the turn's sentence."""
        own = self._instruction.goals[goal]
        here = self._track.steps[-1].observation
        side = own.side or 1
        crossing = Crossing(
            [side * angle_between_deg(course_deg, choice.heading_deg) for choice in choices(here)],
            [side * turn for turn in here.turns_onward(course_deg)],
            nearest_light_m(here) < _LIGHT_HERE_M,
            len(here.ways_deg),
        )
        first = max(self._instruction.begins(goal), own.sentence_begin)
        return shape_rows(crossing, Told.of(self._stems[first : self._told_here(goal)[1]]), own.side != 0)

    def _counted(self, goal: int, since: int) -> NDArray[np.float64]:
        """How many lights, crossings and openings were passed, against what the text counts."""
        own = self._instruction.goals[goal]
        stems = self._stems[slice(*self._told_here(goal))]
        begun = self._track.steps[since].walked_m + (APART_M if since else -1.0)
        # The light of this crossing was in reach a place or two before it.
        ended = self._track.steps[-1].walked_m - _SAME_CROSSING_M
        steps = [step for step in self._track.steps[since:-1] if begun < step.walked_m < ended]
        side = own.side or 1
        passed = (
            (sum(step.light for step in steps), count_in(stems, LIGHTS)),
            (sum(step.crossing or step.light for step in steps), count_in(stems, CROSSINGS)),
            (sum(opens(step, side) for step in steps), Count(turn_ordinal(self._stems, own), False)),
        )
        numbers = [part for number, count in passed for part in (number / 3.0, count.number / 3.0, float(count.beyond))]
        return np.array(numbers + [one for number, count in passed for one in _offset(count, number + 1)])

    def _doubled(self, goal: int, since: int) -> NDArray[np.float64]:
        """The lights and crossings passed, where both halves of a double crossing count; how near the last one is."""
        stems = self._stems[slice(*self._told_here(goal))]
        steps = self._track.steps
        begun, ended = steps[since].walked_m + (_HALF_APART_M if since else -1.0), steps[-1].walked_m - _HALF_WAY_M
        numbers = []
        for units, is_one in ((LIGHTS, _has_light), (CROSSINGS, _is_crossing)):
            at = [step.walked_m for step in steps[since:-1] if begun < step.walked_m < ended and is_one(step)]
            passed = sum(there - before > _HALVES_M for before, there in pairwise([-np.inf, *at]))
            numbers += [passed / 3.0, *_offset(count_in(stems, units), passed + 1)]
        here = steps[-1].walked_m
        crossings = [step.walked_m for step in steps[since:-1] if _is_crossing(step) and step.walked_m < here - 3.0]
        just, double = bool(crossings) and here - crossings[-1] < _DOUBLE_M, bool(_DOUBLE & set(stems))
        side = self._instruction.goals[goal].side
        return np.array([*numbers, just, just and double, double and not just, just and side < 0, just and side > 0])

    def _around(self, goal: int, course_deg: float) -> NDArray[np.float64]:
        """Which side the turn is on, what lights stand ahead and behind, which turn follows, and how soon."""
        goals = self._instruction.goals
        side = goals[goal].side
        seen = lights_around(self._track.steps[-1].observation, course_deg)
        lights = [(metres, turn) for metres, turn in seen if metres > _NEXT_LIGHT_M[0]]
        ahead = min((metres for metres, turn in lights if turn < AHEAD_DEG), default=60.0)
        near = ahead < _NEXT_LIGHT_M[1]
        said = set(self._stems[slice(*self._told_here(goal))])
        after = goals[goal + 1].side if goal + 1 < len(goals) else 0
        return np.array([
            side, ahead / 60.0, near, near and bool(_DOUBLE & said), near and side < 0, near and side > 0,
            any(turn > 120.0 for _, turn in lights), after * side, bool(_AT_ONCE & said), bool(_SOON & said),
        ], np.float64)  # fmt: skip

    def _told_here(self, goal: int) -> tuple[int, int]:
        """First and last word of what leads to the turn: not what is told of the place after it."""
        own = self._instruction.goals[goal]
        last = min(own.turn_last + 1, len(self._stems))
        while last < max(own.sentence_end, own.turn_last) and self._stems[last] not in _NEXT_PART:
            last += 1
        return min(self._instruction.begins(goal), own.turn_first), last

    def _walked(self, goal: int, since: int) -> NDArray[np.float64]:
        steps = self._track.steps
        here = steps[-1]
        metres = here.walked_m - steps[since].walked_m
        goals = self._instruction.goals
        light = nearest_light_m(here.observation)
        left = len(goals) - 1 - goal
        bends = [self._track.bend_deg(at) for at in range(max(since + 1, 3), len(steps) - 3)]
        side = goals[goal].side or 1
        walked = len(steps) * self._length_prior
        rest = (LATEST - walked) * self._length_prior
        return np.array([
            metres / 200.0, float(metres < 25.0), walked / LATEST, left / 3.0, float(left == 0), float(goal == 0),
            rest / 15.0 / (left + 1), min(light, 40.0) / 40.0, float(light < 12.0),
            len(here.observation.ways_deg) / 4.0, max((side * bend for bend in bends), default=0.0) / 90.0,
        ])  # fmt: skip

    def _seen(self, goal: int, since: int, landmarks: Sequence[Landmark]) -> NDArray[np.float64]:
        own = self._instruction.goals[goal]
        here, before = self._closeness(since, landmarks)
        now = gather(self._instruction, goal, self._finder, landmarks, here)
        passed = gather(self._instruction, goal, self._finder, landmarks, before)
        spoken = set(self._stems[self._instruction.begins(goal) : max(own.sentence_end, own.turn_last + 1)])
        cues = [float(cue in spoken) for cue in CUES]
        spoken_of = self._spoken_of(goal, self._words_of(landmarks, here), self._words_of(landmarks, before))
        parts = [now.named, now.kinds, self._fits(now), passed.named, passed.kinds, spoken_of, cues]
        return np.concatenate(parts)

    def _closeness(self, since: int, landmarks: Sequence[Landmark]) -> tuple[list[float], list[float]]:
        """Of each landmark to here, and to the way from step ``since`` on but for its end."""
        steps = self._track.steps
        way = np.array([step.observation.position_m for step in steps[since:]])
        if not landmarks:
            return [], []
        at = np.array([landmark.position_m for landmark in landmarks])
        away = np.linalg.norm(at[:, None] - way[None], axis=2)
        here = [closeness(metres) for metres in away[:, -1]]
        before = away[:, :-3].min(axis=1, initial=np.inf)
        return here, [closeness(metres) * (metres < now) for metres, now in zip(before, away[:, -1], strict=True)]

    def _fits(self, evidence: Evidence) -> NDArray[np.float64]:
        """(2,) whether the landmark at the turn is on the side, and at the corner, that the words say."""
        if evidence.said is None:
            return np.zeros(2)
        mention, landmark = evidence.said
        here = self._track.steps[-1]
        east, north = np.subtract(landmark.position_m, here.observation.position_m)
        bearing = angle_between_deg(here.course_deg, np.degrees(np.arctan2(east, north)))
        return np.array(agreement(self._instruction, mention, bearing))

    def _spoken_of(self, goal: int, now: set[int], before: set[int]) -> NDArray[np.float64]:
        """Of the landmarks that the text names on the way, and of those at the turn: near now, passed, neither.

        Args:
            goal: the sub-goal.
            now, before: words of the text that name what is near, and what was passed.
        """
        numbers = np.zeros((2, 2, 4))
        for phrase in self._phrases:
            part = part_of(self._instruction, goal, phrase.first)
            if part in (1, 2, 3):
                words = set(range(phrase.first, phrase.last))
                is_now, was = bool(words & now), bool(words & before)
                numbers[int(part > 1), int(phrase.named)] += (1.0, is_now, was and not is_now, not (is_now or was))
        return np.minimum(numbers.reshape(-1), 2.0)

    def _words_of(self, landmarks: Sequence[Landmark], near: Sequence[float]) -> set[int]:
        """Words of the text that name what is close."""
        return {
            word
            for landmark, close in zip(landmarks, near, strict=True)
            if close > _NEAR_ENOUGH
            for mention in self._finder(landmark.label)
            for word in range(mention.first, mention.last)
        }


def _has_light(step: Step) -> bool:
    return nearest_light_m(step.observation) <= _HALVES_M


def _is_crossing(step: Step) -> bool:
    return step.observation.is_crossing


def opens(step: Step, side: int) -> bool:
    """Whether a way leaves from a step's place to this side."""
    here = step.observation
    return here.is_crossing and any(40.0 < side * turn < 160.0 for turn in here.turns_onward(step.course_deg))


def turn_ordinal(stems: Sequence[str], goal: SubGoal) -> int:
    """2 for "take the second left" and for "the 2nd right"; 1 for "the next left"; 0 where the turn is not counted."""
    for stem in stems[goal.turn_first : goal.turn_last + 1]:
        if stem in ORDINALS:
            return ORDINALS[stem]
        if stem in ("next", "immediate"):
            return 1
    return 0


def _offset(count: Count, reached: int) -> list[float]:
    """One-hot of how far beyond the counted place one is; all 0 where the text counts nothing."""
    if not count.number:
        return [0.0] * len(_OFFSETS)
    offset = min(max(reached - count.number, _OFFSETS[0]), _OFFSETS[-1])
    return [float(offset == value) for value in _OFFSETS]
