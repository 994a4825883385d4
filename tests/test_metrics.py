# SPDX-FileCopyrightText: The Mem4Nav stack developers
# SPDX-License-Identifier: Apache-2.0
"""Errors of trajectories: against hand-made cases, against evo, and against published numbers."""

from __future__ import annotations

import tarfile

import numpy as np
import pytest
from scipy.spatial.transform import Rotation

from shared_data import require
from slam.errors import TrajectoryError
from slam.metrics import align, associate, evaluate, pairs_by_distance, pairs_by_frames, relative_errors
from slam.trajectory import Trajectory, read_tum

PUBLISHED_ATE_CM = {
    "eee_01": 2.71, "eee_02": 2.11, "eee_03": 2.61,
    "nya_01": 3.56, "nya_02": 3.39, "nya_03": 3.52,
    "sbs_01": 2.34, "sbs_02": 2.83, "sbs_03": 3.11,
}  # fmt: skip


def drive(count: int = 200, seed: int = 1) -> Trajectory:
    rng = np.random.default_rng(seed)
    stamps = np.arange(count, dtype=np.int64) * 100_000_000
    turns = Rotation.from_rotvec(np.cumsum(rng.normal(0, 0.05, (count, 3)), axis=0))
    return Trajectory(stamps, np.cumsum(turns.apply([0.8, 0, 0]), axis=0), turns.as_quat())


def disturbed(truth: Trajectory, seed: int = 2) -> Trajectory:
    rng = np.random.default_rng(seed)
    turns = Rotation.from_quat(truth.quaternions) * Rotation.from_rotvec(rng.normal(0, 0.01, truth.positions.shape))
    moved = truth.positions + rng.normal(0, 0.05, truth.positions.shape)
    return Trajectory(truth.stamps_ns + rng.integers(-3_000_000, 3_000_000, len(truth)), moved, turns.as_quat())


def somewhere_else() -> np.ndarray:
    T = np.eye(4)
    T[:3, :3] = Rotation.from_euler("xyz", [10, -20, 130], degrees=True).as_matrix()
    T[:3, 3] = [100.0, -3.0, 5.0]
    return T


def test_a_trajectory_moved_as_a_whole_has_no_error():
    truth = drive()
    result = evaluate(truth.transformed(somewhere_else()), truth)
    assert result.ate_m.rmse < 1e-9
    assert result.rpe_trans_m.max < 1e-9 and result.rpe_rot_deg.max < 1e-5
    assert result.drift.translation_m < 1e-9
    np.testing.assert_allclose(result.T_truth_estimate @ somewhere_else(), np.eye(4), atol=1e-9)


def test_drift_is_the_error_of_the_last_pose_seen_from_the_first():
    truth = drive()
    bent = truth.positions.copy()
    bent[-1] += [0.3, 0.0, 0.4]
    result = evaluate(Trajectory(truth.stamps_ns, bent, truth.quaternions), truth)
    assert result.drift.translation_m == pytest.approx(0.5)
    assert result.drift.percent == pytest.approx(50.0 / truth.length_m())


def test_partners_are_one_to_one_and_the_closest_win():
    mine = np.array([0, 100, 104, 300], dtype=np.int64) * 1_000_000
    theirs = np.array([1, 103, 290, 306], dtype=np.int64) * 1_000_000
    of_mine, of_theirs = associate(mine, theirs, t_max_diff_s=0.01)
    assert of_mine.tolist() == [0, 2, 3]
    assert of_theirs.tolist() == [0, 1, 3]


def test_partners_are_found_in_unordered_stamps():
    mine = np.array([300, 0, 100], dtype=np.int64) * 1_000_000
    theirs = np.array([100, 301, 0], dtype=np.int64) * 1_000_000
    of_mine, of_theirs = associate(mine, theirs)
    assert of_mine.tolist() == [1, 2, 0]
    assert of_theirs.tolist() == [2, 0, 1]


def test_trajectories_of_other_times_are_refused_with_their_spans():
    truth = drive()
    late = Trajectory(truth.stamps_ns + 10**12, truth.positions, truth.quaternions)
    with pytest.raises(TrajectoryError, match=r"only 0 of 200 poses .* within 0.01 s: the estimate spans 1000.000 s"):
        evaluate(late, truth)


