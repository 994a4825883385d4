# SPDX-FileCopyrightText: The Mem4Nav stack developers
# SPDX-License-Identifier: Apache-2.0
"""One file that a training goes on from: weights, their average, AdamW's moments; the rest as JSON in its header."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass
from pathlib import Path

import torch
from torch import Tensor, nn

from detection.config import TrainConfig
from detection.errors import CheckpointError
from detection.learning.checkpoint import differences, moments_of, put_moments, read_checkpoint, write_checkpoint
from detection.statistics import Inputs
from slam.config import to_dict


@dataclass(slots=True)
class Progress:
    """Where a training stands.

    Attributes:
        step: optimiser steps that were made.
        seconds: that they took, all parts of a training that was broken off together.
        inputs: the first samples in numbers, as they came, before augmentation.
    """

    step: int
    seconds: float
    inputs: list[Inputs]


class Average:
    """A moving average of a network's weights and running means; young, it forgets faster."""

    def __init__(self, model: nn.Module, decay: float) -> None:
        self.decay = decay
        self.tensors = {name: tensor.detach().clone() for name, tensor in model.state_dict().items()}

    @torch.no_grad()
    def update(self, model: nn.Module, step: int) -> None:
        """Take in the weights after optimiser step ``step``, from 0."""
        decay = min(self.decay, (1.0 + step) / (10.0 + step))
        for name, tensor in model.state_dict().items():
            if tensor.is_floating_point():
                self.tensors[name].lerp_(tensor, 1.0 - decay)
            else:
                self.tensors[name].copy_(tensor)


def save_checkpoint(
    path: Path,
    model: nn.Module,
    average: Average,
    optimiser: torch.optim.Optimizer,
    config: TrainConfig,
    progress: Progress,
) -> None:
    """Write all that the training needs to go on as if it had not been broken off."""
    tensors = {f"weight/{name}": tensor for name, tensor in model.state_dict().items()}
    tensors |= {f"average/{name}": tensor for name, tensor in average.tensors.items()}
    tensors |= moments_of(optimiser, dict(model.named_parameters()))
    write_checkpoint(path, tensors, {"config": to_dict(config), "progress": asdict(progress)})


def load_checkpoint(
    path: Path, model: nn.Module, average: Average, optimiser: torch.optim.Optimizer, config: TrainConfig
) -> Progress:
    """Put weights, average and moments back.

    Raises:
        CheckpointError: the file is missing, damaged, or of another network or training.
    """
    state, tensors = read_checkpoint(path)
    try:
        stored, standing = state["config"], state["progress"]
        progress = Progress(**{**standing, "inputs": [Inputs(**row) for row in standing["inputs"]]})
    except (KeyError, TypeError) as error:
        raise CheckpointError(f"{path} is no checkpoint of a detector's training: {error!r}") from error
    if other := differences(stored, to_dict(config)):
        raise CheckpointError(f"{path} is of another training: {'; '.join(other)}; train in another folder")
    try:
        model.load_state_dict(_under("weight/", tensors))
    except RuntimeError as error:
        raise CheckpointError(f"{path} is of another network: {error}") from error
    for name, tensor in average.tensors.items():
        tensor.copy_(tensors[f"average/{name}"])
    put_moments(optimiser, dict(model.named_parameters()), tensors)
    return progress


def _under(prefix: str, tensors: Mapping[str, Tensor]) -> dict[str, Tensor]:
    return {name.removeprefix(prefix): tensor for name, tensor in tensors.items() if name.startswith(prefix)}
