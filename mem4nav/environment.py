# SPDX-FileCopyrightText: The Mem4Nav stack developers
# SPDX-License-Identifier: Apache-2.0
"""What an agent and the world it walks through say to each other.

The same protocol holds for the street graphs, the procedural city and Habitat. Compass headings and bearings are
degrees clockwise from north; positions are metres east and north (and up) of the environment's own origin.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from enum import Enum
from typing import Protocol

import numpy as np
from numpy.typing import NDArray


class Action(str, Enum):
    """The closed set of actions."""

    FORWARD = "forward"
    LEFT = "left"
    RIGHT = "right"
    TURN_AROUND = "turn_around"
    STOP = "stop"


@dataclass(frozen=True, slots=True)
class Episode:
    """What an agent may know of a task: nothing of the goal or the way stands here.

    Attributes:
        id: name of the task in its file.
        instruction: the written directions.
        start: the place at which it begins.
        start_heading_deg: heading there; None: the environment's own rule (direction of traffic).
    """

    id: str
    instruction: str
    start: str
    start_heading_deg: float | None = None


@dataclass(frozen=True, slots=True)
class Sighting:
    """A landmark that can be seen from here.

    Attributes:
        id: tells the same landmark again when it is seen from elsewhere.
        name: "Blue Heron Cafe", "" where it has none.
        category: "cafe", "traffic_signals", ...: the value of its main tag.
        tags: all that is known of it, as in OpenStreetMap.
        bearing_deg: compass bearing from the observer.
        distance_m: from the observer.
    """

    id: str
    name: str
    category: str
    tags: Mapping[str, str]
    bearing_deg: float
    distance_m: float


@dataclass(frozen=True, slots=True)
class Observation:
    """What an agent perceives at one place.

    Attributes:
        place: name of the place; the same name on the next visit.
        position_m: (east, north) of the place.
        heading_deg: compass heading; always that of one of ``ways_deg`` on a street graph.
        ways_deg: compass headings of the ways that lead on from here, ascending.
        back_deg: compass heading of the way back: on arrival the way one came by, after a turn the one behind.
        landmarks: what is visible from here.
        blocked_deg: those of the ways that are visibly closed.
        image: (H, W, 3) uint8 panorama or view where the environment renders one.
        steps: actions taken so far.
    """

    place: str
    position_m: tuple[float, float]
    heading_deg: float
    ways_deg: tuple[float, ...]
    back_deg: float
    landmarks: tuple[Sighting, ...] = ()
    blocked_deg: tuple[float, ...] = ()
    image: NDArray[np.uint8] | None = field(default=None, compare=False)
    steps: int = 0

    @property
    def is_crossing(self) -> bool:
        """Whether three ways or more meet here."""
        return len(self.ways_deg) >= 3

    def turns_onward(self, course_deg: float) -> list[float]:
        """Turns from a course to each of the ways but the one back, degrees, positive to the right."""
        return [angle_between_deg(course_deg, way) for way in self.ways_deg if way != self.back_deg]


class Environment(Protocol):
    """A world that episodes are walked in."""

    def reset(self, episode: Episode) -> Observation:
        """Go to the episode's start and look.

        Raises:
            SimError: where the start does not exist in this world.
        """
        ...

    def step(self, action: Action) -> tuple[Observation, bool]:
        """Act; what is seen then, and whether the episode is over (stopped, or out of actions)."""
        ...


def angle_between_deg(a: float, b: float) -> float:
    """The turn from heading a to heading b, degrees in [-180, 180), positive to the right."""
    return (b - a + 180.0) % 360.0 - 180.0


def ways_onward(ways_deg: Sequence[float], back_deg: float) -> list[float]:
    """The ways but the one back, in their order round the circle from it: the leftmost first, the rightmost last."""
    onward = [heading for heading in ways_deg if heading != back_deg]
    return sorted(onward, key=lambda heading: (heading - back_deg) % 360.0)
