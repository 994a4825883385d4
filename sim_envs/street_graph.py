# SPDX-FileCopyrightText: The Mem4Nav stack developers
# SPDX-License-Identifier: Apache-2.0
"""A graph of places along streets, and how one turns and walks on it."""

from __future__ import annotations

import bisect
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from mem4nav.environment import Action, angle_between_deg, ways_onward
from sim_envs.errors import StreetGraphError


@dataclass(frozen=True, slots=True)
class Way:
    """A directed link: the compass heading at which it leaves, and the number of the place it leads to."""

    heading_deg: float
    target: int


@dataclass(frozen=True, slots=True)
class Stand:
    """Somebody at a place: its number, the heading faced, and the heading of the way back."""

    number: int
    heading_deg: float
    back_deg: float


class StreetGraph:
    """Places, and the links between them.

    The turning rules are those of the Touchdown and Map2Seq literature (VELMA, Schumann et al. 2023): at a junction
    the ways are taken in their order round the circle, not by angle.

    Args:
        places: names, each once.
        positions: (N, 2) metres east and north of the graph's origin.
        links: (from, heading_deg, to) by place name.
        yaws_deg: (N,) compass heading of traffic at each place; where an episode that names no heading begins.
        origin_deg: latitude and longitude of the origin, for what comes with coordinates of its own.

    Raises:
        StreetGraphError: for a name that occurs twice or a link to a place that is not there.
    """

    def __init__(
        self,
        places: Sequence[str],
        positions: NDArray[np.float64],
        links: Sequence[tuple[str, float, str]],
        yaws_deg: Sequence[float] | None = None,
        origin_deg: tuple[float, float] = (0.0, 0.0),
    ) -> None:
        self.origin_deg = origin_deg
        self.places = tuple(places)
        self.positions = np.asarray(positions, np.float64).reshape(-1, 2)
        self.yaws_deg = tuple(yaws_deg) if yaws_deg is not None else (0.0,) * len(self.places)
        self._numbers = {place: number for number, place in enumerate(self.places)}
        if len(self._numbers) != len(self.places) or len(self.positions) != len(self.places):
            raise StreetGraphError(
                f"{len(self.places)} places with {len(self._numbers)} different names and {len(self.positions)} "
                "positions: each place needs one name and one position"
            )
        ways: list[list[Way]] = [[] for _ in self.places]
        for start, heading, end in links:
            ways[self.number(start)].append(Way(heading % 360.0, self.number(end)))
        self.ways = tuple(tuple(sorted(own, key=lambda way: way.heading_deg)) for own in ways)
        self.headings_deg = tuple(tuple(way.heading_deg for way in own) for own in self.ways)

    def number(self, place: str) -> int:
        """The number of a place.

        Raises:
            StreetGraphError: for a name that is not there.
        """
        try:
            return self._numbers[place]
        except KeyError:
            raise StreetGraphError(
                f"the street graph has no place {place!r} among its {len(self.places)}: "
                "is it the graph that the episodes were made on?"
            ) from None

    def neighbours(self, number: int) -> tuple[int, ...]:
        """Numbers of the places one hop away."""
        return tuple(way.target for way in self.ways[number])

    def stand(self, number: int, wanted_deg: float | None = None) -> Stand:
        """Standing at a place, facing the way nearest to the wanted heading, or to traffic's where none is wanted."""
        heading = self._nearest(number, self.yaws_deg[number] if wanted_deg is None else wanted_deg)
        return Stand(number, heading, self._nearest(number, heading + 180.0))

    def move(self, stand: Stand, action: Action) -> Stand:
        """Where an action leads; the heading is always that of a way that leads on.

        At a place of three ways or more, they are ordered round the circle from the way back: ``left`` takes the
        first, ``right`` the last, and ``forward`` arrives facing the middle one, of two the straighter. Elsewhere
        ``left`` and ``right`` take the next way by angle. ``turn_around`` takes the way back. On arrival that is the
        way one came by; after a turn, the one behind. A place without ways cannot be left.
        """
        if action is Action.STOP or not self.ways[stand.number]:
            return stand
        if action is Action.FORWARD:
            return self._forward(stand)
        if action is Action.TURN_AROUND:
            heading = stand.back_deg
        elif len(self.ways[stand.number]) >= 3:
            onward = ways_onward(self.headings_deg[stand.number], stand.back_deg)
            heading = onward[0] if action is Action.LEFT else onward[-1]
        else:
            heading = self._next_by_angle(stand.number, stand.heading_deg, action)
        return Stand(stand.number, heading, self._nearest(stand.number, heading + 180.0))

    def way_ahead(self, stand: Stand) -> Way | None:
        """The way that ``forward`` takes; None where there are no ways."""
        ways = self.ways[stand.number]
        return min(ways, key=lambda way: abs(angle_between_deg(stand.heading_deg, way.heading_deg)), default=None)

    def _forward(self, stand: Stand) -> Stand:
        way = self.way_ahead(stand)
        if way is None:
            return stand
        headings = self.headings_deg[way.target]
        if not headings:
            return Stand(way.target, way.heading_deg, (way.heading_deg + 180.0) % 360.0)
        back = self._way_back(way, stand.number)
        if len(headings) < 3:
            return Stand(way.target, self._nearest(way.target, way.heading_deg), back)
        onward = ways_onward(headings, back)
        middle = onward[(len(onward) - 1) // 2 : len(onward) // 2 + 1]
        ahead = min(middle, key=lambda heading: abs(angle_between_deg(way.heading_deg, heading)))
        return Stand(way.target, ahead, back)

    def _way_back(self, way: Way, origin: int) -> float:
        """Heading at which the place that ``way`` leads to is left for where it came from."""
        returning = [other.heading_deg for other in self.ways[way.target] if other.target == origin]
        return returning[0] if returning else self._nearest(way.target, way.heading_deg + 180.0)

    def _next_by_angle(self, number: int, heading_deg: float, action: Action) -> float:
        headings = self.headings_deg[number]
        at = bisect.bisect_left(headings, heading_deg % 360.0)
        if action is Action.LEFT:
            return headings[at - 1]
        after = at + 1 if at < len(headings) and headings[at] == heading_deg % 360.0 else at
        return headings[after % len(headings)]

    def _nearest(self, number: int, heading_deg: float) -> float:
        headings = self.headings_deg[number]
        if not headings:
            return heading_deg % 360.0
        return min(headings, key=lambda heading: abs(angle_between_deg(heading_deg, heading)))
