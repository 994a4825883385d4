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
C1, C2 = np.float32(0.01**2), np.float32(0.03**2)
ONE, TWO = np.float32(1.0), np.float32(2.0)

_taps = np.exp(-0.5 * (np.arange(-RADIUS, RADIUS + 1) / SIGMA) ** 2)
WINDOW = (_taps / _taps.sum()).astype(np.float32)


CHANNELS = 3


@njit(cache=True)
def _weigh(weight, other, out):
    """out += weight other, along one row."""
    for j in range(len(out)):
        out[j] += weight * other[j]


@njit(cache=True)
def _weigh_product(weight, one, other, out):
    """out += weight one other, along one row."""
    for j in range(len(out)):
        out[j] += weight * (one[j] * other[j])


@njit(cache=True)
def _new_rows(count, width):
    """Rows of 3 W numbers with room for the window at both ends, which stays zero."""
    return np.zeros((count, width + 2 * RADIUS * CHANNELS), np.float32)


@njit(cache=True)
def _inner(row):
    """A row without its ends."""
    return row[RADIUS * CHANNELS : len(row) - RADIUS * CHANNELS]


@njit(cache=True)
def _along(row, window, out):
    """Convolve a row of ``_new_rows``: whole rows are added, a tap at a time, contiguous and without a branch."""
    out[:] = 0.0
    for k in range(len(window)):
        _weigh(window[k], row[k * CHANNELS : k * CHANNELS + len(out)], out)


@njit(cache=True)
def _rows_near(i, height):
    """Rows that the window reaches from row i; beyond the border all is zero."""
    return range(max(0, i - RADIUS), min(height, i + RADIUS + 1))


@njit(cache=True)
def _blur(image, window, out):
    """Separable convolution of (H, 3 W) float32, channels side by side."""
    row = _new_rows(1, image.shape[1])[0]
    for i in range(len(image)):
        row[:] = 0.0
        for k in _rows_near(i, len(image)):
            _weigh(window[k - i + RADIUS], image[k], _inner(row))
        _along(row, window, out[i])


@njit(cache=True, error_model="numpy", fastmath={"contract", "reassoc"})  # the sum in the machine's order
def _ssim_terms(blurs, my, yy, weight, slopes):
    """Weighted sum of SSIM along a row; its gradients by the three blurs that x is in, of x, x x and x y."""
    total = 0.0
    for j in range(len(my)):
        a, b, w = blurs[0, j], my[j], weight[j]
        sx, sy, sxy = blurs[1, j] - a * a, yy[j] - b * b, blurs[2, j] - a * b
        l_top, l_low = TWO * a * b + C1, a * a + b * b + C1
        c_top, c_low = TWO * sxy + C2, sx + sy + C2
        low = ONE / (l_low * c_low)
        value = w * l_top * c_top * low
        total += value
        d_sx = -value / c_low
        d_sxy = w * TWO * l_top * low
        slopes[0, j] = TWO * (w * b * c_top * low - a * value / l_low) - TWO * a * d_sx - b * d_sxy
        slopes[1, j] = d_sx
        slopes[2, j] = d_sxy
    return total


@njit(cache=True)
def _ssim(x, y, my, yy, weight, window, out):
    """Weighted sum of SSIM over pixels and channels (H, 3 W), and its gradient by ``x`` into ``out``."""
    height, width = x.shape
    rows, blurs, slopes = (
        _new_rows(3, width),
        np.empty((3, width), np.float32),
        np.empty((height, 3, width), np.float32),
    )
    total = 0.0
    for i in range(height):
        rows[:] = 0.0
        for k in _rows_near(i, height):
            tap = window[k - i + RADIUS]
            _weigh(tap, x[k], _inner(rows[0]))
            _weigh_product(tap, x[k], x[k], _inner(rows[1]))
            _weigh_product(tap, x[k], y[k], _inner(rows[2]))
        for n in range(3):
            _along(rows[n], window, blurs[n])
        total += _ssim_terms(blurs, my[i], yy[i], weight[i], slopes[i])
    for i in range(height):
        rows[:] = 0.0
        for k in _rows_near(i, height):
            for n in range(3):
                _weigh(window[k - i + RADIUS], slopes[k, n], _inner(rows[n]))
        for n in range(3):
            _along(rows[n], window, blurs[n])
        for j in range(width):
            out[i, j] = blurs[0, j] + TWO * x[i, j] * blurs[1, j] + y[i, j] * blurs[2, j]
    return total


class Truth:
    """A picture that renderings are compared with; its own blurs are made once.

    Attributes:
        picture: (H, W, 3) float32.
    """

    def __init__(self, picture: NDArray[np.float32]) -> None:
        self.picture = picture
        self._rows = np.ascontiguousarray(picture).reshape(len(picture), -1)
        self._mean, self._square = self._blurred(self._rows), self._blurred(self._rows * self._rows)

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
        each = weight[:, :, None] * np.float32((1.0 - ssim_share) / (CHANNELS * total))
        loss, gradient = float((np.abs(difference) * each).sum(dtype=np.float64)), np.sign(difference) * each
        if ssim_share > 0.0:
            value, d = self._ssim(np.ascontiguousarray(rendered).reshape(self._rows.shape), weight)
            loss += ssim_share * (1.0 - value / (CHANNELS * total))
            gradient -= np.float32(ssim_share / (CHANNELS * total)) * d.reshape(gradient.shape)
        return loss, gradient

    def _ssim(self, x: NDArray[np.float32], weight: NDArray[np.float32]) -> tuple[float, NDArray[np.float32]]:
        """Weighted sum of SSIM over pixels and channels, and its gradient by ``x`` (H, 3 W)."""
        gradient, weights = np.empty_like(x), np.repeat(weight, CHANNELS, axis=1)
        return _ssim(x, self._rows, self._mean, self._square, weights, WINDOW, gradient), gradient

    def _blurred(self, image: NDArray[np.float32]) -> NDArray[np.float32]:
        out = np.empty_like(image)
        _blur(image, WINDOW, out)
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
