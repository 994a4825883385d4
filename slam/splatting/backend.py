# SPDX-FileCopyrightText: The Mem4Nav stack developers
# SPDX-License-Identifier: Apache-2.0
"""The one switch between the rasteriser of the CPU and that of CUDA."""

from __future__ import annotations

from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray

from slam.gpu import Backend, device
from slam.splatting import rendering
from slam.splatting.cuda_rendering import CudaRasteriser
from slam.splatting.gaussians import Gaussians
from slam.splatting.rendering import Gradients, Rendering
from slam.splatting.view import View


class Rasteriser(Protocol):
    """``render`` and ``gradients`` of ``slam.splatting.rendering``; a rendering goes back to who made it."""

    def render(
        self, gaussians: Gaussians, view: View, background: tuple[float, float, float] = (0.0, 0.0, 0.0)
    ) -> Rendering:
        """Render ``gaussians``."""
        ...

    def gradients(
        self,
        rendering: Any,
        d_colour: NDArray[np.floating],
        d_depth: NDArray[np.floating] | None = None,
        d_alpha: NDArray[np.floating] | None = None,
        d_normal: NDArray[np.floating] | None = None,
    ) -> Gradients:
        """Gradients of a loss on the rendering."""
        ...


class CpuRasteriser:
    """The functions of ``slam.splatting.rendering``."""

    render = staticmethod(rendering.render)
    gradients = staticmethod(rendering.gradients)


def rasteriser(backend: Backend = "auto") -> Rasteriser:
    """The rasteriser that ``backend`` asks for: see ``slam.gpu.device``, also for what is raised."""
    found = device(backend)
    return CpuRasteriser() if found is None else CudaRasteriser(found)
