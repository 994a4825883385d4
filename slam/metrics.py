# SPDX-FileCopyrightText: The Mem4Nav stack developers
# SPDX-License-Identifier: Apache-2.0
"""How far a trajectory is from the truth: absolute (ATE) and relative (RPE) errors, and the drift of a loop.

After Sturm et al., "A Benchmark for the Evaluation of RGB-D SLAM Systems" (IROS 2012), sections V.A and V.B. The
alignment is Umeyama, "Least-squares estimation of transformation parameters between two point patterns" (PAMI 1991),
without scale.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy.spatial.transform import Rotation

from slam.errors import TrajectoryError
from slam.trajectory import Trajectory


@dataclass(frozen=True, slots=True)
class ErrorStats:
    """Summary of N errors, all in their unit."""

    count: int
    rmse: float
    mean: float
    median: float
    std: float
    min: float
    max: float

    @classmethod
    def of(cls, errors: NDArray[np.float64]) -> ErrorStats:
        """Of (N,) float64 errors, N at least 1."""
        if not len(errors):
            raise TrajectoryError("no errors to summarise: no pair of poses was compared")
        rmse = np.sqrt(np.mean(np.square(errors)))
        values = (rmse, errors.mean(), np.median(errors), errors.std(), errors.min(), errors.max())
        return cls(len(errors), *(float(value) for value in values))


@dataclass(frozen=True, slots=True)
class Drift:
    """Relative pose from the first to the last pose, estimate against truth."""

    translation_m: float
    rotation_deg: float
    percent: float
    """Translation in per cent of the truth's way."""


@dataclass(frozen=True, slots=True)
class Evaluation:
    """One trajectory against its truth, over the M poses that have a partner in time.

    Attributes:
        estimate: M poses, aligned to the truth.
        truth: M poses.
        T_truth_estimate: (4, 4) float64, the alignment: maps the estimate's world into the truth's.
        ate_m, rpe_trans_m, rpe_rot_deg: summaries.
        errors_m: (M,) float64 position errors after alignment.
        drift: from end to start.
        poses: number of poses in the estimate, with partner or without.
    """

    estimate: Trajectory
    truth: Trajectory
    T_truth_estimate: NDArray[np.float64]
    ate_m: ErrorStats
    rpe_trans_m: ErrorStats
    rpe_rot_deg: ErrorStats
    errors_m: NDArray[np.float64]
    drift: Drift
    poses: int


def evaluate(
    estimate: Trajectory, truth: Trajectory, *, t_max_diff_s: float = 0.01, delta_frames: int = 1
) -> Evaluation:
    """Match by stamps, align by SE(3), and compare.

    Args:
        estimate, truth: poses of one and the same body frame, each in a world of its own.
        t_max_diff_s: poses farther apart in time are no partners, seconds.
        delta_frames: the relative error is taken over so many matched poses.

    Raises:
        TrajectoryError: when fewer than two poses have a partner in time.
    """
    of_estimate, of_truth = associate(estimate.stamps_ns, truth.stamps_ns, t_max_diff_s=t_max_diff_s)
    if len(of_estimate) < 2:
        raise TrajectoryError(_no_partners(estimate, truth, t_max_diff_s, len(of_estimate)))
    matched, partner = estimate.select(of_estimate), truth.select(of_truth)
    T_truth_estimate = align(matched.positions, partner.positions)
    aligned = matched.transformed(T_truth_estimate)
    errors_m = np.linalg.norm(aligned.positions - partner.positions, axis=1)
    pairs = pairs_by_frames(len(matched), min(delta_frames, len(matched) - 1))
    trans_m, rot_deg = relative_errors(matched, partner, *pairs)
    return Evaluation(
        aligned,
        partner,
        T_truth_estimate,
        ErrorStats.of(errors_m),
        ErrorStats.of(trans_m),
        ErrorStats.of(rot_deg),
        errors_m,
        end_to_start(matched, partner),
        len(estimate),
    )


