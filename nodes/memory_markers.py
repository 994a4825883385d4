# SPDX-FileCopyrightText: The Mem4Nav stack developers
# SPDX-License-Identifier: Apache-2.0
"""A memory as markers: places and their names, ways between them, leaves of the octree."""

from __future__ import annotations

from geometry_msgs.msg import Point, Vector3
from numpy.typing import NDArray
from std_msgs.msg import ColorRGBA, Header
from visualization_msgs.msg import Marker, MarkerArray

from mem4nav.observing.overview import Overview

_PLACE, _WAY, _NAME = (0.1, 0.6, 1.0, 1.0), (0.1, 0.6, 1.0, 0.6), (1.0, 1.0, 1.0, 1.0)
_THING, _VIEW = (1.0, 0.6, 0.1, 0.8), (0.6, 0.6, 0.6, 0.2)
_PLACE_M, _WAY_M, _NAME_M, _ABOVE_M = 1.0, 0.15, 1.0, 1.5


def markers(header: Header, seen: Overview) -> MarkerArray:
    """All of it; what was shown before goes."""
    shown = MarkerArray(markers=[Marker(header=header, action=Marker.DELETEALL)])

    def add(kind: int, space: str, points: NDArray, size: tuple[float, float, float], colour: tuple) -> None:
        if len(points):
            made = Marker(header=header, ns=space, type=kind, points=_points(points), color=_colour(colour))
            made.scale, made.pose.orientation.w = Vector3(x=size[0], y=size[1], z=size[2]), 1.0
            shown.markers.append(made)

    add(Marker.SPHERE_LIST, "places", seen.places, (_PLACE_M,) * 3, _PLACE)
    add(Marker.LINE_LIST, "ways", seen.places[seen.ways].reshape(-1, 3), (_WAY_M, 0.0, 0.0), _WAY)
    things = [bool(label) for label in seen.labels]
    add(Marker.CUBE_LIST, "things", seen.leaves[things], (seen.leaf_m,) * 3, _THING)
    add(Marker.CUBE_LIST, "views", seen.leaves[[not thing for thing in things]], (seen.leaf_m,) * 3, _VIEW)
    texts = [*zip(seen.names, seen.places, strict=True)]
    texts += [(label, at) for label, at in zip(seen.labels, seen.leaves, strict=True) if label]
    for number, (text, at) in enumerate(texts):
        name = Marker(header=header, ns="names", id=number, type=Marker.TEXT_VIEW_FACING, text=text)
        name.pose.position = Point(x=float(at[0]), y=float(at[1]), z=float(at[2]) + _ABOVE_M)
        name.pose.orientation.w, name.scale.z, name.color = 1.0, _NAME_M, _colour(_NAME)
        shown.markers.append(name)
    return shown


def _points(positions: NDArray) -> list[Point]:
    return [Point(x=x, y=y, z=z) for x, y, z in positions.tolist()]


def _colour(rgba: tuple[float, float, float, float]) -> ColorRGBA:
    return ColorRGBA(**dict(zip("rgba", rgba, strict=True)))
