# SPDX-FileCopyrightText: The Mem4Nav stack developers
# SPDX-License-Identifier: Apache-2.0
"""What a rendering is fitted by: (1 - s) L1 + s D-SSIM on the colour (Kerbl et al. 2023, equation 7), and LiDAR depth.

Every loss comes with its gradient by the rendering.
"""

from __future__ import annotations

import numpy as np
from numba import njit
from numpy.typing import NDArray

RADIUS, SIGMA = 5, 1.5
"""Of the window of SSIM: 11 px wide (Wang et al. 2004)."""
C1, C2 = 0.01**2, 0.03**2

_taps = np.exp(-0.5 * (np.arange(-RADIUS, RADIUS + 1) / SIGMA) ** 2)
WINDOW = (_taps / _taps.sum()).astype(np.float32)


@njit(cache=True)
def _blur(image, window, rows, out):
    """Separable convolution of (H, W) float32 with zeros beyond the border; ``rows`` is scratch of the same shape."""
    height, width = image.shape
    radius = len(window) // 2
    for i in range(height):
        row = rows[i]
        row[:] = 0.0
        for k in range(max(0, i - radius), min(height, i + radius + 1)):
            weight, other = window[k - i + radius], image[k]
            for j in range(width):
                row[j] += weight * other[j]
    for i in range(height):
        row, target = rows[i], out[i]
        target[:] = 0.0
        for k in range(-radius, radius + 1):
            weight = window[k + radius]
            for j in range(max(0, -k), min(width, width - k)):
                target[j] += weight * row[j + k]


@njit(cache=True)
def _ssim_terms(mx, my, xx, yy, xy, weight, d_mx, d_xx, d_xy):
    """Weighted sum of SSIM over the pixels; its gradients by the three blurs that x is in."""
    total = 0.0
    for i in range(mx.shape[0]):
        for j in range(mx.shape[1]):
            a, b = mx[i, j], my[i, j]
            sx, sy, sxy = xx[i, j] - a * a, yy[i, j] - b * b, xy[i, j] - a * b
            l_top, l_low = 2.0 * a * b + C1, a * a + b * b + C1
            c_top, c_low = 2.0 * sxy + C2, sx + sy + C2
            low = 1.0 / (l_low * c_low)
            value, w = l_top * c_top * low, weight[i, j]
            total += w * value
            d_sx = -value / c_low * w
            d_sxy = 2.0 * l_top * low * w
            d_mx[i, j] = w * (2.0 * b * c_top * low - 2.0 * a * value / l_low) - 2.0 * a * d_sx - b * d_sxy
            d_xx[i, j] = d_sx
            d_xy[i, j] = d_sxy
    return total


class Truth:
    """A picture that renderings are compared with; its own blurs are made once.

    Attributes:
        picture: (H, W, 3) float32.
    """

    def __init__(self, picture: NDArray[np.float32]) -> None:
        self.picture = picture
        self._channels = [np.ascontiguousarray(picture[:, :, c]) for c in range(3)]
        self._scratch = np.empty(picture.shape[:2], np.float32)
        self._means = [self._blurred(channel) for channel in self._channels]
        self._squares = [self._blurred(channel * channel) for channel in self._channels]

    def colour_loss(
        self, rendered: NDArray[np.float32], weight: NDArray[np.float32], ssim_share: float
    ) -> tuple[float, NDArray[np.float32]]:
        """Loss of an (H, W, 3) float32 rendering, and its gradient (H, W, 3).

        Args:
            weight: (H, W) float32 of each pixel, zero where nothing is compared.
            ssim_share: s.
        """
        total = max(float(weight.sum(dtype=np.float64)), 1e-6)
        difference = rendered - self.picture
        each = weight[:, :, None] * np.float32((1.0 - ssim_share) / (3.0 * total))
        loss, gradient = float((np.abs(difference) * each).sum(dtype=np.float64)), np.sign(difference) * each
        if ssim_share > 0.0:
            share = np.float32(ssim_share / (3.0 * total))
            for c in range(3):
                value, d = self._ssim(c, np.ascontiguousarray(rendered[:, :, c]), weight)
                loss += ssim_share * (1.0 / 3.0 - value / (3.0 * total))
                gradient[:, :, c] -= share * d
        return loss, gradient

    def _ssim(self, c: int, x: NDArray[np.float32], weight: NDArray[np.float32]) -> tuple[float, NDArray[np.float32]]:
        """Weighted sum of SSIM over the pixels, and its gradient by ``x``."""
        y = self._channels[c]
        d_mx, d_xx, d_xy = (np.empty_like(x) for _ in range(3))
        total = _ssim_terms(
            self._blurred(x), self._means[c], self._blurred(x * x), self._squares[c], self._blurred(x * y),
            weight, d_mx, d_xx, d_xy,
        )  # fmt: skip
        return total, self._blurred(d_mx) + 2.0 * x * self._blurred(d_xx) + y * self._blurred(d_xy)

    def _blurred(self, image: NDArray[np.float32]) -> NDArray[np.float32]:
        out = np.empty_like(image)
        _blur(image, WINDOW, self._scratch, out)
        return out


def depth_loss(
    depth: NDArray[np.float32],
    pixels: tuple[NDArray[np.int32], NDArray[np.int32]],
    truth: NDArray[np.float32],
    weight: float,
) -> tuple[float, NDArray[np.float32]]:
    """Mean relative error of the expected depth where LiDAR returns fall, times ``weight``.

    Args:
        depth: (H, W) of a rendering, metres; pixels without one, NaN, are left out.
        pixels: rows and columns (M,) of the returns; truth: (M,) their depths, metres.

    Returns:
        the loss, and its gradient by the expected depth, (H, W) float32.
    """
    rows, columns = pixels
    error = depth[rows, columns] / truth - 1.0
    known = np.isfinite(error)
    rows, columns, error = rows[known], columns[known], error[known]
    factor = weight / max(len(error), 1)
    d_depth = np.zeros_like(depth)
    np.add.at(d_depth, (rows, columns), factor * np.sign(error) / truth[known])
    return factor * float(np.abs(error).sum(dtype=np.float64)), d_depth
