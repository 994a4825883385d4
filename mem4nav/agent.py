# SPDX-FileCopyrightText: The Mem4Nav stack developers
# SPDX-License-Identifier: Apache-2.0
"""What every agent is, whichever backbone decides for it."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Protocol

from mem4nav.environment import Action, Observation


@dataclass(frozen=True, slots=True)
class Decision:
    """One step of an agent, and why.

    Attributes:
        action: what to do.
        clause: the part of the instruction that it follows, as written there; "" where it follows none.
        confidence: on STOP, the agent's own estimate that this is the goal, in [0, 1]; else how sure of the action.
        recalled: labels of what memory returned for this step, best first.
        lost: the agent says that it does not know where the goal is (then the action is STOP).
    """

    action: Action
    clause: str = ""
    confidence: float = 0.0
    recalled: tuple[str, ...] = field(default=())
    lost: bool = False


class Agent(Protocol):
    """Follows one instruction after another; what it remembers in between lies in its memory."""

    def begin(self, instruction: str, first: Observation) -> None:
        """Take a new instruction at the place where ``first`` was seen; memory stays as it is."""
        ...

    def act(self, observation: Observation) -> Decision:
        """The next action. The first call gets the observation that ``begin`` got."""
        ...

    def forget(self) -> None:
        """Empty the memory: what comes next happens in an unknown place."""
        ...
