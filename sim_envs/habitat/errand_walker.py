# SPDX-FileCopyrightText: The Mem4Nav stack developers
# SPDX-License-Identifier: Apache-2.0
"""An agent that remembers what it passed, and goes back to it: a walker, with the memory of the modular agent."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
from numpy.typing import NDArray

from mem4nav.agent import Decision
from mem4nav.driving.clauses import InstructionError, read_clauses
from mem4nav.environment import Action, Observation
from mem4nav.memory import Memory, MemoryMode
from mem4nav.modular.errand import Errand, is_errand
from mem4nav.modular.landmark_words import LandmarkWords
from mem4nav.modular.mentions import Rarity
from mem4nav.modular.recollection import Recollection
from mem4nav.modular.subgoals import read_instruction
from sim_envs.habitat.environment import HabitatObservation
from sim_envs.habitat.stepper import Stepper
from sim_envs.habitat.walker import Detects, Walker
from sim_envs.habitat.watch import Watch

_WATCH_M, _REACHED_M, _THERE_M = 1.0, 3.0, 0.75
_UNSPECIFIC = Rarity({}, 0)
_WISHES = ("Turn left at the next crossing. ", "Turn right at the next crossing. ", "", "Turn around. ")
_SHARES = (0.3, 0.3, 0.3, 0.1)
_MOST_WISHES = 6


class ErrandWalker:
    """Follows directions as ``Walker`` does, and errands ("go back to the bench") by what it remembers.

    Where memory knows no way, it walks anywhere until its detector finds what is asked for. Where it was not before, it
    watches out for things to remember.

    Args:
        detect: finds landmarks.
        memory: that lasts from one instruction to the next.
        seed: of where it goes when it knows nothing.
        turn_deg: of a turn of the environment.
    """

    def __init__(self, detect: Detects, memory: Memory, seed: int = 0, turn_deg: float = 15.0) -> None:
        self._classes, self._watch = detect.classes, Watch(detect)
        self._walker, self._steps = Walker(detect, turn_deg), Stepper(turn_deg)
        self._recollection = Recollection(memory, LandmarkWords(_UNSPECIFIC))
        self._rng = np.random.default_rng([seed, 0xE44])
        self.forget()

    def forget(self) -> None:
        """Empty the memory."""
        self._recollection.clear()
        self._watch.forget()
        self._watched_at = np.full(2, np.inf)
        self._errand: Errand | None = None
        self._wish, self._text = "", ""

    def begin(self, instruction: str, first: Observation) -> None:
        """Take a new instruction where the last one ended."""
        read = read_instruction(instruction)
        self._errand = Errand(read, _UNSPECIFIC, self._recollection) if is_errand(read) else None
        self._wish, self._text = self._wished(instruction), instruction
        self._walker.begin(instruction, first)

    def act(self, observation: Observation) -> Decision:
        """The next step or turn."""
        assert isinstance(observation, HabitatObservation)
        observation = self._remembered(observation)
        if self._errand is None:
            return self._walker.act(observation)
        target = self._errand.target(observation)
        way = None if target is None else self._known_way(target)
        if way is None:
            return self._search(observation)
        here = observation.T_odom_base[:2, 3]
        if np.hypot(*(way[-1] - here)) < _THERE_M:
            return self._decide(Action.STOP, 1.0)
        # Places known from two passes lie side by side, and a way over all of them would turn back now and then.
        reached = np.flatnonzero(np.linalg.norm(way - here, axis=1) < _REACHED_M)
        onward = way[reached[-1] :] if len(reached) else way
        return self._decide(self._steps.along(np.vstack([here, onward]), observation.T_odom_base))

    def _known_way(self, target: tuple[float, float]) -> NDArray[np.float64] | None:
        """(N, 2) known places from here to the one nearest to a target; None where no way is known."""
        graph = self._recollection.memory.graph
        if graph.current < 0:
            return None
        places = graph.positions[:, :2]
        nodes = graph.path(graph.current, int(np.linalg.norm(places - target, axis=1).argmin()))
        return places[list(nodes)] if nodes else None

    def _remembered(self, observation: HabitatObservation) -> HabitatObservation:
        """The same, with the landmarks that were seen well enough; place and landmarks are told to memory."""
        memory, here = self._recollection.memory, observation.T_odom_base[:2, 3]
        if memory.mode is MemoryMode.NONE or observation.look is None:
            return observation
        if observation.place not in memory.graph.names and np.hypot(*(here - self._watched_at)) >= _WATCH_M:
            self._watched_at = here.copy()
            self._watch.take_in(observation.look(), observation.T_odom_base)
        told = replace(observation, landmarks=self._watch.in_view(here))
        self._recollection.tell(told)
        return told

    def _search(self, observation: HabitatObservation) -> Decision:
        """Anywhere, until what is wished for is found."""
        decision = self._walker.act(observation)
        for _ in range(_MOST_WISHES):
            if not self._wish or not decision.lost:
                break
            wish = _WISHES[int(self._rng.choice(len(_WISHES), p=_SHARES))]
            self._walker.begin(f"{wish}Stop at the {self._wish}.", observation)
            decision = self._walker.act(observation)
        return decision

    def _wished(self, instruction: str) -> str:
        """The class that an instruction ends at; "" where it names none."""
        try:
            return read_clauses(instruction, self._classes)[-1].landmark
        except InstructionError:
            return ""

    def _decide(self, action: Action, confidence: float = 0.0) -> Decision:
        recalled = self._errand.recalled if self._errand is not None else ()
        return Decision(action, self._text, confidence, recalled)
