# SPDX-FileCopyrightText: The Mem4Nav stack developers
# SPDX-License-Identifier: Apache-2.0
"""Pictures as the map takes them: distortion undone, shrunk, between 0 and 1."""

from __future__ import annotations

import numpy as np
from numba import njit
from numpy.typing import NDArray

from slam.calibration import Camera
from slam.errors import SlamError
from slam.splatting.view import scaled_intrinsics

GREY = np.array([0.299, 0.587, 0.114], np.float32)
"""Luma of RGB (ITU-R BT.601)."""


def distorted(camera: Camera, ideal: NDArray[np.float64]) -> NDArray[np.float64]:
    """(N, 2) x/z, y/z of rays to (N, 2) pixels of the camera, by the plumb-bob model."""
    k1, k2, p1, p2, k3 = camera.distortion
    x, y = ideal[:, 0], ideal[:, 1]
    r2 = x * x + y * y
    radial = 1.0 + r2 * (k1 + r2 * (k2 + r2 * k3))
    u = x * radial + 2.0 * p1 * x * y + p2 * (r2 + 2.0 * x * x)
    v = y * radial + p1 * (r2 + 2.0 * y * y) + 2.0 * p2 * x * y
    return np.stack([u, v], axis=1) * camera.K[[0, 1], [0, 1]] + camera.K[:2, 2]


@njit(cache=True)
def _resample(pixels, places, out, inside):
    """Mean of the bilinear samples at ``places`` (H, W, S, 2); a sample beyond the picture takes its border."""
    height, width = pixels.shape[:2]
    for i in range(out.shape[0]):
        for j in range(out.shape[1]):
            total0, total1, total2, good = 0.0, 0.0, 0.0, True
            for s in range(places.shape[2]):
                u, v = places[i, j, s, 0], places[i, j, s, 1]
                good = good and -0.5 <= u <= width - 0.5 and -0.5 <= v <= height - 0.5
                u, v = min(max(u, 0.0), width - 1.0), min(max(v, 0.0), height - 1.0)
                x, y = min(int(u), width - 2), min(int(v), height - 2)
                a, b = u - x, v - y
                w00, w01, w10, w11 = (1 - a) * (1 - b), a * (1 - b), (1 - a) * b, a * b
                p, q = pixels[y, x], pixels[y, x + 1]
                r, t = pixels[y + 1, x], pixels[y + 1, x + 1]
                total0 += w00 * p[0] + w01 * q[0] + w10 * r[0] + w11 * t[0]
                total1 += w00 * p[1] + w01 * q[1] + w10 * r[1] + w11 * t[1]
                total2 += w00 * p[2] + w01 * q[2] + w10 * r[2] + w11 * t[2]
            share = 1.0 / (255.0 * places.shape[2])
            out[i, j, 0], out[i, j, 1], out[i, j, 2] = total0 * share, total1 * share, total2 * share
            inside[i, j] = good


class Developer:
    """Turns a camera's pictures into those of the ideal pinhole of ``slam.splatting.view.View.of``.

    Attributes:
        inside: (H, W) bool, pixels that the camera saw: undoing the distortion looks past its edges at some.
    """

    def __init__(self, camera: Camera, scale: float) -> None:
        """Args:
        scale: of the resolution; each pixel is the mean over the area that it covers.
        """
        self.camera = camera
        width, height = round(camera.width * scale), round(camera.height * scale)
        K = scaled_intrinsics(camera, width, height)
        samples = max(1, round(1.0 / scale))
        steps = (np.arange(samples) + 0.5) / samples - 0.5
        x = ((np.arange(width)[:, None] + steps).ravel() - K[0, 2]) / K[0, 0]
        y = ((np.arange(height)[:, None] + steps).ravel() - K[1, 2]) / K[1, 1]
        rays = np.stack(np.meshgrid(x, y), axis=-1).reshape(-1, 2)
        places = distorted(camera, rays).reshape(height, samples, width, samples, 2)
        self._places = np.ascontiguousarray(
            places.transpose(0, 2, 1, 3, 4).reshape(height, width, samples * samples, 2), np.float32
        )
        self.inside = np.ones((height, width), np.bool_)

    def develop(self, pixels: NDArray[np.uint8]) -> NDArray[np.float32]:
        """(H, W, 3) float32 in [0, 1] of a picture (h, w, 3) or (h, w) uint8.

        Raises:
            SlamError: the picture is not of the calibrated size.
        """
        expected = (self.camera.height, self.camera.width)
        if pixels.shape[:2] != expected:
            raise SlamError(
                f"picture of {pixels.shape[1]} x {pixels.shape[0]} px, the calibration says {expected[1]} x "
                f"{expected[0]}: is it another camera's, or shrunk on the way?"
            )
        colour = pixels if pixels.ndim == 3 else np.repeat(pixels[:, :, None], 3, axis=2)
        out = np.empty((*self._places.shape[:2], 3), np.float32)
        _resample(np.ascontiguousarray(colour), self._places, out, self.inside)
        return out
