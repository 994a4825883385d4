# SPDX-FileCopyrightText: The Mem4Nav stack developers
# SPDX-License-Identifier: Apache-2.0
"""What a rendering is fitted by, how bright a picture is against the map, and Adam."""

from __future__ import annotations

import numpy as np
import pytest

from slam.gaussian_map import adam
from slam.gaussian_map.exposure import Exposure, between, solved
from slam.gaussian_map.losses import Truth, depth_loss
from slam.splatting.gaussians import Gaussians

SHAPE = (24, 33)


def noise(seed: int, *shape: int) -> np.ndarray:
    return np.random.default_rng(seed).random(shape).astype(np.float32)


@pytest.mark.parametrize("ssim_share", [0.0, 0.2, 1.0])
def test_the_colour_loss_has_the_gradient_of_finite_differences(ssim_share: float):
    truth, weight = Truth(noise(0, *SHAPE, 3)), noise(1, *SHAPE)
    rendered = noise(2, *SHAPE, 3)
    _, gradient = truth.colour_loss(rendered, weight, ssim_share)
    rng = np.random.default_rng(3)
    for _ in range(8):
        at = tuple(rng.integers(size) for size in rendered.shape)
        step = np.zeros_like(rendered)
        step[at] = 2e-3
        higher, lower = (truth.colour_loss(rendered + sign * step, weight, ssim_share)[0] for sign in (1, -1))
        assert gradient[at] == pytest.approx((higher - lower) / 4e-3, rel=2e-2, abs=2e-6)


def test_a_perfect_rendering_costs_nothing():
    picture = noise(0, *SHAPE, 3)
    loss, _ = Truth(picture).colour_loss(picture, np.ones(SHAPE, np.float32), 0.2)
    assert loss == pytest.approx(0.0, abs=1e-6)


def test_pixels_without_weight_cost_nothing_and_pull_nothing():
    weight = np.ones(SHAPE, np.float32)
    weight[:, 16:] = 0.0
    picture = noise(0, *SHAPE, 3)
    other = picture.copy()
    other[:, 30:] = 0.0
    loss, gradient = Truth(picture).colour_loss(other, weight, 0.2)
    assert loss == pytest.approx(0.0, abs=1e-6)
    assert np.abs(gradient[:, 28:]).max() < 1e-8


def test_the_depth_loss_has_the_gradient_of_finite_differences():
    depth = 5.0 + 10.0 * noise(0, *SHAPE)
    rng = np.random.default_rng(2)
    pixels = (rng.integers(0, SHAPE[0], 40).astype(np.int32), rng.integers(0, SHAPE[1], 40).astype(np.int32))
    truth = (8.0 + 6.0 * noise(3, 40)).astype(np.float32)
    _, d_depth = depth_loss(depth, pixels, truth, 0.5)
    for k in range(0, 40, 5):
        at = (pixels[0][k], pixels[1][k])
        ends = []
        for sign in (1, -1):
            moved = depth.copy()
            moved[at] += sign * 1e-2
            ends.append(depth_loss(moved, pixels, truth, 0.5)[0])
        assert d_depth[at] == pytest.approx((ends[0] - ends[1]) / 2e-2, rel=2e-2, abs=1e-6)


def test_two_returns_on_one_pixel_both_pull():
    depth, pixels = np.full(SHAPE, 5.0, np.float32), (np.full(2, 3, np.int32), np.full(2, 4, np.int32))
    loss, d_depth = depth_loss(depth, pixels, np.array([4.0, 2.0], np.float32), 1.0)
    assert loss == pytest.approx((0.25 + 1.5) / 2) and d_depth[3, 4] == pytest.approx((1 / 4 + 1 / 2) / 2)


def test_pixels_that_nothing_covers_have_no_depth_to_be_wrong():
    depth = np.full(SHAPE, np.nan, np.float32)
    pixels = (np.array([3], np.int32), np.array([4], np.int32))
    loss, d_depth = depth_loss(depth, pixels, np.array([7.0], np.float32), 1.0)
    assert loss == 0.0 and not d_depth.any()


def test_the_exposure_of_a_picture_is_found_though_a_fifth_of_it_shows_something_else():
    rendered = noise(0, 2000, 3)
    gain, offset = np.array([1.3, 0.8, 1.1]), np.array([0.02, -0.03, 0.05])
    picture = (rendered * gain + offset).astype(np.float32)
    picture[:400] = noise(1, 400, 3)
    found = solved(rendered, picture, np.ones(2000, np.float32), Exposure())
    assert np.abs(found.seen(rendered[400:]) - picture[400:]).mean() < 0.03
    np.testing.assert_allclose(found.gain, gain, atol=0.12)
    np.testing.assert_allclose(found.undone(found.seen(rendered)), rendered, atol=1e-5)


def test_exposures_handed_on_from_keyframe_to_keyframe_do_not_drift_with_the_noise_of_renderings():
    rng = np.random.default_rng(4)
    colours = rng.uniform(0.2, 0.8, (3000, 3)).astype(np.float32)
    shown = colours
    for _ in range(30):
        rendered = shown + rng.normal(0.0, 0.03, shown.shape).astype(np.float32)
        shown = solved(rendered, colours, np.ones(3000, np.float32), Exposure()).undone(colours)
    assert abs(float(shown.mean()) - float(colours.mean())) < 0.03
    assert float(shown.std()) == pytest.approx(float(colours.std()), rel=0.1)


def test_where_too_little_is_seen_the_exposure_stays():
    guess = Exposure(np.full(3, 1.2, np.float32), np.zeros(3, np.float32))
    assert solved(noise(0, 20, 3), noise(1, 20, 3), np.ones(20, np.float32), guess) is guess


def test_half_way_between_two_pictures_the_exposure_is_half_way():
    brighter = Exposure(np.full(3, 1.4, np.float32), np.full(3, 0.1, np.float32))
    middle = between(Exposure(), brighter, 0.5)
    np.testing.assert_allclose(middle.gain, 1.2, rtol=1e-6)
    np.testing.assert_allclose(middle.offset, 0.05, rtol=1e-6)


def test_adam_takes_the_steps_of_its_paper_and_lets_the_unseen_rest():
    values, moments = Gaussians.zeros(3), (Gaussians.zeros(3), Gaussians.zeros(3))
    steps, seen = np.zeros(3, np.int32), np.array([True, False, True])
    slopes = [noise(k, 3) for k in range(4)]
    mean = variance = expected = 0.0
    for t, slope in enumerate(slopes, 1):
        gradients = Gaussians.zeros(3)
        gradients.logits[:] = slope
        adam.step(values, gradients, moments, steps, seen, adam.LearningRates(logits=0.1))
        mean, variance = 0.9 * mean + 0.1 * slope[0], 0.999 * variance + 0.001 * slope[0] ** 2
        expected -= 0.1 * (mean / (1 - 0.9**t)) / (np.sqrt(variance / (1 - 0.999**t)) + 1e-15)
    assert values.logits[0] == pytest.approx(expected, rel=1e-4)
    assert values.logits[1] == 0.0
    assert steps.tolist() == [4, 0, 4]
    assert not values.means.any()
