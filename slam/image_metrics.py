# SPDX-FileCopyrightText: The Mem4Nav stack developers
# SPDX-License-Identifier: Apache-2.0
"""How like the truth a rendered picture is: PSNR and SSIM.

SSIM is that of Wang, Bovik, Sheikh and Simoncelli, "Image quality assessment: from error visibility to structural
similarity" (IEEE TIP 2004), equation 13, with their window and constants.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray
from scipy.ndimage import correlate1d

from slam.errors import SlamError

RADIUS_PX, SIGMA_PX = 5, 1.5
"""Of the Gaussian window: 11 px wide."""
C1, C2 = 0.01**2, 0.03**2
"""(K1 L)^2 and (K2 L)^2 for a range L of 1."""

_OFFSETS = np.arange(-RADIUS_PX, RADIUS_PX + 1)
_WINDOW = np.exp(-0.5 * (_OFFSETS / SIGMA_PX) ** 2)
_WINDOW /= _WINDOW.sum()


def psnr(image: NDArray, truth: NDArray, mask: NDArray[np.bool_] | None = None) -> float:
    """Peak signal-to-noise ratio, -10 log10 of the mean squared error of all channels, decibels; inf for equal ones.

    Args:
        image, truth: (H, W) or (H, W, 3), uint8 of 0 to 255 or floating point of 0 to 1, not clipped.
        mask: (H, W) pixels that count; None for all.

    Raises:
        SlamError: shapes differ, the type is another, or no pixel counts.
    """
    error = _as_float(image, truth) - _as_float(truth, image)
    if mask is not None:
        if mask.shape != error.shape[:2]:
            raise SlamError(f"the mask is {mask.shape}, the picture {error.shape[:2]}: they must cover the same pixels")
        error = error[mask]
    if not error.size:
        raise SlamError("no pixel to compare: the mask leaves none, or the picture is empty")
    mean = float(np.mean(np.square(error)))
    return float("inf") if mean == 0.0 else -10.0 * float(np.log10(mean))


def ssim(image: NDArray, truth: NDArray) -> float:
    """Mean structural similarity over all windows that lie inside the picture and over its channels, at most 1.

    Args:
        image, truth: (H, W) or (H, W, 3), uint8 of 0 to 255 or floating point of 0 to 1.

    Raises:
        SlamError: shapes differ, the type is another, or the picture is smaller than the window.
    """
    return float(ssim_map(image, truth).mean())


def ssim_map(image: NDArray, truth: NDArray) -> NDArray[np.float64]:
    """(H - 10, W - 10, C) float64 similarity of each window; see ``ssim``."""
    a, b = _as_float(image, truth), _as_float(truth, image)
    if min(a.shape[:2]) < len(_WINDOW):
        raise SlamError(f"a picture of {a.shape[1]} x {a.shape[0]} pixels is smaller than the window of SSIM, 11 x 11")
    mean_a, mean_b = _windowed(a), _windowed(b)
    var_a = _windowed(a * a) - mean_a * mean_a
    var_b = _windowed(b * b) - mean_b * mean_b
    cov = _windowed(a * b) - mean_a * mean_b
    above = (2.0 * mean_a * mean_b + C1) * (2.0 * cov + C2)
    return above / ((mean_a * mean_a + mean_b * mean_b + C1) * (var_a + var_b + C2))


def _windowed(values: NDArray[np.float64]) -> NDArray[np.float64]:
    """Weighted means of all windows inside."""
    across = correlate1d(correlate1d(values, _WINDOW, axis=0), _WINDOW, axis=1)
    return across[RADIUS_PX:-RADIUS_PX, RADIUS_PX:-RADIUS_PX]


def _as_float(image: NDArray, other: NDArray) -> NDArray[np.float64]:
    """(H, W, C) from 0 to 1."""
    if image.shape != other.shape or image.ndim not in (2, 3):
        raise SlamError(f"pictures of shapes {image.shape} and {other.shape}: expected two of one size, (H, W[, 3])")
    if image.dtype != np.uint8 and not np.issubdtype(image.dtype, np.floating):
        raise SlamError(f"a picture of {image.dtype}: expected uint8 of 0 to 255, or floating point of 0 to 1")
    values = image.astype(np.float64) / (255.0 if image.dtype == np.uint8 else 1.0)
    return values.reshape(*values.shape[:2], -1)
