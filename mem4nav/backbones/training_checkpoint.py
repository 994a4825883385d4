# SPDX-FileCopyrightText: The Mem4Nav stack developers
# SPDX-License-Identifier: Apache-2.0
"""One file that a training goes on from: weights and moments in safetensors, its state as JSON in the same header."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import asdict
from pathlib import Path
from typing import Any

import torch
from safetensors import SafetensorError, safe_open
from safetensors.torch import save

from mem4nav.errors import BackboneError
from slam.files import write_bytes

MOMENTS = ("exp_avg", "exp_avg_sq", "step")


def save_checkpoint(
    path: Path,
    learnt: Mapping[str, torch.Tensor],
    optimiser: torch.optim.Optimizer,
    config: Any,
    examples: int,
    losses: list[float],
) -> None:
    """Write the learnt weights, AdamW's moments and the losses so far."""
    tensors = {f"weight/{name}": tensor.detach().cpu().contiguous() for name, tensor in learnt.items()}
    for name, tensor in learnt.items():
        for moment, value in optimiser.state.get(tensor, {}).items():
            tensors[f"{moment}/{name}"] = value.detach().cpu().contiguous()
    state = {"training": asdict(config), "examples": examples, "losses": losses}
    write_bytes(path, save(tensors, {"state": json.dumps(state)}))


def load_checkpoint(
    path: Path, learnt: Mapping[str, torch.Tensor], optimiser: torch.optim.Optimizer, config: Any, examples: int
) -> list[float]:
    """Put the weights and moments back; returns the losses of the steps that were made.

    Raises:
        BackboneError: where the file is damaged, or of another network or training.
    """
    try:
        with safe_open(path, "pt") as file:
            state = json.loads(file.metadata()["state"])
            names = file.keys()
            tensors = {name: file.get_tensor(name) for name in names}
    except (SafetensorError, OSError, ValueError, KeyError, TypeError) as error:
        raise BackboneError(f"{path} is no checkpoint of a training: {error}") from error
    expected = {"training": asdict(config), "examples": examples}
    found = {key: state.get(key) for key in expected}
    if found != expected:
        raise BackboneError(f"{path} is of another training ({found}, now {expected}): remove it or name another")
    with torch.no_grad():
        for name, tensor in learnt.items():
            _put(path, tensor, name, tensors)
            moments = {m: tensors[f"{m}/{name}"] for m in MOMENTS if f"{m}/{name}" in tensors}
            if moments:
                on = tensor.device
                optimiser.state[tensor] = {m: v if m == "step" else v.to(on) for m, v in moments.items()}
    return state["losses"]


def _put(path: Path, tensor: torch.Tensor, name: str, tensors: Mapping[str, torch.Tensor]) -> None:
    stored = tensors.get(f"weight/{name}")
    if stored is None or stored.shape != tensor.shape:
        shape = None if stored is None else tuple(stored.shape)
        raise BackboneError(f"{path} is of another network: {name} is {shape} there, {tuple(tensor.shape)} here")
    tensor.copy_(stored)
