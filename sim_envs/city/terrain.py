# SPDX-FileCopyrightText: The Mem4Nav stack developers
# SPDX-License-Identifier: Apache-2.0
"""The height field that everything stands on."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike, NDArray

_WAVES = 6
_WAVELENGTH_M = (130.0, 420.0)


@dataclass(frozen=True, slots=True)
class Terrain:
    """A sum of plane waves: height and slope are exact everywhere.

    Attributes:
        waves: (K, 2) float64 wave vectors, rad/m.
        phases: (K,) float64, rad.
        amplitudes: (K,) float64, metres.
    """

    waves: NDArray[np.float64]
    phases: NDArray[np.float64]
    amplitudes: NDArray[np.float64]

    def height(self, x: ArrayLike, y: ArrayLike) -> NDArray[np.float64]:
        """Height above the datum in metres at (x, y), of their broadcast shape."""
        return np.sum(self.amplitudes * np.sin(self._angles(x, y)), axis=-1)

    def gradient(self, x: ArrayLike, y: ArrayLike) -> NDArray[np.float64]:
        """(..., 2) slope along x and y, metres a metre."""
        return (self.amplitudes * np.cos(self._angles(x, y))) @ self.waves

    def lift(self, xy: NDArray[np.float64], above: float | NDArray[np.float64] = 0.0) -> NDArray[np.float64]:
        """(..., 2) points on the plan -> (..., 3) points ``above`` metres over the ground."""
        return np.concatenate([xy, (self.height(xy[..., 0], xy[..., 1]) + above)[..., None]], axis=-1)

    def _angles(self, x: ArrayLike, y: ArrayLike) -> NDArray[np.float64]:
        x, y = np.asarray(x, float)[..., None], np.asarray(y, float)[..., None]
        return x * self.waves[:, 0] + y * self.waves[:, 1] + self.phases


def make_terrain(rng: np.random.Generator, slope: float) -> Terrain:
    """Hills whose slope is ``slope`` where they are steep: twice its root mean square, seldom exceeded."""
    length = np.geomspace(*_WAVELENGTH_M, _WAVES)
    heading = rng.uniform(0.0, 2.0 * np.pi, _WAVES)
    number = 2.0 * np.pi / length
    share = rng.uniform(0.5, 1.0, _WAVES)
    steepness = slope * share / np.sqrt(2.0 * np.sum(share**2))
    waves = number[:, None] * np.stack([np.cos(heading), np.sin(heading)], axis=1)
    return Terrain(waves, rng.uniform(0.0, 2.0 * np.pi, _WAVES), steepness / number)


def flat_terrain() -> Terrain:
    """Level ground at height zero."""
    return Terrain(np.zeros((1, 2)), np.zeros(1), np.zeros(1))
