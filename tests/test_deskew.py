# SPDX-FileCopyrightText: The Mem4Nav stack developers
# SPDX-License-Identifier: Apache-2.0
import numpy as np
import pytest
from newer_scans import best_twist, deskewed_to_start, load
from shared_data import require

from slam import so3
from slam.deskew import motion_within, poses_at
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
    bins, R, t = motion_within(scan, path, T_body_lidar)
    seen = np.einsum("nij,nj->ni", R[bins], scan.points) + t[bins]
    expected = (landmarks - path.position[-1]) @ path.R[-1]
    assert np.abs(seen - expected).max() < 2e-3


def test_stamps_before_the_header_are_undone_too():
    path = turning_path()
    landmarks = np.random.default_rng(2).uniform(-30, 30, (50, 3))
    scan = scan_of(landmarks, path, np.eye(4), np.linspace(0, TENTH - 1, 50).astype(np.int64))
    late = Scan(TENTH, scan.points, scan.offsets_ns - TENTH)
    for one, other in zip(motion_within(scan, path, np.eye(4)), motion_within(late, path, np.eye(4)), strict=True):
        assert np.allclose(one, other)


@pytest.mark.parametrize("offsets", [None, np.full(10, 5_000_000)])
def test_a_scan_without_point_times_is_left_as_it_is(offsets):
    bins, R, t = motion_within(Scan(0, np.zeros((10, 3)), offsets), turning_path(), np.eye(4))
    assert not len(bins) and np.array_equal(R, np.eye(3)[None]) and not t.any()


@pytest.mark.parametrize("index", range(3))
def test_a_constant_twist_deskews_handheld_scans_to_six_centimetres(index):
    scan, shipped = load(require("lidar/gtsam_points/newer_06"), index)
    twist = best_twist(scan, shipped)
    distance = np.linalg.norm(deskewed_to_start(scan, twist) - shipped, axis=1)
    assert np.median(distance) <= 0.06
