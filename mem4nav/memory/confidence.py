# SPDX-FileCopyrightText: The Mem4Nav stack developers
# SPDX-License-Identifier: Apache-2.0
"""How sure a memory is of its first hit: a logistic function of its cosine and its lead over what else it might be."""

from __future__ import annotations

import math
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray


class Confidence(NamedTuple):
    """1 / (1 + exp(-(a * cosine + b * lead + c))).

    The lead is the first hit's cosine less that of the best hit which stands for something else (has another label).
    """

    a: float
    b: float
    c: float

    def __call__(self, cosine: float, lead: float) -> float:
        """In [0, 1]."""
        return 1.0 / (1.0 + math.exp(-max(-60.0, min(60.0, self.a * cosine + self.b * lead + self.c))))


SHIPPED = Confidence(-0.63, 36.9, -1.47)
"""Fitted by ``bench.memory`` on queries of many noise levels among clusters; docs/memory.md says how well it holds."""


def fitted(cosines: NDArray[np.float64], leads: NDArray[np.float64], right: NDArray[np.bool_]) -> Confidence:
    """The parameters that make outcomes most likely: Newton's method on the logistic loss, a little ridge.

    Args:
        cosines, leads: (N,) of recalls' first hits.
        right: (N,) whether the first hit was what was asked for.
    """
    X = np.stack([cosines, leads, np.ones_like(cosines)], axis=1)
    w = np.zeros(3)
    for _ in range(50):
        p = 1.0 / (1.0 + np.exp(-(X @ w).clip(-60, 60)))
        gradient = X.T @ (p - right) + 1e-3 * w
        w -= np.linalg.solve((X * (p * (1.0 - p))[:, None]).T @ X + 1e-3 * np.eye(3), gradient)
    return Confidence(*(float(value) for value in w))
