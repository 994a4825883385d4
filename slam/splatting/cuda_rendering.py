# SPDX-FileCopyrightText: The Mem4Nav stack developers
# SPDX-License-Identifier: Apache-2.0
"""Pictures of Gaussians and their gradients on the graphics processor, the twin of ``slam.splatting.rendering``.

What goes in may lie on the device already; pictures and gradients come back to the computer's memory. No sum is made by
atomics: the same input on the same device gives the same bytes.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from slam.errors import SlamError
from slam.gpu import Device, blocks_for
from slam.splatting import TILE
from slam.splatting.gaussians import Gaussians
from slam.splatting.harmonics import COUNTS
from slam.splatting.projection import COLUMNS, Pinhole, Splats
from slam.splatting.projection_gradient import COLUMNS as SUMS
from slam.splatting.rasterise import CHANNELS
from slam.splatting.rendering import Gradients, Rendering, check_view, slopes_of
from slam.splatting.tiles import TileLists
from slam.splatting.view import View

MOST_ENTRIES = (1 << 31) - 1
"""Pairs of a splat and a tile that 32 bits count."""


class Entries(NamedTuple):
    """Pairs of a Gaussian and a tile in the order of the Gaussians, on the device.

    Attributes:
        counts, ends: (N,) int32 entries of each Gaussian and their running sum.
        order: (E,) int64 entry at each place of ``TileLists.members``.
    """

    counts: Any
    ends: Any
    order: Any


class DeviceView(NamedTuple):
    """A view on the device: R and t (12,) float64, and ``Lens`` of cuda/projection.cu (22,) float32."""

    pose: Any
    lens: Any

    @classmethod
    def of(cls, device: Device, view: View) -> DeviceView:
        """Upload ``view``."""
        R, t, position, *numbers = Pinhole.of(view)
        lens = np.array([*np.ravel(R), *position, *numbers], np.float32)
        return cls(device.xp.asarray(np.array([*np.ravel(R), *t])), device.xp.asarray(lens))


@dataclass(frozen=True, slots=True)
class DeviceRendering(Rendering):
    """A rendering whose way back stays on the device: ``gaussians``, ``splats`` (of all N), ``lists`` and ``picture``.

    Attributes:
        weights: (N,) ``contribution`` on the device.
        entries: see there.
        on_device: (H, W) alpha, and the view.
    """

    weights: Any
    entries: Entries
    on_device: tuple[Any, DeviceView]


class CudaRasteriser:
    """``render`` and ``gradients`` as the functions of those names in ``slam.splatting.rendering``."""

    def __init__(self, device: Device) -> None:
        self.device = device

    def render(
        self, gaussians: Gaussians, view: View, background: tuple[float, float, float] = (0.0, 0.0, 0.0)
    ) -> DeviceRendering:
        """Render ``gaussians``, whose arrays may be numpy's or the device's.

        Raises:
            SlamError: arrays of a wrong shape or dtype, a picture without pixels, a focal length that is not positive,
                more pairs of Gaussians and tiles than 32 bits count.
        """
        xp, to_host = self.device.xp, self.device.to_host
        gaussians = uploaded(self.device, gaussians)
        check_view(view)
        placed = DeviceView.of(self.device, view)
        table, depths = self._project(gaussians, placed)
        lists, entries = self._tiles(table, depths, view)
        picture = xp.empty((view.height, view.width, CHANNELS), np.float32)
        alpha = xp.empty((view.height, view.width), np.float32)
        weights = xp.zeros(len(lists.members), np.float32)
        shade = xp.asarray(np.array(background, np.float32))
        self._rasterise("rasterise_forward", view, table, lists, entries, shade, picture, alpha, weights)
        weights = self._summed(weights, 1, entries).reshape(-1)
        seen = to_host(picture)
        colour, offset, normal = seen[..., :3].copy(), seen[..., 3].copy(), seen[..., 4:].copy()
        splats = Splats(np.arange(gaussians.size, dtype=np.int32), table, depths)
        return DeviceRendering(
            colour, offset, normal, to_host(alpha), to_host(weights), gaussians, view, splats, lists, picture,
            weights, entries, (alpha, placed),
        )  # fmt: skip

    def gradients(
        self,
        rendering: DeviceRendering,
        d_colour: NDArray[np.floating],
        d_depth: NDArray[np.floating] | None = None,
        d_alpha: NDArray[np.floating] | None = None,
        d_normal: NDArray[np.floating] | None = None,
    ) -> Gradients:
        """Gradients of a loss, see ``slam.splatting.rendering.gradients``.

        Raises:
            SlamError: a gradient that has not the picture's shape.
        """
        found = self.gradients_on_device(rendering, d_colour, d_depth, d_alpha, d_normal)
        host = Gaussians(*(self.device.to_host(array) for array in found.gaussians))
        return replace(found, gaussians=host, screen=self.device.to_host(found.screen))

    def gradients_on_device(
        self,
        rendering: DeviceRendering,
        d_colour: NDArray[np.floating],
        d_depth: NDArray[np.floating] | None = None,
        d_alpha: NDArray[np.floating] | None = None,
        d_normal: NDArray[np.floating] | None = None,
    ) -> Gradients:
        """The same with ``gaussians`` and ``screen`` as arrays of the device; ``pose`` comes to the host."""
        xp, view, entries = self.device.xp, rendering.view, rendering.entries
        slopes, by_alpha = slopes_of(rendering, d_colour, d_depth, d_alpha, d_normal)
        sums = xp.zeros((len(rendering.lists.members), SUMS), np.float32)
        alpha, placed = rendering.on_device
        pictures = (rendering.picture, alpha, xp.asarray(slopes), xp.asarray(by_alpha))
        self._rasterise("rasterise_backward", view, rendering.splats.table, rendering.lists, entries, *pictures, sums)
        return self._pulled_back(rendering, placed, self._summed(sums, SUMS, entries))

    def _project(self, g: Gaussians, view: DeviceView) -> tuple[Any, Any]:
        """The splats' table and depths, as in ``Splats``, of all N."""
        xp = self.device.xp
        table, depths = xp.empty((g.size, COLUMNS), np.float32), xp.empty(g.size, np.float32)
        counts = (np.int32(g.harmonics.shape[1]), np.int32(g.size))
        self.device.launch("projection", "project_forward", blocks_for(g.size), *g, *counts, *view, table, depths)
        return table, depths

    def _tiles(self, table: Any, depths: Any, view: View) -> tuple[TileLists, Entries]:
        """The tiles' members front to back: entries in the order of the Gaussians, sorted stably by tile and depth."""
        xp, n, (columns, rows) = self.device.xp, len(table), tiles_of(view)
        counts = xp.empty(n, np.int32)
        sizes = (np.int32(n), np.int32(columns), np.int32(rows))
        self._launch("tile_count", n, table, *sizes, counts)
        total = int(counts.sum(dtype=np.int64))
        if total > MOST_ENTRIES:
            raise SlamError(
                f"{n} Gaussians reach {total} tiles of {view.width} x {view.height} px: are they too large?"
            )
        ends = xp.cumsum(counts, dtype=np.int32)
        keys, owners = xp.empty(total, np.uint64), xp.empty(total, np.int32)
        self._launch("tile_entries", n, table, depths, *sizes, counts, ends, keys, owners)
        order = xp.argsort(keys) if total else xp.empty(0, np.int64)
        starts, members = xp.empty(columns * rows + 1, np.int32), xp.empty(total, np.int32)
        sizes = (np.int32(total), np.int32(columns * rows))
        self._launch("tile_starts", total + 1, keys, owners, order, *sizes, starts, members)
        return TileLists(starts, members), Entries(counts, ends, order)

    def _rasterise(self, kernel: str, view: View, table: Any, lists: TileLists, entries: Entries, *arrays: Any) -> None:
        columns, rows = tiles_of(view)
        sizes = (np.int32(columns), np.int32(view.width), np.int32(view.height))
        self.device.launch("rasterise", kernel, columns * rows, table, *lists, entries.order, *sizes, *arrays)

    def _summed(self, values: Any, width: int, entries: Entries) -> Any:
        """(N, width) sums over the entries of each Gaussian."""
        n = len(entries.counts)
        sums = self.device.xp.empty((n, width), np.float32)
        lists = (entries.counts, entries.ends)
        self._launch("sum_entries", n * width, values, np.int32(width), *lists, np.int32(n), sums)
        return sums

    def _pulled_back(self, rendering: DeviceRendering, view: DeviceView, sums: Any) -> Gradients:
        xp, g = self.device.xp, rendering.gaussians
        out = [xp.zeros(array.shape, np.float32) for array in g]
        turn, screen = xp.zeros((g.size, 3), np.float32), xp.zeros(g.size, np.float32)
        counts = (np.int32(g.harmonics.shape[1]), np.int32(g.size))
        values = (g.means, g.quats, g.log_scales, g.harmonics, *counts, *view, rendering.splats.table, sums)
        self.device.launch("projection", "project_backward", blocks_for(g.size), *values, *out, turn, screen)
        # A shift of the camera frame moves all means, turned into it.
        moved, turned = (self.device.to_host(array.sum(axis=0, dtype=np.float64)) for array in (out[0], turn))
        pose = np.concatenate([turned, rendering.view.T_camera_world[:3, :3] @ moved])
        return Gradients(Gaussians(*out), pose, screen)

    def _launch(self, kernel: str, threads: int, *arguments: Any) -> None:
        self.device.launch("tiles", kernel, blocks_for(threads), *arguments)


def tiles_of(view: View) -> tuple[int, int]:
    """Columns and rows of tiles that cover the picture."""
    return -(-view.width // TILE), -(-view.height // TILE)


def uploaded(device: Device, gaussians: Gaussians) -> Gaussians:
    """The same as contiguous arrays of the device, copied only where they are not.

    Raises:
        SlamError: arrays of a wrong shape or dtype.
    """
    size, harmonics = len(gaussians.means), gaussians.harmonics.shape
    if len(harmonics) != 3 or harmonics[1] not in COUNTS:
        raise SlamError(f"harmonics have shape {harmonics}, not (N, K, 3) with K = 1, 4, 9 or 16")
    shapes = ((size, 3), (size, 4), (size, 3), (size,), (size, harmonics[1], 3))
    for name, array, shape in zip(Gaussians._fields, gaussians, shapes, strict=True):
        if array.shape != shape or array.dtype != np.float32:
            raise SlamError(f"{name} are {array.dtype} {array.shape}, not float32 {shape}, as {size} means ask for")
    return Gaussians(*(device.xp.ascontiguousarray(device.xp.asarray(array)) for array in gaussians))
