# SPDX-FileCopyrightText: The Mem4Nav stack developers
# SPDX-License-Identifier: Apache-2.0
"""Directions taken at their word: the interpreter that decides whether they are unambiguous."""

from __future__ import annotations

import math
from collections.abc import Sequence

from mem4nav.environment import Action, Observation, Sighting
from sim_envs.city.navigation.clauses import Clause, Reference, Verb

ACROSS_M = 13.0
_ABREAST_M = 5.0


class LiteralFollower:
    """Follows clauses from observations alone, the ones about turning and stopping.

    Something is passed once it was ahead and no longer is; one stops by something where it is abreast. Only what
    stands along the street counts: not further aside than the house fronts are.
    """

    def __init__(self, clauses: Sequence[Clause]) -> None:
        self._clauses = list(clauses)
        self._place = ""
        self._begin_clause()

    def _begin_clause(self) -> None:
        self._crossings = 0
        self._passed = False
        self._ahead: dict[str, tuple[float, float]] = {}

    def act(self, observation: Observation) -> Action:
        """The next action; STOP where no clause is left."""
        arrived = observation.place != self._place and self._place != ""
        self._place = observation.place
        if not self._clauses:
            return Action.STOP
        clause = self._clauses[0]
        if clause.verb is Verb.TURN_AROUND:
            return self._done(Action.TURN_AROUND)
        along = self._along(observation, clause)
        if arrived and len(observation.ways_deg) >= 3:
            self._crossings += 1
        if clause.verb is Verb.STOP:
            return self._stop(clause, along)
        return self._turn(clause, along, at_crossing=arrived and len(observation.ways_deg) >= 3)

    def _done(self, action: Action) -> Action:
        self._clauses.pop(0)
        self._begin_clause()
        return action

    def _stop(self, clause: Clause, along: list[float]) -> Action:
        abreast = any(distance <= _ABREAST_M for distance in along)
        return self._done(Action.STOP) if abreast and self._crossings >= clause.crossings else Action.FORWARD

    def _turn(self, clause: Clause, along: list[float], at_crossing: bool) -> Action:
        if clause.landmark is not None and not self._passed:
            self._passed = any(distance <= 0.0 for distance in along)
            self._crossings = 0
            return Action.FORWARD
        if at_crossing and self._crossings >= clause.crossings:
            assert clause.turn is not None
            return self._done(clause.turn)
        return Action.FORWARD

    def _along(self, observation: Observation, clause: Clause) -> list[float]:
        """How far ahead (metres) each thing is that may be meant and that is, or was, ahead along this street."""
        if clause.landmark is None:
            return []
        for sighting in observation.landmarks:
            self._notice(observation, sighting, clause.landmark, clause.side)
        return [_offset(observation, position)[0] for position in self._ahead.values()]

    def _notice(self, observation: Observation, sighting: Sighting, landmark: Reference, side: Action | None) -> None:
        angle = math.radians(sighting.bearing_deg)
        east, north = observation.position_m
        position = (east + sighting.distance_m * math.sin(angle), north + sighting.distance_m * math.cos(angle))
        ahead, right = _offset(observation, position)
        on_side = side is None or (side is Action.RIGHT) == (right > 0.0)
        if landmark.matches(sighting) and ahead > -_ABREAST_M and abs(right) < ACROSS_M and on_side:
            self._ahead[sighting.id] = position


def _offset(observation: Observation, position: tuple[float, float]) -> tuple[float, float]:
    """Metres ahead and to the right of somebody who stands and faces as observed."""
    angle = math.radians(observation.heading_deg)
    east, north = position[0] - observation.position_m[0], position[1] - observation.position_m[1]
    return (
        east * math.sin(angle) + north * math.cos(angle),
        east * math.cos(angle) - north * math.sin(angle),
    )
