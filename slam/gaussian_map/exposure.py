# SPDX-FileCopyrightText: The Mem4Nav stack developers
# SPDX-License-Identifier: Apache-2.0
"""How bright a picture is against the map: picture = gain * map + offset, for each colour (affine exposure)."""

from __future__ import annotations

from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

ROUNDS = 4
"""Of the reweighted least squares."""
GAIN_PULL, OFFSET_PULL = 0.002, 3.0
"""Towards gain 1 and offset 0, as shares of the weight of all pixels. A free offset would trade against the gain: the
noise of the rendering lowers the slope of any regression, and each keyframe would hand on more contrast than it got."""
GAINS, LARGEST_OFFSET = (0.2, 5.0), 0.3


@dataclass(frozen=True, slots=True)
class Exposure:
    """gain, offset: (3,) float32 by RGB."""

    gain: NDArray[np.float32] = field(default_factory=lambda: np.ones(3, np.float32))
    offset: NDArray[np.float32] = field(default_factory=lambda: np.zeros(3, np.float32))

    def seen(self, colour: NDArray[np.float32]) -> NDArray[np.float32]:
        """(..., 3) colours of the map as the picture shows them."""
        return colour * self.gain + self.offset

    def shown(self, colour: NDArray[np.float32], alpha: NDArray[np.float32]) -> NDArray[np.float32]:
        """(H, W, 3) rendering on black that covers (H, W) alpha, as the picture would show it, on black too."""
        return colour * self.gain + alpha[:, :, None] * self.offset

    def undone(self, picture: NDArray[np.float32]) -> NDArray[np.float32]:
        """(..., 3) colours of the picture as the map holds them."""
        return (picture - self.offset) / self.gain


def between(before: Exposure, after: Exposure, share: float) -> Exposure:
    """Exposure of a picture taken between two others."""
    return Exposure(
        ((1.0 - share) * before.gain + share * after.gain).astype(np.float32),
        ((1.0 - share) * before.offset + share * after.offset).astype(np.float32),
    )


def solved(
    rendered: NDArray[np.float32], picture: NDArray[np.float32], weight: NDArray[np.float32], guess: Exposure
) -> Exposure:
    """The exposure that explains a picture by a rendering: robust, pulled towards 1 and 0 so that the map cannot fade.

    Args:
        rendered, picture: (M, 3) colours of the same pixels; weight: (M,).
        guess: taken where too little is seen.
    """
    if weight.sum() < 50.0:
        return guess
    gain, offset = guess.gain.astype(np.float64), guess.offset.astype(np.float64)
    for c in range(3):
        x, y = rendered[:, c].astype(np.float64), picture[:, c].astype(np.float64)
        w = weight.astype(np.float64)  # all alike at first: what an old exposure explains need not be what is right
        for _ in range(ROUNDS):
            pull, sx, sy = GAIN_PULL * w.sum(), (w * x).sum(), (w * y).sum()
            sxx, sxy, s = (w * x * x).sum() + pull, (w * x * y).sum() + pull, (1.0 + OFFSET_PULL) * w.sum()
            determinant = sxx * s - sx * sx
            b = (sxx * sy - sx * sxy) / determinant
            a = (sy - b * w.sum() + pull) / (sx + pull)  # the ratio of the sums, in which the rendering's noise cancels
            w = weight / np.maximum(np.abs(y - a * x - b), 0.02)
        gain[c], offset[c] = np.clip(a, *GAINS), np.clip(b, -LARGEST_OFFSET, LARGEST_OFFSET)
    return Exposure(gain.astype(np.float32), offset.astype(np.float32))
