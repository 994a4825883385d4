# SPDX-FileCopyrightText: The Mem4Nav stack developers
# SPDX-License-Identifier: Apache-2.0
"""Gaussians are split, merged, turned and let go where looks call for it."""

import numpy as np
import pytest
from scipy.spatial.transform import Rotation

from gaussian_worlds import LEVELS, assert_sound, cells_of, empty_map, looking, same, some
from slam.gaussian_map.columns import ERROR, LOOKS, WEIGHT
from slam.gaussian_map.detail import merged, normals, quartered, turned
from slam.gaussian_map.refine import RefineConfig, Refined, observe, refine, residuals
from slam.octree import NORMAL, PLANE, STATE
from slam.splatting.gaussians import Gaussians
from slam.splatting.rendering import render


def tiled(rows=8, level=3, colour=0.2, x=5.05, sigma=0.06):
    """A wall of one colour across the view's middle, a Gaussian in each cell."""
    side = 0.5**level
    places = (np.arange(rows) - rows / 2 + 0.5) * side
    y, z = np.meshgrid(places, places)
    out = some(np.column_stack([np.full(y.size, x), y.ravel(), z.ravel()]), sigma=(0.01, sigma, sigma))
    out.quats[:] = [0, 0, 0, 1]
    out.harmonics[:] = colour
    out.logits[:] = 2.0
    return out


def wall_map(**settings):
    gaussian_map = empty_map(LEVELS)
    given = tiled(**settings)
    rows = gaussian_map.add(given, np.full(given.size, settings.get("level", 3)), 0)
    assert len(rows) == given.size
    return gaussian_map, rows


def looks(gaussian_map, rows, error, contribution=20.0, times=4, gradient=0.0):
    for _ in range(times):
        shape = np.ones(len(rows), np.float32)
        observe(gaussian_map, rows, contribution * shape, error * shape, gradient * shape)


def covariances(gaussians):
    axes = Rotation.from_quat(gaussians.quats).as_matrix() * np.exp(gaussians.log_scales)[:, None, :]
    return axes @ axes.transpose(0, 2, 1)


# one as four, several as one


def test_the_four_lie_in_the_plane_of_the_one_and_are_half_as_large():
    one = some(np.random.default_rng(0).uniform(-5, 5, (20, 3)), sigma=(0.2, 0.02, 0.1))
    four, offsets = quartered(one)
    n = np.repeat(normals(one), 4, axis=0)
    assert np.abs((offsets * n).sum(axis=1)).max() < 1e-6
    assert np.allclose(four.means - np.repeat(one.means, 4, axis=0), offsets, atol=1e-5)
    assert np.allclose(np.exp(four.log_scales), [0.1, 0.02, 0.05]) and np.allclose(four.means[:4].mean(0), one.means[0])
    for name in ("quats", "logits", "harmonics"):
        assert np.array_equal(getattr(four, name), np.repeat(getattr(one, name), 4, axis=0))


def test_the_four_look_like_the_one():
    one = tiled(rows=1, sigma=0.3)
    four, _ = quartered(one)
    before, after = (render(g, looking()).colour for g in (one, four))
    assert np.sqrt(np.mean((before - after) ** 2)) < 0.35 * np.sqrt(np.mean(before**2))


def test_merging_keeps_mean_covariance_and_colour():
    rng = np.random.default_rng(0)
    parts = some(rng.uniform(-0.5, 0.5, (6, 3)) + np.array([1000.0, -3.0, 2.0]), sigma=(0.1, 0.05, 0.01))
    parts.logits[:] = 0.0
    one = merged(parts, np.array([0, 0, 0, 1, 1, 1]))
    for group in range(2):
        mine = parts.take(slice(3 * group, 3 * group + 3))
        mean = mine.means.astype(float).mean(axis=0)
        apart = mine.means - mean
        spread = covariances(mine).mean(axis=0) + apart.T @ apart / 3
        assert np.allclose(one.means[group], mean, atol=1e-3)
        assert np.allclose(covariances(one)[group], spread, atol=1e-4)
        assert np.allclose(one.harmonics[group], mine.harmonics.mean(axis=0), atol=1e-6)


def test_one_merged_alone_is_itself_and_the_fainter_weigh_less():
    parts = some(np.array([[0.0, 0, 0], [1.0, 0, 0], [5.0, 0, 0]]))
    parts.logits[:2] = np.log([0.9 / 0.1, 0.1 / 0.9])
    one = merged(parts, np.array([0, 0, 1]))
    assert np.allclose(one.means[:, 0], [0.1, 5.0], atol=1e-6)
    assert np.allclose(covariances(one)[1], covariances(parts)[2], atol=1e-8)
    assert np.isclose(one.logits[1], parts.logits[2], atol=1e-4)


