# SPDX-FileCopyrightText: The Mem4Nav stack developers
# SPDX-License-Identifier: Apache-2.0
"""The modular agent: sub-goals from the text, learned policies at crossings, a stop picked in retrospect."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from mem4nav.agent import Decision
from mem4nav.environment import Action, Observation, angle_between_deg, ways_onward
from mem4nav.memory import Memory
from mem4nav.modular.beginning import begins_behind
from mem4nav.modular.confidence import SIGNS
from mem4nav.modular.errand import Errand, is_errand
from mem4nav.modular.landmark_words import LandmarkWords
from mem4nav.modular.model import ModularModel
from mem4nav.modular.recollection import Recollection
from mem4nav.modular.walk import Walk

MOST_ACTIONS = 55
_LOOK_BACK = 20
"""From so many actions before the last one on, the agent asks itself whether it has passed the goal."""
_WORTH_OF_AHEAD = 0.1
"""Of the chance that the goal lies ahead, how much going on is worth: one may not know it when one passes it, and each
step on is a new temptation to go on."""
_WORTH_GOING_BACK = 0.25
"""A place has to be the goal with this probability for one to go back to it while one can still go on."""
_OF_EARLIER_LOOKS = 0.65
"""Share of what was said of a place at the steps before in what is held of it: single looks are noisy."""


class ModularAgent:
    """See ``mem4nav.agent.Agent``.

    Args:
        model: what it has learnt.
        memory: what it remembers; the model was trained with one of the same mode.
        turn_around: whether it may go back to a place that it has passed. Where it may not, or where its memory has no
            graph to go back by, it decides at each place whether to stop.
        lost_below: confidence under which it says that it is lost, instead of that it has arrived.
        most_actions: after which an episode ends.

    Attributes:
        signs: what its confidence went by at the last stop, see ``mem4nav.modular.confidence``.
    """

    def __init__(
        self,
        model: ModularModel,
        memory: Memory,
        *,
        turn_around: bool = True,
        lost_below: float = 0.0,
        most_actions: int = MOST_ACTIONS,
    ) -> None:
        self._model = model
        self._recollection = Recollection(memory, LandmarkWords(model.rarity))
        self._turn_around = turn_around
        self._lost_below, self._most_actions = lost_below, most_actions
        self._restart("")

    def begin(self, instruction: str, first: Observation) -> None:
        """Take a new instruction; memory stays as it is."""
        self._recollection.set_down()
        self._restart(instruction)

    def forget(self) -> None:
        """Empty the memory."""
        self._recollection.clear()

    def act(self, observation: Observation) -> Decision:
        """The next action."""
        self._recollection.tell(observation)
        if self._errand is not None:
            return self._run_errand(self._errand, observation)
        if self._target:
            return self._go_back(observation)
        if self._behind:
            self._behind = False
            return self._decide(Action.TURN_AROUND)
        if observation.place != self._place:
            self._place, self._heading = observation.place, None
            self._walk.arrive(observation)
            stop = self._consider_stop(observation)
            if stop is not None:
                return stop
            self._choose()
        return self._step(observation)

    def _restart(self, instruction: str) -> None:
        self._walk = Walk(instruction, self._model.rarity, self._recollection, self._model.settings.length_prior)
        text = self._walk.instruction
        self._errand = Errand(text, self._model.rarity, self._recollection) if is_errand(text) else None
        self._behind = self._turn_around and begins_behind(text)
        self._place, self._target = "", ""
        self._heading: float | None = None
        self._turns: list[float] = []
        self._stop_chances = (0.0, 0.0)
        self._held: dict[int, float] = {}
        self.signs = np.zeros(len(SIGNS))

    def _choose(self) -> None:
        """At a crossing, the way to take."""
        choices = self._walk.crossing()
        if len(choices) > 1:
            chances = self._model.turns.pick(self._walk.turn_rows())
            best = int(chances.argmax())
            self._turns.append(float(chances[best]))
            self._heading = choices[best].heading_deg
            self._walk.take(choices[best])

    def _step(self, observation: Observation) -> Decision:
        heading = observation.heading_deg if self._heading is None else self._heading
        return self._decide(action_towards(observation, heading))

    def _consider_stop(self, observation: Observation) -> Decision | None:
        left = self._most_actions - observation.steps
        if self._turn_around and self._model.settings.retrospect and self._recollection.knows_ways:
            return self._look_back(observation, left) if left <= _LOOK_BACK + 1 else None
        at_end = self._walk.goal == len(self._walk.instruction.goals) - 1
        here = self._model.halts.here(self._walk.halt_rows()) if at_end or left <= _LOOK_BACK else 0.0
        self._stop_chances = (here, 1.0 - here)
        return self._stop() if here >= self._model.settings.halt_at or left <= 1 else None

    def _look_back(self, observation: Observation, left: int) -> Decision | None:
        """Pick the place that was the goal; None as long as that can wait, since more may be seen."""
        chances = self._model.stops.pick(self._walk.stop_rows())
        ahead, windows = float(chances[-1]), np.convolve(self._hold(chances[:-1]), np.ones(3), "same")
        hops = np.arange(len(windows))[::-1]
        needed = hops + (hops > 0) + 1
        now = np.where(needed <= left, windows, 0.0)
        best = int(now.argmax())
        # One step on, the way back is longer by one and the actions left are fewer by one.
        later = np.where(needed + np.where(hops > 0, 2, 3) <= left, windows, 0.0)
        if left > 2 and now[best] <= max(later.max() + _WORTH_OF_AHEAD * ahead, _WORTH_GOING_BACK):
            return None
        self._stop_chances = (float(windows[best]), ahead)
        self._target = self._walk.track.steps[self._walk.stop_places()[best]].observation.place
        return self._go_back(observation)

    def _hold(self, chances: NDArray[np.float64]) -> NDArray[np.float64]:
        """(P,) chances of the places as they look now and as they looked before."""
        places = self._walk.stop_places()
        for place, chance in zip(places, chances.tolist(), strict=True):
            self._held[place] = chance + _OF_EARLIER_LOOKS * (self._held.get(place, chance) - chance)
        return np.array([self._held[place] for place in places])

    def _go_back(self, observation: Observation) -> Decision:
        heading = self._recollection.heading_to(observation, self._target)
        if heading is None or self._most_actions - observation.steps <= 1:
            return self._stop()
        return self._decide(action_towards(observation, heading))

    def _run_errand(self, errand: Errand, observation: Observation) -> Decision:
        target = errand.target(observation)
        heading = errand.heading(observation, target)
        action = Action.STOP if heading is None else action_towards(observation, heading)
        if action is Action.FORWARD:
            errand.leave(observation, observation.heading_deg)
        return Decision(action, self._walk.instruction.text, float(target is not None), errand.recalled)

    def _stop(self) -> Decision:
        walk, turns = self._walk, self._turns
        met, missed = walk.named_landmarks()
        self.signs = np.array([
            np.log(np.maximum(turns, 1e-6)).sum(), min(turns, default=1.0), *self._stop_chances,
            len(walk.instruction.goals) - 1 - walk.goal, met / max(met + missed, 1), missed,
            len(walk.instruction.goals),
        ])  # fmt: skip
        confidence = self._model.confidence(self.signs)
        return self._decide(Action.STOP, confidence, confidence < self._lost_below)

    def _decide(self, action: Action, confidence: float | None = None, lost: bool = False) -> Decision:
        sure = float(np.prod(self._turns)) if confidence is None else confidence
        return Decision(action, self._walk.instruction.clause(self._walk.goal), sure, self._walk.recalled, lost)


def action_towards(observation: Observation, heading_deg: float) -> Action:
    """The action that leads along the way nearest to a heading: a step forward where one faces it, else a turn."""
    if not observation.ways_deg:
        return Action.STOP
    way = min(observation.ways_deg, key=lambda other: abs(angle_between_deg(heading_deg, other)))
    if way == observation.heading_deg:
        return Action.FORWARD
    if way == observation.back_deg:
        return Action.TURN_AROUND
    onward = ways_onward(observation.ways_deg, observation.back_deg)
    if len(observation.ways_deg) < 3 or way not in (onward[0], onward[-1]):
        return Action.LEFT if angle_between_deg(observation.heading_deg, way) < 0 else Action.RIGHT
    return Action.LEFT if way == onward[0] else Action.RIGHT
