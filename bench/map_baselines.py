# SPDX-FileCopyrightText: The Mem4Nav stack developers
# SPDX-License-Identifier: Apache-2.0
"""What a picture nobody took looks like by the simplest means: coloured points, or the nearest picture warped."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy.interpolate import LinearNDInterpolator
from scipy.ndimage import distance_transform_edt, map_coordinates

from bench.held_out import Frame, projected
from slam.splatting.view import View

CELL_PX = 4
"""Of the coarse depth picture that hides what lies behind."""
BEHIND_SHARE = 0.1


@dataclass(frozen=True, slots=True)
class ColouredPoints:
    """positions: (N, 3) float64, odom; colours: (N, 3) float32 in [0, 1]."""

    positions: NDArray[np.float64]
    colours: NDArray[np.float32]

    @classmethod
    def of(cls, training: list[Frame]) -> ColouredPoints:
        """The points of all these scans that their own picture shows, coloured by it."""
        positions, colours = [], []
        for frame in training:
            pixels, depths, which = projected(frame.view, frame.points)
            shown = _in_front(frame.view, pixels, depths)
            positions.append(frame.points[which[shown]])
            colours.append(sampled(frame.picture, pixels[shown]))
        return cls(np.concatenate(positions), np.concatenate(colours))

    def seen_from(self, view: View) -> NDArray[np.float32]:
        """(H, W, 3) the nearest point of each pixel; pixels without one take the nearest pixel that has one."""
        pixels, depths, which = projected(view, self.positions)
        shown = _in_front(view, pixels, depths)
        return _filled(*_splatted(view, pixels[shown], depths[shown], self.colours[which[shown]]))


def warped(source: Frame, view: View) -> NDArray[np.float32]:
    """(H, W, 3) the picture of ``source`` moved to ``view``: its pixels at the depth that its scan has about them."""
    pixels, depths, _ = projected(source.view, source.points)
    shown = _in_front(source.view, pixels, depths)
    inverse = LinearNDInterpolator(pixels[shown], 1.0 / depths[shown])
    row, column = np.mgrid[: source.view.height, : source.view.width]
    depth = 1.0 / inverse(column, row)
    known = np.isfinite(depth)
    T_world_camera, rays = np.linalg.inv(source.view.T_camera_world), source.view.rays(row[known], column[known])
    points = rays * depth[known][:, None] @ T_world_camera[:3, :3].T + T_world_camera[:3, 3]
    at, far, which = projected(view, points)
    return _filled(*_splatted(view, at, far, source.picture[known][which]))


def nearest_frame(training: list[Frame], view: View) -> Frame:
    """The one taken nearest to the view."""
    return min(training, key=lambda frame: float(np.linalg.norm(frame.view.position - view.position)))


def sampled(picture: NDArray[np.float32], pixels: NDArray[np.float64]) -> NDArray[np.float32]:
    """(N, 3) bilinear colours at (N, 2) pixels u, v."""
    at = pixels[:, ::-1].T
    return np.stack([map_coordinates(picture[..., k], at, order=1, mode="nearest") for k in range(3)], axis=1)


def _in_front(view: View, pixels: NDArray[np.float64], depths: NDArray[np.float64]) -> NDArray[np.bool_]:
    """(N,) which points are not clearly behind another one of their cell."""
    column, row = (np.rint(pixels).astype(int) // CELL_PX).T
    nearest = np.full((view.height // CELL_PX + 1, view.width // CELL_PX + 1), np.inf)
    np.minimum.at(nearest, (row, column), depths)
    return depths <= (1.0 + BEHIND_SHARE) * nearest[row, column]


def _splatted(
    view: View, pixels: NDArray[np.float64], depths: NDArray[np.float64], colours: NDArray[np.float32]
) -> tuple[NDArray[np.float32], NDArray[np.bool_]]:
    """(H, W, 3) colour of the nearest point of each pixel, and (H, W) which pixels have one."""
    column, row = np.rint(pixels).astype(int).T
    far_first = np.argsort(-depths, kind="stable")
    picture, known = np.zeros((view.height, view.width, 3), np.float32), np.zeros((view.height, view.width), bool)
    picture[row[far_first], column[far_first]] = colours[far_first]
    known[row, column] = True
    return picture, known


def _filled(picture: NDArray[np.float32], known: NDArray[np.bool_]) -> NDArray[np.float32]:
    """Every pixel takes the nearest one that is known."""
    if not known.any():
        return picture
    row, column = distance_transform_edt(~known, return_distances=False, return_indices=True)
    return picture[row, column]
