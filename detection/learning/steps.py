# SPDX-FileCopyrightText: The Mem4Nav stack developers
# SPDX-License-Identifier: Apache-2.0
"""What an optimiser step is given: its learning rate (Loshchilov and Hutter, ICLR 2017), and randomness of its own."""

from __future__ import annotations

import contextlib
import math
from collections.abc import Iterator

import torch


def rate_at(share: float, warm_up: float) -> float:
    """Share of the highest learning rate after a share of the training: a straight rise, then half a cosine to 0.

    Args:
        share: 0 to 1, of steps or of time; beyond 1 the rate is 0.
        warm_up: share of the training in which the rate rises from 0.
    """
    if share < warm_up:
        return share / warm_up
    return _half_cosine(min((share - warm_up) / max(1.0 - warm_up, 1e-9), 1.0))


def rate_of_step(step: int, steps: int, warm_up: float) -> float:
    """Likewise for a training of whole steps: the rise takes at least one, and no step, from 0, has the rate 0."""
    rising = max(1, round(warm_up * steps))
    if step < rising:
        return (step + 1) / rising
    return _half_cosine((step - rising) / max(1, steps - rising))


def set_rate(optimiser: torch.optim.Optimizer, rate: float) -> None:
    """Learn at this rate from now on."""
    for group in optimiser.param_groups:
        group["lr"] = rate


@contextlib.contextmanager
def seeded(seed: int, step: int, rank: int) -> Iterator[None]:
    """Within, PyTorch draws what a step of a process draws each time; outside, as if nothing had been drawn."""
    with torch.random.fork_rng():
        torch.manual_seed(hash((seed, step, rank)) & 0x7FFFFFFF)
        yield


def _half_cosine(share: float) -> float:
    return 0.5 * (1.0 + math.cos(math.pi * share))
