# SPDX-FileCopyrightText: The Mem4Nav stack developers
# SPDX-License-Identifier: Apache-2.0
"""How an instruction begins: on the way that one faces, or on the one behind."""

from __future__ import annotations

from mem4nav.modular.subgoals import Instruction
from mem4nav.modular.words import stems_of

_ABOUT = tuple(
    stems_of(words)
    for words in (
        "turn around", "turning around", "turn round", "turning round", "u turn", "the opposite way",
        "against traffic", "against the traffic", "against the flow", "against flow",
    )
)  # fmt: skip
_ENDS = frozenset((".", ";", "!", "?", "left", "right"))
_VIEWS = (("so",), ("and", "face"), ("to", "face"), ("until",))


def begins_behind(instruction: Instruction) -> bool:
    """Whether one is told to turn around before the first step.

    "Turn around so that the bank is on your left" does not say so: it tells what one sees when one stands right, and
    whoever is given directions mostly does.
    """
    stems = [word.stem for word in instruction.words]
    end = next((at for at, stem in enumerate(stems) if stem in _ENDS), len(stems))
    for at in range(end):
        for about in _ABOUT:
            after = at + len(about)
            if tuple(stems[at:after]) == about and after <= end:
                return not any(tuple(stems[after : after + len(view)]) == view for view in _VIEWS)
    return False
