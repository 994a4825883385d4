# SPDX-FileCopyrightText: The Mem4Nav stack developers
# SPDX-License-Identifier: Apache-2.0
"""A procedural town as a Habitat scene: textured glTF, stage configuration, and a place for its navmesh."""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numba import njit
from numpy.typing import NDArray

from sim_envs.city import CityConfig, make_city
from sim_envs.city.materials import REFLECTIVITY, Material
from sim_envs.city.openings import shop_window, window
from sim_envs.city.shading import SUN
from sim_envs.city.signs import draw_signs
from sim_envs.city.textures import shade_factor
from sim_envs.city.world import World
from sim_envs.habitat.frames import from_enu
from sim_envs.habitat.glb import Part, write_glb
from slam.files import write_text

TILE_M = 6.0
"""Side of a texture on walls and ground."""
_TILE_PX, _PANE_PX = 256, 128
_PANE_M = (1.2, 1.5)
_MIDTONE = 0.7
_NAME = "town-"
_STAGE = {"up": [0, 1, 0], "front": [0, 0, -1], "units_to_meters": 1.0, "requires_lighting": False}
_MARGIN_M, _TILE_OF_SCENE_M = 20.0, 40.0
_FEW_CELLS_M, _MANY_CELLS_M = 100.0, 400.0


@dataclass(frozen=True, slots=True)
class TownScene:
    """Files of a town, in ENU of the town's own ``map`` frame.

    Attributes:
        stage: *.stage_config.json, what Habitat opens.
        navmesh: where its navmesh is, or will be.
        cell_m: side of the navmesh's cells.
    """

    stage: Path
    navmesh: Path
    cell_m: float


def export_town(config: CityConfig, folder: Path) -> TownScene:
    """Write a town once; one that is there already is taken as it is.

    Raises:
        OSError: where the folder cannot be written.
    """
    folder.mkdir(parents=True, exist_ok=True)
    name = f"{_NAME}{config.seed}-{config.streets}x{config.block_m:g}"
    stage, glb = folder / f"{name}.stage_config.json", folder / f"{name}.glb"
    extent = (config.streets - 1) * config.block_m + 2.0 * _MARGIN_M
    scene = TownScene(stage, folder / f"{name}.navmesh", cell_size_m(extent))
    if not stage.exists():
        aside = glb.with_suffix(".part")
        aside.write_bytes(write_glb(list(_parts(make_city(config)))))
        aside.replace(glb)
        write_text(stage, json.dumps(_STAGE | {"render_asset": glb.name}, indent=1) + "\n")
    return scene


def is_town(stage: Path) -> bool:
    """Whether a stage is one of ours: its pictures keep the reflectivity in their alpha."""
    return stage.name.startswith(_NAME)


def cell_size_m(extent_m: float) -> float:
    """Side of a navmesh's cells for a scene of this extent: with 0.05 m, scenes of 480 m and more have no navmesh."""
    return 0.05 if extent_m < _FEW_CELLS_M else 0.1 if extent_m < _MANY_CELLS_M else 0.2


def _parts(world: World) -> Iterator[Part]:
    """The town by material and by tile, each sign apart; the country around it is left out."""
    mesh = world.mesh
    corners = mesh.vertices[mesh.faces]
    normals = np.cross(corners[:, 1] - corners[:, 0], corners[:, 2] - corners[:, 0])
    normals /= np.maximum(np.linalg.norm(normals, axis=1, keepdims=True), 1e-12)
    tiles = _tiles(world, corners)
    signs = np.where(mesh.material == Material.SIGN, mesh.tag, -1)
    for material in Material:
        texture = _texture(material)
        of_material = (mesh.material == material) & (signs < 0)
        for tile in np.unique(tiles[of_material & (tiles >= 0)]).tolist():
            chosen = of_material & (tiles == tile)
            uv = mesh.uv[mesh.faces[chosen]] if _is_pane(material) else _tiled(corners[chosen], normals[chosen])
            colour = np.ones((int(chosen.sum()), 3)) if _is_pane(material) else mesh.colour[chosen] / _MIDTONE
            colour = np.column_stack([colour, np.full(len(colour), REFLECTIVITY[material])])
            yield _part(f"{material.name.lower()}-{tile}", corners[chosen], normals[chosen], uv, colour, texture)
    atlas = draw_signs(world.signs)
    for sign in np.unique(signs[(signs >= 0) & (tiles >= 0)]).tolist():
        chosen = signs == sign
        letters = atlas.pixels[:, atlas.starts[sign] : atlas.starts[sign + 1]]
        texture = _lettered(letters, mesh.colour[chosen][0])
        uv = mesh.uv[mesh.faces[chosen]]
        colour = np.tile([1.0, 1.0, 1.0, REFLECTIVITY[Material.SIGN]], (int(chosen.sum()), 1))
        yield _part(f"sign-{sign}", corners[chosen], normals[chosen], uv, colour, texture)


