# SPDX-FileCopyrightText: The Mem4Nav stack developers
# SPDX-License-Identifier: Apache-2.0
"""Walking agents through tasks, and what that is worth."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from mem4nav.agent import Agent
from mem4nav.environment import Action, Environment
from mem4nav.evaluation import follow
from sim_envs.city.navigation.task import CityTask, Leg, LegKind, Walk
from sim_envs.city.navigation.tasks import town_of
from sim_envs.city.navigation.town import make_town
from sim_envs.errors import EpisodeError


@dataclass(frozen=True, slots=True)
class Outcome:
    """How a leg ended.

    Attributes:
        success: stopped at the goal or one hop from it.
        spl: success weighted by path length: success * shortest / max(walked, shortest) (Anderson et al. 2018,
            "On Evaluation of Embodied Navigation Agents"), lengths in metres.
    """

    success: bool
    spl: float


def walk_task(task: CityTask, environment: Environment, agent: Agent) -> list[Walk]:
    """One walk for each leg, with a memory that is emptied before the first.

    On a guided leg the agent is asked at every step like on any other, so that it takes in what there is to see;
    what it decides is not done.

    Raises:
        EpisodeError: for a leg on which agent or environment failed.
    """
    agent.forget()
    return [_walk_leg(leg, environment, agent) for leg in task.legs]


def _walk_leg(leg: Leg, environment: Environment, agent: Agent) -> Walk:
    record = follow(environment, agent, leg.episode, guide=leg.way if leg.kind is LegKind.GUIDED else ())
    if record.error:
        raise EpisodeError(f"leg {leg.episode.id} ended after {len(record.actions)} actions: {record.error}")
    return Walk(record.panos, [Action(action) for action in record.actions])


def score(task: CityTask, leg: Leg, walk: Walk) -> Outcome:
    """What a walk on a leg is worth."""
    graph = make_town(town_of(task.town)).graph
    numbers = [graph.number(place) for place in walk.places]
    goal = graph.number(leg.goal)
    near = numbers[-1] == goal or goal in graph.neighbours(numbers[-1])
    success = near and walk.actions[-1] is Action.STOP
    walked = float(np.linalg.norm(np.diff(graph.positions[numbers], axis=0), axis=1).sum())
    longer = max(walked, leg.shortest_m)
    # A way by directions may lead round a block to where it began: who stays there has walked no detour.
    return Outcome(success, float(success) * (leg.shortest_m / longer if longer else 1.0))


def mean_outcome(outcomes: Sequence[Outcome]) -> tuple[float, float]:
    """Share of successes and mean SPL; 0 for none."""
    if not outcomes:
        return 0.0, 0.0
    return float(np.mean([one.success for one in outcomes])), float(np.mean([one.spl for one in outcomes]))
