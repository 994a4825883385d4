# SPDX-FileCopyrightText: The Mem4Nav stack developers
# SPDX-License-Identifier: Apache-2.0
"""A small town, drawn in OpenStreetMap XML."""

from __future__ import annotations

import math

LAT, LNG = 48.1, 11.5
METRES = 111_319.5


class Drawing:
    """Writes OpenStreetMap XML from metres east and north of a latitude and longitude."""

    def __init__(self, lat: float = LAT, lng: float = LNG) -> None:
        self.lat, self.lng = lat, lng
        self.nodes: dict[tuple[float, float], tuple[int, dict]] = {}
        self.ways: list[str] = []

    def node(self, east: float, north: float, **tags: str) -> int:
        number, known = self.nodes.get((east, north), (100 + len(self.nodes), {}))
        self.nodes[east, north] = (number, known | tags)
        return number

    def way(self, *points: tuple[float, float], ring: bool = False, missing: int | None = None, **tags: str) -> None:
        refs = [self.node(*point) for point in (*points, *(points[:1] if ring else ()))]
        inside = "".join(f'<nd ref="{ref}"/>' for ref in refs) + (f'<nd ref="{missing}"/>' if missing else "")
        self.ways.append(f'<way id="{100 + len(self.ways)}">{inside}{_tags(tags)}</way>')

    def box(self, west: float, south: float, east: float, north: float, **tags: str) -> None:
        self.way((west, south), (east, south), (east, north), (west, north), ring=True, **tags)

    def text(self) -> str:
        nodes = [
            f'<node id="{number}" lat="{self.lat + north / METRES:.9f}" '
            f'lon="{self.lng + east / METRES / math.cos(math.radians(self.lat)):.9f}">{_tags(tags)}</node>'
            for (east, north), (number, tags) in self.nodes.items()
        ]
        return "<?xml version='1.0' encoding='UTF-8'?><osm version='0.6'>" + "".join(nodes + self.ways) + "</osm>"


def _tags(tags: dict) -> str:
    return "".join(f'<tag k="{key}" v="{value}"/>' for key, value in tags.items())


def small_town(lat: float = LAT, lng: float = LNG) -> Drawing:
    """Long Street from west to east, Side Street north from its middle, two blocks of houses along them."""
    town = Drawing(lat, lng)
    town.way((0, 0), (50, 0), (100, 0), highway="residential", name="Long Street", oneway="-1")
    town.way((50, 0), (50, 60), highway="living_street")
    town.way((50, 60), (60, 75), missing=99999, highway="path")
    town.way((0, 200), (40, 200), highway="residential", name="elsewhere")
    town.way((0, -5), (100, -5), highway="footway", footway="sidewalk")
    town.way((0, 10), (100, 100), highway="motorway")
    town.box(10, 8, 42, 30, building="yes")
    town.box(56, 8, 100, 30, building="yes", amenity="school", name='School, the "old" one'.replace('"', "&quot;"))
    town.node(25, 11, shop="bakery", name="Audrey's")
    town.node(25, 28, shop="florist", name="Back Yard Flowers")
    town.node(62, 34, amenity="cafe", name="Blue Heron")
    town.node(50, 0, highway="traffic_signals")
    town.node(30, 0, highway="crossing")
    town.node(52, 190, amenity="bank", name="Far Bank")
    return town
