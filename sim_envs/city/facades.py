# SPDX-FileCopyrightText: The Mem4Nav stack developers
# SPDX-License-Identifier: Apache-2.0
"""Walls as grids of cells that stand out or lie back: windows, doors, shop fronts, cornices."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from sim_envs.city.materials import Material
from sim_envs.city.mesh import Mesh, merge, quads
from sim_envs.city.shops import Shop

_FRAME = (0.70, 0.69, 0.65)
_GLASS = (0.10, 0.13, 0.16)
_DOOR = (0.20, 0.10, 0.05)


@dataclass(frozen=True, slots=True)
class Style:
    """How a building looks.

    Attributes:
        wall: material of the walls.
        colour: (3,) of the walls.
        trim: (3,) of cornices and sills.
        floors: number of storeys.
        floor_m: height of the upper storeys, metres.
        ground_m: height of the ground floor, metres.
        window_m: (width, height) of the windows, metres.
        bay_m: distance from window to window, metres.
    """

    wall: Material
    colour: tuple[float, float, float]
    trim: tuple[float, float, float]
    floors: int
    floor_m: float
    ground_m: float
    window_m: tuple[float, float]
    bay_m: float

    @property
    def height(self) -> float:
        """From the ground floor to the top of the parapet, metres."""
        return self.ground_m + (self.floors - 1) * self.floor_m + 0.9


@dataclass(slots=True)
class _Grid:
    """Cells between ``x`` and ``z`` lines: how far each stands out (metres), its material and colour."""

    x: NDArray[np.float64]
    z: NDArray[np.float64]
    depth: NDArray[np.float64]
    material: NDArray[np.uint8]
    colour: NDArray[np.float32]

    def paint(self, rows: slice, columns: slice, depth: float, material: Material, colour: tuple) -> None:
        self.depth[rows, columns] = depth
        self.material[rows, columns] = material
        self.colour[rows, columns] = colour


def facade(length: float, foundation: float, style: Style, shop: Shop | None, door: int) -> Mesh:
    """One wall in its own frame: x along it (to the right as seen from outside), z up, -y outwards.

    Args:
        length: of the wall, metres.
        foundation: height of the blank wall under the ground floor, metres (slopes).
        style: of the building.
        shop: on the ground floor, if any.
        door: number of the bay with the door, -1 for none.
    """
    grid = _blank(length, foundation, style)
    bays = (len(grid.x) - 2) // 2
    for floor in range(1, style.floors):
        row = 4 + 3 * (floor - 1) + 1
        _windows(grid, slice(row, row + 1), bays, style)
        grid.paint(slice(row - 1, row), slice(0, None), 0.0, style.wall, style.colour)
    if shop is None:
        _windows(grid, slice(2, 3), bays, style)
    else:
        _shop_front(grid, shop)
    if door >= 0:
        column = 1 + 2 * min(door, bays - 1)
        grid.paint(slice(1, 3), slice(column, column + 1), -0.35, Material.DOOR, shop.rgb if shop else _DOOR)
    grid.paint(slice(-2, -1), slice(0, None), 0.22, Material.TRIM, style.trim)
    return _relief(grid)


def _blank(length: float, foundation: float, style: Style) -> _Grid:
    """Rows: foundation, plinth, ground windows, sign band; per storey sill, window, lintel; cornice, parapet."""
    width, height = style.window_m
    bays = max(1, int((length - 0.8) / style.bay_m))
    centres = (np.arange(bays) + 0.5) * length / bays
    x = np.concatenate([[0.0], np.stack([centres - width / 2, centres + width / 2], axis=1).ravel(), [length]])
    ground = style.ground_m
    rows = [0.0, foundation, foundation + 0.55, foundation + ground - 0.85, foundation + ground - 0.1]
    for floor in range(style.floors - 1):
        base = foundation + ground + floor * style.floor_m
        rows += [base + 0.8, base + 0.8 + height, base + style.floor_m - 0.1]
    top = foundation + style.height
    z = np.array([*rows, top - 0.5, top])
    shape = (len(z) - 1, len(x) - 1)
    grid = _Grid(x, z, np.zeros(shape), np.zeros(shape, np.uint8), np.zeros((*shape, 3), np.float32))
    grid.paint(slice(0, None), slice(0, None), 0.0, style.wall, style.colour)
    grid.paint(slice(0, 1), slice(0, None), 0.06, Material.STONE, (0.36, 0.35, 0.33))
    grid.paint(slice(3, 4), slice(0, None), 0.05, Material.TRIM, style.trim)
    return grid


def _windows(grid: _Grid, rows: slice, bays: int, style: Style) -> None:
    for bay in range(bays):
        grid.paint(rows, slice(1 + 2 * bay, 2 + 2 * bay), -0.16, Material.GLASS, _GLASS)


def _shop_front(grid: _Grid, shop: Shop) -> None:
    grid.paint(slice(1, 3), slice(0, None), 0.04, Material.TRIM, shop.rgb)
    grid.paint(slice(2, 3), slice(1, -1), -0.22, Material.SHOP_GLASS, _GLASS)
    for column in range(2, grid.depth.shape[1] - 2, 4):
        grid.paint(slice(2, 3), slice(column, column + 1), 0.04, Material.TRIM, shop.rgb)
    grid.paint(slice(3, 4), slice(0, None), 0.14, Material.TRIM, shop.rgb)


def _relief(grid: _Grid) -> Mesh:
    """All cells, and the steps between neighbours of different depth."""
    z0, x0 = np.meshgrid(grid.z[:-1], grid.x[:-1], indexing="ij")
    z1, x1 = np.meshgrid(grid.z[1:], grid.x[1:], indexing="ij")
    y = -grid.depth
    cells = np.stack(
        [np.stack(c, axis=-1) for c in ((x0, y, z0), (x1, y, z0), (x1, y, z1), (x0, y, z1))], axis=2
    ).reshape(-1, 4, 3)
    pieces = [quads(cells, grid.material.ravel(), grid.colour.reshape(-1, 3))]
    pieces += [_steps(grid, upright=True), _steps(grid, upright=False)]
    return merge(pieces)


def _steps(grid: _Grid, upright: bool) -> Mesh:
    """Quads that close the gaps in depth beside (upright) or above and below the cells."""
    pad = ((0, 0), (1, 1)) if upright else ((1, 1), (0, 0))
    depth = np.pad(grid.depth, pad)
    axis = 1 if upright else 0
    low, high = np.delete(depth, -1, axis=axis), np.delete(depth, 0, axis=axis)
    row, column = np.nonzero(low != high)
    a, b = -low[row, column], -high[row, column]
    if upright:
        x, z0, z1 = grid.x[column], grid.z[row], grid.z[row + 1]
        corners = [(x, a, z0), (x, b, z0), (x, b, z1), (x, a, z1)]
        corners = [corners[i] for i in (0, 1, 2, 3)]
    else:
        z, x0, x1 = grid.z[row], grid.x[column], grid.x[column + 1]
        corners = [(x0, b, z), (x1, b, z), (x1, a, z), (x0, a, z)]
    material, colour = _step_look(grid, low, high, row, column, upright)
    stacked = np.stack([np.stack(c, axis=-1) for c in corners], axis=1)
    return quads(stacked, material, colour)


def _step_look(
    grid: _Grid, low: NDArray, high: NDArray, row: NDArray, column: NDArray, upright: bool
) -> tuple[NDArray[np.uint8], NDArray[np.float32]]:
    """A step belongs to the cell that stands out further; window reveals look like frames."""
    outer_is_low = low[row, column] > high[row, column]
    shift = outer_is_low.astype(int)
    r = np.clip(row - (0 if upright else shift), 0, grid.depth.shape[0] - 1)
    c = np.clip(column - (shift if upright else 0), 0, grid.depth.shape[1] - 1)
    recess = np.minimum(low, high)[row, column] < -0.01
    material = np.where(recess, Material.TRIM, grid.material[r, c]).astype(np.uint8)
    colour = np.where(recess[:, None], np.array(_FRAME, np.float32), grid.colour[r, c])
    return material, colour
