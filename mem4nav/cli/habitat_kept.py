# SPDX-FileCopyrightText: The Mem4Nav stack developers
# SPDX-License-Identifier: Apache-2.0
"""Walks in Habitat that leave a file each, so that a run can go on later, and begin anew where a Habitat dies."""

from __future__ import annotations

import json
import logging
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from mem4nav.agent import Agent
from mem4nav.environment import Action, Episode
from mem4nav.evaluation import Prediction, follow
from sim_envs.habitat.config import HabitatConfig
from sim_envs.habitat.environment import HabitatEnvironment
from sim_envs.habitat.errors import WorkerDiedError
from sim_envs.habitat.measures import WalkScore
from sim_envs.habitat.worker import Simulator
from slam.files import write_text

log = logging.getLogger(__name__)

_FAILED = WalkScore(0.0, 0.0, 0.0, float("nan"), 0.0, 0.0, 0.0, 0)
_TRIES = 3


@dataclass(frozen=True, slots=True)
class Walked:
    """One episode, done.

    Attributes:
        prediction: what the agent did.
        score: what that is worth.
        restarts: how often Habitat had to be started again for it.
    """

    prediction: Prediction
    score: WalkScore
    restarts: int = 0


@dataclass(frozen=True, slots=True)
class Kept:
    """What walks leave.

    Attributes:
        file: of one episode, or of several that are walked in one go.
        who: plain data that tells who walked: what was left by another does not count.
    """

    file: Path
    who: dict[str, Any]

    def read(self) -> list[Walked]:
        """What an earlier run left; empty where that is nothing."""
        try:
            kept = json.loads(self.file.read_text(encoding="utf-8"))
            if kept["who"] != self.who:
                return []
            return [
                Walked(Prediction(**one["prediction"]), WalkScore(**one["score"]), one["restarts"])
                for one in kept["walked"]
            ]
        except (OSError, ValueError, KeyError, TypeError):
            return []

    def walk(self, names: Sequence[str], walk: Callable[[int], list[Walked]]) -> list[Walked]:
        """Walk, and keep it.

        Args:
            names: of the episodes; each counts as failed where Habitat dies again and again.
            walk: is told how often it was tried before.
        """
        for restarts in range(_TRIES):
            try:
                walked = walk(restarts)
            except WorkerDiedError as error:
                log.warning("%s begins anew: %s", self.file.stem, error)
                continue
            kept = {"who": self.who, "walked": [asdict(one) for one in walked]}
            write_text(self.file, json.dumps(kept) + "\n")
            return walked
        return [Walked(Prediction(name, error=f"Habitat died {_TRIES} times"), _FAILED, _TRIES) for name in names]


def followed(
    environment: HabitatEnvironment, agent: Agent, episode: Episode, guide: Sequence[Action] = ()
) -> Prediction:
    """Raises WorkerDiedError where Habitat died: what else goes wrong stands in the prediction."""
    prediction = follow(environment, agent, episode, guide=guide)
    if prediction.error.startswith(WorkerDiedError.__name__):
        raise WorkerDiedError(prediction.error)
    return prediction


def scored(environment: HabitatEnvironment, agent: Agent, episode: Episode, restarts: int) -> Walked:
    """The same, and what it is worth."""
    prediction = followed(environment, agent, episode)
    failed = prediction.error or not environment.path
    return Walked(prediction, _FAILED if failed else environment.score(), restarts)


def opened(config: HabitatConfig, python: str) -> Simulator:
    """A simulator; one that dies while it opens its scene is started again.

    Raises:
        HabitatError: the scene cannot be opened.
    """
    for _ in range(_TRIES - 1):
        try:
            return Simulator(config, python)
        except WorkerDiedError as error:
            log.warning("Habitat is started again: %s", error)
    return Simulator(config, python)
