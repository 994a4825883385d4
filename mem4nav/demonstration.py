# SPDX-FileCopyrightText: The Mem4Nav stack developers
# SPDX-License-Identifier: Apache-2.0
"""What backbones learn from: instructions that were followed right."""

from __future__ import annotations

from dataclasses import dataclass

from mem4nav.environment import Action, Observation
from mem4nav.errors import BackboneError


@dataclass(frozen=True, slots=True)
class Demonstration:
    """One instruction, what was seen on the way that it describes, and what was done there.

    Attributes:
        instruction: the written directions.
        observations: what was seen before each action.
        actions: as many; the last is STOP.
        remembers: this happens in the town of the demonstration before it, which is still remembered; else in an
            unknown one.

    Raises:
        BackboneError: where observations and actions do not fit together.
    """

    instruction: str
    observations: tuple[Observation, ...]
    actions: tuple[Action, ...]
    remembers: bool = False

    def __post_init__(self) -> None:
        if len(self.observations) != len(self.actions) or not self.actions:
            raise BackboneError(
                f"a demonstration needs one action for each observation: {len(self.observations)} observations, "
                f"{len(self.actions)} actions"
            )
        if self.actions[-1] is not Action.STOP:
            raise BackboneError(f"a demonstration ends with stop, this one with {self.actions[-1].value}")
