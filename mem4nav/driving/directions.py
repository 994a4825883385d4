# SPDX-FileCopyrightText: The Mem4Nav stack developers
# SPDX-License-Identifier: Apache-2.0
"""Where in the directions one is: clauses are advanced by crossings and by landmarks."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from mem4nav.driving.clauses import Clause, Verb
from mem4nav.driving.config import DriverConfig
from mem4nav.driving.crossing import Crossing
from mem4nav.driving.landmarks import Landmark, Landmarks
from mem4nav.driving.street import Street

_ABREAST_M = 5.0
_MIDDLE_M = 1.1
_DOUBTED_HITS = 2
_DOUBTED_M = 12.0


class Directions:
    """Clauses, followed at their word.

    Something is passed once it was ahead and no longer is. Only what stands along the street counts, and only as long
    as it is taken for what is named: from afar a hydrant may look like a bench.

    Args:
        clauses: at least one, the last of them a stop.
        config: which landmarks count.

    Attributes:
        number: of the clause that is followed.
        crossings: passed since that clause began (since its landmark was passed, where it has one).
    """

    def __init__(self, clauses: Sequence[Clause], config: DriverConfig) -> None:
        self.clauses, self._config = tuple(clauses), config
        self.number = -1
        self._advance()

    @property
    def clause(self) -> Clause:
        """The one that is followed."""
        return self.clauses[self.number]

    @property
    def seeks(self) -> bool:
        """Whether a landmark has to be found on this street."""
        clause = self.clause
        if clause.verb is Verb.STOP:
            return self.crossings >= clause.crossings
        return bool(clause.landmark) and not self._passed

    def turned_around(self) -> None:
        """The first clause is done."""
        self._advance()

    def look(self, landmarks: Landmarks, street: Street, position: NDArray[np.float64]) -> float | None:
        """Notice what is ahead and what was passed.

        Args:
            landmarks: all that are known.
            street: that one drives along.
            position: (2,) of base_link in odom.

        Returns:
            metres along the street to where one is to stop; None where that is not in view, or not yet asked for.
        """
        clause = self.clause
        if not clause.landmark:
            return None
        here = float(street.station(position)[0]) + _MIDDLE_M
        sure = landmarks.sure(clause.landmark, self._config.sure_hits, self._config.sure_weight)
        for one in sure:
            along = self._along(one, street, here)
            if along is not None and along > -_ABREAST_M and one not in self._ahead:
                self._ahead.append(one)
        ways = [float(street.station(one.position)[0]) - here for one in self._ahead if one in sure]
        if clause.verb is Verb.STOP:
            return min(ways, default=None) if self.crossings >= clause.crossings else None
        if not self._passed and any(way <= 0.0 for way in ways):
            self._passed, self.crossings = True, 0
        return None

    def doubts(self, landmarks: Landmarks, street: Street, position: NDArray[np.float64]) -> bool:
        """Whether something close ahead may be the landmark that is sought, and does not count yet; as ``look``."""
        if not self.seeks:
            return False
        label, here = self.clause.landmark, float(street.station(position)[0]) + _MIDDLE_M
        sure = landmarks.sure(label, self._config.sure_hits, self._config.sure_weight)
        ways = [
            self._along(one, street, here)
            for one in landmarks.known
            if one.label == label and one.hits >= _DOUBTED_HITS and one not in sure
        ]
        return any(way is not None and 0.0 < way < _DOUBTED_M for way in ways)

    def cross(self, crossing: Crossing, course: float, straight_deg: float) -> float | None:
        """The way to take at a crossing (heading in odom); None where it has none to the side asked for.

        A bend, which has but one way on, is followed and not counted.
        """
        if not crossing.is_choice:
            return crossing.ways[0] if crossing.ways else None
        clause = self.clause
        self.crossings += 1
        self._ahead = []
        asks = clause.verb is Verb.TURN and (self._passed or not clause.landmark)
        if asks and self.crossings >= clause.crossings:
            way = crossing.way(course, clause.side, straight_deg)
            if way is not None:
                self._advance()
            return way
        return crossing.way(course, 0, straight_deg)

    def _along(self, landmark: Landmark, street: Street, here: float) -> float | None:
        """Metres ahead of a landmark that may be meant; None for one too far aside, or on the other side."""
        along, left = street.station(landmark.position)
        side = self.clause.landmark_side
        if abs(left) > self._config.beside_m or side * left > 0.0:
            return None
        return float(along) - here

    def _advance(self) -> None:
        self.number += 1
        self.crossings, self._passed = 0, False
        self._ahead: list[Landmark] = []
