# SPDX-FileCopyrightText: The Mem4Nav stack developers
# SPDX-License-Identifier: Apache-2.0
"""Streets, crossings, the blocks between them, and what is worth naming along them."""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from sim_envs.city.config import CityConfig
from sim_envs.city.polygons import Polygon
from sim_envs.city.terrain import Terrain

if TYPE_CHECKING:
    import networkx as nx

LANE_M = 3.25
PARKING_M = 2.3
_MARGIN_M = 48.0
_STREET_NAMES = (
    "Maple Street", "Harbour Road", "Station Street", "Mill Lane", "Chapel Street", "Garden Row", "Bridge Street",
    "Castle Road", "Orchard Street", "Market Street", "College Road", "River Street", "Abbey Lane", "Forge Street",
    "Linden Avenue", "Park Avenue", "Victoria Avenue", "Meadow Avenue", "Elm Avenue", "Summit Avenue",
    "Cedar Avenue", "Union Avenue", "Liberty Avenue", "Prospect Avenue", "Juniper Avenue", "Museum Avenue",
)  # fmt: skip


@dataclass(frozen=True, slots=True)
class Landmark:
    """Something named or countable that a direction may mention.

    Attributes:
        name: "Blue Heron Cafe", or what it is where it has no name of its own.
        kind: "cafe", "bakery", ..., "traffic light", "hydrant", "bench", "bus stop".
        colour: word for its colour, "" where it has none.
        position: (3,) metres in map; for a shop, the middle of its front at eye height.
        heading: direction it faces, radians about +z from +x.
        edge: number of the street section it stands at, -1 for a crossing.
    """

    name: str
    kind: str
    colour: str
    position: NDArray[np.float64]
    heading: float
    edge: int


@dataclass(frozen=True, slots=True)
class Block:
    """Ground between streets.

    Attributes:
        corners: (N, 2) street centre lines round it, counter-clockwise, metres.
        half_widths: (N,) half the carriageway along side i -> i+1; 0 where no street runs.
        edges: (N,) number of the street section of each side, -1 where none runs.
    """

    corners: Polygon
    half_widths: NDArray[np.float64]
    edges: NDArray[np.int64]


@dataclass(frozen=True, slots=True)
class RoadGraph:
    """The street network.

    Attributes:
        nodes: (N, 3) float64 crossings, metres in map; node r * streets + c is the crossing of the
            r-th street running east and the c-th running north.
        edges: (E, 2) int64 node numbers of each street section, the lower first.
        widths: (E,) carriageway from kerb to kerb, metres: a driving and a parking lane each way.
        names: (E,) name of the street each section belongs to.
        landmarks: shops and street furniture.
        streets: number of streets each way.
    """

    nodes: NDArray[np.float64]
    edges: NDArray[np.int64]
    widths: NDArray[np.float64]
    names: tuple[str, ...]
    landmarks: tuple[Landmark, ...] = ()
    streets: int = 0
    _numbers: dict[tuple[int, int], int] = field(default_factory=dict, repr=False)

    def edge_between(self, a: int, b: int) -> int:
        """Number of the section between two crossings, -1 where there is none."""
        return self._numbers.get((min(a, b), max(a, b)), -1)

    def to_networkx(self) -> nx.Graph:
        """Crossings with ``position``, sections with ``name``, ``length_m``, ``width_m`` and ``landmarks``."""
        import networkx as nx

        graph = nx.Graph()
        for number, position in enumerate(self.nodes):
            graph.add_node(number, position=position)
        for number, (a, b) in enumerate(self.edges.tolist()):
            along = [mark for mark in self.landmarks if mark.edge == number]
            length = float(np.linalg.norm(self.nodes[b] - self.nodes[a]))
            width = float(self.widths[number])
            graph.add_edge(a, b, name=self.names[number], length_m=length, width_m=width, landmarks=along)
        return graph

    def with_landmarks(self, landmarks: list[Landmark]) -> RoadGraph:
        """The same streets with these landmarks beside them."""
        return replace(self, landmarks=tuple(landmarks))


def make_roads(rng: np.random.Generator, config: CityConfig, terrain: Terrain) -> tuple[RoadGraph, list[Block]]:
    """Streets on a displaced grid, some sections left out; and the blocks between them and round them."""
    grid = _grid(rng, config)
    line_width = rng.choice([10.6, 11.1, 12.4], size=(2, config.streets))
    line_name = rng.permutation(_STREET_NAMES)
    missing = _missing(rng, config)
    edges, widths, names = [], [], []
    for a, b, axis, line in _sections(config.streets):
        if (a, b) not in missing:
            edges.append((a, b))
            widths.append(line_width[axis, line])
            names.append(str(line_name[(axis * config.streets + line) % len(line_name)]))
    nodes = terrain.lift(grid[1:-1, 1:-1].reshape(-1, 2))
    numbers = {edge: number for number, edge in enumerate(edges)}
    graph = RoadGraph(nodes, np.array(edges), np.array(widths), tuple(names), (), config.streets, numbers)
    return graph, _blocks(grid, graph, config.streets, missing)


