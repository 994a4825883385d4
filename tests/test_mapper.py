# SPDX-FileCopyrightText: The Mem4Nav stack developers
# SPDX-License-Identifier: Apache-2.0
"""From returns and a picture to Gaussians, and what fitting makes of them, before a painted wall and a floor."""

from __future__ import annotations

import numpy as np
import pytest

from gaussian_worlds import some
from slam.calibration import Camera
from slam.errors import SlamError
from slam.gaussian_map.exposure import Exposure
from slam.gaussian_map.free_space import looked_through
from slam.gaussian_map.held_out import exposure_at, judged
from slam.gaussian_map.keyframe import Look
from slam.gaussian_map.mapper import Mapper
from slam.gaussian_map.mapping_config import KeyframeConfig, MappingConfig
from slam.gaussian_map.pictures import Developer
from slam.gaussian_map.returns import Returns, completed, seen_from, surfaces
from slam.gaussian_map.seeding import SeedConfig, seed_pixels, seeds
from slam.gaussian_map.store import GaussianMap
from slam.octree import PlaneMap
from slam.odometry_config import MapConfig
from slam.splatting.gaussians import Gaussians, concatenated
from slam.splatting.rendering import render
from slam.splatting.view import View

OPTICAL = np.array([[0.0, 0.0, 1.0], [-1.0, 0.0, 0.0], [0.0, -1.0, 0.0]])
K = np.array([[80.0, 0.0, 47.5], [0.0, 80.0, 31.5], [0.0, 0.0, 1.0]])
CAMERA = Camera(96, 64, K, np.zeros(5), np.block([[OPTICAL, np.zeros((3, 1))], [np.zeros(3), 1.0]]))
WALL_X, FLOOR_Z, BOX_X = 8.0, -1.2, 4.0
SHAPE = (64, 96)


def pose(x: float = 0.0, y: float = 0.0) -> np.ndarray:
    T = np.eye(4)
    T[:2, 3] = x, y
    return T


def rays_in_world() -> np.ndarray:
    v, u = np.mgrid[: SHAPE[0], : SHAPE[1]]
    rays = np.stack([(u - K[0, 2]) / K[0, 0], (v - K[1, 2]) / K[1, 1], np.ones(SHAPE)], axis=-1)
    return rays @ OPTICAL.T


def paint(points: np.ndarray) -> np.ndarray:
    x, y, z = np.moveaxis(points, -1, 0)
    return np.stack([
        0.5 + 0.25 * np.sin(1.9 * y + 0.5) * np.cos(1.4 * z + x), 0.5 + 0.2 * np.cos(1.1 * y - 1.7 * z + 0.8 * x),
        0.4 + 0.2 * np.sin(1.3 * z + 0.4 * y + 1.2 * x),
    ], axis=-1)  # fmt: skip


def world(T: np.ndarray, box: bool = False) -> tuple[np.ndarray, np.ndarray]:
    """Picture (H, W, 3) uint8 and the point (H, W, 3) in each pixel."""
    origin, rays = T[:3, 3], rays_in_world()
    ways = [(WALL_X - origin[0]) / rays[..., 0]]
    with np.errstate(divide="ignore"):
        ways.append(np.where(rays[..., 2] < 0.0, (FLOOR_Z - origin[2]) / rays[..., 2], np.inf))
    if box:
        way = (BOX_X - origin[0]) / rays[..., 0]
        there = origin + rays * way[..., None]
        ways.append(np.where((np.abs(there[..., 1]) < 0.6) & (there[..., 2] < 0.4), way, np.inf))
    points = origin + rays * np.min(ways, axis=0)[..., None]
    colour = paint(points)
    if box:
        colour[np.argmin(ways, axis=0) == 2] = (0.9, 0.1, 0.1)
    return (colour * 255.0 + 0.5).astype(np.uint8), points


def scan(T: np.ndarray, box: bool = False) -> np.ndarray:
    """(N, 3) returns in every third row and second column."""
    return world(T, box)[1][1::3, ::2].reshape(-1, 3)


def planes() -> PlaneMap:
    found = PlaneMap(MapConfig())
    for k, y in enumerate((-0.4, 0.0, 0.4)):
        found.insert(scan(pose(0.0, y)), np.eye(3), np.zeros(3), k)
    return found


def look(T: np.ndarray, picture: np.ndarray, points: np.ndarray, stamp_ns: int = 0) -> Look:
    view, developer = View.of(CAMERA, T), Developer(CAMERA, 1.0)
    return Look(stamp_ns, "front", developer.develop(picture), developer.inside, view, seen_from(points, view))


