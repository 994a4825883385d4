# SPDX-FileCopyrightText: The Mem4Nav stack developers
# SPDX-License-Identifier: Apache-2.0
"""A small network that scores rows of numbers: of ways at a crossing, or of places to stop at."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from mem4nav.errors import BackboneError

_LAYERS = 3


@dataclass(frozen=True, slots=True)
class Policy:
    """An ensemble of multi-layer perceptrons, run in numpy: a row at a time is faster so than in torch.

    Attributes:
        mean, scale: (F,) of the rows it was trained on.
        weights: for each layer (K, in, out): K networks.
        biases: for each layer (K, 1, out).
    """

    mean: NDArray[np.float32]
    scale: NDArray[np.float32]
    weights: tuple[NDArray[np.float32], ...]
    biases: tuple[NDArray[np.float32], ...]

    def logits(self, rows: NDArray[np.float32]) -> NDArray[np.float32]:
        """(K, R): what each network says of (R, F) rows.

        Raises:
            BackboneError: for rows of another width than those that it learnt from.
        """
        if rows.shape[1] != len(self.mean):
            raise BackboneError(
                f"a policy that learnt from {len(self.mean)} numbers is shown {rows.shape[1]}: its weights are of "
                "another version of the agent; train it again"
            )
        values = ((rows - self.mean) / self.scale)[None]
        for layer, (weight, bias) in enumerate(zip(self.weights, self.biases, strict=True)):
            values = values @ weight + bias
            if layer < _LAYERS - 1:
                values = np.maximum(values, 0.0)
        return values[..., 0]

    def pick(self, rows: NDArray[np.float32]) -> NDArray[np.float64]:
        """(R,) probability that each row is the one: the mean of the networks' softmax."""
        logits = self.logits(rows).astype(np.float64)
        powers = np.exp(logits - logits.max(axis=1, keepdims=True))
        return (powers / powers.sum(axis=1, keepdims=True)).mean(axis=0)

    def here(self, places: NDArray[np.float32]) -> float:
        """Probability that the goal is the last of the places walked or the one before it, of (P + 1, F) places whose
        last row stands for going on: a hop beside the goal is as good.
        """
        return float(self.pick(places)[-3:-1].sum())

    def tensors(self, name: str) -> dict[str, NDArray[np.float32]]:
        """As named tensors, for a file."""
        layers = {f"{name}.weight{k}": weight for k, weight in enumerate(self.weights)}
        layers |= {f"{name}.bias{k}": bias for k, bias in enumerate(self.biases)}
        return {f"{name}.mean": self.mean, f"{name}.scale": self.scale, **layers}

    @classmethod
    def of_tensors(cls, tensors: Mapping[str, NDArray[np.float32]], name: str) -> Policy:
        """From named tensors.

        Raises:
            KeyError: where one is missing.
        """
        return cls(
            tensors[f"{name}.mean"],
            tensors[f"{name}.scale"],
            tuple(tensors[f"{name}.weight{k}"] for k in range(_LAYERS)),
            tuple(tensors[f"{name}.bias{k}"] for k in range(_LAYERS)),
        )
