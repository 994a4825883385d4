# SPDX-FileCopyrightText: The Mem4Nav stack developers
# SPDX-License-Identifier: Apache-2.0
"""A graph of places along streets, and how one turns and walks on it."""

from __future__ import annotations

import bisect
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from mem4nav.environment import Action, angle_between_deg
from sim_envs.errors import StreetGraphError


@dataclass(frozen=True, slots=True)
class Way:
    """A directed link: the compass heading at which it leaves, and the number of the place it leads to."""

    heading_deg: float
    target: int


class StreetGraph:
    """Places, and the links between them.

    The turning rules are those of the Touchdown and Map2Seq literature (VELMA, Schumann et al. 2023): at a junction
    the ways are taken in their order round the circle, not by angle.

    Args:
        places: names, each once.
        positions: (N, 2) metres east and north of the graph's origin.
        links: (from, heading_deg, to) by place name.
        yaws_deg: (N,) compass heading of traffic at each place; where an episode that names no heading begins.

    Raises:
        StreetGraphError: for a name that occurs twice or a link to a place that is not there.
    """

    def __init__(
        self,
        places: Sequence[str],
        positions: NDArray[np.float64],
        links: Sequence[tuple[str, float, str]],
        yaws_deg: Sequence[float] | None = None,
    ) -> None:
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

    def start_heading(self, number: int, wanted_deg: float | None) -> float:
        """The heading of the way nearest to the wanted one; to the direction of traffic where none is wanted."""
        return self._nearest(number, self.yaws_deg[number] if wanted_deg is None else wanted_deg)

    def move(self, number: int, heading_deg: float, action: Action) -> tuple[int, float]:
        """Place and heading after an action; the heading is always that of a way that leads on.

        At a place of three ways or more, they are ordered round the circle from the way back: ``left`` takes the
        first, ``right`` the last, and ``forward`` arrives facing the middle one, of two the straighter. Elsewhere
        ``left`` and ``right`` take the next way by angle. A place without ways cannot be left.
        """
        if action is Action.STOP or not self.ways[number]:
            return number, heading_deg
        if action is Action.FORWARD:
            return self._forward(number, heading_deg)
        if action is Action.TURN_AROUND:
            return number, self._nearest(number, heading_deg + 180.0)
        if len(self.ways[number]) >= 3:
            onward = self._onward(number, heading_deg)
            return number, onward[0] if action is Action.LEFT else onward[-1]
        return number, self._next_by_angle(number, heading_deg, action)

    def _forward(self, number: int, heading_deg: float) -> tuple[int, float]:
        way = min(self.ways[number], key=lambda way: abs(angle_between_deg(heading_deg, way.heading_deg)))
        if not self.ways[way.target]:
            return way.target, way.heading_deg
        if len(self.ways[way.target]) < 3:
            return way.target, self._nearest(way.target, way.heading_deg)
        onward = self._onward(way.target, way.heading_deg)
        middle = onward[(len(onward) - 1) // 2 : len(onward) // 2 + 1]
        return way.target, min(middle, key=lambda heading: abs(angle_between_deg(way.heading_deg, heading)))

    def _onward(self, number: int, heading_deg: float) -> list[float]:
        """Headings of the ways but the one back, clockwise from it."""
        back = self._nearest(number, heading_deg + 180.0)
        others = [heading for heading in self.headings_deg[number] if heading != back]
        return sorted(others, key=lambda heading: (heading - back) % 360.0)

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
