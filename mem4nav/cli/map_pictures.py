# SPDX-FileCopyrightText: The Mem4Nav stack developers
# SPDX-License-Identifier: Apache-2.0
"""A stored map as pictures from given poses, and as files for other programs."""

from __future__ import annotations

import io
import time
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray
from PIL import Image
from scipy.spatial.transform import Rotation

from mem4nav.cli.map_scene import discs, stored
from mem4nav.cli.metrics_file import spread, versions, write_metrics
from mem4nav.errors import UsageError
from slam.calibration import Camera
from slam.files import write_bytes
from slam.gaussian_map.colmap import Picture, coloured_points, write_colmap
from slam.gaussian_map.ply import write_ply
from slam.gaussian_map.store import GaussianMap
from slam.octree import PlaneMap
from slam.splatting.gaussians import Gaussians
from slam.splatting.rendering import Rendering, render
from slam.splatting.view import View
from slam.trajectory import read_tum

if TYPE_CHECKING:
    from mem4nav.cli.console import Terminal
    from mem4nav.cli.map import Export, Render

MOST_PIXELS = 1 << 26
DEPTH_UNITS = 256.0
"""A metre in a depth picture, as KITTI has it: 16 bits reach 256 m."""
R_BODY_OPTICAL = np.array([[0.0, 0.0, 1.0], [-1.0, 0.0, 0.0], [0.0, -1.0, 0.0]])
"""A camera that looks along the body's x, its y down."""


@dataclass(frozen=True, slots=True)
class Shot:
    """What is rendered of a map from one pose."""

    view: View
    drawn: int
    rendering: Rendering
    ms: float


def render_pictures(asked: Render, terminal: Terminal) -> None:
    """Render a map from the poses asked for.

    Raises:
        UsageError: for poses or a camera that cannot be.
    """
    camera = pinhole(asked.camera)
    poses = _poses(asked)
    if not (asked.reach > 0.0 and asked.detail >= 0.0):
        raise UsageError(f"--reach {asked.reach:g} must be above 0 m, --detail {asked.detail:g} px 0 or more")
    plane_map, gaussian_map = stored(asked.folder, asked.reach)
    if gaussian_map is None:
        terminal.say(f"no Gaussians in this map: its {len(plane_map.planes()):,} planes are drawn, coloured by height")
    flat = discs(plane_map.planes()) if gaussian_map is None else None
    # A thumbnail first, so that no picture's time is the compiler's.
    _shoot(gaussian_map, flat, View.of(pinhole((8.0, 8.0, 3.5, 3.5, 8, 8)), poses[0]), asked)
    rows = []
    with terminal.task("rendering", len(poses)) as advance:
        for index, T_world_camera in enumerate(poses):
            shot = _shoot(gaussian_map, flat, View.of(camera, T_world_camera), asked)
            rows.append(_store(asked.out, index, shot))
            advance()
    milliseconds = np.array([row["ms"] for row in rows])
    facts = {"pictures": len(rows), "ms_per_picture": spread(milliseconds), "depth_units_per_m": DEPTH_UNITS}
    write_metrics(asked.out, facts | {"camera": list(asked.camera), "views": rows, "versions": versions()})
    terminal.say(f"{len(rows)} pictures, median {np.median(milliseconds):.1f} ms; results in {asked.out}")


def export(asked: Export, terminal: Terminal) -> None:
    """Write a map in a format of others.

    Raises:
        UsageError: where poses are missing, or the file is a folder.
    """
    if asked.format == "colmap":
        if asked.tum is None:
            raise UsageError("a COLMAP model needs poses: give --tum FILE, and --camera")
        camera, poses = pinhole(asked.camera), trajectory_poses(asked.tum, asked.optical)
    elif asked.out.is_dir():
        raise UsageError(f"--out {asked.out} is a folder: name the PLY file")
    gaussians = _everything(*stored(asked.folder), terminal)
    if asked.format == "ply":
        write_ply(asked.out, gaussians)
        terminal.say(f"{gaussians.size:,} Gaussians in {asked.out}")
        return
    pictures = [Picture(f"{picture_name(i)}.png", 0, T) for i, T in enumerate(poses)]
    points, colours = coloured_points(gaussians)
    folder = write_colmap(asked.out / "sparse" / "0", [camera], pictures, points, colours)
    terminal.say(f"{len(poses)} poses and {len(points):,} points in {folder}")
    terminal.say("`mem4nav map render` with the same --tum and --camera gives the pictures of these names")


