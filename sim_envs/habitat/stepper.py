# SPDX-FileCopyrightText: The Mem4Nav stack developers
# SPDX-License-Identifier: Apache-2.0
"""Lines walked in steps of a fixed length and turns of a fixed angle."""

from __future__ import annotations

from collections import deque

import numpy as np
from numpy.typing import NDArray

from mem4nav.driving.crossing import wrapped
from mem4nav.driving.follower import ahead_of
from mem4nav.environment import Action
from sim_envs.habitat.frames import yaw_of

_AIM_M = 1.5
_STUCK_M = 0.05
_ASIDE = 4
_AMISS = 0.67


class Stepper:
    """Where a step forward leads nowhere, it goes round what is there, to one side and the next time to the other.

    Args:
        turn_deg: of a turn of the environment.
    """

    def __init__(self, turn_deg: float) -> None:
        self._turn_deg, self._side = turn_deg, 1
        self._way_out: deque[Action] = deque()
        self._last: tuple[Action, NDArray[np.float64]] | None = None

    def along(self, path: NDArray[np.float64], T_odom_base: NDArray[np.float64]) -> Action:
        """The next step or turn from a pose (4, 4) along a line (N, 2), N >= 2."""
        position = T_odom_base[:2, 3]
        if self._is_stuck(position):
            turn = Action.LEFT if self._side > 0 else Action.RIGHT
            self._side = -self._side
            self._way_out.extend([*[turn] * _ASIDE, *[Action.FORWARD] * _ASIDE])
        action = self._way_out.popleft() if self._way_out else self._towards(path, T_odom_base)
        self._last = action, position.copy()
        return action

    def rest(self) -> None:
        """The next action is another's."""
        self._last = None

    def _towards(self, path: NDArray[np.float64], T_odom_base: NDArray[np.float64]) -> Action:
        position = T_odom_base[:2, 3]
        ahead = ahead_of(path, position)
        beyond = np.flatnonzero(np.linalg.norm(ahead - position, axis=1) >= _AIM_M)
        east, north = (ahead[beyond[0]] if len(beyond) else ahead[-1]) - position
        turn = float(np.degrees(wrapped(np.arctan2(north, east) - yaw_of(T_odom_base))))
        # More than half a turn: a line midway between two headings would else cost a turn with every step.
        if abs(turn) <= _AMISS * self._turn_deg:
            return Action.FORWARD
        return Action.LEFT if turn > 0.0 else Action.RIGHT

    def _is_stuck(self, position: NDArray[np.float64]) -> bool:
        """Whether the last step forward led nowhere."""
        return (
            self._last is not None
            and not self._way_out
            and self._last[0] is Action.FORWARD
            and float(np.linalg.norm(position - self._last[1])) < _STUCK_M
        )
