# SPDX-FileCopyrightText: The Mem4Nav stack developers
# SPDX-License-Identifier: Apache-2.0
"""Voxels on the graphics processor: a hash table of Morton keys (see ``slam.morton`` and ``slam.octree``)."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from slam.errors import MapError
from slam.gpu import Device, blocks_for
from slam.octree import Arrays

EMPTY = np.uint64(0xFFFFFFFFFFFFFFFF)
"""Key of a gap in the table, and of a point that no key reaches."""


class VoxelTable:
    """Numbers voxels 0, 1, 2, ... in the order in which their first points come, and finds them again.

    Attributes:
        used: how many voxels have a number.
    """

    def __init__(self, device: Device, voxels: int) -> None:
        """``voxels``: how many it must hold, all keys of the last batch counted as new; entries are twice as many."""
        entries = 1 << max(2 * voxels - 1, 1).bit_length()
        self._device, self.used = device, 0
        self._keys = device.xp.full(entries, EMPTY, np.uint64)
        self._slots = device.xp.full(entries, -1, np.int32)

    @classmethod
    def of(cls, device: Device, arrays: Arrays) -> VoxelTable:
        """A copy of the hash table of a plane map: slots are the nodes of root voxels."""
        table = cls(device, 1)
        live = arrays.slots >= 0
        table._keys = device.xp.asarray(np.where(live, arrays.keys, EMPTY))
        table._slots = device.xp.asarray(np.ascontiguousarray(arrays.slots))
        table.used = int(arrays.slots.max(initial=-1)) + 1
        return table

    def keys_of(self, points: NDArray[np.float64] | Any, voxel_m: float) -> Any:
        """(N,) uint64 device array: keys of the voxels that (N, 3) float64 points in odom, metres, lie in."""
        xp, n = self._device.xp, len(points)
        keys = xp.empty(n, np.uint64)
        points = xp.ascontiguousarray(xp.asarray(points, np.float64))
        self._launch("voxel_keys", n, points, np.float64(voxel_m), np.int32(n), keys)
        return keys

    def find(self, keys: Any) -> Any:
        """(N,) int32 device array: slot of each key of a device array, -1 where it has none."""
        n = len(keys)
        found = self._device.xp.empty(n, np.int32)
        self._launch("hash_find", n, self._keys, self._slots, self._entries, keys, np.int32(n), found)
        return found

    def insert(self, keys: Any) -> Any:
        """Number the voxels that are new; returns (N,) int32 slots of all keys, as ``find`` does.

        Raises:
            MapError: less than half of the table might stay free; every key counts as a new voxel.
        """
        n, xp = len(keys), self._device.xp
        if 2 * (self.used + n) > len(self._keys):
            raise MapError(f"{self.used} voxels and {n} keys more do not fit into a table of {len(self._keys)} entries")
        first = xp.full(len(self._keys), n, np.int32)
        leads = xp.empty(n, np.int32)
        self._launch("hash_claim", n, self._keys, first, self._entries, keys, np.int32(n))
        self._launch("hash_leaders", n, self._keys, self._slots, first, self._entries, keys, np.int32(n), leads)
        ranks = xp.cumsum(leads, dtype=np.int32)
        counts = (np.int32(n), np.int32(self.used))
        self._launch("hash_number", n, self._keys, self._slots, self._entries, keys, leads, ranks, *counts)
        self.used += int(ranks[-1]) if n else 0
        return self.find(keys)

    @property
    def _entries(self) -> np.int32:
        return np.int32(len(self._keys))

    def _launch(self, kernel: str, threads: int, *arguments: Any) -> None:
        self._device.launch("voxel_hash", kernel, blocks_for(threads), *arguments)
