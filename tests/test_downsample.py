# SPDX-FileCopyrightText: The Mem4Nav stack developers
# SPDX-License-Identifier: Apache-2.0
"""One pass over a scan: what is dropped, what is averaged, and where it lands."""

import numpy as np
import pytest

from slam import so3
from slam.deskew import Undoing
from slam.downsample import Downsampler

LIMITS = (1.0, 100.0)
AS_IS = Undoing(np.zeros(0, np.int32), np.eye(3)[None], np.zeros((1, 3)), np.ones(1))


def centroids(points, undoing=AS_IS, limits=LIMITS, voxel=0.5):
    return Downsampler().centroids(np.asarray(points), undoing, limits, voxel)


def cloud(count=5000, seed=0, spread=20.0):
    return np.random.default_rng(seed).uniform(-spread, spread, (count, 3))


def sorted_rows(rows):
    return rows[np.lexsort(rows.T)]


@pytest.mark.parametrize("bad", [np.nan, np.inf, -np.inf])
@pytest.mark.parametrize("axis", range(3))
def test_points_that_are_not_finite_are_dropped_and_counted(bad, axis):
    points = np.array([[5.0, 0.2, 0.2], [9.0, 0.2, 0.2], [0.2, 7.0, 0.2]])
    points[1, axis] = bad
    kept, finite, in_range = centroids(points)
    assert (finite, in_range) == (2, 2)
    assert np.allclose(sorted_rows(kept[:, :3]), sorted_rows(points[[0, 2]]))


def test_points_too_near_and_too_far_are_dropped_and_counted():
    points = np.array(
        [[0.0, 0.0, 0.0], [0.5, 0.5, 0.5], [0.99, 0.0, 0.0], [1.01, 0.0, 0.0], [99.0, 0, 0], [0, 0, 101.0]]
    )
    kept, finite, in_range = centroids(points)
    assert (len(kept), finite, in_range) == (2, 6, 2)


def test_the_range_counts_from_the_lidar_not_from_the_body():
    moved = Undoing(np.zeros(0, np.int32), np.eye(3)[None], np.array([[50.0, 0.0, 0.0]]), np.ones(1))
    kept, _, in_range = centroids([[-50.2, 0.0, 0.0], [60.0, 0.0, 0.0]], moved)
    assert in_range == 2 and np.allclose(np.sort(kept[:, 0]), [-0.2, 110.0])


def test_each_voxel_gives_the_mean_of_its_points():
    points = cloud()
    kept, _, _ = centroids(points, limits=(0.0, 100.0), voxel=2.0)
    cells = np.floor(points / 2.0)
    _, owner = np.unique(cells, axis=0, return_inverse=True)
    owner = owner.ravel()
    counts = np.bincount(owner)
    means = np.column_stack([np.bincount(owner, points[:, k]) / counts for k in range(3)])
    assert np.allclose(sorted_rows(kept[:, :3]), sorted_rows(means))


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_both_float_widths_are_taken(dtype):
    kept, _, _ = centroids(cloud().astype(dtype))
    assert kept.dtype == np.float64 and len(kept) == len(centroids(cloud())[0])


def test_voxels_meet_at_zero_without_a_double_one():
    kept, _, _ = centroids([[5.1, 0.1, 0.1], [5.1, -0.1, 0.1], [5.1, 0.1, -0.1], [5.1, -0.1, -0.1]], voxel=0.5)
    assert len(kept) == 4


def test_a_point_repeated_a_thousand_times_is_one_point():
    kept, finite, _ = centroids(np.tile([[3.3, -4.4, 5.5]], (1000, 1)))
    assert finite == 1000 and np.allclose(kept, [[3.3, -4.4, 5.5, 1.0]])


def test_the_motion_is_undone_before_points_share_a_voxel():
    rng = np.random.default_rng(0)
    R = np.array([so3.exp(v) for v in rng.normal(0, 0.2, (8, 3))])
    t, shares = rng.normal(0, 1.0, (8, 3)), np.linspace(0.0, 1.0, 8)
    bins = rng.integers(0, 8, 400).astype(np.int32)
    landmarks = np.repeat(cloud(100) // 1.0 + 0.5, 4, axis=0)  # each is seen four times, from different places
    landmarks += np.where(np.linalg.norm(landmarks, axis=1) < 8.0, 30.0, 0.0)[:, None]
    seen = np.einsum("nji,nj->ni", R[bins], landmarks - t[bins])
    kept, _, _ = centroids(seen, Undoing(bins, R, t, shares), voxel=1.0)
    once = np.unique(landmarks, axis=0)
    assert np.allclose(sorted_rows(kept[:, :3].round(6)), sorted_rows(once))
    first = (np.abs(kept[:, :3] - landmarks[0]) < 1e-6).all(1)
    same = (landmarks == landmarks[0]).all(1)
    assert kept[first, 3] == pytest.approx(shares[bins[same]].mean())


@pytest.mark.parametrize("points", [np.zeros((0, 3)), np.full((50, 3), np.nan), np.zeros((50, 3), np.float32)])
def test_a_scan_without_a_usable_point_gives_none(points):
    kept, _, in_range = centroids(points)
    assert kept.shape == (0, 4) and in_range == 0
    assert Downsampler().first(kept, 0.8).shape == (0, 4)


@pytest.mark.parametrize("huge", [1e7, 1e19, 1e30, 3e38])
def test_huge_coordinates_are_out_of_range_and_do_no_harm(huge):
    points = np.array([[5.0, 0.0, 0.0], [huge, 0.0, 0.0], [-huge, huge, huge]], np.float32)
    kept, _, in_range = centroids(points)
    assert in_range == 1 and np.allclose(kept[:, :3], [[5.0, 0.0, 0.0]])


def test_the_first_point_of_each_voxel_stands_for_it_with_its_own_share():
    rows = np.array([[5.1, 0.1, 0.1, 0.3], [5.2, 0.1, 0.1, 0.9], [6.1, 0.1, 0.1, 0.7]])
    assert np.array_equal(Downsampler().first(rows, 0.8), rows[[0, 2]])


def test_a_downsampler_remembers_nothing_of_the_scans_before():
    used = Downsampler()
    for seed in range(5):
        again, _, _ = used.centroids(cloud(seed=seed), AS_IS, LIMITS, 0.5)
        assert np.array_equal(again, centroids(cloud(seed=seed))[0])


def test_a_scan_with_more_voxels_than_the_table_holds_is_cut_short_and_does_not_hang():
    points = cloud(300_000, spread=90.0)
    kept, _, _ = centroids(points, limits=(0.0, 200.0), voxel=0.1)
    assert 100_000 < len(kept) <= 300_000
    assert np.isfinite(kept).all()
