# SPDX-FileCopyrightText: The Mem4Nav stack developers
# SPDX-License-Identifier: Apache-2.0
"""Points against planes: which plane a point takes, and how its distance changes with the pose."""

import numpy as np
import pytest

from plane_worlds import HERE, NOISE, mapped, measured, room, surface
from plane_worlds import pose_variance as variance
from slam import so3
from slam.deskew import bend
from slam.octree import DEPTH, PLANE, STATE, USED
from slam.odometry_config import MapConfig
from slam.registration import lay_on_planes, linearise

SURE = variance(1e-8, 1e-6)
"""Variances of a pose that widens the gate by next to nothing."""
LEVER = np.array([0.2, -0.1, 0.4])


def standing(R=None, t=HERE):
    """Poses of a scan whose points all take the same one."""
    R = np.eye(3) if R is None else R
    return bend(R, np.asarray(t, float), R, np.asarray(t, float), 1.0)


def fit(plane_map, points, t=HERE, pose_variance=SURE):
    return linearise(plane_map, with_share(points), standing(t=t), 1.0, HERE, pose_variance, NOISE)


def with_share(points):
    points = np.atleast_2d(np.asarray(points, float))
    return np.column_stack([points, np.ones(len(points))]) if points.shape[1] == 3 else points


def ground(corner=(0.2, 0.2, 1.7), size=3.6):
    """A patch of 3.6 m in the middle of the voxel of 4 m that it lies in."""
    return surface(np.random.default_rng(0), corner, [size, 0, 0], [0, size, 0], noise=0.002)


@pytest.mark.parametrize("stiffness", [1.0, 0.5])
def test_the_jacobian_is_the_derivative_of_each_distance_by_the_pose_at_the_end(stiffness):
    rng = np.random.default_rng(2)
    plane_map = mapped(room(rng))
    R, p = so3.exp(np.array([0.01, -0.005, 0.3])), np.array([0.5, 0.3, 0.1])
    world = measured(room(np.random.default_rng(3)), 30)
    points = np.column_stack([(world[:, :3] - p) @ R + 0.03, rng.integers(0, 65, 30) / 64])
    checked = 0
    for row in points:

        def distance_at(nudge, row=row):
            poses = bend(R, p, R @ so3.exp(nudge[:3]), p + nudge[3:], stiffness)
            return linearise(plane_map, row[None], poses, stiffness, LEVER, variance(1e-4, 1e-1), NOISE)

        here = distance_at(np.zeros(6))
        if not here.matched or here.rms_m < 1e-3:
            continue
        eps = 1e-6 * np.eye(6)
        h = np.array([(distance_at(e).rms_m - distance_at(-e).rms_m) / 2e-6 for e in eps])
        w = np.trace(here.information) / (h @ h)
        assert np.allclose(here.information, w * np.outer(h, h), atol=1e-5 * w * (h @ h))
        assert np.allclose(here.vector, -w * here.rms_m * h, atol=1e-5 * w * here.rms_m * np.linalg.norm(h))
        share = stiffness + (1.0 - stiffness) * row[3]
        assert np.linalg.norm(h[3:]) == pytest.approx(share, abs=1e-5)
        assert here.weight == pytest.approx(share**2 * w, rel=1e-4)
        checked += 1
    assert checked >= 25


def test_the_sums_over_a_scan_are_the_sums_over_its_points():
    plane_map = mapped(room(np.random.default_rng(2)))
    points = measured(room(np.random.default_rng(3)), 50, share=0.5)
    whole = linearise(plane_map, points, standing(t=(0.02, 0.0, 0.01)), 0.7, LEVER, SURE, NOISE)
    single = [linearise(plane_map, p[None], standing(t=(0.02, 0.0, 0.01)), 0.7, LEVER, SURE, NOISE) for p in points]
    assert whole.matched == sum(s.matched for s in single) > 40
    for part in ("information", "vector", "noise_information", "weight"):
        assert np.allclose(getattr(whole, part), sum(getattr(s, part) for s in single))


def test_newton_steps_bring_a_displaced_scan_back():
    plane_map = mapped(room(np.random.default_rng(2)))
    points, t = measured(room(np.random.default_rng(3))), np.array([0.05, -0.04, 0.03])
    for _ in range(3):
        off = linearise(plane_map, points, standing(t=t), 1.0, HERE, variance(1e-4, 1e-2), NOISE)
        step = np.linalg.solve(off.information, off.vector)
        t = t + step[3:]
        assert np.abs(step[:3]).max() < 2e-3
    assert np.abs(t).max() < 0.005


