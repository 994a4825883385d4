# SPDX-FileCopyrightText: The Mem4Nav stack developers
# SPDX-License-Identifier: Apache-2.0
"""One file that a training goes on from: weights, their average, AdamW's moments; the rest as JSON in its header."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from pathlib import Path

import torch
from safetensors import SafetensorError, safe_open
from safetensors.torch import save
from torch import Tensor, nn

from detection.config import TrainConfig
from detection.errors import CheckpointError
from detection.statistics import Inputs
from slam.config import to_dict
from slam.files import write_bytes

MOMENTS = ("exp_avg", "exp_avg_sq", "step")


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
    for name, parameter in model.named_parameters():
        for moment, value in optimiser.state.get(parameter, {}).items():
            tensors[f"{moment}/{name}"] = value
    state = {"config": _plain(config), "progress": asdict(progress)}
    stored = {name: tensor.detach().cpu().contiguous() for name, tensor in tensors.items()}
    write_bytes(path, save(stored, {"state": json.dumps(state)}))


def load_checkpoint(
    path: Path, model: nn.Module, average: Average, optimiser: torch.optim.Optimizer, config: TrainConfig
) -> Progress:
    """Put weights, average and moments back.

    Raises:
        CheckpointError: the file is missing, damaged, or of another network or training.
    """
    try:
        with safe_open(path, "pt") as file:
            state = json.loads(file.metadata()["state"])
            tensors = {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118
        progress = Progress(**{**state["progress"], "inputs": [Inputs(**row) for row in state["progress"]["inputs"]]})
    except (SafetensorError, OSError, ValueError, KeyError, TypeError) as error:
        raise CheckpointError(f"{path} is no checkpoint of a training: {error}") from error
    if other := _differing(state["config"], _plain(config)):
        raise CheckpointError(f"{path} is of another training: {'; '.join(other)}; train in another folder")
    try:
        model.load_state_dict(_under("weight/", tensors))
    except RuntimeError as error:
        raise CheckpointError(f"{path} is of another network: {error}") from error
    for name, tensor in average.tensors.items():
        tensor.copy_(tensors[f"average/{name}"])
    for name, parameter in model.named_parameters():
        moments = {m: tensors[f"{m}/{name}"] for m in MOMENTS if f"{m}/{name}" in tensors}
        if moments:
            on = parameter.device
            optimiser.state[parameter] = {m: v if m == "step" else v.to(on) for m, v in moments.items()}
    return progress


def _under(prefix: str, tensors: Mapping[str, Tensor]) -> dict[str, Tensor]:
    return {name.removeprefix(prefix): tensor for name, tensor in tensors.items() if name.startswith(prefix)}


def _plain(config: TrainConfig) -> dict:
    return json.loads(json.dumps(to_dict(config)))


def _differing(stored: Mapping, now: Mapping, path: str = "") -> list[str]:
    """What two configurations differ in, a phrase each."""
    found = []
    for key in sorted({*stored, *now}):
        then, here = stored.get(key), now.get(key)
        if isinstance(then, dict) and isinstance(here, dict):
            found += _differing(then, here, f"{path}{key}.")
        elif then != here:
            found.append(f"{path}{key} was {then!r}, is {here!r}")
    return found
