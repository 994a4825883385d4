# SPDX-FileCopyrightText: The Mem4Nav stack developers
# SPDX-License-Identifier: Apache-2.0
"""One picture with its pose and its LiDAR returns, ready for mapping."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy.ndimage import maximum_filter

from slam.gaussian_map.exposure import Exposure, solved
from slam.gaussian_map.losses import Truth, depth_loss
from slam.gaussian_map.mapping_config import FitConfig
from slam.gaussian_map.returns import Returns
from slam.splatting.rendering import Rendering
from slam.splatting.view import View

CERTAIN_ALPHA = 0.7
"""Pixels that are covered so much decide on exposure and motion."""

FITTED_ALPHA = 0.3
"""Pixels that are covered so much have a depth to be fitted to the LiDAR's."""


@dataclass(frozen=True, slots=True)
class Look:
    """What one picture and its scan bring.

    Attributes:
        stamp_ns: of the picture. camera: its name.
        picture: (H, W, 3) float32, distortion undone, at the map's scale.
        inside: (H, W) bool, pixels that the camera saw.
        view: where from.
        returns: what the view shows of the scan.
    """

    stamp_ns: int
    camera: str
    picture: NDArray[np.float32]
    inside: NDArray[np.bool_]
    view: View
    returns: Returns


@dataclass(frozen=True, slots=True)
class Keyframe:
    """A look that the map is fitted to.

    Attributes:
        look: the picture.
        exposure: of the picture against the map.
        truth: the picture, to compare renderings with.
        weight: (H, W) float32 of its pixels.
        near: (H, W) bool, pixels near a return: something is there.
    """

    look: Look
    exposure: Exposure
    truth: Truth
    weight: NDArray[np.float32]
    near: NDArray[np.bool_]

    def still(self, rendering: Rendering, config: FitConfig) -> NDArray[np.float32]:
        """(H, W) weight of the pixels, 0 where the depth of the map is no longer what this keyframe's scan says."""
        if not config.mask_moving:
            return self.weight
        return self.weight * ~moving_pixels(self.look, rendering, config)

    def loss(self, rendering: Rendering, config: FitConfig):
        """Loss of a rendering from this view, and its gradients by colour (H, W, 3), depth and alpha (H, W).

        Colours are compared as if the picture itself shone through what is not covered, so that none is brightened to
        make up for a gap; that gaps close where the LiDAR sees a surface is a term of its own.
        """
        alpha, picture, returns = rendering.alpha[:, :, None], self.look.picture, self.look.returns
        seen = self.exposure.shown(rendering.colour, rendering.alpha)
        weight = self.still(rendering, config)
        colour_loss, d = self.truth.colour_loss(seen + (1.0 - alpha) * picture, weight, config.ssim_share)
        depth, pixels = rendering.expected_depth(FITTED_ALPHA), (returns.rows, returns.columns)
        off_loss, d_depth = depth_loss(depth, pixels, returns.depths, config.depth_weight)
        cover = np.float32(config.cover_weight / max(int(self.near.sum()), 1))
        open_loss = float((1.0 - rendering.alpha)[self.near].sum()) * cover
        d_alpha = (d * (self.exposure.offset - picture)).sum(axis=2) - cover * self.near
        return colour_loss + off_loss + open_loss, d * self.exposure.gain, d_depth, d_alpha


def moving_pixels(look: Look, rendering: Rendering, config: FitConfig) -> NDArray[np.bool_]:
    """(H, W) pixels round the returns that lie clearly off the depth that the map shows from there."""
    out = np.zeros(look.inside.shape, np.bool_)
    rows, columns, truth = look.returns.rows, look.returns.columns, look.returns.depths
    known = rendering.alpha[rows, columns] > CERTAIN_ALPHA
    depth = rendering.expected_depth()[rows, columns]
    off = known & (np.abs(depth - truth) > np.maximum(config.moving_m, config.moving_share * truth))
    out[rows[off], columns[off]] = True
    return maximum_filter(out, size=2 * config.moving_px + 1)


def exposure_of(look: Look, rendering: Rendering, still: NDArray[np.bool_], guess: Exposure) -> Exposure:
    """Of a look, by the map as it was before it."""
    sure = still & look.inside & (rendering.alpha > CERTAIN_ALPHA)
    sure[1::2] = False
    alpha = rendering.alpha[sure]
    return solved(rendering.colour[sure] / alpha[:, None], look.picture[sure], alpha, guess)


def pixel_weights(
    look: Look, rendering: Rendering, distance_px: NDArray[np.float64], config: FitConfig
) -> NDArray[np.float32]:
    """(H, W) weight of each pixel's colour: 1 where the LiDAR or the map knows a surface."""
    known = (distance_px <= config.near_px) | (rendering.alpha > config.covered)
    return (known & look.inside).astype(np.float32)
