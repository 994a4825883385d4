# SPDX-FileCopyrightText: The Mem4Nav stack developers
# SPDX-License-Identifier: Apache-2.0
"""Fitting the policies: which way at a crossing, which place of the walk is the goal, whether to stop here."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray
from torch import nn

from mem4nav.backbones.training import TrainingConfig, train
from mem4nav.modular.lessons import Rows, padded
from mem4nav.modular.policy import Policy


@dataclass(frozen=True, slots=True)
class FitConfig:
    """How the policies are fitted.

    Attributes:
        networks: in each ensemble.
        hidden: width of both hidden layers.
        dropout: of the hidden layers.
        unseen: dropout of the numbers that the stops' policy sees.
        epochs: for the turns, the stops and the halts.
        exact: share of the stops' loss that asks for the goal itself; the rest is content with one hop from it.
    """

    networks: int = 5
    hidden: int = 64
    dropout: float = 0.3
    unseen: float = 0.2
    turn_epochs: int = 12
    stop_epochs: int = 14
    halt_epochs: int = 6
    exact: float = 0.6


def fit_turns(rows: Rows, config: FitConfig, seed: int) -> Policy:
    """Which of the ways at a crossing is taken: cross entropy over the choices."""
    values, there = padded(rows.turns)
    right = torch.tensor([taken for _, taken in rows.turns])

    def loss(logits: torch.Tensor, chosen: torch.Tensor) -> torch.Tensor:
        return nn.functional.cross_entropy(logits, right[chosen], reduction="none")

    return _ensemble(values, there, loss, config.turn_epochs, config, seed)


def fit_stops(rows: Rows, config: FitConfig, seed: int) -> Policy:
    """Which of the places walked is the goal, or that it lies ahead; a hop beside it counts as the goal in part."""
    values, there = padded(rows.stops)
    right = torch.tensor([goal for _, goal in rows.stops])
    last = torch.tensor(there.sum(axis=1) - 1)
    places = torch.arange(values.shape[1])[None]
    beside = ((places - right[:, None]).abs() <= 1) & (places < last[:, None])
    beside = torch.where((right == last)[:, None], places == last[:, None], beside)

    def loss(logits: torch.Tensor, chosen: torch.Tensor) -> torch.Tensor:
        logs = logits.log_softmax(dim=1)
        near = torch.logsumexp(logs.masked_fill(~beside[chosen], -1e9), dim=1)
        exact = logs.gather(1, right[chosen][:, None])[:, 0]
        return -(1.0 - config.exact) * near - config.exact * exact

    return _ensemble(values, there, loss, config.stop_epochs, config, seed, config.unseen)


def fit_halts(rows: Rows, config: FitConfig, seed: int) -> Policy:
    """Whether a place is within a hop of the goal, by what is known there."""
    values = np.array([row for row, _ in rows.halts])[:, None]
    right = torch.tensor([float(abs(hops) <= 1) for _, hops in rows.halts])

    def loss(logits: torch.Tensor, chosen: torch.Tensor) -> torch.Tensor:
        return nn.functional.binary_cross_entropy_with_logits(logits[:, 0], right[chosen], reduction="none")

    return _ensemble(values, np.ones(values.shape[:2], np.bool_), loss, config.halt_epochs, config, seed)


class _Objective(nn.Module):
    def __init__(self, values: torch.Tensor, there: torch.Tensor, loss, config: FitConfig, unseen: float) -> None:
        super().__init__()
        hidden, dropout = config.hidden, config.dropout
        self.network = nn.Sequential(
            nn.Dropout(unseen),
            nn.Linear(values.shape[2], hidden), nn.ReLU(), nn.Dropout(dropout),
            nn.Linear(hidden, hidden), nn.ReLU(), nn.Dropout(dropout),
            nn.Linear(hidden, 1),
        )  # fmt: skip
        self._values, self._there, self._loss = values, there, loss

    def forward(self, examples: Sequence[int]) -> torch.Tensor:
        chosen = torch.as_tensor(list(examples))
        logits = self.network(self._values[chosen])[..., 0].masked_fill(~self._there[chosen], -1e9)
        return self._loss(logits, chosen)


def _ensemble(
    values: NDArray[np.float32],
    there: NDArray[np.bool_],
    loss,
    epochs: int,
    config: FitConfig,
    seed: int,
    unseen: float = 0.0,
) -> Policy:
    mean, scale = values[there].mean(axis=0), values[there].std(axis=0) + np.float32(1e-2)
    normal = torch.tensor((values - mean) / scale)
    networks = []
    for number in range(config.networks):
        torch.manual_seed(seed * 1000 + number)
        objective = _Objective(normal, torch.tensor(there), loss, config, unseen)
        schedule = TrainingConfig(
            epochs=epochs, batch=64, learning_rate=2e-3, weight_decay=0.01, seed=seed * 1000 + number
        )
        train(objective, range(len(values)), schedule, device="cpu")
        networks.append([layer for layer in objective.network if isinstance(layer, nn.Linear)])
    weights = tuple(_stacked([own[k].weight.T for own in networks]) for k in range(3))
    biases = tuple(_stacked([own[k].bias[None] for own in networks]) for k in range(3))
    return Policy(mean, scale, weights, biases)


def _stacked(tensors: Sequence[torch.Tensor]) -> NDArray[np.float32]:
    return np.stack([tensor.detach().numpy() for tensor in tensors]).astype(np.float32)
