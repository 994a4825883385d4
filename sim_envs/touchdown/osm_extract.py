# SPDX-FileCopyrightText: The Mem4Nav stack developers
# SPDX-License-Identifier: Apache-2.0
"""What an OpenStreetMap extract holds of a town: its streets, footprints of buildings, and points of interest."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from sim_envs.errors import OsmExtractError
from sim_envs.touchdown.osm_extract_element import Element
from sim_envs.touchdown.osm_extract_pbf import read_pbf
from sim_envs.touchdown.osm_extract_xml import read_xml
from sim_envs.touchdown.osm_landmarks import main_category

STREETS = frozenset(
    f"{kind}{link}" for kind in ("trunk", "primary", "secondary", "tertiary") for link in ("", "_link")
) | {"unclassified", "residential", "living_street", "pedestrian", "road", "service", "footway", "path", "track"}
"""Where one walks or drives; motorways are left out, and so are pavements, which only double their streets."""
_DOUBLES = {"footway": {"sidewalk", "crossing"}, "service": {"parking_aisle", "driveway", "drive-through"}}
_KERBSIDE = {"traffic_signals", "bus_stop"}
"""Values of ``highway`` that make a node a landmark."""
_METRES_A_DEGREE = 111_319.5


@dataclass(frozen=True, slots=True)
class Outline:
    """Something with an area, or a point.

    Attributes:
        id: of the node, or of the way.
        ring: (N, 2) metres east and north; one row for a point, first row not repeated at the end for an area.
        tags: as in OpenStreetMap.
    """

    id: str
    ring: NDArray[np.float64]
    tags: dict[str, str]


@dataclass(frozen=True, slots=True)
class Extract:
    """A town, flat: metres east and north of ``origin``.

    Attributes:
        origin: (latitude, longitude) of zero.
        streets: for each way, the ids of its nodes in the direction of its traffic.
        positions: (east, north) of the streets' nodes.
        buildings: their footprints.
        points: landmarks.
    """

    origin: tuple[float, float]
    streets: list[list[str]]
    positions: dict[str, tuple[float, float]]
    buildings: list[Outline]
    points: list[Outline]

    def lat_lng(self, positions: NDArray[np.float64]) -> NDArray[np.float64]:
        """(N, 2) metres back to latitude and longitude."""
        return np.asarray(positions)[:, ::-1] / _scale(self.origin[0])[::-1] + self.origin


def read_extract(path: str | Path) -> Extract:
    """Read an extract in two passes, so that of all its nodes only those are kept that something needs.

    Raises:
        OsmExtractError: for a file that cannot be read, or holds no streets.
    """
    path = Path(path)
    read = read_pbf if path.suffix == ".pbf" else read_xml
    ways = [way for way in read(path, "way") if _street(way.tags) or _area(way)]
    needed = {ref for way in ways for ref in way.refs}
    nodes = [node for node in read(path, "node") if node.id in needed or _is_landmark(node.tags)]
    places = {node.id: (node.lat, node.lng) for node in nodes}
    streets = [part for way in ways if _street(way.tags) for part in _inside(way, places)]
    if not streets:
        raise OsmExtractError(f"{path} has no street among its {len(ways)} ways: is it a cut of something else?")
    middle = np.mean([places[ref] for street in streets for ref in street], axis=0)
    origin = (float(middle[0]), float(middle[1]))
    flat = {name: _to_metres(place, origin) for name, place in places.items()}
    areas = [Outline(way.id, _ring(way, flat), way.tags) for way in ways if _area(way)]
    areas = [area for area in areas if len(area.ring) >= 3]
    points = [Outline(node.id, np.array([flat[node.id]]), node.tags) for node in nodes if _is_landmark(node.tags)]
    return Extract(
        origin=origin,
        streets=streets,
        positions={ref: flat[ref] for street in streets for ref in street},
        buildings=[area for area in areas if "building" in area.tags],
        points=points + [area for area in areas if _is_landmark(area.tags)],
    )


def _street(tags: dict[str, str]) -> bool:
    doubles = any(tags.get(key) in values for key, values in _DOUBLES.items())
    closed = tags.get("access") in ("private", "no") or tags.get("foot") == "no" or tags.get("area") == "yes"
    return tags.get("highway") in STREETS and not doubles and not closed


def _area(way: Element) -> bool:
    closed = len(way.refs) > 3 and way.refs[0] == way.refs[-1]
    return closed and not _street(way.tags) and ("building" in way.tags or _is_landmark(way.tags))


def _is_landmark(tags: dict[str, str]) -> bool:
    return bool(main_category(tags)) and tags.get("highway", "traffic_signals") in _KERBSIDE


def _inside(way: Element, places: dict[str, tuple[float, float]]) -> list[list[str]]:
    """A street's nodes, in pieces where the cut of the extract left some out."""
    pieces: list[list[str]] = [[]]
    for ref in way.refs[::-1] if way.tags.get("oneway") == "-1" else way.refs:
        if ref in places:
            pieces[-1].append(ref)
        else:
            pieces.append([])
    return [piece for piece in pieces if len(piece) > 1]


def _ring(way: Element, flat: dict[str, tuple[float, float]]) -> NDArray[np.float64]:
    return np.array([flat[ref] for ref in way.refs[:-1] if ref in flat], np.float64).reshape(-1, 2)


def _to_metres(place: tuple[float, float], origin: tuple[float, float]) -> tuple[float, float]:
    east, north = (np.subtract(place, origin)[::-1] * _scale(origin[0])).tolist()
    return east, north


def _scale(latitude: float) -> NDArray[np.float64]:
    """Metres in a degree of longitude and of latitude: good to a part in a thousand across a town."""
    return _METRES_A_DEGREE * np.array([np.cos(np.radians(latitude)), 1.0])
