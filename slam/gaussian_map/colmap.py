# SPDX-FileCopyrightText: The Mem4Nav stack developers
# SPDX-License-Identifier: Apache-2.0
"""Cameras, poses and points as a COLMAP model in text, which trainers of Gaussians and of radiance fields start from.

COLMAP (Schönberger and Frahm 2016) counts pixels from the picture's corner, so that the centre of the first is at 0.5;
ours are whole numbers. Its poses map the world into the camera; its quaternions have w first.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from scipy.spatial.transform import Rotation

from slam.calibration import Camera
from slam.errors import MapError
from slam.files import write_text
from slam.splatting.gaussians import Gaussians


@dataclass(frozen=True, slots=True)
class Picture:
    """A picture and where it was taken.

    Attributes:
        name: of its file; no spaces, since COLMAP's text has none in names.
        camera: index into the cameras.
        T_world_camera: (4, 4) float64, optical frame (z forward, y down) into the world.
    """

    name: str
    camera: int
    T_world_camera: NDArray[np.float64]


def write_colmap(
    folder: str | Path,
    cameras: Sequence[Camera],
    pictures: Sequence[Picture],
    points: NDArray[np.floating],
    colours: NDArray[np.uint8],
) -> Path:
    """Write cameras.txt, images.txt and points3D.txt into ``folder``; returns it.

    Args:
        cameras: their distortion must be undone: the model is PINHOLE.
        points: (N, 3) metres, world frame.
        colours: (N, 3) uint8 RGB.

    Raises:
        MapError: for a camera with distortion, a name with a space or given twice, or a camera that is not there.
    """
    folder = Path(folder)
    _check(cameras, pictures)
    write_text(folder / "cameras.txt", _cameras_text(cameras))
    write_text(folder / "images.txt", _images_text(pictures))
    write_text(folder / "points3D.txt", _points_text(np.asarray(points, np.float64), colours))
    return folder


def coloured_points(gaussians: Gaussians, most: int = 200_000) -> tuple[NDArray[np.float64], NDArray[np.uint8]]:
    """Means (N, 3) and colours (N, 3) uint8 of the Gaussians that are not mostly clear; evenly thinned to ``most``."""
    rows = np.flatnonzero(gaussians.logits > 0.0)
    if len(rows) > most:
        rows = rows[np.linspace(0, len(rows) - 1, most).astype(np.int64)]
    colours = np.rint(255.0 * gaussians.take(rows).base_colours()).astype(np.uint8)
    return gaussians.means[rows].astype(np.float64), colours


def _check(cameras: Sequence[Camera], pictures: Sequence[Picture]) -> None:
    for index, camera in enumerate(cameras):
        if np.any(camera.distortion):
            raise MapError(f"camera {index} has distortion {camera.distortion.tolist()}: undistort its pictures first")
    names = [picture.name for picture in pictures]
    for picture in pictures:
        if any(letter.isspace() for letter in picture.name) or not picture.name:
            raise MapError(f"picture {picture.name!r}: COLMAP's text format has no names that are empty or have spaces")
        if not 0 <= picture.camera < len(cameras):
            raise MapError(f"picture {picture.name}: camera {picture.camera} is not one of {len(cameras)}")
    if len(set(names)) < len(names):
        twice = next(name for name in names if names.count(name) > 1)
        raise MapError(f"picture {twice} is given {names.count(twice)} times: names must differ")


def _cameras_text(cameras: Sequence[Camera]) -> str:
    lines = ["# CAMERA_ID MODEL WIDTH HEIGHT fx fy cx cy", f"# Number of cameras: {len(cameras)}"]
    for number, camera in enumerate(cameras, 1):
        parameters = camera.K[0, 0], camera.K[1, 1], camera.K[0, 2] + 0.5, camera.K[1, 2] + 0.5
        lines.append(f"{number} PINHOLE {camera.width} {camera.height} {_numbers(parameters)}")
    return _joined(lines)


def _images_text(pictures: Sequence[Picture]) -> str:
    lines = ["# IMAGE_ID QW QX QY QZ TX TY TZ CAMERA_ID NAME; then its POINTS2D, none here"]
    lines.append(f"# Number of images: {len(pictures)}, mean observations per image: 0")
    for number, picture in enumerate(pictures, 1):
        T_camera_world = np.linalg.inv(picture.T_world_camera)
        x, y, z, w = Rotation.from_matrix(T_camera_world[:3, :3]).as_quat()
        pose = _numbers((w, x, y, z, *T_camera_world[:3, 3]))
        lines += [f"{number} {pose} {picture.camera + 1} {picture.name}", ""]
    return _joined(lines)


def _points_text(points: NDArray[np.float64], colours: NDArray[np.uint8]) -> str:
    lines = ["# POINT3D_ID X Y Z R G B ERROR TRACK[] as (IMAGE_ID, POINT2D_IDX), empty here"]
    lines.append(f"# Number of points: {len(points)}, mean track length: 0")
    for number, ((x, y, z), (r, g, b)) in enumerate(zip(points.tolist(), colours.tolist(), strict=True), 1):
        lines.append(f"{number} {x:.6f} {y:.6f} {z:.6f} {r} {g} {b} 0")
    return _joined(lines)


def _numbers(values: Sequence[float]) -> str:
    return " ".join(f"{float(value):.12g}" for value in values)


def _joined(lines: list[str]) -> str:
    return "\n".join(lines) + "\n"
