# SPDX-FileCopyrightText: The Mem4Nav stack developers
# SPDX-License-Identifier: Apache-2.0
"""Fitting the policies: which way at a crossing, which place of the walk is the goal, whether to stop here."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from itertools import pairwise

import numpy as np
import torch
from numpy.typing import NDArray
from torch import nn

from mem4nav.backbones.training import TrainingConfig, train
from mem4nav.modular.lessons import Rows, padded
from mem4nav.modular.policy import Policy

_HALTS_APART = 3


@dataclass(frozen=True, slots=True)
class FitConfig:
    """How the policies are fitted.

    Attributes:
        networks: in each ensemble.
        turn_hidden, stop_hidden: width of both hidden layers, of the turns' networks and of the stops' and halts'.
        dropout: of the hidden layers.
        unseen, halt_unseen: share of an example's numbers that a network does not see, others each time; of the halts',
            which have to tell a place from its neighbours, one after another.
        turn_epochs: for the turns.
        stop_epochs: for the stops and the halts.
        exact: share of the stops' loss that asks for the goal itself; the rest is content with one hop from it.
    """

    networks: int = 5
    turn_hidden: int = 128
    stop_hidden: int = 64
    dropout: float = 0.3
    unseen: float = 0.35
    halt_unseen: float = 0.05
    turn_epochs: int = 24
    stop_epochs: int = 14
    exact: float = 0.6


def fit_turns(rows: Rows, config: FitConfig, seed: int) -> Policy:
    """Which of the ways at a crossing is taken: cross entropy over the choices."""
    values, there = padded(rows.turns)
    right = torch.tensor([taken for _, taken in rows.turns])

    def loss(logits: torch.Tensor, chosen: torch.Tensor) -> torch.Tensor:
        return nn.functional.cross_entropy(logits, right[chosen], reduction="none")

    return _ensemble(values, there, loss, config.turn_hidden, config.turn_epochs, config, seed)


def fit_stops(rows: Rows, config: FitConfig, seed: int) -> Policy:
    """Which of the places walked was the goal, or that it lies ahead, when the actions run out."""
    return _fit_places(rows.stops, config, seed)


def fit_halts(rows: Rows, config: FitConfig, seed: int) -> Policy:
    """The same at every place on the way; neighbours tell the same, so that some are left out."""
    return _fit_places(rows.halts[::_HALTS_APART], replace(config, unseen=config.halt_unseen), seed)


def _fit_places(walks: Sequence[tuple[NDArray[np.float32], int]], config: FitConfig, seed: int) -> Policy:
    """A hop beside the goal counts as the goal in part."""
    examples = [(places, len(places) - 2 - max(hops, -1)) for places, hops in walks]
    values, there = padded(examples)
    right = torch.tensor([goal for _, goal in examples])
    last = torch.tensor(there.sum(axis=1) - 1)
    places = torch.arange(values.shape[1])[None]
    beside = ((places - right[:, None]).abs() <= 1) & (places < last[:, None])
    beside = torch.where((right == last)[:, None], places == last[:, None], beside)

    def loss(logits: torch.Tensor, chosen: torch.Tensor) -> torch.Tensor:
        logs = logits.log_softmax(dim=1)
        near = torch.logsumexp(logs.masked_fill(~beside[chosen], -1e9), dim=1)
        exact = logs.gather(1, right[chosen][:, None])[:, 0]
        return -(1.0 - config.exact) * near - config.exact * exact

    return _ensemble(values, there, loss, config.stop_hidden, config.stop_epochs, config, seed)


class _Ensemble(nn.Module):
    """Networks of two hidden layers side by side, as one batched product, to learn: ``Policy`` is what they then say.

    Each overlooks numbers of its own, the same in all rows of an example.
    """

    def __init__(self, numbers: int, hidden: int, config: FitConfig) -> None:
        super().__init__()
        widths = (numbers, hidden, hidden, 1)
        self.weights, self.biases = nn.ParameterList(), nn.ParameterList()
        for before, after in pairwise(widths):
            bound = before**-0.5
            self.weights.append(torch.empty(config.networks, before, after).uniform_(-bound, bound))
            self.biases.append(torch.empty(config.networks, 1, after).uniform_(-bound, bound))
        self._unseen, self._dropout = config.unseen, config.dropout

    def forward(self, rows: torch.Tensor, examples: torch.Tensor) -> torch.Tensor:
        """(K, R): what each of K networks says of (R, F) rows, each of one of the (R,) examples."""
        networks, numbers = self.weights[0].shape[:2]
        seen = nn.functional.dropout(rows.new_ones(networks, int(examples.max()) + 1, numbers), self._unseen)
        values = rows * seen[:, examples]
        for layer, (weight, bias) in enumerate(zip(self.weights, self.biases, strict=True)):
            values = nn.functional.dropout(values.relu(), self._dropout) if layer else values
            values = torch.baddbmm(bias, values, weight)
        return values[..., 0]


class _Objective(nn.Module):
    def __init__(self, ensemble: _Ensemble, values: torch.Tensor, there: torch.Tensor, loss) -> None:
        super().__init__()
        self._ensemble, self._values, self._there, self._loss = ensemble, values, there, loss

    def forward(self, examples: Sequence[int]) -> torch.Tensor:
        """(N,) losses, the networks' added up: each is led by its own alone."""
        chosen = torch.as_tensor(list(examples))
        there = self._there[chosen]
        said = self._ensemble(self._values[chosen][there], there.nonzero()[:, 0])
        logits = said.new_full((len(said), *there.shape), -1e9).masked_scatter(there.expand(len(said), -1, -1), said)
        return torch.stack([self._loss(own, chosen) for own in logits]).sum(dim=0)


def _ensemble(
    values: NDArray[np.float32],
    there: NDArray[np.bool_],
    loss,
    hidden: int,
    epochs: int,
    config: FitConfig,
    seed: int,
) -> Policy:
    mean, scale = values[there].mean(axis=0), values[there].std(axis=0) + np.float32(1e-2)
    torch.manual_seed(seed)
    networks = _Ensemble(values.shape[2], hidden, config)
    objective = _Objective(networks, torch.tensor((values - mean) / scale), torch.tensor(there), loss)
    schedule = TrainingConfig(
        epochs=epochs, batch=64, learning_rate=2e-3, weight_decay=0.01, clip=config.networks**0.5, seed=seed
    )
    train(objective, range(len(values)), schedule, device="cpu")
    return Policy(mean, scale, _arrays(networks.weights), _arrays(networks.biases))


def _arrays(tensors: Iterable[torch.Tensor]) -> tuple[NDArray[np.float32], ...]:
    return tuple(tensor.detach().numpy().astype(np.float32) for tensor in tensors)
