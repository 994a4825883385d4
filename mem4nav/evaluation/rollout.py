# SPDX-FileCopyrightText: The Mem4Nav stack developers
# SPDX-License-Identifier: Apache-2.0
"""One agent, one episode."""

from __future__ import annotations

import logging
from collections.abc import Sequence
from dataclasses import replace

from mem4nav.agent import Agent
from mem4nav.environment import Action, Environment, Episode
from mem4nav.evaluation.predictions import Prediction

_log = logging.getLogger(__name__)


def follow(
    environment: Environment,
    agent: Agent,
    episode: Episode,
    last: int | None = None,
    guide: Sequence[Action] = (),
) -> Prediction:
    """Let the agent follow an episode's instruction until it stops; what went wrong stands in the record.

    An episode that fails costs nothing but itself, whatever failed: a run of hours must not end over one row.

    Args:
        environment: that has the episode.
        agent: remembers what it remembers.
        episode: what it is told.
        last: the action with this number is stop, whatever the agent decides; None: the environment alone ends it.
        guide: actions that are taken instead of what the agent decides, which watches then.
    """
    record = Prediction(episode.id)
    try:
        _walk(environment, agent, episode, record, last, guide)
    except Exception as error:
        record.error = f"{type(error).__name__}: {error}"
        _log.debug("episode %s failed after %d actions", episode.id, len(record.actions), exc_info=True)
    return record


def _walk(
    environment: Environment,
    agent: Agent,
    episode: Episode,
    record: Prediction,
    last: int | None,
    guide: Sequence[Action],
) -> None:
    observation = environment.reset(episode)
    record.see(observation)
    agent.begin(episode.instruction, observation)
    done = False
    while not done:
        decision = agent.act(observation)
        step = len(record.actions)
        if step < len(guide):
            decision = replace(decision, action=guide[step])
        elif last is not None and step + 1 >= last and decision.action is not Action.STOP:
            decision = replace(decision, action=Action.STOP, confidence=0.0)
        record.do(decision)
        observation, done = environment.step(decision.action)
        record.see(observation)
