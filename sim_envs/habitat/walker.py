# SPDX-FileCopyrightText: The Mem4Nav stack developers
# SPDX-License-Identifier: Apache-2.0
"""An agent that follows written directions on foot: the driver of ``mem4nav.driving``, in steps and turns."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray

from mem4nav.agent import Decision
from mem4nav.driving.clauses import InstructionError
from mem4nav.driving.config import DriverConfig, FollowerConfig
from mem4nav.driving.crossing import wrapped
from mem4nav.driving.driver import Driver, Phase
from mem4nav.environment import Action, Observation
from sim_envs.habitat.environment import HabitatObservation, Look
from sim_envs.habitat.frames import yaw_of
from sim_envs.habitat.stepper import Stepper

WALKING = DriverConfig(
    follower=FollowerConfig(half_width_m=0.45, nose_m=0.3, margin_m=0.3),
    settle_s=0.0, longest_s=3600.0, blocked_s=6.0, stop_within_m=-0.6,
)  # fmt: skip
"""A driver's settings for somebody on foot, who is narrow and stops abreast of the goal, not before it."""
_LOOK_NS = 100_000_000
_LOOK_S, _DETECT_S = 0.2, 0.4
"""It looks after as much way as a driver makes in this time, who is slower where there is more to see."""
_LEAST_LOOK_M = 0.2
_HALF_TURN_DEG = 7.6
_NEAR_GROUND_M, _GROUND_WITHIN_M, _FEWEST = 7.0, 0.6, 50


class Detects(Protocol):
    """A detector of landmarks."""

    @property
    def classes(self) -> Sequence[str]:
        """Names, in the order of the labels."""
        ...

    def __call__(self, returns: NDArray[np.float64]) -> Any:
        """Boxes (``detection.sample.Boxes``) in base_link of (N, 4) returns whose ground is at z = 0."""
        ...


class Walker:
    """Follows one instruction after another.

    Its eyes are the looks and the pose of a ``HabitatObservation``; each look counts as a tenth of a second for the
    driver, and what the driver would steer along is walked in the environment's steps and turns. Looks are dear: it
    looks the more often the slower the driver would go, and the detector is asked only where a landmark is sought.

    Args:
        detect: finds landmarks.
        turn_deg: of a turn of the environment.
    """

    def __init__(self, detect: Detects, turn_deg: float = 15.0) -> None:
        self._detect, self._turn_deg = detect, turn_deg
        self._restart(None, "")

    def begin(self, instruction: str, first: Observation) -> None:
        """Read the instruction; one that names what cannot be detected is given up at once."""
        try:
            self._restart(Driver(instruction, self._detect.classes, WALKING), "")
        except InstructionError as error:
            self._restart(None, str(error))

    def forget(self) -> None:
        """It remembers nothing between instructions."""

    def act(self, observation: Observation) -> Decision:
        """The next step or turn."""
        assert isinstance(observation, HabitatObservation)
        if self._driver is None:
            return Decision(Action.STOP, self._reason, lost=True)
        if observation.look is not None:
            self._look(self._driver, observation, observation.look)
        for _ in range(3):
            if self._driver.is_over or len(self._driver.path):
                break
            if self._driver.phase is Phase.TURNING_ROUND and abs(turn := self._round(observation)) > _HALF_TURN_DEG:
                self._steps.rest()
                return self._decide(Action.LEFT if turn > 0.0 else Action.RIGHT)
            self._think(self._driver, observation)
        if self._driver.is_over or not len(self._driver.path):
            arrived = self._driver.phase is Phase.ARRIVED
            return Decision(Action.STOP, self._driver.reason, float(arrived), lost=not arrived)
        return self._decide(self._steps.along(self._driver.path, observation.T_odom_base))

    def _restart(self, driver: Driver | None, reason: str) -> None:
        self._driver, self._reason = driver, reason
        self._stamp_ns, self._speed = 0, 0.0
        self._looked = self._detected = np.full(2, np.inf)
        self._cloud = np.zeros((0, 3))
        self._steps = Stepper(self._turn_deg)

    def _look(self, driver: Driver, observation: HabitatObservation, look: Look) -> None:
        T = observation.T_odom_base
        here = T[:2, 3]
        if _way(self._looked, here) < max(_LEAST_LOOK_M, self._speed * _LOOK_S):
            return
        detects = driver.directions.seeks and _way(self._detected, here) >= self._speed * _DETECT_S
        returns = look(reflectivity=detects)
        self._looked = here
        if detects:
            self._detected = here
            driver.see(self._detect(ground_points(returns)), T)
        self._cloud = returns[:, :3] @ T[:3, :3].T + T[:3, 3]
        self._think(driver, observation)

    def _think(self, driver: Driver, observation: HabitatObservation) -> None:
        """The driver takes in the last cloud from where one stands now."""
        self._stamp_ns += _LOOK_NS
        T = observation.T_odom_base
        if driver.phase is Phase.TURNING_ROUND and driver.street is not None:
            # As near as turns of 15 degrees come counts as turned round.
            yaw = driver.street.heading if abs(self._round(observation)) <= _HALF_TURN_DEG else yaw_of(T)
            T = T.copy()
            T[:2, 0] = np.cos(yaw), np.sin(yaw)
        self._speed = driver.update(self._stamp_ns, T, self._cloud).speed

    def _round(self, observation: HabitatObservation) -> float:
        """Degrees to the left that are missing when one turns round."""
        assert self._driver is not None
        street = self._driver.street
        return 0.0 if street is None else float(np.degrees(wrapped(street.heading - yaw_of(observation.T_odom_base))))

    def _decide(self, action: Action) -> Decision:
        assert self._driver is not None
        return Decision(action, self._driver.directions.clause.text)


def _way(start: NDArray[np.float64], end: NDArray[np.float64]) -> float:
    return float(np.hypot(*(end - start)))


def ground_points(returns: NDArray[np.float64]) -> NDArray[np.float64]:
    """(N, 4) of a look's returns what a detector takes, the ground at z = 0.

    The ground far ahead takes many rings; the detector was trained with half as many.
    """
    return returns[returns[:, 4] % 2 == 0, :4] - [0.0, 0.0, ground_height_m(returns), 0.0]


def ground_height_m(returns: NDArray[np.float64]) -> float:
    """Height of the ground near by in base_link: navmeshes lie up to a step above what one sees; 0 where few see it."""
    near = (np.hypot(returns[:, 0], returns[:, 1]) < _NEAR_GROUND_M) & (np.abs(returns[:, 2]) < _GROUND_WITHIN_M)
    return float(np.median(returns[near, 2])) if near.sum() >= _FEWEST else 0.0
