# SPDX-FileCopyrightText: The Mem4Nav stack developers
# SPDX-License-Identifier: Apache-2.0
import numpy as np
import pytest

from newer_scans import best_twist, deskewed_to_start, load, undone
from shared_data import require
from slam import so3
from slam.deskew import bend, motion_within, poses_at
from slam.ieskf import FilterState, predict
from slam.inertial import modelled_steps
from slam.measurements import Scan
from slam.odometry_config import MotionConfig

TENTH = 100_000_000


def turning_path(turn_rate=(0.1, -0.2, 0.8), velocity=(5.0, 1.0, -0.2)):
    state = FilterState(0, velocity=np.array(velocity), bg=-np.array(turn_rate))
    return predict(state, modelled_steps(0, TENTH, MotionConfig()))[1]


def scan_of(landmarks, path, T_body_lidar, offsets):
    """What a moving LiDAR measures of fixed landmarks, one at each time."""
    order = np.argsort(offsets, kind="stable")
    R, p = poses_at(path, offsets[order])
    T = np.linalg.inv(T_body_lidar)
    body = np.einsum("nji,nj->ni", R, landmarks[order] - p)
    points = np.empty_like(landmarks)
    points[order] = body @ T[:3, :3].T + T[:3, 3]
    return Scan(0, points, offsets)


def test_points_measured_on_the_way_come_back_to_where_they_are_seen_from_the_end():
    rng = np.random.default_rng(1)
    landmarks, offsets = rng.uniform(-30, 30, (500, 3)), rng.integers(0, TENTH, 500)
    T_body_lidar = np.eye(4)
    T_body_lidar[:3, :3], T_body_lidar[:3, 3] = so3.exp(np.array([0.1, -0.3, 2.0])), (0.5, -0.2, 1.5)
    path = turning_path()
    scan = scan_of(landmarks, path, T_body_lidar, offsets)
    seen = undone(scan.points, motion_within(scan, path, T_body_lidar))
    expected = (landmarks - path.position[-1]) @ path.R[-1]
    assert np.abs(seen - expected).max() < 2e-3


def test_stamps_before_the_header_are_undone_too():
    path = turning_path()
    landmarks = np.random.default_rng(2).uniform(-30, 30, (50, 3))
    scan = scan_of(landmarks, path, np.eye(4), np.linspace(0, TENTH - 1, 50).astype(np.int64))
    late = Scan(TENTH, scan.points, scan.offsets_ns - TENTH)
    one, other = motion_within(scan, path, np.eye(4)), motion_within(late, path, np.eye(4))
    for part in ("bins", "rotations", "translations", "shares"):
        assert np.allclose(getattr(one, part), getattr(other, part))


@pytest.mark.parametrize("offsets", [None, np.full(10, 5_000_000)])
def test_a_scan_without_point_times_is_left_as_it_is(offsets):
    undoing = motion_within(Scan(0, np.zeros((10, 3)), offsets), turning_path(), np.eye(4))
    assert not len(undoing.bins) and np.array_equal(undoing.rotations, np.eye(3)[None])
    assert not undoing.translations.any() and np.array_equal(undoing.shares, [1.0])


def test_a_share_tells_how_much_of_the_path_was_over():
    offsets = np.array([0, TENTH // 4, TENTH // 2, TENTH - 1])
    undoing = motion_within(Scan(0, np.zeros((4, 3)), offsets), turning_path(), np.eye(4))
    assert np.allclose(undoing.shares[undoing.bins], [0.0, 0.25, 0.5, 1.0], atol=2e-3)


@pytest.mark.parametrize("stiffness", [0.5, 1.0])
def test_a_correction_bends_the_path_from_the_part_it_had_at_the_start_to_all_of_it_at_the_end(stiffness):
    before, after = so3.exp(np.array([0.1, 0.2, 0.3])), so3.exp(np.array([0.12, 0.17, 0.5]))
    p_before, p_after = np.array([1.0, 2.0, 3.0]), np.array([1.3, 1.8, 3.1])
    R, p = bend(before, p_before, after, p_after, stiffness)
    assert np.allclose(R[-1], after) and np.allclose(p[-1], p_after)
    assert np.allclose(so3.log(R[0] @ before.T), stiffness * so3.log(after @ before.T))
    assert np.allclose(p[0] - p_before, stiffness * (p_after - p_before))


@pytest.mark.parametrize("index", range(3))
def test_a_constant_twist_deskews_handheld_scans_to_six_centimetres(index):
    scan, shipped = load(require("lidar/gtsam_points/newer_06"), index)
    twist = best_twist(scan, shipped)
    distance = np.linalg.norm(deskewed_to_start(scan, twist) - shipped, axis=1)
    assert np.median(distance) <= 0.06
