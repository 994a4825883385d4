# SPDX-FileCopyrightText: The Mem4Nav stack developers
# SPDX-License-Identifier: Apache-2.0
"""The training loop of every network here: AdamW, a cosine with warm-up, clipped gradients; resumable; on many GPUs.

Started by torchrun (WORLD_SIZE above 1) each process takes its share of every batch and gradients are averaged, so
that any number of processes makes the steps that one would make.
"""

from __future__ import annotations

import logging
import math
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import distributed, nn

from detection.learning.processes import Processes, processes
from detection.learning.steps import rate_of_step, seeded, set_rate
from mem4nav.backbones.training_checkpoint import load_checkpoint, save_checkpoint
from mem4nav.errors import BackboneError

logger = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class TrainingConfig:
    """How long and how fast a network learns.

    Attributes:
        epochs: times that every example is seen.
        batch: examples a step, over all processes.
        learning_rate: after the warm-up; from there it falls as a half cosine to 0.
        weight_decay: of AdamW.
        warmup: share of the steps in which the learning rate rises from 0.
        clip: gradients longer than this are shortened to it.
        precision: "float32"; or "bfloat16", in which layers compute then while weights stay as they are.
        seed: of the order of examples and of what is random in the objective.
        save_every: steps between checkpoints; the last step is always saved.
    """

    epochs: int = 10
    batch: int = 32
    learning_rate: float = 1e-4
    weight_decay: float = 0.01
    warmup: float = 0.05
    clip: float = 1.0
    precision: str = "float32"
    seed: int = 0
    save_every: int = 200


def train(
    objective: nn.Module,
    examples: Sequence[Any],
    config: TrainingConfig,
    checkpoint: Path | None = None,
    device: str | None = None,
) -> list[float]:
    """Fit the parameters of ``objective`` that ask for gradients; goes on from ``checkpoint`` where that is there.

    Args:
        objective: called with a list of n examples, gives their (n,) losses.
        examples: at least one for each process.
        config: see there.
        checkpoint: safetensors file, written aside and renamed; None: nothing is kept.
        device: "cpu", "cuda"; None: a GPU where there is one.

    Returns:
        The mean loss of each step, those before the checkpoint too. A training that was broken off and goes on ends
        with the same weights, bit for bit, as one that was not, on the same machine.

    Raises:
        BackboneError: where the loss is no longer finite, there are too few examples, or the checkpoint is of another
            training.
    """
    if config.precision not in ("float32", "bfloat16"):
        raise BackboneError(f"the precision is float32 or bfloat16, not {config.precision!r}")
    with processes(device) as at:
        if len(examples) < at.count:
            raise BackboneError(f"{len(examples)} examples are too few for {at.count} processes")
        return _Training(objective, examples, config, at).run(checkpoint)


class _Training:
    def __init__(self, objective: nn.Module, examples: Sequence[Any], config: TrainingConfig, at: Processes) -> None:
        self._objective = objective.to(at.device).train()
        self._called = at.averaging(self._objective)
        self._learnt = {name: p for name, p in objective.named_parameters() if p.requires_grad}
        self._examples, self._config, self._at = examples, config, at
        self._optimiser = torch.optim.AdamW(
            self._learnt.values(), lr=config.learning_rate, weight_decay=config.weight_decay
        )
        least = max(math.ceil(len(examples) / config.batch), 1)
        self._batches = min(least, len(examples) // at.count)
        self._steps = config.epochs * self._batches

    def run(self, checkpoint: Path | None) -> list[float]:
        losses: list[float] = []
        if checkpoint is not None and Path(checkpoint).exists():
            losses = load_checkpoint(checkpoint, self._learnt, self._optimiser, self._config, len(self._examples))
            logger.info("%s: goes on after step %d of %d", checkpoint, len(losses), self._steps)
        for step in range(len(losses), self._steps):
            losses.append(self._step(step))
            due = (step + 1) % self._config.save_every == 0 or step + 1 == self._steps
            if checkpoint is not None and due and self._at.rank == 0:
                save_checkpoint(checkpoint, self._learnt, self._optimiser, self._config, len(self._examples), losses)
            if (step + 1) % self._batches == 0:
                logger.info("epoch %d: loss %.4f", (step + 1) // self._batches, np.mean(losses[-self._batches :]))
        return losses

    def _step(self, step: int) -> float:
        batch = self._batch(step)
        rate = self._config.learning_rate * rate_of_step(step, self._steps, self._config.warmup)
        set_rate(self._optimiser, rate)
        self._optimiser.zero_grad(set_to_none=True)
        loss = self._loss(batch, step)
        (loss * self._at.count).backward()
        total = loss.detach().clone()
        if self._at.count > 1:
            distributed.all_reduce(total)
        if not torch.isfinite(total):
            raise BackboneError(
                f"the loss is {float(total)} at step {step + 1} of {self._steps}: a learning rate of "
                f"{self._config.learning_rate:g} may be too high"
            )
        nn.utils.clip_grad_norm_(self._learnt.values(), self._config.clip)
        self._optimiser.step()
        return float(total)

    def _loss(self, batch: list[int], step: int) -> torch.Tensor:
        """This process's share of the batch's mean loss."""
        own = [self._examples[row] for row in batch[self._at.rank :: self._at.count]]
        device, half = self._at.device, self._config.precision == "bfloat16"
        with seeded(self._config.seed, step, self._at.rank), torch.autocast(device.type, torch.bfloat16, enabled=half):
            return self._called(own).float().sum() / len(batch)

    def _batch(self, step: int) -> list[int]:
        """Rows of the step's batch; an epoch's batches differ by one example at most."""
        epoch, number = divmod(step, self._batches)
        order = np.random.default_rng((self._config.seed, epoch)).permutation(len(self._examples))
        return np.array_split(order, self._batches)[number].tolist()