def associate(
    stamps_ns: NDArray[np.int64], others_ns: NDArray[np.int64], *, t_max_diff_s: float = 0.01
) -> tuple[NDArray[np.intp], NDArray[np.intp]]:
    """Partners in time, one to one, the closest pairs first.

    Returns:
        two (M,) index arrays into ``stamps_ns`` (N,) and ``others_ns`` (K,), in the order of time.
    """
    none = np.zeros(0, dtype=np.intp)
    if not len(stamps_ns) or not len(others_ns):
        return none, none
    order, other_order = np.argsort(stamps_ns, kind="stable"), np.argsort(others_ns, kind="stable")
    mine, theirs = stamps_ns[order], others_ns[other_order]
    right = np.clip(np.searchsorted(theirs, mine), 1, max(1, len(theirs) - 1))
    candidates = np.stack([right - 1, np.minimum(right, len(theirs) - 1)])
    gaps = np.abs(theirs[candidates] - mine)
    nearest = np.argmin(gaps, axis=0)
    partner, gap = candidates[nearest, np.arange(len(mine))], gaps.min(axis=0)
    close_first = np.lexsort((np.arange(len(mine)), gap))
    close_first = close_first[gap[close_first] <= round(t_max_diff_s * 1e9)]
    _, first = np.unique(partner[close_first], return_index=True)
    chosen = np.sort(close_first[first])
    return order[chosen], other_order[partner[chosen]]


def align(positions: NDArray[np.float64], onto: NDArray[np.float64]) -> NDArray[np.float64]:
    """The rigid motion T (4, 4) of least sum |onto_i - T positions_i|^2 over (N, 3) points (Umeyama, eq. 39 to 41)."""
    center, onto_center = positions.mean(axis=0), onto.mean(axis=0)
    U, _, Vt = np.linalg.svd((onto - onto_center).T @ (positions - center))
    flip = np.diag([1.0, 1.0, np.sign(np.linalg.det(U) * np.linalg.det(Vt))])
    T = np.eye(4)
    T[:3, :3] = U @ flip @ Vt
    T[:3, 3] = onto_center - T[:3, :3] @ center
    return T


def pairs_by_frames(count: int, delta: int = 1) -> tuple[NDArray[np.intp], NDArray[np.intp]]:
    """Indices of all pairs of poses that lie ``delta`` poses apart."""
    if delta < 1:
        raise TrajectoryError(f"the relative error needs a delta of at least one pose, got {delta}")
    start = np.arange(max(0, count - delta))
    return start, start + delta


def pairs_by_distance(truth: Trajectory, delta_m: float) -> tuple[NDArray[np.intp], NDArray[np.intp]]:
    """Each pose with the first that lies at least ``delta_m`` further along the truth's way."""
    way = truth.distances()
    end = np.searchsorted(way, way + delta_m)
    start = np.flatnonzero(end < len(way))
    return start, end[start]


def relative_errors(
    estimate: Trajectory, truth: Trajectory, start: NDArray[np.intp], end: NDArray[np.intp]
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Error of the motion over each of M pairs, E = (Q_i^-1 Q_j)^-1 (P_i^-1 P_j) (Sturm et al., eq. 2).

    Args:
        estimate, truth: N poses each, partners by index.
        start, end: (M,) indices.

    Returns:
        (M,) lengths of E's translation, metres, and (M,) angles of its rotation, degrees.
    """
    P, Q = estimate.matrices(), truth.matrices()
    E = _inverse(_inverse(Q[start]) @ Q[end]) @ (_inverse(P[start]) @ P[end])
    if not len(E):
        return np.zeros(0), np.zeros(0)
    return np.linalg.norm(E[:, :3, 3], axis=1), np.degrees(Rotation.from_matrix(E[:, :3, :3]).magnitude())


def end_to_start(estimate: Trajectory, truth: Trajectory) -> Drift:
    """Drift over the whole way, from N poses each that are partners by index."""
    trans_m, rot_deg = relative_errors(estimate, truth, np.array([0]), np.array([len(truth) - 1]))
    way = truth.length_m()
    return Drift(float(trans_m[0]), float(rot_deg[0]), 100.0 * float(trans_m[0]) / way if way > 0 else 0.0)


def _inverse(T: NDArray[np.float64]) -> NDArray[np.float64]:
    inverse = np.tile(np.eye(4), (len(T), 1, 1))
    inverse[:, :3, :3] = T[:, :3, :3].transpose(0, 2, 1)
    inverse[:, :3, 3] = -np.einsum("nji,nj->ni", T[:, :3, :3], T[:, :3, 3])
    return inverse


def _no_partners(estimate: Trajectory, truth: Trajectory, t_max_diff_s: float, found: int) -> str:
    def span(trajectory: Trajectory) -> str:
        if not len(trajectory):
            return "no poses"
        return f"{trajectory.stamps_ns.min() / 1e9:.3f} s to {trajectory.stamps_ns.max() / 1e9:.3f} s"

    return (
        f"only {found} of {len(estimate)} poses have a partner within {t_max_diff_s:g} s: "
        f"the estimate spans {span(estimate)}, the truth {span(truth)}"
    )
