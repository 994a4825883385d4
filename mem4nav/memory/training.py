# SPDX-FileCopyrightText: The Mem4Nav stack developers
# SPDX-License-Identifier: Apache-2.0
"""Training of reversible tokens: what was written k writes ago is to be read from the token alone.

The cycle loss of the paper, ||v - R^-1(R([theta ; v]))||, is zero for any weights, since R is invertible. What can be
asked is that R^-1 finds v again when r is not at hand: here r is guessed from theta (``Reader.residual``).
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import torch
from torch import Tensor, nn
from torch.nn.functional import cosine_similarity

from mem4nav.memory.reversible import Reversible

AGES = (1, 2, 3, 4, 6, 8, 12, 16, 24, 32, 48, 64)
"""k: 1 is the last write."""


@dataclass(frozen=True, slots=True)
class TrainingConfig:
    """Of one training.

    Attributes:
        steps: of AdamW.
        batch: places written to at once.
        writes: at each of them, by turns: a step trains the ages up to its number of writes.
        rate: highest learning rate; 5 % warm-up, then cosine.
        cycle: weight of the cycle loss; 0 leaves it out.
        seed: of the reader's first weights.
    """

    steps: int = 120
    batch: int = 256
    writes: tuple[int, ...] = (6, 18, 66)
    rate: float = 1e-2
    cycle: float = 0.0
    seed: int = 0


class Reader(nn.Module):
    """What is read from a token alone: v of k writes ago for each age, and a guess of r."""

    def __init__(self, dimension: int, seed: int = 0) -> None:
        super().__init__()
        with torch.random.fork_rng(devices=[]):
            torch.manual_seed(seed)
            self.ages = nn.Linear(dimension, len(AGES) * dimension)
            self.residual = nn.Linear(dimension, dimension)

    def forward(self, theta: Tensor) -> Tensor:
        """(N, D) tokens to (N, ages, D)."""
        return self.ages(theta).view(len(theta), len(AGES), -1)


def tokens(network: Reversible, sequences: Tensor) -> Tensor:
    """(N, T, D) observations to the (N, T, D) tokens after each of them."""
    theta, all_of_them = torch.zeros_like(sequences[:, 0]), []
    for v in sequences.unbind(1):
        theta, _ = network(theta, v)
        all_of_them.append(theta)
    return torch.stack(all_of_them, 1)


def train(network: Reversible, sample: Callable[[int, int], Tensor], config: TrainingConfig) -> Reader:
    """Train the network in place and the reader that comes back with it.

    Args:
        sample: (places, writes) to (places, writes, D) unit vectors, new ones at each call.
    """
    reader = Reader(network.config.dimension, config.seed)
    parameters = [*network.parameters(), *reader.parameters()]
    optimiser = torch.optim.AdamW(parameters, config.rate, weight_decay=0.01)
    schedule = torch.optim.lr_scheduler.OneCycleLR(optimiser, config.rate, config.steps, pct_start=0.05)
    for step in range(config.steps):
        optimiser.zero_grad()
        sequences = sample(config.batch, config.writes[step % len(config.writes)])
        loss(network, reader, sequences, config.cycle).backward()
        nn.utils.clip_grad_norm_(parameters, 1.0)
        optimiser.step()
        schedule.step()
    return reader


def loss(network: Reversible, reader: Reader, sequences: Tensor, cycle: float) -> Tensor:
    """Mean over ages of 1 - cosine of what is read with what was written, and the weighted cycle loss."""
    theta = tokens(network, sequences)
    ages = [k for k in AGES if k <= sequences.shape[1]]
    written = torch.stack([sequences[:, -k] for k in ages], 1)
    total = 1.0 - cosine_similarity(reader(theta[:, -1])[:, : len(ages)], written, dim=-1).mean()
    return total + cycle * cycle_loss(network, reader, theta, sequences) if cycle else total


def cycle_loss(network: Reversible, reader: Reader, theta: Tensor, sequences: Tensor) -> Tensor:
    """How far R^-1([theta ; guessed r]) is from the observation and the token before it: 1 - cosine of each, summed."""
    after, before, v = theta[:, 1:].flatten(0, 1), theta[:, :-1].flatten(0, 1), sequences[:, 1:].flatten(0, 1)
    old, found = network.inverse(after, reader.residual(after))
    cosines = cosine_similarity(found, v, dim=-1).mean() + cosine_similarity(old, before, dim=-1).mean()
    return 2.0 - cosines
