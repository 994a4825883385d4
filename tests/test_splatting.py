# SPDX-FileCopyrightText: The Mem4Nav stack developers
# SPDX-License-Identifier: Apache-2.0
"""What a rendering shows, and what it makes of Gaussians that are hard to draw."""

import numpy as np
import pytest
from scipy.spatial.transform import Rotation

from slam.errors import SlamError
from slam.splatting import MOST_ALPHA
from slam.splatting.gaussians import Gaussians, concatenated
from slam.splatting.rendering import gradients, render
from slam.splatting.tiles import depth_order
from slam.splatting.view import View
from splat_scenes import as_gaussians, one, strewn, view

AHEAD = view(40, 24, np.eye(4))
CENTRED = View(41, 25, np.array([[40.0, 0, 20.0], [0, 40.0, 12.0], [0, 0, 1]]), np.eye(4))
"""Its axis meets the centre of pixel (20, 12)."""


def slopes_of(rendering, seed=0):
    rng = np.random.default_rng(seed)
    shape = rendering.alpha.shape
    shapes = ((*shape, 3), shape, shape, (*shape, 3))
    return [rng.normal(size=s).astype(np.float32) for s in shapes]


def all_finite(rendering):
    g = gradients(rendering, *slopes_of(rendering))
    pictures = (rendering.colour, rendering.offset, rendering.normal, rendering.alpha)
    return all(np.isfinite(array).all() for array in (*pictures, *g.gaussians, g.pose, g.screen))


def test_a_gaussian_on_the_axis_shows_its_colour_and_normal_in_the_middle():
    drawn = render(one(), CENTRED)
    assert np.allclose(drawn.alpha[12, 20], 0.8, atol=1e-5)
    assert np.allclose(drawn.colour[12, 20], [0.8, 0.4, 0.2], atol=1e-5)
    # A ball: of its equal axes the first, x, is the normal.
    assert np.allclose(np.abs(drawn.normal[12, 20]), [0.8, 0, 0], atol=1e-5)
    assert np.allclose(drawn.colour, drawn.colour[:, ::-1], atol=1e-6)
    assert np.allclose(drawn.contribution, drawn.alpha.sum(), rtol=1e-5)


def disc(scale=0.1, **of) -> Gaussians:
    """Facing the camera."""
    return one(**of)._replace(log_scales=np.log(np.array([[scale, scale, 0.1 * scale]], np.float32)))


def screen(scale, **of) -> Gaussians:
    """Facing the camera, as large as you like and a centimetre thick."""
    return one(**of)._replace(log_scales=np.log(np.array([[scale, scale, 0.01]], np.float32)))


def test_the_normal_is_the_thinnest_axis_turned_towards_the_camera():
    drawn = render(disc(), CENTRED)
    assert np.allclose(drawn.normal[12, 20] / drawn.alpha[12, 20], [0, 0, -1], atol=1e-5)


def test_nothing_to_see_leaves_the_background():
    for nothing in (Gaussians.zeros(0), one(mean=(0, 0, -5)), one(mean=(90, 0, 5)), one(opacity=0.003)):
        drawn = render(nothing, AHEAD, background=(0.1, 0.2, 0.3))
        assert np.allclose(drawn.colour, [0.1, 0.2, 0.3]) and not drawn.alpha.any() and not drawn.seen.any()
        by = gradients(drawn, *slopes_of(drawn))
        assert not by.pose.any() and not any(array.any() for array in by.gaussians)
        assert np.isnan(drawn.expected_depth()).all()


def test_expected_depth_is_that_of_the_surface_where_there_is_one():
    drawn = render(disc(scale=1.0, opacity=0.9), CENTRED)
    depth = drawn.expected_depth(0.5)
    assert np.allclose(depth[drawn.alpha >= 0.5], 5.0, atol=1e-4)
    assert np.isnan(depth[drawn.alpha < 0.5]).all() and (drawn.alpha < 0.5).any()


def slanted_wall(spacing: float, size: float, cosine: float):
    """Discs on the plane through (0, 0, 10) whose normal the camera's axis meets at this cosine, and the plane."""
    normal = np.array([-np.sqrt(1.0 - cosine**2), 0.0, -cosine])
    along = np.array([-normal[2], 0.0, normal[0]])
    a, b = np.meshgrid(np.arange(-9.0, 9.0, spacing), np.arange(-4.0, 4.0, spacing))
    means = [0, 0, 10.0] + a.reshape(-1, 1) * along + b.reshape(-1, 1) * np.array([0.0, 1.0, 0.0])
    turn = Rotation.from_matrix(np.column_stack([along, np.cross(normal, along), normal])).as_quat()
    count = len(means)
    wall = as_gaussians(
        means, np.tile(turn, (count, 1)), np.log(np.tile([size, size, 0.01], (count, 1))), np.full(count, 1.0),
        np.zeros((count, 1, 3)),
    )  # fmt: skip
    return wall, normal


