# SPDX-FileCopyrightText: The Mem4Nav stack developers
# SPDX-License-Identifier: Apache-2.0
"""How well an episode was walked: the measures of embodied navigation.

Success, distance to goal and SPL as habitat-lab has them (Anderson et al. 2018, "On evaluation of embodied navigation
agents"); nDTW and SDTW after Ilharco et al. 2019 in VLN-CE's form, exp(-DTW / (len(reference) * 3 m)).
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from mem4nav.navigation_metrics import time_warp

NDTW_M = 3.0
"""The success threshold in nDTW's exponent, whatever the episode's own radius is."""
DENSE_M = 0.25
"""References are resampled at the length of a step: against a few far corners even a perfect walk scores nothing."""


@dataclass(frozen=True, slots=True)
class WalkScore:
    """One episode.

    Attributes:
        success: stopped nearer to the goal than the radius, 0 or 1.
        spl: success weighted by shortest way / max(shortest way, way walked).
        oracle_success: was ever so near.
        distance_to_goal_m: shortest way from where it ended.
        ndtw, sdtw: likeness of the way to the reference, 0 to 1, and that times success; NaN without a reference.
        path_length_m: walked.
        steps: actions, the stop among them.
    """

    success: float
    spl: float
    oracle_success: float
    distance_to_goal_m: float
    ndtw: float
    sdtw: float
    path_length_m: float
    steps: int


def score_walk(
    path: NDArray[np.float64],
    to_goal_m: NDArray[np.float64],
    *,
    stopped: bool,
    radius_m: float,
    reference: NDArray[np.float64] | None = None,
) -> WalkScore:
    """Score one walk.

    Args:
        path: (N, 3) metres before the first action and after each, N >= 1.
        to_goal_m: (N,) shortest ways from there to the nearest goal.
        stopped: it ended with a stop.
        radius_m: of success.
        reference: (M, 3) the way that was asked for, as dense or sparse as it comes; None where there is none.
    """
    length = float(np.linalg.norm(np.diff(path, axis=0), axis=1).sum())
    success = float(stopped and to_goal_m[-1] < radius_m)
    shortest = float(to_goal_m[0])
    longer = max(shortest, length)
    spl = success * (shortest / longer if longer > 0.0 else 1.0)
    ndtw = np.nan if reference is None or not len(reference) else dense_ndtw(path, reference)
    oracle = float(to_goal_m.min() < radius_m)
    return WalkScore(
        success, spl, oracle, float(to_goal_m[-1]), ndtw, success * ndtw, length, len(path) - 1
    )  # fmt: skip


def dense_ndtw(path: NDArray[np.float64], reference: NDArray[np.float64]) -> float:
    """nDTW of (N, 3) against (M, 3), resampled at steps of 0.25 m; turning in place counts once."""
    moved = np.concatenate([[True], np.linalg.norm(np.diff(path, axis=0), axis=1) > 0.0])
    walked, wanted = path[moved], resampled(reference, DENSE_M)
    cost = np.linalg.norm(walked[:, None] - wanted[None], axis=-1)
    return float(np.exp(-time_warp(cost) / (len(wanted) * NDTW_M)))


def resampled(way: NDArray[np.float64], step_m: float) -> NDArray[np.float64]:
    """(K, 3) points on a polyline (M, 3) at most ``step_m`` apart and evenly, both its ends among them."""
    gaps = np.linalg.norm(np.diff(way, axis=0), axis=1)
    station = np.concatenate([[0.0], np.cumsum(gaps)])
    at = np.linspace(0.0, station[-1], int(np.ceil(station[-1] / step_m)) + 1)
    return np.stack([np.interp(at, station, way[:, k]) for k in range(3)], axis=1)
