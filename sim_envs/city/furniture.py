# SPDX-FileCopyrightText: The Mem4Nav stack developers
# SPDX-License-Identifier: Apache-2.0
"""Shapes of trees, lamps, hydrants, benches, bus stops and traffic lights; they face +x, the street."""

from __future__ import annotations

import numpy as np

from sim_envs.city.kerbside import Place
from sim_envs.city.materials import Material
from sim_envs.city.mesh import Mesh, box, merge, prism, turned
from sim_envs.city.roads import Landmark
from sim_envs.city.solids import blob

_STEEL = (0.22, 0.24, 0.25)
_WOOD = (0.30, 0.17, 0.08)
_RED = (0.55, 0.04, 0.03)
_BLUE = (0.04, 0.12, 0.45)
_GLASS = (0.30, 0.38, 0.42)
_COLOURS = {"hydrant": "red", "bus stop": "blue", "bench": "brown"}


def build_furniture(rng: np.random.Generator, places: list[Place]) -> list[Mesh]:
    """One mesh for each place."""
    return [turned(_SHAPES[place.kind](rng), place.heading, place.position) for place in places]


def furniture_landmarks(places: list[Place]) -> list[Landmark]:
    """Those that a direction may mention: all but lamps and trees."""
    kept = [place for place in places if place.kind not in ("lamp", "tree")]
    return [Landmark(p.kind, p.kind, _COLOURS.get(p.kind, ""), p.position, p.heading, p.edge) for p in kept]


def _tree(rng: np.random.Generator) -> Mesh:
    height = float(rng.uniform(2.5, 3.2))
    leaf = np.array([0.10, 0.22, 0.05]) * rng.uniform(0.8, 1.4, 3)
    pieces = [prism([0, 0, -0.3], (0.17, 0.11), height + 0.5, Material.BARK, (0.16, 0.11, 0.07))]
    pieces.append(_crown(rng, [0, 0, height + 1.0], 1.5, leaf))
    for angle in rng.uniform(0.0, 2 * np.pi, 3):
        offset = [0.7 * np.cos(angle), 0.7 * np.sin(angle), height + float(rng.uniform(0.4, 1.6))]
        pieces.append(_crown(rng, offset, float(rng.uniform(0.8, 1.15)), leaf * rng.uniform(0.9, 1.15)))
    return merge(pieces)


def _crown(rng: np.random.Generator, centre: list[float], radius: float, leaf: np.ndarray) -> Mesh:
    return blob(centre, [radius, radius, 0.9 * radius], Material.LEAVES, leaf, rng, 0.2, (20, 12))


def _lamp(rng: np.random.Generator) -> Mesh:
    return merge(
        [
            prism([0, 0, -0.2], (0.11, 0.07), 5.7, Material.METAL, _STEEL),
            box([0.8, 0, 5.45], [1.7, 0.08, 0.08], Material.METAL, _STEEL),
            box([1.5, 0, 5.36], [0.6, 0.24, 0.10], Material.LAMP, (0.75, 0.74, 0.68)),
        ]
    )


def _hydrant(rng: np.random.Generator) -> Mesh:
    return merge(
        [
            prism([0, 0, 0], (0.16, 0.16), 0.06, Material.HYDRANT, _RED),
            prism([0, 0, 0.06], (0.12, 0.11), 0.50, Material.HYDRANT, _RED),
            prism([0, 0, 0.56], (0.14, 0.05), 0.16, Material.HYDRANT, _RED),
            box([0, 0, 0.38], [0.12, 0.40, 0.12], Material.HYDRANT, (0.6, 0.55, 0.1)),
            box([0.12, 0, 0.36], [0.12, 0.14, 0.14], Material.HYDRANT, (0.6, 0.55, 0.1)),
        ]
    )


def _bench(rng: np.random.Generator) -> Mesh:
    legs = [box([0, y, 0], [0.42, 0.07, 0.42], Material.METAL, _STEEL) for y in (-0.65, 0.65)]
    seat = [box([x, 0, 0.42], [0.11, 1.7, 0.04], Material.WOOD, _WOOD) for x in (-0.15, 0.0, 0.15)]
    back = [box([-0.24, 0, z], [0.04, 1.7, 0.11], Material.WOOD, _WOOD) for z in (0.55, 0.72)]
    return merge([*legs, *seat, *back])


def _bus_stop(rng: np.random.Generator) -> Mesh:
    posts = [prism([x, y, -0.1], (0.04, 0.04), 2.5, Material.METAL, _STEEL) for x in (-0.6, 0.4) for y in (-1.7, 1.7)]
    return merge(
        [
            *posts,
            box([-0.1, 0, 2.4], [1.3, 3.8, 0.10], Material.METAL, _BLUE),
            box([-0.6, 0, 0.25], [0.03, 3.3, 1.95], Material.PANEL, _GLASS),
            box([-0.35, 0, 0.42], [0.38, 2.4, 0.05], Material.WOOD, _WOOD),
            box([-0.35, 0, 0.0], [0.08, 1.6, 0.42], Material.METAL, _STEEL),
            prism([0.75, 2.2, -0.1], (0.035, 0.035), 2.7, Material.METAL, _STEEL),
            box([0.75, 2.2, 2.3], [0.06, 0.55, 0.55], Material.PAINT, _BLUE),
        ]
    )


def _traffic_light(rng: np.random.Generator) -> Mesh:
    lit = int(rng.integers(0, 3))
    glow = ((0.95, 0.08, 0.05), (0.95, 0.60, 0.05), (0.10, 0.85, 0.25))
    pieces = [
        prism([0, 0, -0.1], (0.08, 0.06), 3.6, Material.METAL, _STEEL),
        box([0.08, 0, 2.45], [0.26, 0.34, 1.0], Material.METAL, (0.04, 0.05, 0.04)),
    ]
    for i, colour in enumerate(glow):
        shade = colour if i == lit else tuple(0.12 * c for c in colour)
        pieces.append(_round_lamp([0.22, 0, 3.28 - 0.32 * i], shade))
    return merge(pieces)


def _round_lamp(centre: list[float], colour: tuple) -> Mesh:
    """One round lamp of a traffic light, facing +x."""
    return blob(centre, [0.05, 0.11, 0.11], Material.LAMP, colour, cells=(12, 6))


_SHAPES = {
    "tree": _tree,
    "lamp": _lamp,
    "hydrant": _hydrant,
    "bench": _bench,
    "bus stop": _bus_stop,
    "traffic light": _traffic_light,
}
