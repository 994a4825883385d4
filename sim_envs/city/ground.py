# SPDX-FileCopyrightText: The Mem4Nav stack developers
# SPDX-License-Identifier: Apache-2.0
"""Carriageway, sidewalks with kerbs, the ground behind them, and painted markings."""

from __future__ import annotations

from itertools import pairwise

import numpy as np
from numpy.typing import NDArray

from sim_envs.city.materials import Material
from sim_envs.city.mesh import Mesh, merge, quads, strip
from sim_envs.city.polygons import Polygon, inset, rounded
from sim_envs.city.roads import LANE_M, Block, RoadGraph
from sim_envs.city.terrain import Terrain

KERB_M = 0.14
KERB_RADIUS_M = 4.0
_CELL_M = 3.0
_COUNTRY_M = 110.0
_PAINT_M = 0.012
_ASPHALT = (0.16, 0.16, 0.17)
_KERB = (0.52, 0.51, 0.48)
_PAVING = (0.46, 0.44, 0.41)
_GRASS = (0.15, 0.26, 0.07)
_WHITE = (0.80, 0.80, 0.77)
_YELLOW = (0.75, 0.55, 0.10)


def make_ground(terrain: Terrain, graph: RoadGraph, blocks: list[Block], sidewalk_m: float) -> Mesh:
    """Everything underfoot; streets lie at the height of the terrain, blocks a kerb above it."""
    reach = np.abs(np.concatenate([block.corners for block in blocks])).max() + _COUNTRY_M
    pieces = [_carriageway(terrain, reach)]
    pieces += [_block_ground(terrain, block, sidewalk_m) for block in blocks]
    pieces += [_markings(terrain, graph, edge) for edge in range(len(graph.edges))]
    return merge(pieces)


def kerb_line(block: Block) -> Polygon:
    """(N, 2) outline of the sidewalk, rounded at the crossings."""
    return rounded(inset(block.corners, block.half_widths), KERB_RADIUS_M, _CELL_M)


def building_line(block: Block, sidewalk_m: float) -> Polygon:
    """(N, 2) line that fronts stand on, with the block's own corners; sides without a street keep 0 m."""
    return inset(block.corners, block.half_widths + np.where(block.edges >= 0, sidewalk_m, 0.0))


def _carriageway(terrain: Terrain, reach: float) -> Mesh:
    axis = np.linspace(-reach, reach, int(np.ceil(2 * reach / _CELL_M)) + 1)
    grid = terrain.lift(np.stack(np.meshgrid(axis, axis), axis=-1))
    corners = np.stack([grid[:-1, :-1], grid[:-1, 1:], grid[1:, 1:], grid[1:, :-1]], axis=2)
    middle = np.abs(corners[..., :2].mean(axis=2)).max(axis=-1).ravel()
    outside = middle > reach - _COUNTRY_M
    material = np.where(outside, Material.GRASS, Material.ASPHALT)
    return quads(corners, material, np.where(outside[:, None], _GRASS, _ASPHALT))


def _block_ground(terrain: Terrain, block: Block, sidewalk_m: float) -> Mesh:
    outer = kerb_line(block)
    closed = np.concatenate([outer, outer[:1]])
    inner = _shrunk(closed, sidewalk_m)
    kerb = strip(terrain.lift(closed, KERB_M), terrain.lift(closed, -0.3), Material.CONCRETE, _KERB)
    stone = _shrunk(closed, 0.25)
    pieces = [kerb, _band(terrain, closed, stone, Material.CONCRETE, _KERB)]
    rings = np.linspace(0.0, 1.0, max(2, round(sidewalk_m / 1.6)) + 1)
    for a, b in pairwise(rings):
        pieces.append(
            _band(terrain, stone + a * (inner - stone), stone + b * (inner - stone), Material.PAVING, _PAVING)
        )
    pieces += _yard(terrain, inner)
    return merge(pieces)


def _yard(terrain: Terrain, inner: Polygon) -> list[Mesh]:
    centre = inner[:-1].mean(axis=0)
    count = int(np.ceil(np.linalg.norm(inner - centre, axis=1).max() / _CELL_M))
    rings = [centre + (inner - centre) * share for share in np.linspace(1.0, 0.0, count + 1)]
    return [_band(terrain, a, b, Material.GRASS, _GRASS) for a, b in pairwise(rings)]


def _band(terrain: Terrain, outer: Polygon, inner: Polygon, material: Material, colour: tuple) -> Mesh:
    return strip(terrain.lift(inner, KERB_M), terrain.lift(outer, KERB_M), material, colour)


def _shrunk(closed: Polygon, distance: float) -> Polygon:
    """Each point of a closed, dense, rounded outline moved inside along its normal."""
    along = np.roll(closed[:-1], -1, axis=0) - np.roll(closed[:-1], 1, axis=0)
    along /= np.linalg.norm(along, axis=1, keepdims=True)
    moved = closed[:-1] + distance * np.stack([-along[:, 1], along[:, 0]], axis=1)
    return np.concatenate([moved, moved[:1]])


def _markings(terrain: Terrain, graph: RoadGraph, edge: int) -> Mesh:
    """Dashed centre line, parking lines, stop lines and zebra crossings of one section."""
    start, end = graph.nodes[graph.edges[edge], :2]
    length = float(np.linalg.norm(end - start))
    clear = 0.5 * float(graph.widths.max()) + KERB_RADIUS_M
    half = 0.5 * float(graph.widths[edge])
    stripes: list[tuple[float, float, float, float, tuple]] = []
    for s in np.arange(clear + 4.5, length - clear - 6.0, 4.5):
        stripes.append((s, s + 2.4, 0.0, 0.16, _WHITE))
    for side in (-1.0, 1.0):
        stripes.append((clear + 5.0, length - clear - 5.0, side * (LANE_M + 0.06), 0.1, _WHITE))
        stripes.append((clear + 5.0, length - clear - 5.0, side * (half - 0.18), 0.1, _YELLOW))
    for near, lane in ((clear, -1.0), (length - clear, 1.0)):
        into = 1.0 if near < 0.5 * length else -1.0
        for y in np.arange(-half + 0.55, half - 0.3, 1.1):
            stripes.append((near - 1.5 * into, near + 1.3 * into, y, 0.55, _WHITE))
        stripes.append((near + 2.3 * into, near + 2.8 * into, -lane * 0.5 * LANE_M, LANE_M - 0.3, _WHITE))
    return merge([_stripe(terrain, start, (end - start) / length, *stripe) for stripe in stripes])


def _stripe(
    terrain: Terrain,
    origin: NDArray[np.float64],
    along: NDArray[np.float64],
    s0: float,
    s1: float,
    y: float,
    width: float,
    colour: tuple,
) -> Mesh:
    s = np.linspace(min(s0, s1), max(s0, s1), max(2, int(np.ceil(abs(s1 - s0) / _CELL_M)) + 1))
    left = np.array([-along[1], along[0]])
    middle = origin + s[:, None] * along + y * left
    half = 0.5 * width * left
    return strip(terrain.lift(middle + half, _PAINT_M), terrain.lift(middle - half, _PAINT_M), Material.PAINT, colour)
