# SPDX-FileCopyrightText: The Mem4Nav stack developers
# SPDX-License-Identifier: Apache-2.0
"""Whether scores mean what they say: how often detections of a score are right (Guo et al., ICML 2017)."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray


@dataclass(frozen=True, slots=True)
class Reliability:
    """Detections in B bins of equal width of their score.

    Attributes:
        count: (B,) int64 detections in each.
        score: (B,) float64 their mean score; NaN where there are none.
        right: (B,) float64 share that is right; NaN where there are none.
    """

    count: NDArray[np.int64]
    score: NDArray[np.float64]
    right: NDArray[np.float64]

    @classmethod
    def of(cls, score: NDArray[np.floating], right: NDArray[np.bool_], bins: int = 15) -> Reliability:
        """From (D,) scores in [0, 1] and (D,) whether each detection is right."""
        place = np.minimum((np.asarray(score, np.float64) * bins).astype(np.int64), bins - 1)
        count = np.bincount(place, minlength=bins)
        sums = (np.bincount(place, weights=values, minlength=bins) for values in (score, right))
        with np.errstate(invalid="ignore"):
            return cls(count, *(one / count for one in sums))

    @property
    def ece(self) -> float:
        """Expected calibration error: mean of |score - right| over the detections; NaN where there are none."""
        filled = self.count > 0
        gap = np.abs(self.score - self.right)[filled]
        return float(gap @ self.count[filled] / self.count.sum()) if filled.any() else float("nan")
