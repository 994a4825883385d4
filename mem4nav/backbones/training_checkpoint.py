# SPDX-FileCopyrightText: The Mem4Nav stack developers
# SPDX-License-Identifier: Apache-2.0
"""One file that a training goes on from: the learnt weights, AdamW's moments and the losses so far."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import torch

from detection.errors import CheckpointError
from detection.learning.checkpoint import differences, moments_of, put_moments, read_checkpoint, write_checkpoint
from mem4nav.errors import BackboneError
from slam.config import to_dict


def save_checkpoint(
    path: Path,
    learnt: Mapping[str, torch.Tensor],
    optimiser: torch.optim.Optimizer,
    config: Any,
    examples: int,
    losses: list[float],
) -> None:
    """Write the learnt weights, AdamW's moments and the losses so far."""
    tensors = {f"weight/{name}": tensor for name, tensor in learnt.items()} | moments_of(optimiser, learnt)
    write_checkpoint(path, tensors, {"training": to_dict(config), "examples": examples, "losses": losses})


def load_checkpoint(
    path: Path, learnt: Mapping[str, torch.Tensor], optimiser: torch.optim.Optimizer, config: Any, examples: int
) -> list[float]:
    """Put the weights and moments back; returns the losses of the steps that were made.

    Raises:
        BackboneError: where the file is damaged, or of another network or training.
    """
    try:
        state, tensors = read_checkpoint(path)
    except CheckpointError as error:
        raise BackboneError(str(error)) from error
    now = {"training": to_dict(config), "examples": examples}
    if other := differences({name: state.get(name) for name in now}, now):
        raise BackboneError(f"{path} is of another training: {'; '.join(other)}; remove it or name another")
    with torch.no_grad():
        for name, tensor in learnt.items():
            _put(path, tensor, name, tensors)
    put_moments(optimiser, learnt, tensors)
    return state["losses"]


def _put(path: Path, tensor: torch.Tensor, name: str, tensors: Mapping[str, torch.Tensor]) -> None:
    stored = tensors.get(f"weight/{name}")
    if stored is None or stored.shape != tensor.shape:
        shape = None if stored is None else tuple(stored.shape)
        raise BackboneError(f"{path} is of another network: {name} is {shape} there, {tuple(tensor.shape)} here")
    tensor.copy_(stored)
