# SPDX-FileCopyrightText: The Mem4Nav stack developers
# SPDX-License-Identifier: Apache-2.0
"""Walks as the mllm backbone reads them: while they are walked, from demonstrations, and many side by side."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from mem4nav.backbones.mllm_features import ObservationFeatures
from mem4nav.backbones.mllm_network import ACTIONS, Walks
from mem4nav.backbones.remembering import Remembering
from mem4nav.backbones.words import Remembered, plain
from mem4nav.demonstration import Demonstration
from mem4nav.environment import Action, Observation

MOST_STEPS = 64
LONGEST_INSTRUCTION = 8000


@dataclass(slots=True)
class Walk:
    """One instruction and the steps since it was begun; of more than MOST_STEPS, the newest.

    Attributes:
        instruction: token ids.
        seen: (K, F) rows of each step.
        remembered: (M, F) rows of each step.
        done: index of the action taken at each step; where the walk goes on, one step less.
    """

    instruction: Tensor
    seen: list[NDArray[np.float32]] = field(default_factory=list)
    remembered: list[NDArray[np.float32]] = field(default_factory=list)
    done: list[int] = field(default_factory=list)

    def see(self, observation: Observation, memories: Sequence[Remembered], features: ObservationFeatures) -> None:
        """The next place, and what memory returned there."""
        self.seen.append(features.seen(observation))
        self.remembered.append(features.remembered(memories, observation))
        if len(self.seen) > MOST_STEPS:
            del self.seen[0], self.remembered[0], self.done[0]

    def do(self, action: Action) -> None:
        """What was done there."""
        self.done.append(ACTIONS.index(action))


def begin_walk(instruction: str, tokenizer: Any, most_tokens: int) -> Walk:
    """A walk of no steps; a long instruction loses its end, so that the language model has room for the steps."""
    tokens = tokenizer(plain(instruction, LONGEST_INSTRUCTION))["input_ids"][: max(most_tokens - MOST_STEPS, 1)]
    return Walk(torch.tensor(tokens or [0]))


def walks_of(
    demonstrations: Iterable[Demonstration],
    remembering: Remembering,
    features: ObservationFeatures,
    tokenizer: Any,
    most_tokens: int,
) -> Iterator[Walk]:
    """Each demonstration as a walk with what memory returned along it; one of more than MOST_STEPS as several."""
    for demonstration in demonstrations:
        if not demonstration.remembers:
            remembering.forget()
        remembering.begin(demonstration.instruction)
        walk = begin_walk(demonstration.instruction, tokenizer, most_tokens)
        for observation, action in zip(demonstration.observations, demonstration.actions, strict=True):
            if len(walk.done) == MOST_STEPS:
                yield walk
                walk = Walk(walk.instruction)
            walk.see(observation, remembering.step(observation), features)
            walk.do(action)
        yield walk


def together(walks: Sequence[Walk], device: torch.device) -> Walks:
    """Walks side by side, padded at their ends."""
    steps = max(len(walk.seen) for walk in walks)
    seen, is_seen = _padded([walk.seen for walk in walks], steps)
    remembered, is_remembered = _padded([walk.remembered for walk in walks], steps)
    done = np.full((len(walks), steps), -1)
    for row, walk in zip(done, walks, strict=True):
        row[: len(walk.done)] = walk.done
    numbers = (torch.from_numpy(a).to(device) for a in (seen, is_seen, remembered, is_remembered, done))
    return Walks([walk.instruction for walk in walks], *numbers)


def _padded(
    walks: Sequence[Sequence[NDArray[np.float32]]], steps: int
) -> tuple[NDArray[np.float32], NDArray[np.bool_]]:
    """(B, T, N, F) rows and (B, T, N) which of them are there; N is that of the longest, at least 1."""
    most = max(1, max(len(rows) for walk in walks for rows in walk))
    padded = np.zeros((len(walks), steps, most, walks[0][0].shape[1]), np.float32)
    there = np.zeros(padded.shape[:3], bool)
    for b, walk in enumerate(walks):
        for t, rows in enumerate(walk):
            padded[b, t, : len(rows)] = rows
            there[b, t, : len(rows)] = True
    return padded, there
