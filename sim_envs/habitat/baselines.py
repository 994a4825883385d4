# SPDX-FileCopyrightText: The Mem4Nav stack developers
# SPDX-License-Identifier: Apache-2.0
"""What an agent is held against: one that knows the goal and the shortest way, and one that knows nothing."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import ArrayLike

from mem4nav.agent import Decision
from mem4nav.environment import Action, Observation, angle_between_deg
from sim_envs.habitat.environment import HabitatEnvironment

_CLOSE_M, _CORNER_M = 0.3, 0.1
_SLACK_DEG = 0.1
_ACTIONS = (Action.STOP, Action.FORWARD, Action.LEFT, Action.RIGHT)


class OracleAgent:
    """Goes to the next corner of the shortest way to the nearest goal of the episode, found anew each step.

    Habitat's own greedy follower gives up at some edges of a navmesh, and at others turns back and forth for ever.
    """

    def __init__(self, environment: HabitatEnvironment) -> None:
        self._environment = environment

    def begin(self, instruction: str, first: Observation) -> None:
        """Nothing to read."""

    def act(self, observation: Observation) -> Decision:
        """The next step; a stop at the goal."""
        return step_towards(self._environment, observation, self._environment.episode.goals)

    def forget(self) -> None:
        """It remembers nothing."""


class TourGuide:
    """Goes the way of an episode, place after place, instead of the shortest."""

    def __init__(self, environment: HabitatEnvironment) -> None:
        self._environment, self._next = environment, 0

    def begin(self, instruction: str, first: Observation) -> None:
        """From its first place on."""
        self._next = 0

    def act(self, observation: Observation) -> Decision:
        """The next step; a stop at the last place."""
        for place in self._environment.episode.reference[self._next :]:
            decision = step_towards(self._environment, observation, place)
            if decision.action is not Action.STOP:
                return decision
            self._next += 1
        return Decision(Action.STOP, confidence=1.0)

    def forget(self) -> None:
        """It remembers nothing."""


def step_towards(environment: HabitatEnvironment, observation: Observation, goals: ArrayLike) -> Decision:
    """The step along the shortest way to the nearest of goals (G, 3) or to one (3,); a stop there."""
    simulator = environment.simulator
    length, corners = simulator.path(environment.path[-1], goals)
    if length < _CLOSE_M or len(corners) < 2:
        return Decision(Action.STOP, confidence=1.0)
    away = (corners[1:] - corners[0])[:, :2]
    east, north = next((one for one in away if np.hypot(*one) > _CORNER_M), away[-1])
    turn = angle_between_deg(observation.heading_deg, float(np.degrees(np.arctan2(east, north))))
    if abs(turn) <= 0.5 * simulator.config.body.turn_deg + _SLACK_DEG:
        return Decision(Action.FORWARD, confidence=1.0)
    return Decision(Action.RIGHT if turn > 0.0 else Action.LEFT, confidence=1.0)


class RandomAgent:
    """Draws each action; with the shares of VLN-CE's random agent it stops after 50 steps in the mean.

    Args:
        seed: of the draws; each instruction draws on.
    """

    def __init__(self, seed: Sequence[int]) -> None:
        self._rng = np.random.default_rng([0x4AB, *seed])

    def begin(self, instruction: str, first: Observation) -> None:
        """Nothing to read."""

    def act(self, observation: Observation) -> Decision:
        """Stop, forward, left or right."""
        return Decision(_ACTIONS[int(self._rng.choice(4, p=[0.02, 0.68, 0.15, 0.15]))])

    def forget(self) -> None:
        """It remembers nothing."""
