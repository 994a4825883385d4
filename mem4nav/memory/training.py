# SPDX-FileCopyrightText: The Mem4Nav stack developers
# SPDX-License-Identifier: Apache-2.0
"""Training of reversible tokens: what was written k writes ago is to be read from the token alone.

The cycle loss of the paper, ||v - R^-1(R([theta ; v]))||, is zero for any weights, since R is invertible. What can be
asked is that R^-1 finds v again when r is not at hand: here r is guessed from theta (``Reader.residual``).
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass

import torch
from torch import Tensor, nn
from torch.nn.functional import cosine_similarity, gelu

from mem4nav.memory.reversible import Reversible

OLDEST = 64
"""Writes ago: the scale of the ages that a reader is told."""


@dataclass(frozen=True, slots=True)
class TrainingConfig:
    """Of one training.

    Attributes:
        steps: of AdamW.
        batch: places written to at once.
        writes: at each of them, by turns: a step trains the ages up to its number of writes.
        rate: highest learning rate; 5 % warm-up, then cosine.
        cycle: weight of the cycle loss; 0 leaves it out.
        seed: of the reader's first weights and of the ages that are asked for.
    """

    steps: int = 300
    batch: int = 64
    writes: tuple[int, ...] = (16, 32, 66)
    rate: float = 5e-3
    cycle: float = 0.0
    seed: int = 0


class Reader(nn.Module):
    """What is read from a token alone: v of k writes ago, and a guess of r.

    The token is turned back by k, so that one network reads all ages; k tells it how much to trust what it sees.
    """

    def __init__(self, dimension: int, seed: int = 0, widen: int = 4) -> None:
        super().__init__()
        hidden = widen * dimension
        with torch.random.fork_rng(devices=[]):
            torch.manual_seed(seed)
            self.norm, self.age = nn.LayerNorm(dimension), nn.Linear(2, hidden)
            self.seen, self.read = nn.Linear(dimension, hidden), nn.Linear(hidden, dimension)
            self.residual = nn.Linear(dimension, dimension)

    def forward(self, theta: Tensor, ages: Tensor) -> Tensor:
        """(N, D) tokens and (N,) k, 1 for the last write, to the (N, D) observations of k writes ago."""
        places = torch.arange(theta.shape[1]) + ages[:, None] - 1
        back = theta.gather(1, places % theta.shape[1])
        age = ages.float().log() / math.log(OLDEST)
        return self.read(gelu(self.seen(self.norm(back)) + self.age(torch.stack([age, age * age], 1))))


def tokens(network: Reversible, sequences: Tensor) -> Tensor:
    """(N, T, D) observations to the (N, T, D) tokens after each of them."""
    theta, all_of_them = torch.zeros_like(sequences[:, 0]), []
    for v in sequences.unbind(1):
        theta, _ = network(theta, v)
        all_of_them.append(theta)
    return torch.stack(all_of_them, 1)


def train(network: Reversible, sample: Callable[[int, int], Tensor], config: TrainingConfig) -> Reader:
    """Train the network in place and the reader that comes back with it; of a frozen network, the reader alone.

    Args:
        sample: (places, writes) to (places, writes, D) unit vectors, new ones at each call.
    """
    reader, dice = Reader(network.config.dimension, config.seed), torch.Generator().manual_seed(config.seed)
    parameters = [p for p in (*network.parameters(), *reader.parameters()) if p.requires_grad]
    optimiser = torch.optim.AdamW(parameters, config.rate, weight_decay=0.01)
    schedule = torch.optim.lr_scheduler.OneCycleLR(optimiser, config.rate, config.steps, pct_start=0.05)
    for step in range(config.steps):
        optimiser.zero_grad()
        sequences = sample(config.batch, config.writes[step % len(config.writes)])
        loss(network, reader, sequences, config.cycle, dice).backward()
        nn.utils.clip_grad_norm_(parameters, 1.0)
        optimiser.step()
        schedule.step()
    return reader


def loss(network: Reversible, reader: Reader, sequences: Tensor, cycle: float, dice: torch.Generator) -> Tensor:
    """1 - cosine of what is read with what was written, mean over all tokens at one age each; weighted cycle loss.

    Ages are log-uniform, from the last write to the first.
    """
    theta = tokens(network, sequences)
    writes = torch.arange(1, sequences.shape[1] + 1)
    chosen = torch.rand(sequences.shape[:2], generator=dice)
    ages = torch.minimum((chosen * (writes + 1.0).log()).exp().long(), writes)
    written = sequences.gather(1, (writes - ages)[..., None].expand_as(sequences))
    read = reader(theta.flatten(0, 1), ages.flatten())
    total = 1.0 - cosine_similarity(read, written.flatten(0, 1), dim=-1).mean()
    return total + cycle * cycle_loss(network, reader, theta, sequences) if cycle else total


def cycle_loss(network: Reversible, reader: Reader, theta: Tensor, sequences: Tensor) -> Tensor:
    """How far R^-1([theta ; guessed r]) is from the observation and the token before it: 1 - cosine of each, summed."""
    after, before, v = theta[:, 1:].flatten(0, 1), theta[:, :-1].flatten(0, 1), sequences[:, 1:].flatten(0, 1)
    old, found = network.inverse(after, reader.residual(after))
    cosines = cosine_similarity(found, v, dim=-1).mean() + cosine_similarity(old, before, dim=-1).mean()
    return 2.0 - cosines
