# SPDX-FileCopyrightText: The Mem4Nav stack developers
# SPDX-License-Identifier: Apache-2.0
"""What surfaces are made of, and which class of thing they belong to."""

from __future__ import annotations

from enum import IntEnum

import numpy as np


class Semantic(IntEnum):
    """Classes of the semantic truth images."""

    SKY = 0
    ROAD = 1
    MARKING = 2
    SIDEWALK = 3
    GROUND = 4
    BUILDING = 5
    WINDOW = 6
    SHOP_SIGN = 7
    VEGETATION = 8
    POLE = 9
    FURNITURE = 10
    TRAFFIC_LIGHT = 11
    CAR = 12
    CYCLIST = 13
    PEDESTRIAN = 14


class Material(IntEnum):
    """Surfaces: each has a reflectivity for the LiDAR and a texture for cameras."""

    ASPHALT = 0
    PAINT = 1
    PAVING = 2
    GRASS = 3
    BRICK = 4
    PLASTER = 5
    STONE = 6
    GLASS = 7
    SIGN = 8
    TRIM = 9
    ROOF = 10
    BARK = 11
    LEAVES = 12
    METAL = 13
    WOOD = 14
    CAR_BODY = 15
    CAR_GLASS = 16
    RUBBER = 17
    CLOTH = 18
    SKIN = 19
    LAMP = 20
    CONCRETE = 21
    SHOP_GLASS = 22
    HYDRANT = 23
    DOOR = 24
    BIKE = 25
    PANEL = 26
    MURAL = 27


_S, _M = Semantic, Material
_TABLE: dict[Material, tuple[float, Semantic]] = {
    _M.ASPHALT: (0.12, _S.ROAD),
    _M.PAINT: (0.85, _S.MARKING),
    _M.PAVING: (0.35, _S.SIDEWALK),
    _M.GRASS: (0.45, _S.GROUND),
    _M.BRICK: (0.40, _S.BUILDING),
    _M.PLASTER: (0.60, _S.BUILDING),
    _M.STONE: (0.50, _S.BUILDING),
    _M.GLASS: (0.10, _S.WINDOW),
    _M.SIGN: (0.80, _S.SHOP_SIGN),
    _M.TRIM: (0.65, _S.BUILDING),
    _M.ROOF: (0.30, _S.BUILDING),
    _M.BARK: (0.25, _S.VEGETATION),
    _M.LEAVES: (0.40, _S.VEGETATION),
    _M.METAL: (0.55, _S.POLE),
    _M.WOOD: (0.35, _S.FURNITURE),
    _M.CAR_BODY: (0.60, _S.CAR),
    _M.CAR_GLASS: (0.08, _S.CAR),
    _M.RUBBER: (0.06, _S.CAR),
    _M.CLOTH: (0.35, _S.PEDESTRIAN),
    _M.SKIN: (0.45, _S.PEDESTRIAN),
    _M.LAMP: (0.70, _S.TRAFFIC_LIGHT),
    _M.CONCRETE: (0.40, _S.SIDEWALK),
    _M.SHOP_GLASS: (0.12, _S.WINDOW),
    _M.HYDRANT: (0.60, _S.FURNITURE),
    _M.DOOR: (0.30, _S.BUILDING),
    _M.BIKE: (0.40, _S.CYCLIST),
    _M.PANEL: (0.15, _S.FURNITURE),
    _M.MURAL: (0.40, _S.BUILDING),
}

REFLECTIVITY = np.array([_TABLE[m][0] for m in Material], np.float32)
"""(materials,) share of the light that comes back from a surface met squarely."""

SEMANTIC = np.array([_TABLE[m][1] for m in Material], np.uint8)
"""(materials,) class of each material."""
