# SPDX-FileCopyrightText: The Mem4Nav stack developers
# SPDX-License-Identifier: Apache-2.0
"""Pictures of Gaussians, and the gradients of a loss on them."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from slam.errors import SlamError
from slam.splatting import LEAST_COSINE
from slam.splatting.gaussians import Gaussians
from slam.splatting.harmonics import COUNTS
from slam.splatting.projection import Splats, project
from slam.splatting.projection_gradient import pull_back
from slam.splatting.rasterise import CHANNELS, blend, unblend
from slam.splatting.tiles import TileLists, tile_lists
from slam.splatting.view import View


@dataclass(frozen=True, slots=True)
class Rendering:
    """A view of Gaussians, and what the way back needs.

    Attributes:
        colour: (H, W, 3) float32 RGB, the background behind.
        offset: (H, W) float32, sum of weight times the camera's distance from the Gaussian's plane, metres; not divided
            by alpha. See ``expected_depth`` for the depth.
        normal: (H, W, 3) float32, sum of weight times normal, camera frame; not divided by alpha.
        alpha: (H, W) float32 in [0, 1), how much of the background is covered.
        contribution: (N,) float32, each Gaussian's weights summed over the picture, pixels.
        gaussians, view: what was rendered, not copied: the way back reads them again.
        splats, lists, picture: the projection, the tiles' members, and colour, offset and normal as blended (H, W, 7).
    """

    colour: NDArray[np.float32]
    offset: NDArray[np.float32]
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
        """(H, W) float32 m_z in metres at which the pixel's ray meets the blended plane, offset / (-normal . r).

        Unbiased on slanted surfaces (Chen et al. 2024, PGSR). NaN (as in REP 118) where alpha is below ``least_alpha``
        or the ray all but grazes the plane, cosine below ``LEAST_COSINE``: the normals of what is seen disagree, or
        the surface stands edge on.
        """
        facing, known = self._facing()
        known &= self.alpha >= least_alpha
        return np.divide(self.offset, facing, out=np.full_like(self.offset, np.nan), where=known)

    def plane_slopes(self, d_depth: NDArray[np.floating]) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
        """Derivatives by offset (H, W) and normal (H, W, 3) of a loss, from those by the expected depth (H, W).

        Ignored where the plane has no depth. With z = offset / s and s = -normal . r: dz/doffset = 1 / s and
        dz/dnormal = r z / s.
        """
        facing, known = self._facing()
        x, y = self._rays()
        by_offset, by_normal = np.zeros_like(self.offset), np.zeros_like(self.normal)
        np.divide(d_depth, facing, out=by_offset, where=known)
        np.divide(by_offset * self.offset, facing, out=by_normal[..., 2], where=known)
        np.multiply(by_normal[..., 2], x, out=by_normal[..., 0])
        np.multiply(by_normal[..., 2], y, out=by_normal[..., 1])
        return by_offset, by_normal

    def _rays(self) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
        """x (W,) and y (H, 1) of the pixels' rays r = (x, y, 1), camera frame."""
        K, (height, width) = self.view.K, self.alpha.shape
        x, y = (np.arange(width) - K[0, 2]) / K[0, 0], (np.arange(height) - K[1, 2]) / K[1, 1]
        return x.astype(np.float32), y[:, None].astype(np.float32)

    def _facing(self) -> tuple[NDArray[np.float32], NDArray[np.bool_]]:
        """(H, W) -normal . r, and whether that is enough for the blended plane to have a depth."""
        x, y = self._rays()
        facing = np.empty_like(self.alpha)
        np.add(self.normal[..., 0] * x + self.normal[..., 1] * y, self.normal[..., 2], out=facing)
        np.negative(facing, out=facing)
        return facing, facing > np.float32(LEAST_COSINE) * self.alpha * np.sqrt(x * x + y * y + np.float32(1.0))