def test_alignment_never_mirrors():
    rng = np.random.default_rng(0)
    flat = rng.normal(size=(20, 3)) * [1.0, 1.0, 0.0]
    T = align(flat * [1.0, -1.0, 1.0], flat)
    assert np.linalg.det(T[:3, :3]) == pytest.approx(1.0)


def test_a_straight_line_and_a_standstill_can_be_aligned():
    line = np.outer(np.arange(5.0), [1.0, 0.0, 0.0])
    T = align(line[:, [1, 0, 2]], line)
    np.testing.assert_allclose(line[:, [1, 0, 2]] @ T[:3, :3].T + T[:3, 3], line, atol=1e-12)
    assert np.isfinite(align(np.ones((3, 3)), np.zeros((3, 3)))).all()


def test_pairs_by_distance_are_as_far_apart_as_asked():
    truth = drive()
    start, end = pairs_by_distance(truth, 10.0)
    apart = truth.distances()[end] - truth.distances()[start]
    assert len(start) > 100 and (apart >= 10.0).all() and (apart < 10.9).all()


def test_ate_and_rpe_agree_with_evo():
    metrics = pytest.importorskip("evo.core.metrics")
    sync = pytest.importorskip("evo.core.sync")
    truth = drive()
    ours = evaluate(disturbed(truth).transformed(somewhere_else()), truth)
    theirs = [_evo(truth), _evo(disturbed(truth).transformed(somewhere_else()))]
    reference, estimate = sync.associate_trajectories(*theirs, max_diff=0.01)
    relations = metrics.PoseRelation
    for relation, mine in (
        (relations.translation_part, ours.rpe_trans_m),
        (relations.rotation_angle_deg, ours.rpe_rot_deg),
    ):
        rpe = metrics.RPE(relation, delta=1, delta_unit=metrics.Unit.frames)
        rpe.process_data((reference, estimate))
        _assert_same(mine, rpe.get_all_statistics())
    estimate.align(reference)
    ape = metrics.APE(relations.translation_part)
    ape.process_data((reference, estimate))
    _assert_same(ours.ate_m, ape.get_all_statistics())


def test_relative_errors_over_several_poses_agree_with_evo():
    metrics = pytest.importorskip("evo.core.metrics")
    truth, estimate = drive(), disturbed(drive())
    rpe = metrics.RPE(metrics.PoseRelation.translation_part, delta=5, delta_unit=metrics.Unit.frames, all_pairs=True)
    rpe.process_data((_evo(truth), _evo(estimate)))
    trans_m, _ = relative_errors(estimate, truth, *pairs_by_frames(len(truth), 5))
    np.testing.assert_allclose(trans_m, rpe.error, atol=1e-9)


def test_the_nine_published_errors_of_fast_livo2_come_out(tmp_path):
    with tarfile.open(require("lidar/fast_livo2_ntu_viral") / "est_and_gt_tum.tar.xz") as packed:
        files = {member.name.rsplit("/", 1)[-1]: member for member in packed.getmembers() if member.isfile()}
        for sequence, published in PUBLISHED_ATE_CM.items():
            pair = []
            for kind in ("prism", "gt"):
                name = f"{sequence}_{kind}.txt"
                (tmp_path / name).write_bytes(packed.extractfile(files[name]).read())
                pair.append(read_tum(tmp_path / name))
            rmse_cm = 100.0 * evaluate(*pair, t_max_diff_s=0.01).ate_m.rmse
            assert rmse_cm == pytest.approx(published, abs=0.01), sequence


def _evo(trajectory: Trajectory):
    evo = pytest.importorskip("evo.core.trajectory")
    wxyz = trajectory.quaternions[:, [3, 0, 1, 2]]
    return evo.PoseTrajectory3D(trajectory.positions, wxyz, trajectory.stamps_ns / 1e9)


def _assert_same(ours, theirs) -> None:
    for name in ("rmse", "mean", "median", "std", "min", "max"):
        assert getattr(ours, name) == pytest.approx(theirs[name], abs=1e-9), name