def mapper(**settings) -> Mapper:
    config = MappingConfig(scale=1.0, backend="cpu", keyframes=KeyframeConfig(move_m=0.1), **settings)
    return Mapper({"front": CAMERA}, GaussianMap(planes()), config)


def drive(chosen: Mapper, ys=(-0.3, -0.1, 0.1, 0.3), box: bool = False) -> None:
    for k, y in enumerate(ys):
        T = pose(0.0, y)
        chosen.add(look(T, world(T, box)[0], scan(T, box), k))
        chosen.work()


def test_a_return_behind_a_nearer_neighbour_is_not_seen_by_the_camera():
    T = pose()
    near, far = np.array([[3.0, 0.0, 0.0]]), np.array([[9.0, 0.06, 0.0]])
    seen = seen_from(np.concatenate([near, far]), View.of(CAMERA, T))
    assert len(seen) == 1
    assert seen.depths[0] == pytest.approx(3.0)
    apart = seen_from(np.concatenate([near, np.array([[9.0, 4.0, 0.0]])]), View.of(CAMERA, T))
    assert len(apart) == 2


def test_returns_behind_the_camera_and_beyond_the_picture_are_left_out():
    points = np.array([[-3.0, 0.0, 0.0], [3.0, 30.0, 0.0], [0.2, 0.0, 0.0]])
    assert not len(seen_from(points, View.of(CAMERA, pose())))


def test_depth_between_the_returns_is_that_of_the_surface():
    T = pose()
    view = View.of(CAMERA, T)
    depth, normal, distance = completed(seen_from(scan(T), view), planes(), view, 4.0)
    truth = world(T)[1][..., 0]
    known = depth > 0.0
    assert known.mean() > 0.8
    assert np.quantile(np.abs(depth[known] / truth[known] - 1.0), 0.95) < 0.02
    assert np.allclose(np.linalg.norm(normal[known], axis=1), 1.0, atol=1e-3)
    assert (distance[depth == 0.0] >= 0.0).all()


def test_far_from_any_return_nothing_is_known():
    view = View.of(CAMERA, pose())
    one = seen_from(np.array([[8.0, 0.0, 0.0]]), view)
    depth, _, distance = completed(one, planes(), view, 4.0)
    assert not depth[distance > 4.0].any()
    empty = Returns(np.zeros(0, np.int32), np.zeros(0, np.int32), np.zeros(0, np.float32), np.zeros((0, 3)))
    assert not completed(empty, planes(), view, 4.0)[0].any()


def test_a_return_without_plane_or_flat_neighbours_has_no_surface():
    rng = np.random.default_rng(0)
    cloud = np.array([6.0, 0.0, 0.0]) + rng.uniform(-0.8, 0.8, (300, 3))
    returns = seen_from(cloud, View.of(CAMERA, pose()))
    assert surfaces(returns, PlaneMap(MapConfig()))[1].mean() < 0.3


def seeded(spacing_px: float = 2.0) -> tuple[Gaussians, np.ndarray, np.ndarray]:
    T = pose()
    view = View.of(CAMERA, T)
    picture, points = world(T)
    depth, normal, _ = completed(seen_from(scan(T), view), planes(), view, 4.0)
    pixels = seed_pixels(depth > 0.0, spacing_px)
    config = SeedConfig(spacing_px=spacing_px)
    new, spacing = seeds((picture / 255.0).astype(np.float32), depth, normal, view, pixels, config)
    return new, spacing, points[pixels]


def test_seeds_lie_on_the_surface_thin_along_its_normal_in_the_colour_of_their_pixel():
    new, spacing, points = seeded()
    off = np.linalg.norm(new.means - points, axis=1)
    assert np.quantile(off, 0.95) < 0.15
    assert np.allclose(np.exp(new.log_scales[:, 0]), 0.01)
    assert np.quantile(np.abs(new.base_colours() - paint(points)), 0.95) < 0.03
    assert np.allclose(new.opacities(), 0.9, atol=1e-3)
    wall = points[:, 0] > WALL_X - 1e-6
    x = 1.0 - 2.0 * (new.quats[:, 1] ** 2 + new.quats[:, 2] ** 2)
    assert (np.abs(x[wall]) > 0.98).mean() > 0.95
    assert np.allclose(np.exp(new.log_scales[wall, 2]), SeedConfig().overlap * spacing[wall], rtol=1e-4)


def test_nothing_is_seeded_at_the_border_of_the_picture():
    rows, columns = seed_pixels(np.ones(SHAPE, np.bool_), 1.0)
    assert rows.min() >= 2 and rows.max() < SHAPE[0] - 2
    assert columns.min() >= 2 and columns.max() < SHAPE[1] - 2


