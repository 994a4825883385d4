# SPDX-FileCopyrightText: The Mem4Nav stack developers
# SPDX-License-Identifier: Apache-2.0
"""PSNR and SSIM against values worked by hand, from their definitions, and from an independent implementation."""

from __future__ import annotations

import numpy as np
import pytest
from numpy.typing import NDArray

from slam.errors import SlamError
from slam.image_metrics import C1, C2, psnr, ssim, ssim_map

SCIKIT_IMAGE = 0.7583240338632867


def pattern(height: int = 24, width: int = 30) -> NDArray[np.float64]:
    """(H, W, 3) smooth waves, the same on every machine."""
    y, x = np.mgrid[:height, :width]
    return np.stack([0.5 + 0.4 * np.sin(0.3 * x + 0.2 * k) * np.cos(0.25 * y - 0.4 * k) for k in range(3)], axis=-1)


def test_a_constant_error_of_a_tenth_is_twenty_decibels() -> None:
    assert psnr(np.full((5, 7, 3), 0.6), np.full((5, 7, 3), 0.5)) == pytest.approx(20.0)


def test_the_largest_error_there_is_is_zero_decibels() -> None:
    assert psnr(np.zeros((4, 4), np.uint8), np.full((4, 4), 255, np.uint8)) == pytest.approx(0.0)


def test_one_wrong_pixel_of_a_hundred_adds_twenty_decibels() -> None:
    truth = np.zeros((10, 10))
    image = truth.copy()
    image[3, 4] = 0.1
    assert psnr(image, truth) == pytest.approx(40.0)


def test_equal_pictures_have_an_infinite_ratio_and_a_similarity_of_one() -> None:
    assert psnr(pattern(), pattern()) == float("inf")
    assert ssim(pattern(), pattern()) == pytest.approx(1.0)


def test_pixels_outside_the_mask_do_not_count() -> None:
    truth, mask = pattern(), np.zeros((24, 30), bool)
    mask[:, :10] = True
    image = truth + np.where(mask, 0.01, 0.5)[..., None]
    assert psnr(image, truth, mask) == pytest.approx(40.0)
    assert psnr(image, truth) < 10.0


def test_bytes_and_fractions_of_one_give_the_same() -> None:
    truth = np.rint(255 * pattern()).astype(np.uint8)
    image = np.roll(truth, 1, axis=1)
    assert psnr(image, truth) == pytest.approx(psnr(image / 255.0, truth / 255.0))
    assert ssim(image, truth) == pytest.approx(ssim((image / 255.0).astype(np.float32), truth), abs=1e-6)


def test_two_constant_pictures_differ_in_luminance_alone() -> None:
    a, b = 0.3, 0.8
    expected = (2 * a * b + C1) / (a * a + b * b + C1)
    assert ssim(np.full((12, 15), a), np.full((12, 15), b)) == pytest.approx(expected)


def test_one_window_is_what_the_definition_says() -> None:
    rng = np.random.default_rng(4)
    a, b = rng.random((2, 11, 11))
    offsets = np.arange(-5, 6)
    w = np.exp(-0.5 * (offsets[:, None] ** 2 + offsets**2) / 1.5**2)
    w /= w.sum()
    mean_a, mean_b = (w * a).sum(), (w * b).sum()
    var_a, var_b = (w * (a - mean_a) ** 2).sum(), (w * (b - mean_b) ** 2).sum()
    cov = (w * (a - mean_a) * (b - mean_b)).sum()
    expected = (2 * mean_a * mean_b + C1) * (2 * cov + C2)
    expected /= (mean_a**2 + mean_b**2 + C1) * (var_a + var_b + C2)
    assert ssim_map(a, b).shape == (1, 1, 1)
    assert ssim(a, b) == pytest.approx(expected, abs=1e-12)


def test_similarity_agrees_with_an_independent_implementation() -> None:
    """scikit-image's structural_similarity with the paper's window, on the same two pictures."""
    truth = pattern()
    image = np.clip(0.8 * np.roll(truth, 2, axis=1) + 0.05, 0.0, 1.0)
    assert ssim(image, truth) == pytest.approx(SCIKIT_IMAGE, abs=1e-9)


def test_an_inverted_picture_is_less_like_than_a_blurred_one() -> None:
    truth = pattern()
    blurred = 0.5 * (truth + np.roll(truth, 1, axis=1))
    assert ssim(1.0 - truth, truth) < 0.0 < ssim(blurred, truth) < 1.0


def test_what_cannot_be_compared_is_said() -> None:
    with pytest.raises(SlamError, match="shapes"):
        psnr(np.zeros((4, 4)), np.zeros((4, 5)))
    with pytest.raises(SlamError, match="int64"):
        psnr(np.zeros((4, 4), np.int64), np.zeros((4, 4), np.int64))
    with pytest.raises(SlamError, match="no pixel"):
        psnr(np.zeros((4, 4)), np.zeros((4, 4)), np.zeros((4, 4), bool))
    with pytest.raises(SlamError, match="mask"):
        psnr(np.zeros((4, 4)), np.zeros((4, 4)), np.zeros((4, 5), bool))
    with pytest.raises(SlamError, match="smaller than the window"):
        ssim(np.zeros((10, 40)), np.zeros((10, 40)))
