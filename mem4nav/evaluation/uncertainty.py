# SPDX-FileCopyrightText: The Mem4Nav stack developers
# SPDX-License-Identifier: Apache-2.0
"""How sure a measured number is, and whether two runs differ: the bootstrap (Efron 1979), and the ROC curve's area."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike, NDArray
from scipy.stats import rankdata

from mem4nav.errors import EvaluationError

RESAMPLES = 5_000


@dataclass(frozen=True, slots=True)
class Difference:
    """One run against another on the same episodes.

    Attributes:
        mean: of the differences, one minus other.
        interval: its 95 % bootstrap interval.
        p_value: two-sided; how often resampled differences lie on the other side of zero.
    """

    mean: float
    interval: tuple[float, float]
    p_value: float


def mean_interval(values: ArrayLike, seed: int = 0, level: float = 0.95) -> tuple[float, float]:
    """Percentile bootstrap interval of the mean of (N,) values; NaN where there are none."""
    low, high = np.quantile(_resampled_means(np.asarray(values, np.float64), seed), [(1 - level) / 2, (1 + level) / 2])
    return float(low), float(high)


def paired_difference(one: Sequence[float], other: Sequence[float], seed: int = 0) -> Difference:
    """Paired bootstrap of two runs: element i of both is of the same episode.

    Raises:
        EvaluationError: where the runs have different lengths.
    """
    if len(one) != len(other):
        raise EvaluationError(f"{len(one)} values against {len(other)}: a paired comparison needs the same episodes")
    differences = np.subtract(one, other, dtype=np.float64)
    means = _resampled_means(differences, seed)
    low, high = np.quantile(means, [0.025, 0.975])
    p_value = min(1.0, 2.0 * min(float((means <= 0.0).mean()), float((means >= 0.0).mean())))
    return Difference(float(differences.mean()), (float(low), float(high)), p_value)


def roc_auc(scores: ArrayLike, right: ArrayLike) -> float | None:
    """Area under the ROC curve of (N,) scores that should be high where ``right``; ties count half.

    That is the chance that a right one scores higher than a wrong one (Mann-Whitney U). None where all are right or
    all are wrong.
    """
    ranks = rankdata(np.asarray(scores, np.float64))
    positive = np.asarray(right, bool)
    hits, misses = int(positive.sum()), int((~positive).sum())
    if not hits or not misses:
        return None
    return float((ranks[positive].sum() - hits * (hits + 1) / 2) / (hits * misses))


def _resampled_means(values: NDArray[np.float64], seed: int) -> NDArray[np.float64]:
    if not len(values):
        return np.full(1, np.nan)
    picks = np.random.default_rng(seed).integers(len(values), size=(RESAMPLES, len(values)))
    return values[picks].mean(axis=1)
