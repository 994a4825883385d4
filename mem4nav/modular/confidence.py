# SPDX-FileCopyrightText: The Mem4Nav stack developers
# SPDX-License-Identifier: Apache-2.0
"""How sure the agent is that it stopped right: a logistic regression on how the walk went."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

SIGNS = ("turns", "weakest_turn", "stop", "rivals", "unfinished", "named_found", "named_missed", "goals")
"""What it goes by: log of the product of the turns' probabilities; the least of them; the probability of the stop and
its neighbours; that of going on; sub-goals not reached; landmarks named in the text that were met (share), and that
were not (number); sub-goals in all."""
_RIDGE = 1e-2
_ROUNDS = 25


@dataclass(frozen=True, slots=True)
class Confidence:
    """P(right) = 1 / (1 + exp(-(bias + sum_k weight_k (sign_k - mean_k) / scale_k))).

    Attributes:
        mean, scale, weight: (K,) of SIGNS.
        bias: of the whole.
    """

    mean: NDArray[np.float64]
    scale: NDArray[np.float64]
    weight: NDArray[np.float64]
    bias: float

    def __call__(self, signs: NDArray[np.float64]) -> float:
        """The probability, from (K,) signs."""
        return float(1.0 / (1.0 + np.exp(-(self.bias + self.weight @ ((signs - self.mean) / self.scale)))))

    def tensors(self) -> dict[str, NDArray[np.float32]]:
        """As named tensors, for a file."""
        values = {"mean": self.mean, "scale": self.scale, "weight": self.weight, "bias": np.array([self.bias])}
        return {f"confidence.{name}": value.astype(np.float32) for name, value in values.items()}

    @classmethod
    def of_tensors(cls, tensors: Mapping[str, NDArray[np.float32]]) -> Confidence:
        """From named tensors.

        Raises:
            KeyError: where one is missing.
        """
        mean, scale, weight, bias = (
            tensors[f"confidence.{name}"].astype(np.float64) for name in ("mean", "scale", "weight", "bias")
        )
        return cls(mean, scale, weight, float(bias[0]))

    @classmethod
    def untrained(cls) -> Confidence:
        """That goes by the turns and the stop alone."""
        weight = np.zeros(len(SIGNS))
        weight[[0, 2]] = 1.0, 4.0
        return cls(np.zeros(len(SIGNS)), np.ones(len(SIGNS)), weight, -2.0)


def fit_confidence(signs: NDArray[np.float64], right: NDArray[np.bool_]) -> Confidence:
    """Newton's method on the logistic loss, with a slight ridge.

    Args:
        signs: (N, K) of walks that the policies did not learn from.
        right: (N,) whether each ended right.
    """
    mean, scale = signs.mean(axis=0), signs.std(axis=0) + 1e-6
    x = np.column_stack([(signs - mean) / scale, np.ones(len(signs))])
    ridge = _RIDGE * len(signs) * np.diag([1.0] * signs.shape[1] + [0.0])
    w = np.zeros(x.shape[1])
    for _ in range(_ROUNDS):
        p = 1.0 / (1.0 + np.exp(-(x @ w)))
        hessian = (x * (p * (1.0 - p))[:, None]).T @ x + ridge + 1e-9 * np.eye(len(w))
        w += np.linalg.solve(hessian, x.T @ (right - p) - ridge @ w)
    return Confidence(mean, scale, w[:-1], float(w[-1]))
