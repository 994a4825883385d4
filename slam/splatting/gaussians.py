# SPDX-FileCopyrightText: The Mem4Nav stack developers
# SPDX-License-Identifier: Apache-2.0
"""Gaussians as a structure of arrays, with the parameters as they are optimised."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

C0 = 0.28209479177387814
"""The spherical harmonic of degree 0."""


class Gaussians(NamedTuple):
    """N Gaussians; all arrays float32 and C-contiguous. The same type holds gradients and Adam's moments.

    Attributes:
        means: (N, 3) world frame, metres.
        quats: (N, 4) xyzw, the Gaussian's axes into the world; normalised where they are used.
        log_scales: (N, 3) logarithms of the standard deviations in metres.
        logits: (N,) opacity before the sigmoid.
        harmonics: (N, K, 3) spherical harmonics of degree 0 to 3 (K = 1, 4, 9, 16) by RGB; of degree 0 the colour
            is 0.5 + C0 harmonics[:, 0].
    """

    means: NDArray[np.float32]
    quats: NDArray[np.float32]
    log_scales: NDArray[np.float32]
    logits: NDArray[np.float32]
    harmonics: NDArray[np.float32]

    @property
    def size(self) -> int:
        """N."""
        return self.means.shape[0]

    @classmethod
    def zeros(cls, size: int, coefficients: int = 1) -> Gaussians:
        """Room for ``size`` Gaussians with K = ``coefficients``."""
        shapes = ((size, 3), (size, 4), (size, 3), (size,), (size, coefficients, 3))
        return cls(*(np.zeros(shape, np.float32) for shape in shapes))

    def take(self, rows: NDArray[np.integer] | slice) -> Gaussians:
        """These rows: views for a slice, copies for indices."""
        return Gaussians(*(array[rows] for array in self))

    def put(self, rows: NDArray[np.integer] | slice, values: Gaussians) -> None:
        """Overwrite these rows."""
        for array, new in zip(self, values, strict=True):
            array[rows] = new

    def base_colours(self) -> NDArray[np.float32]:
        """(N, 3) RGB of degree 0, within [0, 1]."""
        return np.clip(0.5 + C0 * self.harmonics[:, 0], 0.0, 1.0)

    def opacities(self) -> NDArray[np.float32]:
        """(N,) in (0, 1)."""
        return 1.0 / (1.0 + np.exp(-self.logits))


def concatenated(parts: list[Gaussians]) -> Gaussians:
    """All of these in one."""
    return Gaussians(*(np.concatenate(arrays) for arrays in zip(*parts, strict=True)))