def pinhole(numbers: tuple[float, float, float, float, int, int]) -> Camera:
    """The camera of fx, fy, cx, cy, width and height.

    Raises:
        UsageError: for one that cannot be.
    """
    fx, fy, cx, cy, width, height = numbers
    if not (np.isfinite(numbers).all() and fx > 0.0 and fy > 0.0 and width > 0 and height > 0):
        raise UsageError(f"--camera {numbers}: focal lengths and sizes must be above 0")
    if width * height > MOST_PIXELS:
        raise UsageError(f"--camera {numbers}: {width} x {height} pixels are more than {MOST_PIXELS:,}")
    return Camera(width, height, np.array([[fx, 0.0, cx], [0.0, fy, cy], [0.0, 0.0, 1.0]]))


def trajectory_poses(path: Path, optical: bool) -> NDArray[np.float64]:
    """(N, 4, 4) T_world_camera of the poses in a TUM file, of the optical frame or of a body that looks along x."""
    T = read_tum(path).matrices()
    return T if optical else T @ _from_rotation(R_BODY_OPTICAL)


def picture_name(index: int) -> str:
    """Of the picture from a pose, without its ending."""
    return f"{index:06d}"


def _poses(asked: Render) -> NDArray[np.float64]:
    if (asked.tum is None) == (not asked.pose):
        raise UsageError("give either --pose X Y Z YAW [PITCH ROLL] or --tum FILE")
    if asked.tum is not None:
        return trajectory_poses(asked.tum, asked.optical)
    if len(asked.pose) not in (4, 6) or not np.isfinite(asked.pose).all():
        raise UsageError(f"--pose has {len(asked.pose)} numbers: give X Y Z YAW, or X Y Z YAW PITCH ROLL")
    turn = Rotation.from_euler("ZYX", [*asked.pose[3:], 0.0, 0.0][:3], degrees=True).as_matrix()
    T = _from_rotation(turn @ R_BODY_OPTICAL)
    T[:3, 3] = asked.pose[:3]
    return T[None]


def _from_rotation(R: NDArray[np.float64]) -> NDArray[np.float64]:
    T = np.eye(4)
    T[:3, :3] = R
    return T


def _shoot(gaussian_map: GaussianMap | None, flat: Gaussians | None, view: View, asked: Render) -> Shot:
    if gaussian_map is not None:
        gaussian_map.recall(view.position)
    begun = time.perf_counter()
    if gaussian_map is not None:
        shown = gaussian_map.take(gaussian_map.visible([view], asked.reach, asked.detail))
    else:
        shown = flat if flat is not None else Gaussians.zeros(0)
    rendering = render(shown, view)
    return Shot(view, int(rendering.seen.sum()), rendering, (time.perf_counter() - begun) * 1e3)


def _store(out: Path, index: int, shot: Shot) -> dict[str, Any]:
    name = picture_name(index)
    colour = np.rint(255.0 * np.clip(shot.rendering.colour, 0.0, 1.0)).astype(np.uint8)
    units = np.nan_to_num(shot.rendering.expected_depth() * DEPTH_UNITS)
    depth = np.clip(np.rint(units), 0, 65535).astype(np.uint16)
    write_bytes(out / f"{name}.png", _png(colour))
    write_bytes(out / f"{name}_depth.png", _png(depth))
    return {
        "name": f"{name}.png",
        "position_m": shot.view.position.tolist(),
        "gaussians_seen": shot.drawn,
        "coverage": float(shot.rendering.alpha.mean()),
        "ms": shot.ms,
    }


def _png(pixels: NDArray[np.uint8] | NDArray[np.uint16]) -> bytes:
    packed = io.BytesIO()
    Image.fromarray(pixels).save(packed, "PNG")
    return packed.getvalue()


def _everything(plane_map: PlaneMap, gaussian_map: GaussianMap | None, terminal: Terminal) -> Gaussians:
    if gaussian_map is not None:
        return gaussian_map.gaussians()
    terminal.say("no Gaussians in this map: its planes are written as flat ones, coloured by height")
    return discs(plane_map.planes())