@pytest.mark.parametrize("size", [0.05, 0.1, 0.3])
@pytest.mark.parametrize("cosine", [0.1, 0.3, 1.0])
def test_the_expected_depth_of_a_wall_seen_at_a_grazing_angle_is_that_of_the_wall(size, cosine):
    wall, normal = slanted_wall(0.1, size, cosine)
    depth = render(wall, CENTRED).expected_depth()
    y, x = np.mgrid[:25, :41]
    facing = normal[0] * (x - 20.0) / 40.0 + normal[1] * (y - 12.0) / 40.0 + normal[2]
    known = np.isfinite(depth)
    assert known.sum() > 200
    assert np.abs(depth * facing / (10.0 * normal[2]) - 1.0)[known].max() < 0.005


def test_a_surface_seen_edge_on_has_no_depth():
    wall, _ = slanted_wall(0.1, 0.3, 0.01)
    drawn = render(wall, CENTRED)
    assert drawn.alpha[12, 20] > 0.5 and np.isnan(drawn.expected_depth()[12, 20])


def test_what_lies_in_front_hides_what_lies_behind():
    wall = concatenated([disc(mean=(0, 0, z), scale=2.0, opacity=0.7) for z in (3.0, 2.0, 2.5, 4.0)])
    drawn = render(wall, CENTRED)
    assert np.array_equal(np.argsort(-drawn.contribution), [1, 2, 0, 3])
    assert np.isclose(drawn.offset[12, 20], 0.7 * (2.0 + 0.3 * 2.5 + 0.09 * 3.0 + 0.027 * 4.0), rtol=1e-4)
    assert np.isclose(drawn.expected_depth()[12, 20], drawn.offset[12, 20] / drawn.alpha[12, 20], rtol=1e-4)


def test_light_ends_before_it_falls_below_the_least_and_no_gaussian_is_wholly_opaque():
    wall = concatenated([screen(50.0, mean=(0, 0, z), opacity=0.9999) for z in (2.0, 3.0, 4.0)])
    drawn = render(wall, CENTRED)
    assert np.allclose(1.0 - drawn.alpha, (1.0 - MOST_ALPHA) ** 2, rtol=1e-2)
    assert drawn.seen.tolist() == [True, True, False]


def test_a_gaussian_wholly_hidden_is_not_seen():
    front = [screen(5.0, mean=(0, 0, 2.0 + 0.1 * k), opacity=0.95) for k in range(6)]
    drawn = render(concatenated([*front, one(mean=(0, 0, 9.0))]), CENTRED)
    assert drawn.seen[0] and not drawn.seen[-1] and drawn.contribution[-1] == 0.0


def test_of_equal_depths_the_first_is_in_front():
    pair = concatenated([one(colour=(1, 0, 0)), one(colour=(0, 1, 0))])
    drawn = render(pair, CENTRED)
    assert np.allclose(drawn.colour[12, 20], [0.8, 0.16, 0.0], atol=1e-5)
    order = np.random.default_rng(0).permutation(4096) % 7 + 0.5
    assert np.array_equal(depth_order(order.astype(np.float32)), np.argsort(order, kind="stable"))


@pytest.mark.parametrize(("width", "height"), [(1, 1), (15, 17), (16, 16), (17, 33), (70, 5)])
def test_a_picture_of_any_size_is_the_corner_of_a_larger_one(width, height):
    large = view(96, 64, np.eye(4))
    # Well inside, so that the clamp of J, which depends on the picture's size, is idle in both.
    scene = strewn(60, View(width, height, large.K, large.T_camera_world), (0.3, 2.0))
    small = render(scene, View(width, height, large.K, large.T_camera_world))
    whole = render(scene, large)
    assert np.allclose(small.colour, whole.colour[:height, :width], atol=2e-6)
    assert small.alpha.shape == (height, width) and all_finite(small)


@pytest.mark.parametrize(
    "wrong",
    [
        {"logits": np.nan}, {"logits": np.inf}, {"means": np.nan}, {"means": np.inf}, {"quats": 0.0}, {"quats": np.nan},
        {"log_scales": np.nan}, {"log_scales": 200.0}, {"harmonics": np.nan}, {"harmonics": -np.inf},
    ],
    ids=lambda wrong: "-".join(f"{name}-{value}" for name, value in wrong.items()),
)  # fmt: skip
def test_a_gaussian_that_is_not_finite_is_left_out_and_spoils_no_other(wrong):
    scene = strewn(50, AHEAD)
    ((name, value),) = wrong.items()
    array = getattr(scene, name).copy()
    array[7] = value
    spoiled = render(scene._replace(**{name: array}), AHEAD)
    if (name, value) == ("logits", np.inf):  # opaque is a limit that can be drawn
        assert all_finite(spoiled)
        return
    without = render(scene.take(np.delete(np.arange(50), 7)), AHEAD)
    assert np.array_equal(spoiled.colour, without.colour) and not spoiled.seen[7] and all_finite(spoiled)


