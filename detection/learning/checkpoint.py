# SPDX-FileCopyrightText: The Mem4Nav stack developers
# SPDX-License-Identifier: Apache-2.0
"""One file that a training goes on from: tensors in safetensors, all else as JSON in its header."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import torch
from safetensors import SafetensorError, safe_open
from safetensors.torch import save
from torch import Tensor

from detection.errors import CheckpointError
from slam.files import write_bytes

MOMENTS = ("exp_avg", "exp_avg_sq", "step")
"""What AdamW keeps of a parameter."""
STATE = "state"


def write_checkpoint(path: str | Path, tensors: Mapping[str, Tensor], state: Mapping[str, Any]) -> None:
    """Write aside, then rename.

    Args:
        path: of the file.
        tensors: by name, on any device.
        state: what JSON can say.
    """
    stored = {name: tensor.detach().cpu().contiguous() for name, tensor in tensors.items()}
    write_bytes(path, save(stored, {STATE: json.dumps(state)}))


def read_checkpoint(path: str | Path) -> tuple[dict[str, Any], dict[str, Tensor]]:
    """State and tensors, on the CPU, of what ``write_checkpoint`` wrote.

    Raises:
        CheckpointError: the file is missing, damaged, or something else.
    """
    try:
        with safe_open(path, "pt") as file:
            state = json.loads(file.metadata()[STATE])
            return state, {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118
    except (SafetensorError, OSError, ValueError, KeyError, TypeError) as error:
        raise CheckpointError(f"{path} is no checkpoint of a training: {error}") from error


def moments_of(optimiser: torch.optim.Optimizer, parameters: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """AdamW's moments of named parameters as "exp_avg/name" and so on; of those without a gradient so far, none."""
    return {
        f"{moment}/{name}": value
        for name, parameter in parameters.items()
        for moment, value in optimiser.state.get(parameter, {}).items()
    }


def put_moments(
    optimiser: torch.optim.Optimizer, parameters: Mapping[str, Tensor], tensors: Mapping[str, Tensor]
) -> None:
    """Give the optimiser what ``moments_of`` named, each beside its parameter; other tensors are left alone."""
    for name, parameter in parameters.items():
        moments = {moment: tensors[f"{moment}/{name}"] for moment in MOMENTS if f"{moment}/{name}" in tensors}
        if moments:
            # AdamW counts steps on the CPU, wherever the parameter is.
            on = parameter.device
            optimiser.state[parameter] = {m: v if m == "step" else v.to(on) for m, v in moments.items()}


def differences(stored: Mapping[str, Any], now: Mapping[str, Any]) -> list[str]:
    """What a configuration that was read differs in from the one of now, a phrase each: "loss.box was 0.25, is 1.0"."""
    return _differing(stored, json.loads(json.dumps(now)))


def _differing(stored: Mapping[str, Any], now: Mapping[str, Any], path: str = "") -> list[str]:
    found = []
    for key in sorted({*stored, *now}):
        then, here = stored.get(key), now.get(key)
        if isinstance(then, dict) and isinstance(here, dict):
            found += _differing(then, here, f"{path}{key}.")
        elif then != here:
            found.append(f"{path}{key} was {then!r}, is {here!r}")
    return found
