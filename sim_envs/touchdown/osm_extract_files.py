# SPDX-FileCopyrightText: The Mem4Nav stack developers
# SPDX-License-Identifier: Apache-2.0
"""Anyone's town as street navigation data: from an OpenStreetMap extract to the files of Touchdown and Map2Seq."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Any

import numpy as np

from sim_envs.touchdown.osm_extract import Extract, Outline, read_extract
from sim_envs.touchdown.osm_extract_sight import REACH_M, Sight, look_around
from sim_envs.touchdown.osm_extract_streets import SPACING_M, StreetPlan, plan_streets
from slam.files import write_text

ATTRIBUTION = "(c) OpenStreetMap contributors, Open Database License 1.0"


def convert_extract(
    source: str | Path,
    out: str | Path,
    spacing_m: float = SPACING_M,
    reach_m: float = REACH_M,
    advance: Callable[[], None] = lambda: None,
) -> dict[str, Any]:
    """Write out/touchdown/ (nodes.txt, links.txt) and out/map2seq/osm/ (nodes.txt, pois.txt, poi_links.txt).

    Args:
        source: .osm, .osm.gz, .osm.bz2 or .osm.pbf.
        out: folder, laid out as that of the published data.
        spacing_m: between places.
        reach_m: how far landmarks are seen.
        advance: called for each sighting found, of which the number is not known before.

    Returns:
        Counts, and where the extract lies.

    Raises:
        OsmExtractError: for a file that cannot be read or holds no streets.
    """
    extract = read_extract(source)
    plan = plan_streets(extract.streets, extract.positions, spacing_m)
    sights = []
    for sight in look_around(plan.positions, extract.points, extract.buildings, reach_m):
        sights.append(sight)
        advance()
    _write_streets(Path(out) / "touchdown", plan, extract)
    _write_landmarks(Path(out) / "map2seq" / "osm", plan, extract, sights)
    ways = np.bincount([here for here, _, _ in plan.links], minlength=len(plan.names))
    return {
        "places": len(plan.names),
        "links": len(plan.links),
        "junctions": int((ways >= 3).sum()),
        "landmarks": len({sight.point for sight in sights}),
        "sightings": len(sights),
        "buildings": len(extract.buildings),
        "latitude": extract.origin[0],
        "longitude": extract.origin[1],
        "attribution": ATTRIBUTION,
    }


def _write_streets(folder: Path, plan: StreetPlan, extract: Extract) -> None:
    where = extract.lat_lng(plan.positions)
    _write_lines(
        folder / "nodes.txt",
        (
            f"{name},{yaw},{lat:.7f},{lng:.7f}"
            for name, yaw, (lat, lng) in zip(plan.names, plan.yaws_deg, where, strict=True)
        ),
    )
    _write_lines(
        folder / "links.txt",
        (f"{plan.names[here]},{heading},{plan.names[there]}" for here, heading, there in plan.links),
    )


def _write_landmarks(folder: Path, plan: StreetPlan, extract: Extract, sights: list[Sight]) -> None:
    points = [extract.points[number] for number in sorted({sight.point for sight in sights})]
    middles = extract.lat_lng(np.array([point.ring.mean(axis=0) for point in points]).reshape(-1, 2))
    nearest = extract.lat_lng(np.array([sight.nearest for sight in sights]).reshape(-1, 2))
    where = extract.lat_lng(plan.positions)
    _write_lines(
        folder / "nodes.txt", (f"{n},{lat:.7f},{lng:.7f}" for n, (lat, lng) in zip(plan.names, where, strict=True))
    )
    _write_lines(
        folder / "pois.txt",
        (
            f"{point_name(point)},{lat:.7f},{lng:.7f},{json.dumps(point.tags, ensure_ascii=False)}"
            for point, (lat, lng) in zip(points, middles, strict=True)
        ),
    )
    _write_lines(
        folder / "poi_links.txt",
        (_sight_line(sight, plan, extract, place) for sight, place in zip(sights, nearest, strict=True)),
    )


def point_name(point: Outline) -> str:
    """Nodes and ways of OpenStreetMap may share a number: those of areas are marked."""
    return point.id if len(point.ring) == 1 else f"way{point.id}"


def _sight_line(sight: Sight, plan: StreetPlan, extract: Extract, nearest: np.ndarray) -> str:
    east, north = sight.nearest - plan.positions[sight.place]
    heading = round(float(np.degrees(np.arctan2(east, north)))) % 360
    name = point_name(extract.points[sight.point])
    return f"{plan.names[sight.place]},{heading},{nearest[0]:.7f},{nearest[1]:.7f},{name}"


def _write_lines(path: Path, lines: Iterable[str]) -> None:
    write_text(path, "".join(line + "\n" for line in lines))