def test_the_map_shows_a_view_that_it_has_not_seen():
    chosen = mapper()
    drive(chosen)
    T = pose(0.05, 0.02)
    held_out = look(T, world(T)[0], scan(T), 9)
    view, score = judged(held_out, chosen.render_map(held_out.view), exposure_at(9, chosen.exposures["front"]))
    assert score.psnr_db > 30.0
    assert score.depth_error_m < 0.05
    assert score.depth_share > 0.9
    assert view.colour.shape == (*SHAPE, 3)


def test_a_brighter_keyframe_changes_its_exposure_and_not_the_map():
    chosen = mapper()
    drive(chosen, (-0.3, -0.1))
    before = chosen.map.gaussians().base_colours().mean()
    T = pose(0.0, 0.1)
    bright = np.clip(world(T)[0] * 1.3, 0, 255).astype(np.uint8)
    chosen.add(look(T, bright, scan(T), 5))
    chosen.work()
    chosen.window.write_back()
    assert np.allclose(chosen.exposures["front"][-1][1].gain, 1.3, atol=0.08)
    assert chosen.map.gaussians().base_colours().mean() == pytest.approx(before, abs=0.02)


def test_what_moved_away_leaves_the_map():
    chosen = mapper()
    drive(chosen, (-0.3, -0.1), box=True)
    chosen.window.write_back()
    in_box = lambda g: ((np.abs(g.means[:, 0] - BOX_X) < 0.3) & (np.abs(g.means[:, 1]) < 0.7)).sum()  # noqa: E731
    assert in_box(chosen.map.gaussians()) > 20
    before = in_box(chosen.map.gaussians())
    drive(chosen, (0.1, 0.3))
    chosen.window.write_back()
    assert in_box(chosen.map.gaussians()) < 0.4 * before


def test_the_edge_of_an_object_that_stands_is_not_taken_for_gone():
    T = pose()
    returns = seen_from(scan(T, box=True), View.of(CAMERA, T))
    new, _, _ = seeded()
    edge = Gaussians(*(array[:1].copy() for array in new))
    edge.means[0] = (BOX_X, 0.58, 0.0)
    assert not looked_through(edge, View.of(CAMERA, T), returns).any()
    floating = Gaussians(*(array[:1].copy() for array in new))
    floating.means[0] = (BOX_X, 2.0, 0.0)
    both = concatenated([edge, floating])
    assert looked_through(both, View.of(CAMERA, T), returns).tolist() == [False, True]


def test_without_time_no_step_is_made_and_with_a_number_so_many():
    chosen = mapper()
    drive(chosen, (0.0,))
    assert chosen.work(budget_s=0.0) == 0
    assert chosen.work(steps=3) == 3
    assert chosen.work(budget_s=0.05) >= 1


def test_the_last_keyframe_is_known_with_its_depths_without_rendering_until_the_map_changes():
    chosen = mapper()
    drive(chosen, (0.0,))
    first = chosen.last_template("front")
    rendered = []
    chosen.render = lambda view, render=chosen.render: rendered.append(view) or render(view)
    assert chosen.last_template("front") is first and not rendered
    chosen.work(steps=1)
    second = chosen.last_template("front")
    assert not np.array_equal(second.depth, first.depth, equal_nan=True) and len(rendered) == 1
    assert chosen.last_template("rear") is None


def test_a_keyframe_shows_its_pixels_where_they_are_and_a_view_from_ahead_fewer_of_them():
    chosen = mapper()
    drive(chosen, (0.0,))
    template = chosen.last_template("front")
    rows, columns = np.nonzero(np.isfinite(template.depth))
    assert len(rows) > 0.5 * template.depth.size
    pixels, depths = template.view.project(template.points(rows, columns))
    assert np.allclose(pixels, np.stack([columns, rows], axis=1), atol=1e-6)
    assert np.allclose(depths, template.depth[rows, columns], rtol=1e-6)
    ahead = View.of(CAMERA, pose(1.0))
    seen = template.seen_from(ahead)
    assert 0.3 * len(rows) < seen.sum() < 0.9 * len(rows)
    pixels, _ = ahead.project(template.points(*np.nonzero(seen)))
    assert (pixels > 0).all() and (pixels < [ahead.width - 1, ahead.height - 1]).all()


def test_a_camera_that_stands_still_brings_no_second_keyframe():
    chosen = mapper()
    drive(chosen, (0.0,))
    T = pose(0.0, 0.03)
    assert not chosen.wants(look(T, world(T)[0], scan(T)))
    T = pose(0.0, 0.2)
    assert chosen.wants(look(T, world(T)[0], scan(T)))