def test_a_point_beyond_three_sigma_of_its_plane_is_not_matched():
    plane_map = mapped(ground())
    near, far = fit(plane_map, [2.0, 2.0, 1.73]), fit(plane_map, [2.0, 2.0, 1.85])
    assert near.matched == 1 and near.rms_m == pytest.approx(0.03, abs=0.003)
    assert far.matched == 0
    assert not far.information.any() and not far.vector.any() and np.isnan(far.rms_m)


def test_points_are_laid_on_their_plane_along_the_line_of_sight_and_others_stay():
    plane_map, eye = mapped(ground()), np.array([1.0, 1.0, 4.0])
    on_it = np.array([[2.0, 2.5, 1.7], [3.0, 1.2, 1.7]])
    points = np.concatenate([eye + 0.99 * (on_it - eye), [[2.0, 2.0, 1.95], [20.0, 0.0, 1.7]]])
    before = points.copy()
    laid = lay_on_planes(plane_map, points, eye, 0.03)
    assert laid.tolist() == [True, True, False, False]
    assert np.allclose(points[:2], on_it, atol=0.002)
    assert np.array_equal(points[2:], before[2:])


def test_a_point_that_is_looked_at_along_its_plane_is_not_moved_far():
    plane_map = mapped(ground())
    points = np.array([[3.0, 2.0, 1.72]])
    assert not lay_on_planes(plane_map, points, np.array([1.0, 2.0, 1.74]), 0.03).any()
    assert np.array_equal(points, [[3.0, 2.0, 1.72]])


def test_no_point_is_laid_on_a_rough_plane_nor_far_out_on_one_that_a_narrow_strip_left_tilted():
    rng, eye = np.random.default_rng(1), np.array([1.0, 1.0, 4.0])
    rough = mapped(surface(rng, (0.2, 0.2, 1.7), [3.6, 0, 0], [0, 3.6, 0], noise=0.05))
    strip = mapped(surface(rng, (0.2, 1.9, 1.7), [3.6, 0, 0], [0, 0.2, 0], count=100, noise=0.02))
    assert not lay_on_planes(rough, np.array([[2.0, 2.0, 1.71]]), eye, 0.03).any()
    laid = lay_on_planes(strip, np.array([[2.0, 2.0, 1.71], [2.0, 2.6, 1.71]]), eye, 0.03)
    assert laid.tolist() == [True, False]


def test_an_uncertain_pose_opens_the_gate_without_making_the_point_less_certain():
    plane_map = mapped(ground())
    closed, opened = (
        fit(plane_map, [2.0, 2.0, 1.73]),
        fit(plane_map, [2.0, 2.0, 1.73], pose_variance=variance(1e-4, 0.1)),
    )
    assert fit(plane_map, [2.0, 2.0, 2.2], pose_variance=variance(0.0, 0.1)).matched == 1
    assert closed.weight == pytest.approx(opened.weight)


def test_an_uncertain_attitude_opens_the_gate_for_far_points_only():
    plane_map = mapped(np.vstack([ground(), ground((40.2, 0.2, 1.7))]))
    turned = variance(np.radians(1.0) ** 2, 0.0)
    assert fit(plane_map, [2.0, 2.0, 2.2], pose_variance=turned).matched == 0
    assert fit(plane_map, [42.0, 2.0, 2.2], pose_variance=turned).matched == 1


def test_a_point_far_beside_a_plane_is_not_on_it():
    plane_map = mapped(ground(size=0.8))
    assert fit(plane_map, [0.6, 0.6, 1.7]).matched == 1
    assert fit(plane_map, [3.5, 3.5, 1.7]).matched == 0


def test_outliers_do_not_change_the_sums():
    plane_map, points = mapped(room(np.random.default_rng(2))), measured(room(np.random.default_rng(3)))
    outliers = np.column_stack(
        [np.random.default_rng(4).uniform(-2, 2, (300, 2)), np.full((300, 1), 0.3), np.ones(300)]
    )
    clean, dirty = fit(plane_map, points), fit(plane_map, np.vstack([points, outliers]))
    assert dirty.matched == clean.matched
    assert np.allclose(dirty.information, clean.information) and np.allclose(dirty.vector, clean.vector)


