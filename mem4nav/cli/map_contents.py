# SPDX-FileCopyrightText: The Mem4Nav stack developers
# SPDX-License-Identifier: Apache-2.0
"""What a stored map holds, as a whole and at a place."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from mem4nav.cli.map_scene import map_folder, stored
from mem4nav.cli.metrics_file import write_metrics
from mem4nav.errors import UsageError
from slam.errors import MapError
from slam.gaussian_map.store import GaussianMap
from slam.map_record import read_record
from slam.map_store import damage
from slam.octree import CENTRE, NORMAL, REACH2, PlaneMap
from slam.splatting.gaussians import Gaussians

if TYPE_CHECKING:
    from mem4nav.cli.console import Terminal
    from mem4nav.cli.map import Info, Query

LEVEL_NORMAL_Z = 0.8
"""A plane whose normal is closer to the vertical may be ground."""
STEP_M = 0.3
"""So far above the place asked for the ground may still lie."""


def info(asked: Info, terminal: Terminal) -> None:
    """Say what is in a map, and what of it is damaged.

    Raises:
        MapError: where something is, after saying all else.
    """
    folder = map_folder(asked.folder)
    record, harm = read_record(folder), damage(folder)
    facts: dict[str, Any] = {
        "version": record.version,
        "bytes": sum(max(part.bytes, 0) for part in record.parts.values()) or _bytes_on_disk(folder),
        "files": len(record.parts),
        "regions": sum(name.startswith("region ") for name in record.parts),
        "damage": harm,
    }
    if not harm:
        facts |= _contents(*stored(asked.folder))
    terminal.table(str(folder), _rows(facts | {"damage": f"{len(harm)} files" if harm else None}))
    for sentence in harm:
        terminal.say(sentence)
    if asked.out is not None:
        terminal.say(f"results in {write_metrics(asked.out, facts)}")
    if harm:
        raise MapError(f"{len(harm)} of {len(record.parts)} files are damaged: {harm[0]}")


def query(asked: Query, terminal: Terminal) -> None:
    """Say what is at a place."""
    if asked.at is None:
        raise UsageError("where? give --at X Y Z, in metres in the map's frame")
    if not (np.isfinite(asked.at).all() and 0.0 < asked.radius < np.inf):
        raise UsageError(f"--at {asked.at} --radius {asked.radius:g}: needs finite numbers and a radius above 0")
    plane_map, gaussian_map = stored(asked.folder)
    place = np.array(asked.at)
    facts = _near(plane_map.planes(), gaussian_map, place, asked.radius)
    terminal.table(f"within {asked.radius:g} m of {', '.join(f'{v:g}' for v in asked.at)}", _rows(facts))
    if asked.out is not None:
        terminal.say(f"results in {write_metrics(asked.out, facts)}")


def ground_height(planes: NDArray[np.float64], place: NDArray[np.float64]) -> float | None:
    """Height of the highest level plane under a place (3,), metres, or None where none reaches there."""
    level = planes[np.abs(planes[:, NORMAL + 2]) > LEVEL_NORMAL_Z]
    aside = place[:2] - level[:, CENTRE : CENTRE + 2]
    level, aside = (array[(aside**2).sum(axis=1) <= level[:, REACH2]] for array in (level, aside))
    rise = (level[:, NORMAL : NORMAL + 2] * aside).sum(axis=1) / level[:, NORMAL + 2]
    heights = level[:, CENTRE + 2] - rise
    heights = heights[heights <= place[2] + STEP_M]
    return float(heights.max()) if len(heights) else None


def _contents(plane_map: PlaneMap, gaussian_map: GaussianMap | None) -> dict[str, Any]:
    planes = plane_map.planes()
    facts: dict[str, Any] = {"voxel_m": plane_map.config.voxel_m, "voxels": len(plane_map), "planes": len(planes)}
    points = planes[:, CENTRE : CENTRE + 3]
    facts["gaussians"] = 0
    if gaussian_map is not None:
        gaussians = gaussian_map.gaussians()
        levels = gaussian_map.levels[gaussian_map.rows_in_memory()]
        facts["gaussians"] = gaussians.size
        facts["gaussians_in_regions"] = gaussians.size - len(gaussian_map)
        facts["gaussians_by_cell_m"] = {
            f"{float(gaussian_map.side_of(int(level))):g}": int((levels == level).sum()) for level in np.unique(levels)
        }
        facts["harmonics"] = gaussian_map.config.coefficients
        points = np.vstack([points, gaussians.means])
    if len(points):
        facts["extent_m"] = np.ptp(points, axis=0).tolist()
        facts["lowest_m"], facts["highest_m"] = points.min(axis=0).tolist(), points.max(axis=0).tolist()
    return facts


def _near(
    planes: NDArray[np.float64], gaussian_map: GaussianMap | None, place: NDArray[np.float64], radius_m: float
) -> dict[str, Any]:
    around = planes[np.linalg.norm(planes[:, CENTRE : CENTRE + 3] - place, axis=1) <= radius_m]
    facts: dict[str, Any] = {"planes": len(around), "ground_m": ground_height(planes, place)}
    if len(around):
        apart = np.abs(((place - around[:, CENTRE : CENTRE + 3]) * around[:, NORMAL : NORMAL + 3]).sum(axis=1))
        facts["nearest_plane_m"] = float(apart.min())
        facts["nearest_plane_normal"] = around[apart.argmin(), NORMAL : NORMAL + 3].tolist()
    gaussians = gaussian_map.gaussians() if gaussian_map is not None else Gaussians.zeros(0)
    inside = gaussians.take(np.flatnonzero(np.linalg.norm(gaussians.means - place, axis=1) <= radius_m))
    facts["gaussians"] = inside.size
    if inside.size:
        facts["colour"] = np.average(inside.base_colours(), axis=0, weights=inside.opacities()).tolist()
        facts["opacity"] = float(inside.opacities().mean())
    return facts


def _bytes_on_disk(folder: Path) -> int:
    return sum((folder / part.file).stat().st_size for part in read_record(folder).parts.values())


def _rows(facts: dict[str, Any]) -> list[tuple[str, str]]:
    return [(name.removesuffix("_m").replace("_", " "), _text(name, value)) for name, value in facts.items()]


def _text(name: str, value: Any) -> str:
    unit = " m" if name.endswith("_m") and not isinstance(value, dict) else ""
    if value is None or value in ([], {}):
        return "none"
    if isinstance(value, dict):
        return ", ".join(f"{count:,} of {side} m" for side, count in value.items())
    if isinstance(value, list):
        return ", ".join(f"{v:.2f}" for v in value) + unit
    if isinstance(value, str):
        return value
    return (f"{value:,}" if isinstance(value, int) else f"{value:.3f}") + unit
