# SPDX-FileCopyrightText: The Mem4Nav stack developers
# SPDX-License-Identifier: Apache-2.0
"""64-bit Morton keys of voxel indices: 21 bits an axis, signed.

At 1 m voxels that reaches 1,048 km from the origin in every direction without two voxels sharing a key.
Bit k of x, y and z lie side by side, so that a shift by three bits is the parent voxel's key.
"""

from __future__ import annotations

import numpy as np
from numba import njit, uint64

BITS = 21
LIMIT = 1 << (BITS - 1)
"""Voxel indices lie in [-LIMIT, LIMIT)."""


@njit(cache=True, inline="always")
def _spread(value):
    x = uint64(value) & uint64(0x1FFFFF)
    x = (x | (x << uint64(32))) & uint64(0x1F00000000FFFF)
    x = (x | (x << uint64(16))) & uint64(0x1F0000FF0000FF)
    x = (x | (x << uint64(8))) & uint64(0x100F00F00F00F00F)
    x = (x | (x << uint64(4))) & uint64(0x10C30C30C30C30C3)
    return (x | (x << uint64(2))) & uint64(0x1249249249249249)


@njit(cache=True, inline="always")
def _gather(key):
    x = key & uint64(0x1249249249249249)
    x = (x | (x >> uint64(2))) & uint64(0x10C30C30C30C30C3)
    x = (x | (x >> uint64(4))) & uint64(0x100F00F00F00F00F)
    x = (x | (x >> uint64(8))) & uint64(0x1F0000FF0000FF)
    x = (x | (x >> uint64(16))) & uint64(0x1F00000000FFFF)
    x = (x | (x >> uint64(32))) & uint64(0x1FFFFF)
    return np.int64(x) - LIMIT


@njit(cache=True, inline="always")
def encode(ix, iy, iz):
    """Key of the voxel with integer indices ix, iy, iz, each in [-LIMIT, LIMIT)."""
    return _spread(ix + LIMIT) | (_spread(iy + LIMIT) << uint64(1)) | (_spread(iz + LIMIT) << uint64(2))


@njit(cache=True, inline="always")
def decode(key):
    """Integer indices (ix, iy, iz) of the voxel with this key."""
    return _gather(key), _gather(key >> uint64(1)), _gather(key >> uint64(2))


@njit(cache=True, inline="always")
def mix(key):
    """A well-stirred hash of a key (the finaliser of MurmurHash3), as uint64."""
    h = uint64(key)
    h = (h ^ (h >> uint64(33))) * uint64(0xFF51AFD7ED558CCD)
    h = (h ^ (h >> uint64(33))) * uint64(0xC4CEB9FE1A85EC53)
    return h ^ (h >> uint64(33))
