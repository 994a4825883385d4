# SPDX-FileCopyrightText: The Mem4Nav stack developers
# SPDX-License-Identifier: Apache-2.0
"""What a picture is held against to find its pose: brightness and depth as seen from one place."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from slam.gaussian_map.pictures import GREY
from slam.splatting import NEAR_M
from slam.splatting.rendering import Rendering
from slam.splatting.view import View

EDGE_PX = 2.0
"""What comes to lie so near to the picture's edge may leave it while the pose is sought."""


@dataclass(frozen=True, slots=True)
class Template:
    """What a picture is held against: the surroundings as seen from one place, with the map's depths.

    Of the last keyframe it has the brightness of its picture, which is sharper than the map and places nothing amiss:
    splats on a slanted surface hide the farther part of their neighbours, so that a rendering is shifted a little, and
    that carries the pose along by some parts in a thousand of the way.

    Attributes:
        view: from where.
        brightness: (H, W) float32, at the map's exposure.
        depth: (H, W) float32 along the optical axis, metres; NaN where unknown.
        covered: (H, W) bool, pixels whose brightness is known.
    """

    view: View
    brightness: NDArray[np.float32]
    depth: NDArray[np.float32]
    covered: NDArray[np.bool_]

    @classmethod
    def rendered(cls, rendering: Rendering, view: View, least_alpha: float) -> Template:
        """What the map shows by itself."""
        brightness = rendering.colour @ GREY / np.maximum(rendering.alpha, 1e-3)
        return cls(view, brightness, rendering.expected_depth(least_alpha), rendering.alpha > least_alpha)

    def points(self, rows: NDArray[np.integer], columns: NDArray[np.integer]) -> NDArray[np.float64]:
        """(N, 3, odom) what pixels (N,) show."""
        seen = self.view.rays(rows, columns) * self.depth[rows, columns, None].astype(np.float64)
        return seen @ self.view.T_camera_world[:3, :3] + self.view.position

    def seen_from(self, view: View) -> NDArray[np.bool_]:
        """(H, W) which pixels of known depth another view shows, away from its edges."""
        out = np.isfinite(self.depth)
        if view is self.view:
            return out
        rows, columns = np.nonzero(out)
        pixels, depths = view.project(self.points(rows, columns))
        last = np.array([view.width, view.height]) - 1.0 - EDGE_PX
        out[rows, columns] = (depths > NEAR_M) & ((pixels > EDGE_PX) & (pixels < last)).all(axis=1)
        return out