@pytest.mark.parametrize("axis", range(3))
@pytest.mark.parametrize("side", [-1, 1])
def test_a_point_just_across_a_border_takes_the_plane_of_the_nearest_voxel(axis, side):
    """A surface 1 cm before the border; the point lies 1 cm behind it, in a voxel that holds nothing."""
    order = np.roll([2, 0, 1], axis + 1)  # which local axis lies along x, y, z; local z is the surface's normal
    border = 4.0 if side > 0 else 0.0
    patch, point = ground((0.2, 0.2, border - side * 0.01))[:, order], np.array([2.0, 2.0, border + side * 0.01])[order]
    plane_map = mapped(patch)
    across = fit(plane_map, point)
    assert across.matched == 1 and across.rms_m == pytest.approx(0.02, abs=0.003)


def test_a_point_in_the_middle_of_an_empty_voxel_takes_no_plane():
    fitted = fit(mapped(ground((0.2, 0.2, 3.99))), [2.0, 2.0, 6.0], pose_variance=variance(0.0, 100.0))
    assert fitted.matched == 0


def test_the_own_voxel_goes_before_the_neighbour():
    """Two parallel surfaces 4 cm apart with a border between them: each point takes that of its own side."""
    plane_map = mapped(np.vstack([ground((0.2, 0.2, 3.97)), ground((0.2, 0.2, 4.03))]))
    for z, expected in ((3.985, 0.015), (4.015, 0.015), (3.97, 0.0), (4.03, 0.0)):
        assert fit(plane_map, [2.0, 2.0, z]).rms_m == pytest.approx(expected, abs=0.003)


def test_a_point_between_two_planes_of_one_voxel_takes_the_more_probable():
    rng = np.random.default_rng(0)
    side = surface(rng, [0.5, 0.2, 0.2], [0, 3.6, 0], [0, 0, 3.6], noise=0.002)
    plane_map = mapped(np.vstack([side, ground((0.2, 0.2, 0.5))]))
    on_side, on_ground = fit(plane_map, [0.51, 2.0, 2.5]), fit(plane_map, [2.5, 2.0, 0.51])
    assert on_side.information[3, 3] > 100 * on_side.information[5, 5]
    assert on_ground.information[5, 5] > 100 * on_ground.information[3, 3]


@pytest.mark.parametrize("shift", [(-40.0, -80.0, -16.0), (300_000.0, -400_000.0, 120.0), (-300_000.0, 8.0, -4_000.0)])
def test_matching_is_the_same_everywhere(shift):
    points = measured(room(np.random.default_rng(3)))
    here = fit(mapped(room(np.random.default_rng(2))), points, (0.02, 0.01, 0.0))
    there = fit(mapped(room(np.random.default_rng(2)) + shift), points, np.add(shift, (0.02, 0.01, 0.0)))
    assert here.matched > 0.9 * len(points)
    assert there.matched == here.matched
    assert np.allclose(there.information, here.information, rtol=1e-4, atol=1e-4 * here.information.max())
    assert there.rms_m == pytest.approx(here.rms_m, rel=1e-4)


def test_points_beyond_the_range_of_keys_find_nothing_and_do_no_harm():
    plane_map = mapped(room(np.random.default_rng(2)))
    for far in (4.2e6, 5e6, 1e15):
        fitted = fit(plane_map, [[far, 0.0, 0.0], [0.0, -far, 0.0]])
        assert fitted.matched == 0


def test_an_empty_map_and_an_empty_scan_give_an_empty_fit():
    for plane_map, points in ((mapped(np.zeros((0, 3))), np.zeros((5, 3))), (mapped(ground()), np.zeros((0, 4)))):
        fitted = fit(plane_map, points)
        assert (fitted.matched, fitted.weight) == (0, 0.0)
        assert not fitted.information.any() and np.isnan(fitted.rms_m)


def test_planes_of_split_voxels_are_found_to_the_last_depth():
    """A comb of walls 0.7 m apart: no leaf above a quarter of a voxel holds only one of them."""
    rng = np.random.default_rng(0)
    walls = [surface(rng, [x, 0.1, 0.1], [0, 3.8, 0], [0, 0, 3.8], 3000, 0.003) for x in np.arange(0.25, 4.0, 0.7)]
    plane_map = mapped(np.vstack(walls), MapConfig(max_points=100_000))
    meta = plane_map.arrays.meta[: plane_map.arrays.counters[USED]]
    assert meta[meta[:, STATE] == PLANE, DEPTH].min() >= 2
    for wall in walls:
        fitted = fit(plane_map, wall[:200])
        assert fitted.matched >= 190 and fitted.rms_m < 0.01
