# SPDX-FileCopyrightText: The Mem4Nav stack developers
# SPDX-License-Identifier: Apache-2.0
"""One agent, one episode."""

from __future__ import annotations

import logging

from mem4nav.agent import Agent, Decision
from mem4nav.environment import Action, Environment, Episode
from mem4nav.evaluation.predictions import Prediction

_log = logging.getLogger(__name__)


def follow(environment: Environment, agent: Agent, episode: Episode, most_actions: int) -> Prediction:
    """Let the agent follow an episode's instruction until it stops; what went wrong stands in the record.

    The last action that is allowed is always stop. An episode that fails costs nothing but itself, whatever failed:
    a run of hours must not end over one row.
    """
    record = Prediction(episode.id)
    try:
        _walk(environment, agent, episode, most_actions, record)
    except Exception as error:
        record.error = f"{type(error).__name__}: {error}"
        _log.warning("episode %s failed after %d actions: %s", episode.id, len(record.actions), record.error)
        _log.debug("where it failed", exc_info=True)
    return record


def _walk(environment: Environment, agent: Agent, episode: Episode, most_actions: int, record: Prediction) -> None:
    observation = environment.reset(episode)
    record.see(observation)
    agent.begin(episode.instruction, observation)
    done = False
    while not done:
        decision = agent.act(observation)
        if len(record.actions) == most_actions - 1 and decision.action is not Action.STOP:
            decision = Decision(Action.STOP, clause=decision.clause, recalled=decision.recalled)
        record.do(decision)
        observation, done = environment.step(decision.action)
        record.see(observation)
