# SPDX-FileCopyrightText: The Mem4Nav stack developers
# SPDX-License-Identifier: Apache-2.0
"""The way walked so far, as far as directions count it: lights, crossings, metres, bends."""

from __future__ import annotations

import math
from dataclasses import dataclass

from mem4nav.environment import Observation, angle_between_deg

APART_M = 30.0
"""Signals or crossings nearer together than this are one to somebody who gives directions."""
LATEST = 45
"""Places of the longest route of Map2Seq."""
_AT_LIGHT_M = 10.0
AHEAD_DEG = 60.0
BEND_REACH = 3
BEND_DEG = 60.0
_COURSE_LEGS = 4


@dataclass(slots=True)
class Step:
    """One place of the way.

    Attributes:
        observation: what was seen on arrival.
        walked_m: from the start to here.
        light: a traffic light stands here that was not counted at an earlier place.
        crossing: three ways or more meet here, not counted at an earlier place.
        course_deg: compass direction in which one came here; the heading at the start.
    """

    observation: Observation
    walked_m: float
    light: bool
    crossing: bool
    course_deg: float


class Track:
    """The places walked, in order. Turning in place adds none."""

    def __init__(self) -> None:
        self.steps: list[Step] = []

    def arrive(self, observation: Observation) -> None:
        """Add the place where one is now."""
        last = self.steps[-1] if self.steps else None
        leg = _between(last.observation, observation) if last else (0.0, observation.heading_deg)
        walked = (last.walked_m if last else 0.0) + leg[0]
        light = self._fresh(walked, "light") and nearest_light_m(observation) <= _AT_LIGHT_M
        crossing = self._fresh(walked, "crossing") and observation.is_crossing
        course = leg[1] if leg[0] > 1.0 or last is None else last.course_deg
        self.steps.append(Step(observation, walked, light, crossing, course))

    def bend_deg(self, at: int) -> float:
        """The turn of the way at a step, from three places before it to three after, or to the last; 0 at an end."""
        last = min(at + BEND_REACH, len(self.steps) - 1)
        if at < BEND_REACH or at >= last:
            return 0.0
        before, here, after = (self.steps[k].observation for k in (at - BEND_REACH, at, last))
        return angle_between_deg(_between(before, here)[1], _between(here, after)[1])

    def long_course_deg(self, at: int, since: int = 0) -> float:
        """Compass direction of the last legs up to a step: steadier than ``course_deg`` of the last one alone.

        Args:
            at: the step.
            since: legs before this step do not count, where one turned there and has gone on.
        """
        first = max(at - _COURSE_LEGS, since if since < at else 0, 0)
        metres, bearing = _between(self.steps[first].observation, self.steps[at].observation)
        return bearing if metres > 1.0 else self.steps[at].course_deg

    def _fresh(self, walked: float, kind: str) -> bool:
        for step in reversed(self.steps):
            if walked - step.walked_m > APART_M:
                return True
            if getattr(step, kind):
                return False
        return True


def light_ahead_m(step: Step) -> float:
    """Distance to the nearest traffic light in view ahead; infinite where there is none."""
    lights = lights_around(step.observation, step.course_deg)
    return min((metres for metres, turn in lights if turn < AHEAD_DEG), default=math.inf)


def nearest_light_m(observation: Observation) -> float:
    """Distance to the nearest traffic light in view; infinite where there is none."""
    return min((metres for metres, _ in lights_around(observation, observation.heading_deg)), default=math.inf)


def lights_around(observation: Observation, course_deg: float) -> list[tuple[float, float]]:
    """Of each traffic light in view the distance, and how far from a course it lies, in degrees from 0 to 180."""
    return [
        (sighting.distance_m, abs(angle_between_deg(course_deg, sighting.bearing_deg)))
        for sighting in observation.landmarks
        if sighting.category == "traffic_signals"
    ]


def _between(start: Observation, end: Observation) -> tuple[float, float]:
    """Metres and compass bearing from one place to another."""
    east = end.position_m[0] - start.position_m[0]
    north = end.position_m[1] - start.position_m[1]
    return math.hypot(east, north), math.degrees(math.atan2(east, north)) % 360.0
