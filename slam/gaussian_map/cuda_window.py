# SPDX-FileCopyrightText: The Mem4Nav stack developers
# SPDX-License-Identifier: Apache-2.0
"""The sliding window on the graphics processor: it stays there, and what changed is all that is sent."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from slam.gaussian_map.adam import LearningRates
from slam.gaussian_map.in_place import bound, repaint
from slam.gaussian_map.store import GaussianMap
from slam.gaussian_map.window import Moved, Window
from slam.gpu import Device, blocks_for
from slam.splatting.cuda_rendering import CudaRasteriser, DeviceRendering
from slam.splatting.gaussians import Gaussians
from slam.splatting.projection import X, Y
from slam.splatting.rendering import Gradients
from slam.splatting.view import View


def step(
    device: Device,
    values: Gaussians,
    gradients: Gaussians,
    moments: tuple[Gaussians, Gaussians],
    steps: Any,
    seen: Any,
    rates: LearningRates,
) -> None:
    """``slam.gaussian_map.adam.step`` on arrays of the device."""
    steps += seen
    for name in Gaussians._fields:
        arrays = [getattr(part, name) for part in (values, gradients, *moments)]
        n = len(arrays[0])
        width = arrays[0].size // max(n, 1)
        sizes = (np.int32(n), np.int32(width), np.float32(getattr(rates, name)))
        device.launch("adam", "adam_step", blocks_for(n * width), *arrays, steps, seen, *sizes)


class CudaWindow(Window):
    """A window whose Gaussians live on the device between two moves, and are rendered and fitted there.

    A move sends the slots that changed and no more. What the map is given back, or others read, is brought to the
    computer's memory first; who took ``gaussians``, ``moments`` or ``steps`` may have written there, so that all is
    sent anew before the next rendering.
    """

    def __init__(self, gaussian_map: GaussianMap, device: Device) -> None:
        super().__init__(gaussian_map)
        self._rasteriser, self._device = CudaRasteriser(device), device
        self._fitted, self._exposed = False, False
        self._room = 0
        self._parts: list[Gaussians] = []
        self._counts: Any = device.xp.zeros(0, np.int32)

    @property
    def gaussians(self) -> Gaussians:
        """See ``Window``."""
        self._expose()
        return super().gaussians

    @property
    def shown_gaussians(self) -> Gaussians:
        """See ``Window``."""
        self._download()
        return super().shown_gaussians

    @property
    def moments(self) -> tuple[Gaussians, Gaussians]:
        """See ``Window``."""
        self._expose()
        return super().moments

    @property
    def steps(self) -> NDArray[np.int32]:
        """See ``Window``."""
        self._expose()
        return super().steps

    def move_to(self, views: Sequence[View] | None, reach_m: float = np.inf, detail_px: float = 0.0) -> Moved:
        """See ``Window``."""
        self._download()
        moved = super().move_to(views, reach_m, detail_px)
        self._upload(moved.slots)
        return moved

    def write_back(self, rows: NDArray[np.integer] | None = None) -> None:
        """See ``Window``."""
        self._download()
        super().write_back(rows)

    def render(self, view: View, background: tuple[float, float, float] = (0.0, 0.0, 0.0)) -> DeviceRendering:
        """What the window's Gaussians and stand-ins show."""
        self._take_over()
        self._make_device_room()
        return self._rasteriser.render(self._parts[0].take(slice(self.shown)), view, background)

    def fit(
        self,
        rendering: DeviceRendering,
        rates: LearningRates,
        d_colour: NDArray[np.floating],
        d_depth: NDArray[np.floating] | None = None,
        d_alpha: NDArray[np.floating] | None = None,
        d_normal: NDArray[np.floating] | None = None,
    ) -> Gradients:
        """See ``CpuWindow``; of the gradients those by the parameters stay on the device."""
        self._take_over()
        found = self._rasteriser.gradients_on_device(rendering, d_colour, d_depth, d_alpha, d_normal)
        found = found.of_first(self.size)
        values, *moments = self._held()
        seen, steps = rendering.weights[: self.size] > 0.0, self._counts[: self.size]
        step(self._device, values, found.gaussians, (moments[0], moments[1]), steps, seen, rates)
        self._fitted = True
        return replace(found, screen=self._device.to_host(found.screen))

    def paint(self, rendering: DeviceRendering, off: NDArray[np.floating]) -> None:
        """See ``CpuWindow``."""
        self._take_over()
        slope = self._rasteriser.gradients_on_device(rendering, off).of_first(self.size).gaussians.harmonics
        repaint(self._held()[0].harmonics, slope, rendering.weights[: self.size])
        self._fitted = True

    def bound(self, largest: NDArray[np.float32]) -> None:
        """See ``CpuWindow``."""
        self._take_over()
        bound(self._held()[0].log_scales, self._device.xp.asarray(largest))
        self._fitted = True

    def centres(self, rendering: DeviceRendering) -> NDArray[np.float32]:
        """See ``CpuWindow``; what is not seen may have any centre."""
        return self._device.to_host(rendering.splats.table[: self.size, [X, Y]])

    def _expose(self) -> None:
        self._download()
        self._exposed = True

    def _take_over(self) -> None:
        """Send what others may have written."""
        if self._exposed:
            self._upload(slice(self.size))
            self._exposed = False

    def _upload(self, slots: NDArray[np.integer] | slice) -> None:
        xp = self._device.xp
        self._make_device_room()
        if isinstance(slots, np.ndarray) and not len(slots):
            return
        there = slots if isinstance(slots, slice) else xp.asarray(slots)
        for part, source in zip(self._parts, self._buffers, strict=True):
            for array, new in zip(part, source, strict=True):
                array[there] = xp.asarray(new[slots])
        self._counts[there] = xp.asarray(self._steps[slots])

    def _download(self) -> None:
        """Bring values, moments and counts of steps into the computer's memory, if they were fitted since."""
        if not self._fitted:
            return
        for part, target in zip(self._held(), self._buffers, strict=True):
            for array, old in zip(part, target, strict=True):
                old[: self.size] = self._device.to_host(array)
        self._steps[: self.size] = self._device.to_host(self._counts[: self.size])
        self._fitted = False

    def _held(self) -> list[Gaussians]:
        """Values and both moments on the device: views."""
        self._make_device_room()
        return [part.take(slice(self.size)) for part in self._parts]

    def _make_device_room(self) -> None:
        if self.shown <= self._room and self._parts:
            return
        xp, before, counts = self._device.xp, self._parts, self._counts
        self._room = max(1024, self.shown, 2 * self._room)
        self._parts = [
            Gaussians(*(xp.zeros((self._room, *array.shape[1:]), np.float32) for array in part))
            for part in self._buffers
        ]
        for new, old in zip(self._parts, before, strict=False):
            for array, values in zip(new, old, strict=True):
                array[: len(values)] = values
        self._counts = xp.zeros(self._room, np.int32)
        self._counts[: len(counts)] = counts