def test_the_same_keyframes_give_the_same_map_to_the_bit():
    maps = []
    for _ in range(2):
        chosen = mapper()
        drive(chosen, (-0.2, 0.0, 0.2))
        chosen.window.write_back()
        maps.append(chosen.map.gaussians())
    assert all(np.array_equal(a, b) for a, b in zip(*maps, strict=True))


def test_the_window_changes_nothing_but_what_is_kept_at_hand():
    maps = []
    for windowed in (True, False):
        chosen = mapper(windowed=windowed)
        drive(chosen, (-0.2, 0.0, 0.2))
        chosen.window.write_back()
        maps.append(chosen.map.gaussians())
    assert maps[0].size == maps[1].size
    for a, b in zip(*maps, strict=True):
        np.testing.assert_allclose(a, b, atol=1e-4)


def mapped_street(**settings):
    """A mapper on a street that was mapped before, where it begins, and what of it may be seen from there."""
    rng, street = np.random.default_rng(0), GaussianMap(PlaneMap(MapConfig()))
    walls = np.column_stack([rng.uniform(2, 100, 4000), rng.choice([-5.0, 5.0], 4000), rng.uniform(-1, 3, 4000)])
    street.add(some(walls, sigma=(0.1, 0.1, 0.01)), np.full(4000, 4), 0)
    chosen = Mapper({"front": CAMERA}, street, MappingConfig(scale=1.0, backend="cpu", **settings))
    view = View.of(CAMERA, pose())
    return chosen, view, street.visible([view], chosen.config.reach_m)


def test_a_mapped_street_that_is_come_upon_again_fills_the_window_to_its_limit_with_what_is_near():
    chosen, view, seen = mapped_street(most_in_window=1500, detail_px=0.0)
    chosen.render(view)
    assert 500 < chosen.window.size <= 1500 < len(seen)
    left_out = chosen.map.take(np.setdiff1d(seen, chosen.window.rows)).means
    kept_to_m = np.linalg.norm(chosen.window.gaussians.means, axis=1).max()
    assert kept_to_m < np.linalg.norm(left_out, axis=1).min() + 1.0


def test_of_a_mapped_street_that_is_come_upon_again_far_parts_are_shown_by_few():
    chosen, view, seen = mapped_street(detail_px=1.5)
    shown = chosen.render(view)
    whole = render(chosen.map.take(seen), view)
    window = chosen.window
    assert 200 < window.size < window.shown < 0.6 * len(seen)
    stood_for = chosen.map.take(np.setdiff1d(seen, window.rows)).means
    assert np.linalg.norm(stood_for, axis=1).min() > 20.0
    assert np.abs(shown.colour - whole.colour).mean() < 0.1 * np.abs(whole.colour).mean()


def test_before_the_first_keyframe_a_held_out_picture_is_taken_as_it_is():
    assert np.array_equal(exposure_at(5, []).gain, np.ones(3))
    later = [(10, Exposure(np.full(3, 1.5, np.float32), np.zeros(3, np.float32)))]
    assert exposure_at(5, later) is later[0][1]


def test_a_picture_of_another_size_is_refused_with_both_sizes():
    with pytest.raises(SlamError, match="48 x 32 px, the calibration says 96 x 64"):
        Developer(CAMERA, 0.5).develop(np.zeros((32, 48, 3), np.uint8))


def test_a_distorted_picture_is_laid_straight():
    bent = Camera(96, 64, K, np.array([-0.2, 0.05, 0.001, -0.002, 0.0]), np.eye(4))
    v, u = np.mgrid[:64, :96]
    x, y = (u - K[0, 2]) / K[0, 0], (v - K[1, 2]) / K[1, 1]
    for _ in range(20):  # the ideal ray of each distorted pixel
        r2 = x * x + y * y
        radial = 1.0 + r2 * (-0.2 + 0.05 * r2)
        dx = 2 * 0.001 * x * y - 0.002 * (r2 + 2 * x * x)
        dy = 0.001 * (r2 + 2 * y * y) + 2 * -0.002 * x * y
        x, y = ((u - K[0, 2]) / K[0, 0] - dx) / radial, ((v - K[1, 2]) / K[1, 1] - dy) / radial
    seen = np.repeat((127.0 + 100.0 * np.sin(7.0 * x) * np.cos(6.0 * y))[:, :, None], 3, axis=2).astype(np.uint8)
    straight = Developer(bent, 1.0).develop(seen)[:, :, 0]
    x, y = (u - K[0, 2]) / K[0, 0], (v - K[1, 2]) / K[1, 1]
    ideal = (127.0 + 100.0 * np.sin(7.0 * x) * np.cos(6.0 * y)) / 255.0
    inner = (slice(8, -8), slice(8, -8))
    assert np.abs(straight[inner] - ideal[inner]).max() < 0.02