def _tiles(world: World, corners: NDArray[np.float64]) -> NDArray[np.int64]:
    """(F,) number of the tile that a face's middle lies in; -1 beyond the margin round the streets."""
    assert world.roads is not None
    middle = corners.mean(axis=1)[:, :2]
    low = world.roads.nodes[:, :2].min(axis=0) - _MARGIN_M
    high = world.roads.nodes[:, :2].max(axis=0) + _MARGIN_M
    column, row = np.floor((middle - low) / _TILE_OF_SCENE_M).astype(np.int64).T
    rows = int(np.ceil((high - low)[1] / _TILE_OF_SCENE_M)) + 1
    return np.where(((middle >= low) & (middle <= high)).all(axis=1), column * rows + row, -1)


def _is_pane(material: Material) -> bool:
    return material in (Material.GLASS, Material.SHOP_GLASS)


def _part(
    name: str, corners: NDArray, normals: NDArray, uv: NDArray, colour: NDArray, texture: NDArray[np.uint8]
) -> Part:
    """Faces (F, 3, 3) of a material with colour (F, 4): it is lit by the sun; alpha is the LiDAR's reflectivity."""
    light = 1.15 * np.maximum(0.0, normals @ SUN) + 0.42 + 0.20 * normals[:, 2]
    lit = _srgb(np.clip(colour[:, :3] * light[:, None], 0.0, 1.0))
    colours = np.repeat(np.column_stack([lit, colour[:, 3]]), 3, axis=0)
    texel = np.stack([uv[..., 0], 1.0 - uv[..., 1]], axis=-1).reshape(-1, 2)
    upright = from_enu(corners.reshape(-1, 3)), from_enu(np.repeat(normals, 3, axis=0))
    rows = np.concatenate([*upright, texel, colours], axis=1).astype(np.float32)
    once, faces = np.unique(rows, axis=0, return_inverse=True)
    return Part(
        name, once[:, :3], once[:, 3:6], once[:, 6:8], once[:, 8:], faces.reshape(-1, 3).astype(np.uint32), texture
    )


def _tiled(corners: NDArray[np.float64], normals: NDArray[np.float64]) -> NDArray[np.float64]:
    """(F, 3, 2): along a wall and up; over the ground, east and north; in tiles."""
    flat = np.linalg.norm(normals[:, :2], axis=1)
    along = np.stack([-normals[:, 1], normals[:, 0]], axis=1) / np.maximum(flat, 1e-9)[:, None]
    wall = np.stack([np.einsum("fcd,fd->fc", corners[..., :2], along), corners[..., 2]], axis=-1)
    return np.where((flat > 0.5)[:, None, None], wall, corners[..., :2]) / TILE_M


def _texture(material: Material) -> NDArray[np.uint8]:
    """(H, W, 3) uint8 of a material without its colour, or of a pane."""
    if _is_pane(material):
        linear = np.zeros((_PANE_PX, _PANE_PX, 3))
        _bake_pane(material == Material.SHOP_GLASS, *_PANE_M, linear)
    else:
        grey = np.zeros((_TILE_PX, _TILE_PX))
        _bake_tile(int(material), TILE_M, grey)
        linear = np.repeat(_MIDTONE * grey[..., None], 3, axis=2)
    return (255.0 * _srgb(np.clip(linear, 0.0, 1.0)) + 0.5).astype(np.uint8)


@njit(cache=True)
def _bake_tile(material: int, side: float, out: NDArray[np.float64]) -> None:
    """Brightness over a square of ``side`` metres; the first row is the upper edge."""
    rows, columns = out.shape
    on_wall = material in (4, 5, 6, 10)
    for r in range(rows):
        for c in range(columns):
            u, v = side * (c + 0.5) / columns, side * (1.0 - (r + 0.5) / rows)
            x, y, z = (u, 0.0, v) if on_wall else (u, v, 0.0)
            out[r, c] = shade_factor(material, x, y, z, u, u / side, v / side, side, side, side / columns)


@njit(cache=True)
def _bake_pane(of_shop: bool, width: float, height: float, out: NDArray[np.float64]) -> None:
    """One window, or one shop window, seen from before it."""
    rows, columns = out.shape[:2]
    for r in range(rows):
        for c in range(columns):
            s, t = (c + 0.5) / columns, 1.0 - (r + 0.5) / rows
            pixel = width / columns
            if of_shop:
                shop_window(s, t, 3.0 * width, 1.5 * height, 0.0, 0.0, 0.0, pixel, out[r, c])
            else:
                window(s, t, width, height, s * width, 0.0, t * height, pixel, out[r, c])


def _lettered(letters: NDArray[np.uint8], ground: NDArray[np.floating]) -> NDArray[np.uint8]:
    """A sign's texture: ink that stands out from the ground's colour (3,) linear."""
    tone = 0.03 if float(ground @ [0.3, 0.6, 0.1]) > 0.28 else 0.88
    ink = letters[..., None] / 255.0
    return (255.0 * _srgb(ground * (1.0 - ink) + tone * ink) + 0.5).astype(np.uint8)


def _srgb(linear: NDArray[np.floating]) -> NDArray[np.floating]:
    """0 to 1 linear light as a screen takes it."""
    return np.where(linear <= 0.0031308, 12.92 * linear, 1.055 * np.maximum(linear, 1e-9) ** (1 / 2.4) - 0.055)
