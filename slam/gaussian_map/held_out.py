# SPDX-FileCopyrightText: The Mem4Nav stack developers
# SPDX-License-Identifier: Apache-2.0
"""Pictures kept from the map to judge it by: what it shows from their poses against what they show."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy.ndimage import map_coordinates

from slam.gaussian_map.exposure import Exposure, between
from slam.gaussian_map.keyframe import Look
from slam.image_metrics import psnr, ssim
from slam.splatting.rendering import Rendering

NEAR_PX = 4.0
"""Pixels so near to a LiDAR return count for the main figure."""
LEAST_ALPHA = 0.5
"""Depth is judged where the rendering covers so much."""
MOST_PICTURES = 24


@dataclass(frozen=True, slots=True)
class HeldOutView:
    """What the map shows of a picture that it has never seen.

    Attributes:
        look: the picture, its pose and its scan's returns.
        colour: (H, W, 3) float32 rendering on black at the exposure of the neighbouring keyframes.
        depth: (H, W) float32 expected depth, metres, NaN where the map shows too little.
        near: (H, W) bool, pixels within ``NEAR_PX`` of a return.
    """

    look: Look
    colour: NDArray[np.float32]
    depth: NDArray[np.float32]
    near: NDArray[np.bool_]


@dataclass(frozen=True, slots=True)
class ViewScore:
    """Figures of one held-out picture.

    Attributes:
        stamp_ns, camera: of the picture.
        psnr_db: on pixels near a return. psnr_full_db, ssim: on the whole picture.
        depth_error_m: median of the rendering's depth against the scan's, see ``depth_errors``.
        depth_share: share of the returns where the rendering has a depth.
    """

    stamp_ns: int
    camera: str
    psnr_db: float
    psnr_full_db: float
    ssim: float
    depth_error_m: float
    depth_share: float


def judged(look: Look, rendering: Rendering, exposure: Exposure) -> tuple[HeldOutView, ViewScore]:
    """A held-out look against what the map shows from there."""
    colour = np.clip(exposure.shown(rendering.colour, rendering.alpha), 0.0, 1.0)
    near = (look.returns.distance_px(look.inside.shape)[0] <= NEAR_PX) & look.inside
    depth = rendering.expected_depth(LEAST_ALPHA)
    errors = depth_errors(look, depth)
    known = np.isfinite(errors)
    score = ViewScore(
        look.stamp_ns, look.camera, psnr(colour, look.picture, near), psnr(colour, look.picture),
        ssim(colour, look.picture), float(np.median(errors[known])) if known.any() else float("nan"),
        float(known.mean()) if len(known) else 0.0,
    )  # fmt: skip
    return HeldOutView(look, colour, depth, near), score


def depth_errors(look: Look, depth: NDArray[np.float32]) -> NDArray[np.float64]:
    """(N,) metres by which a rendering's depth (H, W) is off at the returns, between pixels; NaN where it has none.

    On a street at 15 m the depth changes by a metre from one row of pixels to the next: rounding a return to its pixel
    would be most of the error. Between pixels the inverse depth is linear on a plane.
    """
    pixels, depths = look.view.project(look.returns.points)
    inverse = map_coordinates(1.0 / depth, pixels[:, ::-1].T, order=1, mode="nearest")
    return np.abs(1.0 / inverse - depths)


def exposure_at(stamp_ns: int, known: list[tuple[int, Exposure]]) -> Exposure:
    """Between those of the keyframes before and after, which is all that is known of a picture never looked at."""
    if not known:
        return Exposure()
    stamps = [stamp for stamp, _ in known]
    after = int(np.searchsorted(stamps, stamp_ns))
    if after in (0, len(known)):
        return known[min(after, len(known) - 1)][1]
    (t0, first), (t1, second) = known[after - 1], known[after]
    return between(first, second, (stamp_ns - t0) / max(t1 - t0, 1))


class Strip:
    """Some pictures of a drive, evenly spread over it, however long it gets."""

    def __init__(self) -> None:
        self._kept: list[tuple[int, NDArray[np.uint8], NDArray[np.uint8]]] = []
        self._stride, self._count = 1, 0

    def add(self, view: HeldOutView) -> None:
        """Keep this one, if it is its turn."""
        if self._count % self._stride == 0:
            truth, shown = ((part * 255.0 + 0.5).astype(np.uint8) for part in (view.look.picture, view.colour))
            self._kept.append((view.look.stamp_ns, truth, shown))
            if len(self._kept) > MOST_PICTURES:
                self._kept, self._stride = self._kept[::2], 2 * self._stride
        self._count += 1

    @property
    def pictures(self) -> list[tuple[int, NDArray[np.uint8], NDArray[np.uint8]]]:
        """Stamp, picture and rendering (H, W, 3) uint8 of each."""
        return list(self._kept)
