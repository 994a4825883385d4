# SPDX-FileCopyrightText: The Mem4Nav stack developers
# SPDX-License-Identifier: Apache-2.0
"""The window as the mapper fits it, on the CPU or on the graphics processor: one switch picks which."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from slam.gaussian_map import adam
from slam.gaussian_map.adam import LearningRates
from slam.gaussian_map.cuda_window import CudaWindow
from slam.gaussian_map.in_place import bound, repaint
from slam.gaussian_map.store import GaussianMap
from slam.gaussian_map.window import Window
from slam.gpu import Backend, device
from slam.splatting.projection import X, Y
from slam.splatting.rendering import Gradients, Rendering, gradients, render
from slam.splatting.view import View


class CpuWindow(Window):
    """A window that can be rendered and fitted."""

    def render(self, view: View, background: tuple[float, float, float] = (0.0, 0.0, 0.0)) -> Rendering:
        """What the window's Gaussians and stand-ins show."""
        return render(self.shown_gaussians, view, background)

    def fit(
        self,
        rendering: Rendering,
        rates: LearningRates,
        d_colour: NDArray[np.floating],
        d_depth: NDArray[np.floating] | None = None,
        d_alpha: NDArray[np.floating] | None = None,
        d_normal: NDArray[np.floating] | None = None,
    ) -> Gradients:
        """One step of Adam against a loss on ``rendering``, see ``slam.splatting.rendering.gradients``.

        Returns:
            Of the Gaussians' gradients those of the window's own.
        """
        found = gradients(rendering, d_colour, d_depth, d_alpha, d_normal).of_first(self.size)
        if self.size:
            adam.step(self.gaussians, found.gaussians, self.moments, self.steps, rendering.seen[: self.size], rates)
        return found

    def paint(self, rendering: Rendering, off: NDArray[np.floating]) -> None:
        """Move base colours by the mean of ``off`` (H, W, 3), picture less rendering, where each Gaussian shows."""
        slope = gradients(rendering, off).of_first(self.size).gaussians.harmonics
        repaint(self.gaussians.harmonics, slope, rendering.contribution[: self.size])

    def bound(self, largest: NDArray[np.float32]) -> None:
        """Let no standard deviation exceed ``largest`` (N,), logarithms of metres."""
        bound(self.gaussians.log_scales, largest)

    def centres(self, rendering: Rendering) -> NDArray[np.float32]:
        """(n, 2) projected means, px, pixel centres at halves; NaN for Gaussians that the view cannot see."""
        out = np.full((self.shown, 2), np.nan, np.float32)
        out[rendering.splats.rows] = rendering.splats.table[:, [X, Y]]
        return out[: self.size]


FittingWindow = CpuWindow | CudaWindow


def fitting_window(gaussian_map: GaussianMap, backend: Backend = "auto") -> FittingWindow:
    """An empty window on what ``backend`` asks for: see ``slam.gpu.device``, also for what is raised."""
    found = device(backend)
    return CpuWindow(gaussian_map) if found is None else CudaWindow(gaussian_map, found)
