# SPDX-FileCopyrightText: The Mem4Nav stack developers
# SPDX-License-Identifier: Apache-2.0
"""What the modular agent has learnt, and the file that holds it."""

from __future__ import annotations

import json
from dataclasses import asdict, dataclass
from pathlib import Path

import numpy as np
from safetensors import SafetensorError, safe_open
from safetensors.numpy import save

from mem4nav.errors import BackboneError
from mem4nav.memory import MemoryMode
from mem4nav.modular.confidence import Confidence
from mem4nav.modular.mentions import Rarity
from mem4nav.modular.policy import Policy
from slam.files import write_bytes

_FORMAT = "mem4nav modular agent 1"


@dataclass(frozen=True, slots=True)
class Settings:
    """What was chosen, not learnt.

    Attributes:
        memory: the mode that it was trained with.
        length_prior: whether the policies see how much of the longest route is walked.
        retrospect: whether it walks on past the goal to be sure of it, and turns back.
        halt_at: probability from which on it stops where it is, when it cannot turn back.
        seed: of the training.
        trained_on: in words, for results.
    """

    memory: str = MemoryMode.FULL.value
    length_prior: bool = True
    retrospect: bool = True
    halt_at: float = 0.5
    seed: int = 0
    trained_on: str = ""


@dataclass(frozen=True, slots=True)
class ModularModel:
    """The policies, how sure they make the agent, the words' rarity, and the settings.

    Attributes:
        turns: which way at a crossing.
        stops: which of the places walked was the goal, when the actions run out.
        halts: the same at each place on the way: one stops where the goal is likely to be here or a hop back.
        confidence: how sure the agent is.
        rarity: of words.
        settings: what was chosen.
    """

    turns: Policy
    stops: Policy
    halts: Policy
    confidence: Confidence
    rarity: Rarity
    settings: Settings

    def save(self, path: str | Path) -> Path:
        """Write a safetensors file, aside first and then renamed."""
        tensors = {**self.turns.tensors("turns"), **self.stops.tensors("stops"), **self.halts.tensors("halts")}
        tensors |= self.confidence.tensors()
        rarity = {"counts": self.rarity.counts, "documents": self.rarity.documents}
        words = {"format": _FORMAT, "settings": json.dumps(asdict(self.settings)), "rarity": json.dumps(rarity)}
        return write_bytes(path, save({name: np.ascontiguousarray(t) for name, t in tensors.items()}, words))


def load_model(path: str | Path) -> ModularModel:
    """Read a model.

    Raises:
        BackboneError: for a file that is not there, is damaged, or holds something else.
    """
    try:
        with safe_open(str(path), framework="numpy") as file:
            words = file.metadata() or {}
            tensors = {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118
        if words.get("format") != _FORMAT:
            raise BackboneError(f"{path} holds {words.get('format', 'no format')!r}, not {_FORMAT!r}")
        turns, stops, halts = [Policy.of_tensors(tensors, name) for name in ("turns", "stops", "halts")]
        confidence = Confidence.of_tensors(tensors)
        settings, rarity = Settings(**json.loads(words["settings"])), Rarity(**json.loads(words["rarity"]))
    except (OSError, SafetensorError, KeyError, TypeError, ValueError) as error:
        raise BackboneError(f"cannot read a modular agent from {path}: {error}") from None
    return ModularModel(turns, stops, halts, confidence, rarity, settings)