@dataclass(frozen=True, slots=True)
class Gradients:
    """Derivatives of a loss.

    Attributes:
        gaussians: by each parameter; zero for Gaussians that were not seen.
        pose: (6,) float64, by [phi, rho] in p_C <- p_C + phi x p_C + rho (camera frame, radians and metres), that is
            T_camera_world <- Exp([phi, rho]) T_camera_world to first order; through centres, ellipses, offsets, normals
            and the direction that the harmonics look along.
        screen: (N,) float32, norm of the gradient by the projected mean, 1/px.
    """

    gaussians: Gaussians
    pose: NDArray[np.float64]
    screen: NDArray[np.float32]

    def of_first(self, count: int) -> Gradients:
        """Without those by the parameters of further Gaussians; views."""
        return Gradients(self.gaussians.take(slice(count)), self.pose, self.screen[:count])


def render(gaussians: Gaussians, view: View, background: tuple[float, float, float] = (0.0, 0.0, 0.0)) -> Rendering:
    """Render ``gaussians`` as ``slam.splatting`` says, on one thread; other threads of Python run meanwhile.

    Gaussians with a parameter that is not finite are left out.

    Raises:
        SlamError: arrays of a wrong shape or dtype, a picture without pixels, a focal length that is not positive.
    """
    gaussians = _checked(gaussians)
    check_view(view)
    splats = project(gaussians, view)
    lists = tile_lists(splats, view.width, view.height)
    picture, alpha, weights = blend(splats, lists, np.array(background, np.float32), view.width, view.height)
    contribution = np.zeros(gaussians.size, np.float32)
    contribution[splats.rows] = weights
    colour, normal = picture[..., :3].copy(), picture[..., 4:].copy()
    offset = picture[..., 3].copy()
    return Rendering(colour, offset, normal, alpha, contribution, gaussians, view, splats, lists, picture)


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
        d_depth: (H, W) by the expected depth, ignored where the blended plane has none, whatever alpha; None for zero.
        d_alpha: (H, W); d_normal: (H, W, 3) by the sum as it stands in the rendering.

    Raises:
        SlamError: a gradient that has not the picture's shape.
    """
    slopes, by_alpha = slopes_of(rendering, d_colour, d_depth, d_alpha, d_normal)
    sums = unblend(rendering.splats, rendering.lists, rendering.picture, rendering.alpha, slopes, by_alpha)
    return Gradients(*pull_back(rendering.gaussians, rendering.view, rendering.splats, sums))


def slopes_of(
    rendering: Rendering,
    d_colour: NDArray[np.floating],
    d_depth: NDArray[np.floating] | None,
    d_alpha: NDArray[np.floating] | None,
    d_normal: NDArray[np.floating] | None,
) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
    """By the blended channels (H, W, 7) and by alpha (H, W), from what ``gradients`` takes and with its errors."""
    shape = rendering.alpha.shape
    slopes, by_alpha = np.zeros((*shape, CHANNELS), np.float32), np.zeros(shape, np.float32)
    slopes[..., :3] = _shaped("d_colour", d_colour, (*shape, 3))
    if d_depth is not None:
        slopes[..., 3], slopes[..., 4:] = rendering.plane_slopes(_shaped("d_depth", d_depth, shape))
    if d_normal is not None:
        slopes[..., 4:] += _shaped("d_normal", d_normal, (*shape, 3))
    if d_alpha is not None:
        by_alpha[:] = _shaped("d_alpha", d_alpha, shape)
    return slopes, by_alpha


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


def check_view(view: View) -> None:
    """Raise ``SlamError`` where there is nothing to render onto."""
    if view.width < 1 or view.height < 1 or view.K[0, 0] <= 0.0 or view.K[1, 1] <= 0.0:
        raise SlamError(
            f"a view of {view.width} x {view.height} px with focal lengths {view.K[0, 0]:g}, {view.K[1, 1]:g} px shows "
            "nothing: was it scaled down too far?"
        )