def test_turning_lays_the_thin_axis_along_the_new_normal_by_the_shortest_way():
    one = some(np.zeros((50, 3)), sigma=(0.1, 0.01, 0.05))
    towards = np.random.default_rng(1).normal(size=(50, 3))
    towards /= np.linalg.norm(towards, axis=1, keepdims=True)
    after = one._replace(quats=turned(one, towards))
    assert np.allclose(np.abs((normals(after) * towards).sum(axis=1)), 1.0, atol=1e-6)
    angle = (Rotation.from_quat(after.quats) * Rotation.from_quat(one.quats).inv()).magnitude()
    assert np.allclose(angle, np.arccos(np.abs((normals(one) * towards).sum(axis=1))), atol=1e-3)


def test_four_take_the_cells_of_one_and_merge_into_its_cell_again():
    gaussian_map, rows = wall_map(level=3)
    taken, values = cells_of(gaussian_map), gaussian_map.take(rows)
    parents = gaussian_map.keys[rows].copy()
    children = gaussian_map.split(rows)
    assert len(children) == 4 * len(rows) == len(gaussian_map)
    assert_sound(gaussian_map)
    families = gaussian_map.families(parents)
    assert ((families >= 0).sum(axis=1) == 4).all()
    again = gaussian_map.merge(parents)
    assert len(again) == len(rows) == len(gaussian_map) and sorted(cells_of(gaussian_map)) == sorted(taken)
    before, after = (g.means[np.lexsort(g.means.round(3).T)] for g in (values, gaussian_map.take(again)))
    assert np.allclose(before, after, atol=1e-5)
    assert_sound(gaussian_map)


def test_cells_with_finer_ones_still_inside_are_not_merged():
    gaussian_map, rows = wall_map(level=3)
    parent = gaussian_map.keys[rows[:1]].copy()
    children = gaussian_map.split(rows[:1])
    gaussian_map.split(children[:1])
    assert len(gaussian_map.merge(parent)) == 0 and len(gaussian_map) == len(rows) + 6
    gaussian_map.remove(gaussian_map.rows_in_memory())
    assert len(gaussian_map.merge(parent)) == 0


def test_the_finest_are_not_split():
    gaussian_map, rows = wall_map(level=5)
    assert len(gaussian_map.split(rows)) == 0 and len(gaussian_map) == len(rows)


# what calls for it


def test_a_map_that_nobody_has_looked_at_is_left_as_it_is():
    gaussian_map, _ = wall_map()
    before = gaussian_map.gaussians()
    assert refine(gaussian_map) == Refined(0, 0, 0, 0) and same(gaussian_map.gaussians(), before)


@pytest.mark.parametrize("cause", ["residual", "gradient"])
def test_where_the_picture_is_wrong_gaussians_are_split(cause):
    gaussian_map, rows = wall_map()
    bad, fine = rows[:10], rows[10:]
    looks(gaussian_map, bad, 0.2 if cause == "residual" else 0.04, gradient=1e-3 if cause == "gradient" else 0.0)
    looks(gaussian_map, fine, 0.04)
    assert refine(gaussian_map) == Refined(0, 0, 10, 0)
    assert len(gaussian_map) == len(fine) + 40 and (gaussian_map.levels[fine] == 3).all()
    assert refine(gaussian_map) == Refined(0, 0, 0, 0)
    assert_sound(gaussian_map)


def test_gaussians_of_few_pixels_or_few_looks_are_not_split():
    gaussian_map, rows = wall_map()
    looks(gaussian_map, rows[:10], 0.5, contribution=1.0)
    looks(gaussian_map, rows[10:20], 0.5, times=1)
    assert refine(gaussian_map) == Refined(0, 0, 0, 0)


def test_the_worst_are_split_first_and_no_more_than_allowed():
    gaussian_map, rows = wall_map()
    cells = cells_of(gaussian_map, rows)
    for k, row in enumerate(rows):
        looks(gaussian_map, np.array([row]), 0.1 + 0.01 * k)
    assert refine(gaussian_map, RefineConfig(max_refined=5)).split == 5
    assert len(gaussian_map) == len(rows) + 15 and set(cells_of(gaussian_map)) > set(cells[:-5])
    assert not set(cells_of(gaussian_map)) & set(cells[-5:])


def test_where_neighbours_show_the_same_they_become_one():
    gaussian_map, rows = wall_map()
    looks(gaussian_map, rows, 0.001)
    before = render(gaussian_map.gaussians(), looking())
    assert refine(gaussian_map) == Refined(0, 0, 0, 16)
    assert len(gaussian_map) == 16 and {cell[0] for cell in cells_of(gaussian_map)} == {2}
    after = render(gaussian_map.gaussians(), looking())
    middle = (slice(45, 75), slice(65, 95))
    assert np.abs(before.colour[middle] - after.colour[middle]).mean() < 0.05
    assert np.allclose(before.expected_depth()[middle], after.expected_depth()[middle], atol=0.01)
    assert_sound(gaussian_map)


