# SPDX-FileCopyrightText: The Mem4Nav stack developers
# SPDX-License-Identifier: Apache-2.0
"""Agents that say what the tasks are worth: one that knows the town, one that remembers it, one that does not."""

from __future__ import annotations

import numpy as np

from mem4nav.agent import Decision
from mem4nav.environment import Action, Observation
from sim_envs.city.navigation.clauses import Clause, Verb
from sim_envs.city.navigation.follower import LiteralFollower
from sim_envs.city.navigation.notebook import Notebook
from sim_envs.city.navigation.routing import ways_from
from sim_envs.city.navigation.task import CityTask
from sim_envs.city.navigation.tasks import town_of
from sim_envs.city.navigation.town import make_town

_REACHED_M = 15.0


class OracleAgent:
    """Knows the town, its closed streets and the goal: walks the way with the fewest actions."""

    def __init__(self, task: CityTask) -> None:
        self._task = task
        self._graph = make_town(town_of(task.town)).graph
        self.forget()

    def forget(self) -> None:
        """Begin the task anew."""
        self._legs = iter(self._task.legs)

    def begin(self, instruction: str, first: Observation) -> None:
        """Plan the next leg."""
        leg, number = next(self._legs), self._graph.number
        closed = {(number(a), number(b)) for a, b in leg.closed}
        start = self._graph.stand(number(first.place), first.heading_deg)
        self._plan = iter(ways_from(self._graph, start, closed=closed)[number(leg.goal)])

    def act(self, observation: Observation) -> Decision:
        """The next step of the plan."""
        return Decision(next(self._plan, Action.STOP))


class RandomAgent:
    """Walks on mostly, turns now and then, and stops sometime."""

    def __init__(self, seed: int) -> None:
        self._rng = np.random.default_rng(seed)

    def forget(self) -> None:
        """Nothing to forget."""

    def begin(self, instruction: str, first: Observation) -> None:
        """Nothing to prepare."""

    def act(self, observation: Observation) -> Decision:
        """One stop in thirty actions, one turn in seven."""
        moves = (Action.FORWARD, Action.LEFT, Action.RIGHT, Action.TURN_AROUND, Action.STOP)
        return Decision(moves[int(self._rng.choice(5, p=(0.82, 0.06, 0.06, 0.03, 0.03)))])


class NotebookAgent:
    """Writes everything down, and walks to what is meant over streets that it knows; else looks for it.

    What instructions mean is given to it; everything else it has from observations. It shows that the tasks can be
    solved from those, and (with ``remembers`` false: it starts a new notebook on each leg) how far one comes with
    the same skill and no memory of earlier legs.
    """

    def __init__(self, task: CityTask, remembers: bool) -> None:
        self._task = task
        self._remembers = remembers
        self.forget()

    def forget(self) -> None:
        """Begin the task anew with an empty notebook."""
        self._legs = iter(self._task.legs)
        self._notes = Notebook()

    def begin(self, instruction: str, first: Observation) -> None:
        """Take the meaning of the next leg."""
        self._meaning = next(self._legs).meaning
        self._follower = LiteralFollower(self._meaning)
        self._plan: list[Action] = []
        if not self._remembers:
            self._notes = Notebook()
        self._notes.carried()

    def act(self, observation: Observation) -> Decision:
        """Note what is seen; then follow directions, go to what is known, or explore."""
        news = self._notes.note(observation)
        if not self._meaning or self._meaning[0].verb not in (Verb.RETURN, Verb.RETURN_TO_START):
            return Decision(self._follower.act(observation))
        if news or not self._plan:
            self._plan = list(self._way(self._meaning[0], observation))
        return Decision(self._plan.pop(0))

    def _way(self, clause: Clause, here: Observation) -> tuple[Action, ...]:
        """To the goal and the stop there, or on to where nothing is known."""
        goal = self._goal(clause)
        way = self._notes.way_to(goal, here) if goal else None
        if way is not None:
            return (*way, Action.STOP)
        return self._notes.way_into_the_unknown(here) or (Action.STOP,)

    def _goal(self, clause: Clause) -> str:
        """The place to stop at, "" where it is not known or nobody has been near."""
        if clause.verb is Verb.RETURN_TO_START:
            return self._notes.start if self._remembers else ""
        assert clause.landmark is not None
        thing = self._notes.find(clause.landmark)
        if thing is None:
            return ""
        place, away = self._notes.nearest_place(thing.position_m)
        return place if away <= _REACHED_M else ""