def _grid(rng: np.random.Generator, config: CityConfig) -> NDArray[np.float64]:
    """(streets + 2, streets + 2, 2) crossings, with a rim of points where no street runs."""
    count = config.streets
    axes = []
    for _ in range(2):
        steps = config.block_m * (1.0 + 0.18 * config.irregularity * rng.uniform(-1, 1, count - 1))
        axis = np.concatenate([[0.0], np.cumsum(steps)])
        axis -= axis.mean()
        axes.append(np.concatenate([[axis[0] - _MARGIN_M], axis, [axis[-1] + _MARGIN_M]]))
    grid = np.stack(np.meshgrid(axes[0], axes[1]), axis=-1)
    shift = rng.uniform(-1, 1, grid[1:-1, 1:-1].shape) * config.block_m * config.irregularity / 9.0
    grid[1:-1, 1:-1] += shift
    return grid


def _sections(count: int) -> list[tuple[int, int, int, int]]:
    """(a, b, axis, line) of every section the full grid has; axis 0 runs east, 1 north."""
    east = [(r * count + c, r * count + c + 1, 0, r) for r in range(count) for c in range(count - 1)]
    north = [(r * count + c, (r + 1) * count + c, 1, c) for r in range(count - 1) for c in range(count)]
    return east + north


def _missing(rng: np.random.Generator, config: CityConfig) -> set[tuple[int, int]]:
    """Inner sections left out; no block loses two of its sides, no crossing keeps fewer than three streets."""
    count = config.streets
    inner = [s for s in _sections(count) if 0 < s[3] < count - 1]
    merged: set[tuple[int, int]] = set()
    touched: set[int] = set()
    gone: set[tuple[int, int]] = set()
    for number in rng.permutation(len(inner))[: round(config.missing_streets * len(_sections(count)))]:
        a, b, axis, _ = inner[number]
        row, column = divmod(a, count)
        cells = {(row, column), (row - 1, column) if axis == 0 else (row, column - 1)}
        if not (cells & merged or {a, b} & touched):
            gone.add((a, b))
            merged |= cells
            touched |= {a, b}
    return gone


def _blocks(grid: NDArray[np.float64], graph: RoadGraph, count: int, missing: set[tuple[int, int]]) -> list[Block]:
    merged_right, merged_up, swallowed = _merges(count, missing)
    blocks = []
    for row in range(count + 1):
        for column in range(count + 1):
            cell = (row, column)
            if cell in swallowed:
                continue
            width, height = (2 if cell in merged_right else 1), (2 if cell in merged_up else 1)
            blocks.append(_block(grid, graph, cell, width, height))
    return blocks


def _merges(
    count: int, missing: set[tuple[int, int]]
) -> tuple[set[tuple[int, int]], set[tuple[int, int]], set[tuple[int, int]]]:
    """Cells (of the grid with rim) that reach over the next one east, or north, and those reached over."""
    right, up, swallowed = set(), set(), set()
    for a, b in missing:
        row, column = divmod(a, count)
        if b == a + 1:
            up.add((row, column + 1))
        else:
            right.add((row + 1, column))
        swallowed.add((row + 1, column + 1))
    return right, up, swallowed


def _block(grid: NDArray[np.float64], graph: RoadGraph, cell: tuple[int, int], width: int, height: int) -> Block:
    row, column = cell
    ring = [(row, column + i) for i in range(width)]
    ring += [(row + i, column + width) for i in range(height)]
    ring += [(row + height, column + width - i) for i in range(width)]
    ring += [(row + height - i, column) for i in range(height)]
    corners = np.array([grid[r, c] for r, c in ring])
    numbers = [_node(graph.streets, point) for point in ring]
    pairs = zip(numbers, numbers[1:] + numbers[:1], strict=True)
    edges = np.array([graph.edge_between(a, b) if min(a, b) >= 0 else -1 for a, b in pairs])
    half = np.where(edges >= 0, 0.5 * graph.widths[edges], 0.0)
    return Block(corners, half, edges)


def _node(count: int, point: tuple[int, int]) -> int:
    """Number of the crossing at a point of the grid with rim, -1 on the rim."""
    row, column = point[0] - 1, point[1] - 1
    return row * count + column if 0 <= row < count and 0 <= column < count else -1
