# SPDX-FileCopyrightText: The Mem4Nav stack developers
# SPDX-License-Identifier: Apache-2.0
"""Pictures of Gaussians, and the gradients of a loss on them."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from slam.errors import SlamError
from slam.splatting.gaussians import Gaussians
from slam.splatting.harmonics import COUNTS
from slam.splatting.projection import Splats, project
from slam.splatting.projection_gradient import pull_back
from slam.splatting.rasterise import blend, unblend
from slam.splatting.tiles import TileLists, tile_lists
from slam.splatting.view import View


@dataclass(frozen=True, slots=True)
class Rendering:
    """A view of Gaussians, and what the way back needs.

    Attributes:
        colour: (H, W, 3) float32 RGB, the background behind.
        depth: (H, W) float32, sum of weight times m_z, metres; not divided by alpha.
        normal: (H, W, 3) float32, sum of weight times normal, camera frame; not divided by alpha.
        alpha: (H, W) float32 in [0, 1), how much of the background is covered.
        contribution: (N,) float32, each Gaussian's weights summed over the picture, pixels.
        gaussians, view: what was rendered, not copied: the way back reads them again.
        splats, lists, picture: the projection, the tiles' members, and colour, depth and normal as blended (H, W, 7).
    """

    colour: NDArray[np.float32]
    depth: NDArray[np.float32]
    normal: NDArray[np.float32]
    alpha: NDArray[np.float32]
    contribution: NDArray[np.float32]
    gaussians: Gaussians
    view: View
    splats: Splats
    lists: TileLists
    picture: NDArray[np.float32]

    @property
    def seen(self) -> NDArray[np.bool_]:
        """(N,) whether the Gaussian added to any pixel; one wholly behind others did not."""
        return self.contribution > 0.0

    def expected_depth(self, least_alpha: float = 0.5) -> NDArray[np.float32]:
        """(H, W) float32 metres, depth divided by alpha; NaN where alpha is below ``least_alpha`` (as in REP 118)."""
        sure = self.alpha >= max(least_alpha, np.finfo(np.float32).tiny)
        return np.divide(self.depth, self.alpha, out=np.full_like(self.depth, np.nan), where=sure)


@dataclass(frozen=True, slots=True)
class Gradients:
    """Derivatives of a loss.

    Attributes:
        gaussians: by each parameter; zero for Gaussians that were not seen.
        pose: (6,) float64, by [phi, rho] in p_C <- p_C + phi x p_C + rho (camera frame, radians and metres), that is
            T_camera_world <- Exp([phi, rho]) T_camera_world to first order; through centres, ellipses, depths, normals
            and the direction that the harmonics look along.
        screen: (N,) float32, norm of the gradient by the projected mean, 1/px.
    """

    gaussians: Gaussians
    pose: NDArray[np.float64]
    screen: NDArray[np.float32]


def render(gaussians: Gaussians, view: View, background: tuple[float, float, float] = (0.0, 0.0, 0.0)) -> Rendering:
    """Render ``gaussians`` as ``slam.splatting`` says, on one thread; other threads of Python run meanwhile.

    Gaussians with a parameter that is not finite are left out.

    Raises:
        SlamError: arrays of a wrong shape or dtype, a picture without pixels, a focal length that is not positive.
    """
    gaussians = _checked(gaussians)
    _check_view(view)
    splats = project(gaussians, view)
    lists = tile_lists(splats, view.width, view.height)
    picture, alpha, weights = blend(splats, lists, np.array(background, np.float32), view.width, view.height)
    contribution = np.zeros(gaussians.size, np.float32)
    contribution[splats.rows] = weights
    colour, normal = picture[..., :3].copy(), picture[..., 4:].copy()
    depth = picture[..., 3].copy()
    return Rendering(colour, depth, normal, alpha, contribution, gaussians, view, splats, lists, picture)


def gradients(
    rendering: Rendering,
    d_colour: NDArray[np.floating],
    d_depth: NDArray[np.floating] | None = None,
    d_alpha: NDArray[np.floating] | None = None,
    d_normal: NDArray[np.floating] | None = None,
) -> Gradients:
    """Gradients of a loss from those by the pictures of ``rendering``.

    Args:
        d_colour: (H, W, 3) by colour.
        d_depth, d_alpha: (H, W) by the sums as they stand in the rendering; None for zero.
        d_normal: (H, W, 3).

    Raises:
        SlamError: a gradient that has not the picture's shape.
    """
    shape = rendering.alpha.shape
    slopes = np.zeros((*shape, 7), np.float32)
    slopes[..., :3] = _shaped("d_colour", d_colour, (*shape, 3))
    if d_depth is not None:
        slopes[..., 3] = _shaped("d_depth", d_depth, shape)
    if d_normal is not None:
        slopes[..., 4:] = _shaped("d_normal", d_normal, (*shape, 3))
    by_alpha = np.zeros(shape, np.float32)
    if d_alpha is not None:
        by_alpha[:] = _shaped("d_alpha", d_alpha, shape)
    sums = unblend(rendering.splats, rendering.lists, rendering.picture, rendering.alpha, slopes, by_alpha)
    return Gradients(*pull_back(rendering.gaussians, rendering.view, rendering.splats, sums))


def _shaped(name: str, array: NDArray[np.floating], shape: tuple[int, ...]) -> NDArray[np.floating]:
    if array.shape != shape:
        raise SlamError(
            f"{name} has shape {array.shape}, not {shape}, the rendering's: of another view, or transposed?"
        )
    return array


def _checked(gaussians: Gaussians) -> Gaussians:
    """The same, contiguous."""
    size, count = len(gaussians.means), gaussians.harmonics.shape[1] if gaussians.harmonics.ndim == 3 else 0
    if count not in COUNTS:
        raise SlamError(f"harmonics have shape {gaussians.harmonics.shape}, not (N, K, 3) with K = 1, 4, 9 or 16")
    shapes = ((size, 3), (size, 4), (size, 3), (size,), (size, count, 3))
    for name, array, shape in zip(Gaussians._fields, gaussians, shapes, strict=True):
        if array.shape != shape or array.dtype != np.float32:
            raise SlamError(f"{name} are {array.dtype} {array.shape}, not float32 {shape}, as {size} means ask for")
    return Gaussians(*(np.ascontiguousarray(array) for array in gaussians))


def _check_view(view: View) -> None:
    if view.width < 1 or view.height < 1 or view.K[0, 0] <= 0.0 or view.K[1, 1] <= 0.0:
        raise SlamError(
            f"a view of {view.width} x {view.height} px with focal lengths {view.K[0, 0]:g}, {view.K[1, 1]:g} px shows "
            "nothing: was it scaled down too far?"
        )