def test_huge_and_tiny_gaussians_are_drawn():
    huge, tiny = screen(1e4, opacity=0.5), one(scale=1e-6, opacity=0.9)
    drawn = render(huge, CENTRED)
    assert np.allclose(drawn.alpha, 0.5, atol=1e-4) and all_finite(drawn)
    drawn = render(tiny, CENTRED)
    assert drawn.alpha[12, 20] == pytest.approx(0.9, abs=1e-5) and all_finite(drawn)
    assert (drawn.alpha > 0).sum() < 30


def test_a_long_thin_gaussian_across_the_picture_keeps_its_shape():
    wide = view(640, 480, np.eye(4))
    turn = np.sin(np.pi / 8), np.cos(np.pi / 8)
    needle = as_gaussians([[0, 0, 5.0]], [[0, 0, *turn]], np.log([[5.0, 1e-3, 1e-3]]), [2.0], np.zeros((1, 1, 3)))
    alpha = render(needle, wide).alpha
    ridge = alpha.max(1)[50:-50]
    assert ridge.min() > 0.5 and ridge.max() <= 0.9


def test_gaussians_at_the_border_and_beside_the_camera_are_drawn_without_harm():
    edge = concatenated(
        [screen(0.3, mean=(x, y, 0.11)) for x in (0.0, -1.0, 5.0) for y in (-0.5, 0.5)]
        + [one(mean=(0, 0, 0.0999)), one(mean=(2.6, 0, 5.0)), one(mean=(-2.9, 0, 5.0))]
    )
    drawn = render(edge, AHEAD)
    assert all_finite(drawn) and not drawn.seen[6] and drawn.seen[0]


def test_a_hundred_thousand_gaussians_on_one_tile_are_drawn():
    count = 100_000
    rng = np.random.default_rng(0)
    means = np.column_stack([rng.uniform(-0.01, 0.01, (count, 2)), rng.uniform(2, 9, count)])
    crowd = as_gaussians(
        means, np.tile([0, 0, 0, 1.0], (count, 1)), np.full((count, 3), -6.0), np.full(count, -4.5),
        rng.normal(size=(count, 1, 3)),
    )  # fmt: skip
    tile = View(16, 16, np.array([[20.0, 0, 8], [0, 20.0, 8], [0, 0, 1]]), np.eye(4))
    drawn = render(crowd, tile)
    assert drawn.alpha[8, 8] > 0.999 and 100 < drawn.seen.sum() < count and all_finite(drawn)


def test_the_same_scene_renders_to_the_same_bytes():
    scene = strewn(500, AHEAD, coefficients=4)
    first, second = render(scene, AHEAD), render(scene, AHEAD)
    slopes = slopes_of(first)
    assert first.colour.tobytes() == second.colour.tobytes()
    a, b = gradients(first, *slopes), gradients(second, *slopes)
    assert a.pose.tobytes() == b.pose.tobytes()
    assert all(x.tobytes() == y.tobytes() for x, y in zip(a.gaussians, b.gaussians, strict=True))


def test_gaussians_that_were_not_seen_have_no_gradient():
    scene = concatenated([strewn(30, AHEAD), one(mean=(0, 0, -4)), one(mean=(80, 0, 4))])
    by = gradients(drawn := render(scene, AHEAD), *slopes_of(drawn))
    unseen = ~drawn.seen
    assert unseen[-2:].all() and not any(array[unseen].any() for array in by.gaussians) and not by.screen[unseen].any()


def test_arrays_of_a_wrong_shape_or_width_are_refused_by_name():
    scene = strewn(5, AHEAD)
    with pytest.raises(SlamError, match="log_scales are float64"):
        render(scene._replace(log_scales=scene.log_scales.astype(np.float64)), AHEAD)
    with pytest.raises(SlamError, match=r"quats are float32 \(5, 3\)"):
        render(scene._replace(quats=scene.quats[:, :3]), AHEAD)
    with pytest.raises(SlamError, match="K = 1, 4, 9 or 16"):
        render(scene._replace(harmonics=np.zeros((5, 2, 3), np.float32)), AHEAD)
    with pytest.raises(SlamError, match="0 x 24 px"):
        render(scene, View(0, 24, AHEAD.K, AHEAD.T_camera_world))
    with pytest.raises(SlamError, match="d_colour has shape"):
        gradients(render(scene, AHEAD), np.zeros((40, 24, 3)))


def test_rows_of_a_larger_array_render_as_they_are():
    scene = strewn(40, AHEAD, coefficients=4)
    assert np.array_equal(
        render(scene.take(slice(0, 40, 2)), AHEAD).colour,
        render(Gaussians(*(a[::2].copy() for a in scene)), AHEAD).colour,
    )


def test_a_splat_that_lies_beneath_the_camera_and_reaches_it_does_not_veil_the_picture():
    assert not render(one(mean=(0.0, 1.5, 0.4), scale=1.0), AHEAD).alpha.any()
    assert render(one(mean=(0.0, 1.5, 4.0), scale=1.0), AHEAD).alpha.any()
