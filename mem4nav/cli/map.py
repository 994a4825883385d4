# SPDX-FileCopyrightText: The Mem4Nav stack developers
# SPDX-License-Identifier: Apache-2.0
"""``mem4nav map``: what a stored map holds, its export, pictures of it, and what is at a place."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Literal, Union

import tyro

from mem4nav.cli.console import Terminal
from mem4nav.errors import UsageError

Folder = Annotated[Path, tyro.conf.Positional, tyro.conf.arg(metavar="DIR")]
OutFolder = Annotated[Path, tyro.conf.arg(metavar="DIR")]
Point = Annotated[Union[tuple[float, float, float], None], tyro.conf.arg(metavar="X Y Z")]  # noqa: UP007 (Python 3.10)
Poses = Annotated[Union[Path, None], tyro.conf.arg(metavar="FILE")]  # noqa: UP007
Pinhole = Annotated[tuple[float, float, float, float, int, int], tyro.conf.arg(metavar="FX FY CX CY W H")]

PINHOLE = (320.0, 320.0, 319.5, 239.5, 640, 480)


@dataclass(frozen=True)
class Info:
    """What is in a map: planes, Gaussians by level, extent, bytes on the disk, damage."""

    folder: Folder
    """A map, or the results of a replay that hold one."""
    out: Annotated[Path | None, tyro.conf.arg(metavar="DIR")] = None
    """Gets metrics.json."""
    quiet: bool = False
    """Say nothing but errors."""


@dataclass(frozen=True)
class Export:
    """Write a map for other programs: PLY for viewers of splats, COLMAP (with poses) for trainers.

    A map without Gaussians is written as flat ones, one for each plane, coloured by height.
    """

    folder: Folder
    """A map, or the results of a replay that hold one."""
    out: Annotated[Path, tyro.conf.arg(metavar="FILE|DIR")]
    """The file for ply; the folder for colmap, which gets sparse/0/."""
    format: Literal["ply", "colmap"] = "ply"
    """Gaussians, or cameras, poses and points."""
    tum: Poses = None
    """For colmap: poses in the map's frame, in the TUM format."""
    optical: bool = False
    """The poses are of the camera's optical frame; else of a body that looks along its x."""
    camera: Pinhole = PINHOLE
    """For colmap: pinhole camera, pixel centres counted in whole numbers."""
    quiet: bool = False
    """Say nothing but errors."""


@dataclass(frozen=True)
class Render:
    """Pictures of a map: NNNNNN.png in colour, NNNNNN_depth.png in 1/256 m (16 bit, 0: nothing there), metrics.json."""

    folder: Folder
    """A map, or the results of a replay that hold one."""
    out: OutFolder
    """Gets the pictures and metrics.json."""
    pose: Annotated[tuple[float, ...], tyro.conf.arg(metavar="X Y Z YAW [PITCH ROLL]")] = ()
    """Of a body that looks along its x, metres and degrees; as REP 103 has it, a positive pitch looks down."""
    tum: Poses = None
    """Many poses, in the TUM format, in the map's frame."""
    optical: bool = False
    """The poses of --tum are of the camera's optical frame; else of a body that looks along its x."""
    camera: Pinhole = PINHOLE
    """Pinhole camera, pixel centres counted in whole numbers."""
    reach: float = 200.0
    """How far to look, metres."""
    detail: float = 1.0
    """Cells of the map that look smaller than so many pixels are shown by one Gaussian each; 0 shows all."""
    quiet: bool = False
    """Say nothing but errors."""


@dataclass(frozen=True)
class Query:
    """What is at a place: Gaussians, planes, the height of the ground."""

    folder: Folder
    """A map, or the results of a replay that hold one."""
    text: Annotated[str, tyro.conf.Positional, tyro.conf.arg(metavar="TEXT")] = ""
    """Words to look for; not yet: needs the memory."""
    at: Point = None
    """The place in the map's frame, metres."""
    radius: float = 1.0
    """How far around it to look, metres."""
    out: Annotated[Path | None, tyro.conf.arg(metavar="DIR")] = None
    """Gets metrics.json."""
    quiet: bool = False
    """Say nothing but errors."""


def map(
    action: Annotated[
        Annotated[Info, tyro.conf.subcommand("info")]
        | Annotated[Export, tyro.conf.subcommand("export")]
        | Annotated[Render, tyro.conf.subcommand("render")]
        | Annotated[Query, tyro.conf.subcommand("query")],
        tyro.conf.arg(name=""),
    ],
) -> None:
    """A stored map: what it holds, its export, pictures of it, and what is at a place.

    `mem4nav map info --help` shows the options of info, and so on; all take --quiet.
    """
    terminal = Terminal(action.quiet)
    # Imported here, so that --help and a mistyped option answer at once.
    if isinstance(action, Info):
        from mem4nav.cli.map_contents import info

        info(action, terminal)
    elif isinstance(action, Query):
        if action.text:
            raise UsageError(f"{action.text!r}: queries in words come with the memory; ask for a place with --at X Y Z")
        from mem4nav.cli.map_contents import query

        query(action, terminal)
    elif isinstance(action, Render):
        from mem4nav.cli.map_pictures import render_pictures

        render_pictures(action, terminal)
    else:
        from mem4nav.cli.map_pictures import export

        export(action, terminal)
