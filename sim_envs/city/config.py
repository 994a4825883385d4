# SPDX-FileCopyrightText: The Mem4Nav stack developers
# SPDX-License-Identifier: Apache-2.0
"""What a town is made from."""

from __future__ import annotations

from dataclasses import dataclass

from sim_envs.errors import SimConfigError


@dataclass(frozen=True, slots=True)
class CityConfig:
    """A procedural town; the same configuration gives the same town, byte for byte.

    Attributes:
        seed: everything random in the town follows from it.
        streets: number of streets in each of the two directions (at least 2).
        block_m: mean distance between parallel streets, metres.
        irregularity: 0 for a chessboard, 1 for crossings displaced by up to a sixth of a block.
        missing_streets: share of inner street sections left out, so that blocks merge.
        sidewalk_m: width of the sidewalks, metres.
        slope: of the terrain where it is steep (twice its root mean square), metres a metre.
        shop_share: share of buildings with a shop on the ground floor.
        parked_share: share of parking places taken.
        tree_spacing_m: mean distance between street trees, metres.
        furniture: whether there are traffic lights, hydrants, benches, bus stops and lamps.
    """

    seed: int = 1
    streets: int = 5
    block_m: float = 76.0
    irregularity: float = 0.6
    missing_streets: float = 0.12
    sidewalk_m: float = 3.4
    slope: float = 0.06
    shop_share: float = 0.55
    parked_share: float = 0.45
    tree_spacing_m: float = 14.0
    furniture: bool = True

    def __post_init__(self) -> None:
        if self.streets < 2:
            raise SimConfigError(f"streets is {self.streets}: a block needs at least 2 in each direction")
        if not 45.0 <= self.block_m <= 400.0:
            raise SimConfigError(f"block_m is {self.block_m}: streets and buildings need 45 to 400 m")
        if not 0.0 <= self.slope <= 0.2:
            raise SimConfigError(f"slope is {self.slope}: vehicles here climb 0 to 0.2")


@dataclass(frozen=True, slots=True)
class CorridorConfig:
    """A straight tunnel with smooth walls: geometry says nothing about the way along it.

    Attributes:
        seed: for the textures.
        length_m: length between the closed ends; more than twice the LiDAR range, so that the middle sees neither.
        width_m: distance of the walls.
        height_m: height of the ceiling.
        murals: walls and floor carry pictures and stains, as flat as before: they tell a camera where it is.
    """

    seed: int = 1
    length_m: float = 270.0
    width_m: float = 8.0
    height_m: float = 4.5
    murals: bool = False

    def __post_init__(self) -> None:
        if min(self.length_m, self.width_m, self.height_m) < 3.0:
            raise SimConfigError(
                f"corridor of {self.length_m} x {self.width_m} x {self.height_m} m: the vehicle needs 3 m each way"
            )