@pytest.mark.parametrize("difference", ["colour", "normal", "step", "residual", "looks"])
def test_neighbours_that_differ_stay_apart(difference):
    gaussian_map, rows = wall_map()
    values, every_other = gaussian_map.take(rows), np.arange(len(rows)) % 2 == 0
    if difference == "colour":
        values.harmonics[every_other] += 0.5
    elif difference == "normal":
        values.quats[every_other] = Rotation.from_euler("z", 30, degrees=True).as_quat()
    elif difference == "step":
        values.means[every_other, 0] += 0.05
    gaussian_map.put(rows, values)
    looks(gaussian_map, rows, 0.001)
    if difference in ("residual", "looks"):
        gaussian_map.statistics[rows[every_other]] = 0.0
        looks(gaussian_map, rows[every_other], *((0.05, 20.0, 4) if difference == "residual" else (0.0, 20.0, 1)))
    assert refine(gaussian_map) == Refined(0, 0, 0, 0)


def test_the_faint_and_those_of_no_sensible_size_are_let_go():
    gaussian_map, rows = wall_map()
    values = gaussian_map.take(rows)
    values.logits[:3] = -5.0
    values.log_scales[3:5] = np.log(30.0)
    values.log_scales[8, 1] = np.log(3.0)  # as in the sky
    values.log_scales[5:6] = np.log(1e-5)
    values.means[6] = np.nan
    values.log_scales[7] = np.nan
    gaussian_map.put(rows, values)
    assert refine(gaussian_map).pruned == 8 and (gaussian_map.births[rows[:8]] == -1).all()
    assert_sound(gaussian_map)


def test_gaussians_take_the_normals_of_the_planes_that_their_leaf_was_split_into():
    rng, gaussian_map = np.random.default_rng(0), empty_map(LEVELS)
    ridge = rng.uniform(0, 1, (4000, 3))
    ridge[:, 2] = 0.2 + np.abs(ridge[:, 0] - 0.5) + rng.normal(0, 0.003, 4000)
    flat = some(ridge[:400], sigma=(0.05, 0.05, 0.01))
    flat.quats[:] = [0, 0, 0, 1]
    rows = gaussian_map.add(flat, np.full(400, 4), 0)
    gaussian_map.plane_map.insert(ridge, np.eye(3), np.zeros(3), 0)
    assert refine(gaussian_map).turned > 20
    a, nodes = gaussian_map.plane_map.arrays, gaussian_map.nodes[rows]
    on_planes = a.meta[nodes, STATE] == PLANE
    cosine = np.abs((normals(gaussian_map.take(rows)) * a.planes[nodes, NORMAL : NORMAL + 3]).sum(axis=1))
    assert on_planes.sum() > 50 and cosine[on_planes].min() > np.cos(np.radians(5.1))
    assert refine(gaussian_map).turned == 0


def test_residuals_are_those_round_the_projected_means():
    gaussians, view = tiled(), looking()
    picture = np.zeros((view.height, view.width), np.float32)
    picture[:, : view.width // 2] = 0.3
    left, centres = gaussians.means[:, 1] > 0.0, view.project(gaussians.means)[0] + 0.5
    assert np.allclose(residuals(centres, picture), np.where(left, 0.3, 0.0), atol=0.11)
    assert not residuals(np.full_like(centres, np.nan), picture).any()
    assert not residuals(centres + view.width, picture).any()


def test_statistics_fade_and_count_only_what_contributed():
    gaussian_map, rows = wall_map()
    contribution = np.where(np.arange(len(rows)) < 5, 10.0, 0.0).astype(np.float32)
    for _ in range(200):
        observe(gaussian_map, rows, contribution, np.full(len(rows), 0.1), contribution)
    s = gaussian_map.statistics[rows]
    assert np.allclose(s[:5, WEIGHT], 200.0, rtol=0.01) and np.allclose(s[:5, ERROR] / s[:5, WEIGHT], 0.1, rtol=1e-4)
    assert np.allclose(s[:5, LOOKS], 20.0, rtol=0.01) and not s[5:].any()


def test_refining_alike_maps_gives_alike_maps():
    outcomes = []
    for _ in range(2):
        gaussian_map, rows = wall_map()
        for k in range(3):
            looks(gaussian_map, gaussian_map.rows_in_memory()[k::2], 0.3 if k % 2 else 0.001)
            refine(gaussian_map, RefineConfig(max_refined=7))
        outcomes.append(gaussian_map.gaussians())
        assert isinstance(outcomes[-1], Gaussians)
    assert same(*outcomes) and outcomes[0].size != len(rows)
