# SPDX-FileCopyrightText: The Mem4Nav stack developers
# SPDX-License-Identifier: Apache-2.0
"""The window's twin on the graphics processor: it stays there, and what moved is all that is sent."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from slam.gaussian_map.adam import LearningRates
from slam.gaussian_map.window import Window
from slam.gpu import Device, blocks_for
from slam.splatting.cuda_rendering import CudaRasteriser, DeviceRendering
from slam.splatting.gaussians import Gaussians
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


class CudaWindow:
    """Renders and fits a window's Gaussians on the device.

    ``download`` before the window moves or is written back, and ``upload`` what moved: in between the device holds the
    truth, and the window's arrays in the computer's memory lag behind.
    """

    def __init__(self, device: Device, window: Window) -> None:
        self._rasteriser, self._window = CudaRasteriser(device), window
        self._device, self._capacity, self._fitted = device, 0, False
        self._steps: Any = None
        self._parts: list[Gaussians] = []
        self.upload(np.arange(window.size))

    def upload(self, slots: NDArray[np.integer]) -> None:
        """Send these slots of the window, ``Moved.slots`` of its last move."""
        xp = self._device.xp
        self._make_room(self._window.size)
        if not len(slots):
            return
        there = xp.asarray(slots)
        for part, source in zip(self._parts, (self._window.gaussians, *self._window.moments), strict=True):
            for array, new in zip(part, source, strict=True):
                array[there] = xp.asarray(new[slots])
        self._steps[there] = xp.asarray(self._window.steps[slots])

    def download(self) -> None:
        """Bring values, moments and counts of steps into the window's arrays, if they were fitted since."""
        if not self._fitted:
            return
        for part, target in zip(self._held(), (self._window.gaussians, *self._window.moments), strict=True):
            for array, old in zip(part, target, strict=True):
                old[...] = self._device.to_host(array)
        self._window.steps[...] = self._device.to_host(self._steps[: self._window.size])
        self._fitted = False

    def render(self, view: View, background: tuple[float, float, float] = (0.0, 0.0, 0.0)) -> DeviceRendering:
        """What the window's Gaussians show."""
        return self._rasteriser.render(self._held()[0], view, background)

    def fit(
        self,
        rendering: DeviceRendering,
        rates: LearningRates,
        d_colour: NDArray[np.floating],
        d_depth: NDArray[np.floating] | None = None,
        d_alpha: NDArray[np.floating] | None = None,
        d_normal: NDArray[np.floating] | None = None,
    ) -> Gradients:
        """One step of Adam against a loss on ``rendering``; the gradients stay on the device, but for the pose's."""
        found = self._rasteriser.gradients_on_device(rendering, d_colour, d_depth, d_alpha, d_normal)
        values, *moments = self._held()
        seen, steps = rendering.weights > 0.0, self._steps[: self._window.size]
        step(self._device, values, found.gaussians, (moments[0], moments[1]), steps, seen, rates)
        self._fitted = True
        return found

    def _held(self) -> list[Gaussians]:
        """Values and both moments of the window's Gaussians: views."""
        return [part.take(slice(self._window.size)) for part in self._parts]

    def _make_room(self, size: int) -> None:
        if size <= self._capacity and self._parts:
            return
        xp, before = self._device.xp, self._parts
        self._capacity = max(1024, size, 2 * self._capacity)
        shapes = [array.shape[1:] for array in self._window.gaussians]
        self._parts = [
            Gaussians(*(xp.zeros((self._capacity, *shape), np.float32) for shape in shapes)) for _ in range(3)
        ]
        for new, old in zip(self._parts, before, strict=False):
            for array, values in zip(new, old, strict=True):
                array[: len(values)] = values
        steps = xp.zeros(self._capacity, np.int32)
        if before:
            steps[: len(self._steps)] = self._steps
        self._steps = steps
