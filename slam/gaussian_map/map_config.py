# SPDX-FileCopyrightText: The Mem4Nav stack developers
# SPDX-License-Identifier: Apache-2.0
"""Settings of the Gaussian map's storage."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class GaussianMapConfig:
    """Which cells there are, and what becomes of Gaussians that the vehicle leaves behind."""

    min_level: int = 4
    """The coarsest cells have a side of voxel_m / 2^min_level; no fewer levels than the octree of planes is deep."""
    max_level: int = 7
    """The finest cells have a side of voxel_m / 2^max_level. Voxels of 4 m and level 7: 3 cm, and keys for 16 km."""
    coefficients: int = 1
    """Of spherical harmonics a colour: 1, 4, 9 or 16."""
    keep_released: bool = True
    """Keep in memory, packed, what leaves with the plane map's voxels where there is no region store; else drop it."""
    region_m: float = 32.0
    """Side of the cubes by which Gaussians wait outside the map, metres; rounded to whole voxels."""
    waiting: int = 50_000
    """So many released Gaussians are collected before they are written to the region store."""
