# SPDX-FileCopyrightText: The Mem4Nav stack developers
# SPDX-License-Identifier: Apache-2.0
"""Gaussians that the vehicle left behind, by region of the world, until it comes back."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

Key = tuple[int, int, int]
Packed = dict[str, NDArray]
"""Tensors whose first axes count the same Gaussians."""


class Regions(Protocol):
    """Where tensors wait by region: a ``slam.gaussian_map.regions.RegionStore``, or memory."""

    def keys(self) -> list[Key]:
        """Of the regions there are, in order."""
        ...

    def put(self, key: Key, tensors: Packed) -> None:
        """Store a region, in place of the one there."""
        ...

    def get(self, key: Key) -> Packed | None:
        """The tensors of a region, None where there is none."""
        ...

    def remove(self, key: Key) -> None:
        """Forget a region."""
        ...


class MemoryRegions:
    """Regions in memory, where no store on disk was given."""

    def __init__(self) -> None:
        self._regions: dict[Key, Packed] = {}

    def keys(self) -> list[Key]:
        """Of the regions there are, in order."""
        return sorted(self._regions)

    def put(self, key: Key, tensors: Packed) -> None:
        """Store a region, in place of the one there."""
        self._regions[key] = tensors

    def get(self, key: Key) -> Packed | None:
        """The tensors of a region, None where there is none."""
        return self._regions.get(key)

    def remove(self, key: Key) -> None:
        """Forget a region; one that is not there is forgotten already."""
        self._regions.pop(key, None)

    @property
    def nbytes(self) -> int:
        """Of all regions."""
        return sum(nbytes(tensors) for tensors in self._regions.values())


class Archive:
    """Regions, and before them the Gaussians that wait to be written, so that each region is written seldom.

    Attributes:
        waiting: number of Gaussians not yet written.
    """

    def __init__(self, regions: Regions, side_m: float, most_waiting: int) -> None:
        self.regions = regions
        self.side_m = side_m
        self.waiting = 0
        self._most = most_waiting
        self._parts: dict[Key, list[Packed]] = {}

    @property
    def nbytes(self) -> int:
        """In memory."""
        held = sum(nbytes(part) for parts in self._parts.values() for part in parts)
        return held + (self.regions.nbytes if isinstance(self.regions, MemoryRegions) else 0)

    def take_in(self, packed: Packed, places: NDArray[np.int64]) -> None:
        """Keep Gaussians; ``places`` (N, 3) are the regions that they lie in."""
        keys, which = np.unique(places, axis=0, return_inverse=True)
        order = np.argsort(which.reshape(-1), kind="stable")
        ends = np.cumsum(np.bincount(which.reshape(-1), minlength=len(keys)))
        for key, rows in zip(keys.tolist(), np.split(order, ends[:-1]), strict=True):
            part = {name: tensor[rows] for name, tensor in packed.items()}
            self._parts.setdefault((key[0], key[1], key[2]), []).append(part)
        self.waiting += len(places)
        if self.waiting > self._most:
            self.flush(self._most // 2)

    def flush(self, keep: int = 0) -> None:
        """Write the regions that wait, the oldest first, which are complete most likely, until ``keep`` are left."""
        for key in list(self._parts):
            if self.waiting <= keep:
                return
            self.regions.put(key, self._all_of(key))
            self.waiting -= _count(self._parts.pop(key))

    def recall(self, position: NDArray[np.float64], reach_m: float) -> list[Packed]:
        """Take out the regions that lie wholly within reach of a position (3,), or nearer than half of it."""
        near = max(reach_m - 0.5 * np.sqrt(3.0) * self.side_m, 0.5 * reach_m)
        keys = self._keys()
        centres = (np.array(keys).reshape(-1, 3) + 0.5) * self.side_m
        return [self._take_out(keys[i]) for i in np.flatnonzero(np.linalg.norm(centres - position, axis=1) <= near)]

    def __iter__(self) -> Iterator[Packed]:
        """All regions, in order, as they are."""
        return (self._all_of(key) for key in self._keys())

    def _keys(self) -> list[Key]:
        return sorted({*self.regions.keys(), *self._parts})

    def _all_of(self, key: Key) -> Packed:
        written = self.regions.get(key)
        return joined([*([] if written is None else [written]), *self._parts.get(key, [])])

    def _take_out(self, key: Key) -> Packed:
        packed = self._all_of(key)
        self.waiting -= _count(self._parts.pop(key, []))
        self.regions.remove(key)
        return packed


def _count(parts: list[Packed]) -> int:
    return sum(len(part["levels"]) for part in parts)


def joined(parts: list[Packed]) -> Packed:
    """All Gaussians of these in one; there must be a part."""
    return {name: np.concatenate([part[name] for part in parts]) for name in parts[0]}


def nbytes(packed: Packed) -> int:
    """Of all tensors."""
    return sum(tensor.nbytes for tensor in packed.values())
