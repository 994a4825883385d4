# SPDX-FileCopyrightText: The Mem4Nav stack developers
# SPDX-License-Identifier: Apache-2.0
"""An agent of street graphs on foot: it decides place by place, and what it decides is walked in steps and turns."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
from numpy.typing import NDArray

from mem4nav.agent import Agent, Decision
from mem4nav.environment import Action, Observation, angle_between_deg
from sim_envs.habitat.environment import HabitatObservation
from sim_envs.habitat.stepper import Stepper
from sim_envs.habitat.walker import Detects
from sim_envs.habitat.watch import Watch, open_ways_deg

STRIDE_M = 2.0
_AHEAD_DEG, _RIGHT_ANGLE_DEG = 45.0, 90.0
_LINE_M, _MOST_STEPS = np.arange(0.0, 6.0, 0.5), 24


class Strider:
    """Looks round wherever something is to be decided, and shows what it found to who decides.

    Forward is a stride of 2 m along the open way that is nearest to ahead, and ends earlier where something stands for
    too long; left and right turn to the next open way on that side, or by a right angle where none is.

    Args:
        agent: decides.
        detect: finds landmarks.
        turn_deg: of a turn of the environment.
    """

    def __init__(self, agent: Agent, detect: Detects, turn_deg: float = 15.0) -> None:
        self._agent, self._watch, self._turn_deg = agent, Watch(detect), turn_deg
        self._seen: HabitatObservation | None = None
        self._stop_moving()

    def begin(self, instruction: str, first: Observation) -> None:
        """Take a new instruction."""
        assert isinstance(first, HabitatObservation)
        self._stop_moving()
        self._seen = seen = self._perceived(first)
        self._agent.begin(instruction, seen)

    def forget(self) -> None:
        """Empty the memory."""
        self._watch.forget()
        self._agent.forget()

    def act(self, observation: Observation) -> Decision:
        """The next step or turn."""
        assert isinstance(observation, HabitatObservation)
        if (action := self._onward(observation)) is not None:
            return Decision(action)
        seen, self._seen = self._seen or self._perceived(observation), None
        decision = self._agent.act(seen)
        if decision.action is Action.STOP:
            return decision
        self._set_out(decision.action, seen)
        return replace(decision, action=self._onward(seen) or Action.FORWARD)

    def _perceived(self, observation: HabitatObservation) -> HabitatObservation:
        if observation.look is None:
            return observation
        T, returns = observation.T_odom_base, observation.look()
        self._watch.take_in(returns, T)
        ways = open_ways_deg(returns, observation.heading_deg)
        return replace(observation, ways_deg=ways, landmarks=self._watch.in_view(T[:2, 3]))

    def _stop_moving(self) -> None:
        self._line: NDArray[np.float64] | None = None
        self._heading_deg: float | None = None
        self._steps, self._taken = Stepper(self._turn_deg), 0

    def _set_out(self, action: Action, seen: HabitatObservation) -> None:
        turns = [angle_between_deg(seen.heading_deg, way) for way in seen.ways_deg]
        self._stop_moving()
        if action is Action.FORWARD:
            turn = min((turn for turn in turns if abs(turn) <= _AHEAD_DEG), key=abs, default=0.0)
            way, here = np.radians(seen.heading_deg + turn), seen.T_odom_base[:2, 3]
            self._line = here + _LINE_M[:, None] * [np.sin(way), np.cos(way)]
        elif action is Action.TURN_AROUND:
            self._heading_deg = seen.heading_deg + 180.0
        else:
            side = 1.0 if action is Action.RIGHT else -1.0
            aside = [abs(turn) for turn in turns if turn * side > _AHEAD_DEG]
            self._heading_deg = seen.heading_deg + side * min(aside, default=_RIGHT_ANGLE_DEG)

    def _onward(self, observation: HabitatObservation) -> Action | None:
        """The next step or turn of what was decided; None where all of it is done."""
        if self._heading_deg is not None:
            turn = angle_between_deg(observation.heading_deg, self._heading_deg)
            if abs(turn) > 0.5 * self._turn_deg + 0.1:
                return Action.RIGHT if turn > 0.0 else Action.LEFT
            self._heading_deg = None
        if self._line is not None and self._taken < _MOST_STEPS:
            gone = float(np.linalg.norm(observation.T_odom_base[:2, 3] - self._line[0]))
            if gone < STRIDE_M:
                self._taken += 1
                return self._steps.along(self._line, observation.T_odom_base)
        self._line = None
        return None
