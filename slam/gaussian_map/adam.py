# SPDX-FileCopyrightText: The Mem4Nav stack developers
# SPDX-License-Identifier: Apache-2.0
"""Adam on the Gaussians of a window (Kingma and Ba 2015), each with its own count of steps."""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
from numba import njit
from numpy.typing import NDArray

from slam.splatting.gaussians import Gaussians

BETA1, BETA2, EPSILON = 0.9, 0.999, 1e-15


@dataclass(frozen=True, slots=True)
class LearningRates:
    """Step sizes, in the unit of each parameter."""

    means: float = 0.0016
    """Metres."""
    quats: float = 0.002
    """Of a unit quaternion."""
    log_scales: float = 0.03
    """Of the logarithm of metres."""
    logits: float = 0.1
    """Of the opacity before the sigmoid."""
    harmonics: float = 0.04
    """Of the colour's coefficients."""


@njit(cache=True)
def _step(values, gradients, first, second, steps, seen, rate):
    """One array, (N, C); rows that were not seen rest."""
    for i in range(len(values)):
        if not seen[i]:
            continue
        t = steps[i]
        scale1 = rate / (1.0 - BETA1**t)
        scale2 = 1.0 / (1.0 - BETA2**t)
        for k in range(values.shape[1]):
            g = gradients[i, k]
            m = BETA1 * first[i, k] + (1.0 - BETA1) * g
            v = BETA2 * second[i, k] + (1.0 - BETA2) * g * g
            first[i, k], second[i, k] = m, v
            values[i, k] -= scale1 * m / (math.sqrt(v * scale2) + EPSILON)


def step(
    values: Gaussians,
    gradients: Gaussians,
    moments: tuple[Gaussians, Gaussians],
    steps: NDArray[np.int32],
    seen: NDArray[np.bool_],
    rates: LearningRates,
) -> None:
    """Move ``values`` against their gradients, in place, and their moments and counts with them.

    Args:
        moments: first and second, of the shapes of ``values``.
        steps: (N,) int32 steps that each Gaussian has taken.
        seen: (N,) which Gaussians the rendering touched; the others keep values, moments and counts.
    """
    steps[seen] += 1
    for name in Gaussians._fields:
        arrays = [getattr(part, name) for part in (values, gradients, *moments)]
        flat = [array.reshape(len(array), -1) for array in arrays]
        _step(*flat, steps, seen, getattr(rates, name))
