# SPDX-FileCopyrightText: The Mem4Nav stack developers
# SPDX-License-Identifier: Apache-2.0
"""The semantic octree: which observations were made where, at every scale.

A node is named by its location code, a 1 followed by the leading bits of its Morton key (Gargantini 1982), so that one
hash table holds leaves and inner nodes alike: a leaf's value is its newest entry, an inner node's which of its children
exist. Entries of a leaf are a chain, newest first. Look-up costs one hash; queries go down the tree from the
root and meet only what exists and touches the box or ball asked for.
"""

from __future__ import annotations

import math

import numpy as np
from numba import njit, uint64
from numpy.typing import NDArray

from mem4nav.errors import MemoryInputError
from slam import morton

_USED = 0
_EMPTY = np.uint64(0)
_ROOT_BIT = np.uint64(1 << 63)
_AT_ONCE = 4096
"""Entries inserted in one go: room is made for the worst case, 22 new nodes for each."""
_SLACK = 1e-6
"""Metres by which queries reach further than asked, for the rounding of leaves' edges 1,000 km away."""


@njit(cache=True)
def keys_of(positions, leaf_m, keys):
    """Fill ``keys`` with the leaves' Morton keys; returns the first row that lies out of reach, or -1."""
    for i in range(len(positions)):
        ix = math.floor(positions[i, 0] / leaf_m)
        iy = math.floor(positions[i, 1] / leaf_m)
        iz = math.floor(positions[i, 2] / leaf_m)
        if not max(abs(ix), abs(iy), abs(iz)) < morton.LIMIT:
            return i
        keys[i] = morton.encode(np.int64(ix), np.int64(iy), np.int64(iz))
    return -1


@njit(cache=True, inline="always")
def _slot(codes, code):
    """Where ``code`` stands in the table, or the empty place where it would."""
    mask = uint64(len(codes) - 1)
    h = morton.mix(code) & mask
    while codes[h] != _EMPTY and codes[h] != code:
        h = (h + uint64(1)) & mask
    return h


@njit(cache=True)
def _insert(codes, values, counters, previous, keys, entries):
    """Hang entries into their leaves, and leaves that are new into the tree. Needs room for 22 nodes an entry."""
    for i in range(len(keys)):
        code = keys[i] | _ROOT_BIT
        h = _slot(codes, code)
        if codes[h] == code:
            previous[entries[i]] = values[h]
            values[h] = entries[i]
            continue
        codes[h], values[h], previous[entries[i]] = code, entries[i], -1
        counters[_USED] += 1
        while code > uint64(1):
            bit = np.int32(1) << np.int32(code & uint64(7))
            code = code >> uint64(3)
            h = _slot(codes, code)
            if codes[h] == code:
                values[h] |= bit
                break
            codes[h], values[h] = code, bit
            counters[_USED] += 1


@njit(cache=True)
def _remove(codes, values, previous, keys, entries):
    """Take entries out of their leaves' chains. Leaves stay, empty."""
    for i in range(len(keys)):
        h = _slot(codes, keys[i] | _ROOT_BIT)
        if codes[h] == _EMPTY:
            continue
        entry, newer = values[h], np.int32(-1)
        while entry >= 0 and entry != entries[i]:
            newer, entry = entry, previous[entry]
        if entry < 0:
            continue
        if newer < 0:
            values[h] = previous[entry]
        else:
            previous[newer] = previous[entry]


@njit(cache=True)
def _rehash(old_codes, old_values, codes, values):
    for i in range(len(old_codes)):
        if old_codes[i] != _EMPTY:
            h = _slot(codes, old_codes[i])
            codes[h], values[h] = old_codes[i], old_values[i]


@njit(cache=True)
def _touching(codes, values, low, high, centre, radius2, leaf_m, leaves):
    """Newest entries of the leaves that touch the box and the ball; returns how many, which may exceed the room."""
    stack = np.empty(256, np.uint64)
    levels = np.empty(256, np.int64)
    stack[0], levels[0], top, found = uint64(1), morton.BITS, 1, 0
    while top > 0:
        top -= 1
        code, level = stack[top], levels[top]
        value = values[_slot(codes, code)]
        if level == 0:
            if value >= 0:
                if found < len(leaves):
                    leaves[found] = value
                found += 1
            continue
        for octant in range(8):
            if not value & (1 << octant):
                continue
            child = (code << uint64(3)) | uint64(octant)
            below = uint64(3 * (level - 1))
            ix, iy, iz = morton.decode((child << below) & ~_ROOT_BIT)
            side = leaf_m * (1 << (level - 1))
            away2, apart = 0.0, False
            for axis in range(3):
                near = leaf_m * (ix if axis == 0 else iy if axis == 1 else iz)
                if near > high[axis] or near + side < low[axis]:
                    apart = True
                off = max(near - centre[axis], 0.0, centre[axis] - near - side)
                away2 += off * off
            if not apart and away2 <= radius2:
                stack[top], levels[top] = child, level - 1
                top += 1
    return found


@njit(cache=True)
def _chained(previous, leaves, out):
    """All entries of the leaves' chains; returns how many, which may exceed the room."""
    found = 0
    for i in range(len(leaves)):
        entry = leaves[i]
        while entry >= 0:
            if found < len(out):
                out[found] = entry
            found += 1
            entry = previous[entry]
    return found


@njit(cache=True)
def _newest(codes, values, key):
    code = key | _ROOT_BIT
    h = _slot(codes, code)
    return values[h] if codes[h] == code else np.int32(-1)


@njit(cache=True)
def _centres(keys, leaf_m, sides):
    out = np.empty((len(keys), 3))
    for i in range(len(keys)):
        ix, iy, iz = morton.decode(keys[i])
        out[i, 0], out[i, 1], out[i, 2] = ix + 0.5 * sides, iy + 0.5 * sides, iz + 0.5 * sides
    return out * leaf_m


class Octree:
    """Entries by place. It holds their numbers; positions are handed in.

    Args:
        leaf_m: side of a leaf; 21 bits an axis reach 2^20 leaves from the origin, 1,048 km at 1 m.
    """

    def __init__(self, leaf_m: float) -> None:
        self.leaf_m = leaf_m
        self.clear()

    def clear(self) -> None:
        """Empty it."""
        self._codes, self._values = np.zeros(256, np.uint64), np.zeros(256, np.int32)
        self._counters = np.zeros(1, np.int64)
        self._previous = np.zeros(64, np.int32)

    @property
    def nbytes(self) -> int:
        """Bytes held by the arrays."""
        return self._codes.nbytes + self._values.nbytes + self._previous.nbytes

    def keys(self, positions: NDArray[np.float64]) -> NDArray[np.uint64]:
        """(N,) Morton keys of the leaves of (N, 3) positions, metres in map.

        Raises:
            MemoryInputError: for a position out of the keys' reach.
        """
        keys = np.empty(len(positions), np.uint64)
        if (beyond := keys_of(positions, self.leaf_m, keys)) >= 0:
            reach = morton.LIMIT * self.leaf_m
            raise MemoryInputError(
                f"position {positions[beyond].tolist()} m is beyond {reach:g} m, the reach of leaves of "
                f"{self.leaf_m:g} m: a map origin that far away is a mistake"
            )
        return keys

    def insert(self, keys: NDArray[np.uint64], entries: NDArray[np.int32]) -> None:
        """Hang entries into the leaves of those keys, which are made where there are none."""
        for first in range(0, len(keys), _AT_ONCE):
            some = slice(first, first + _AT_ONCE)
            self._make_room(len(keys[some]), int(entries[some].max()) + 1)
            _insert(self._codes, self._values, self._counters, self._previous, keys[some], entries[some])

    def remove(self, keys: NDArray[np.uint64], entries: NDArray[np.int32]) -> None:
        """Take entries out of the leaves of those keys."""
        _remove(self._codes, self._values, self._previous, keys, entries)

    def move(self, keys: NDArray[np.uint64], new: NDArray[np.uint64], entries: NDArray[np.int32]) -> None:
        """Take entries from their leaves into others."""
        self.remove(keys, entries)
        self.insert(new, entries)

    def centres(self, codes: NDArray[np.uint64], level: int) -> NDArray[np.float64]:
        """(N, 3) metres: middles of the cells with Morton keys shifted right by ``level`` levels."""
        return _centres(codes << np.uint64(3 * level), self.leaf_m, 2.0**level)

    def at(self, key: np.uint64) -> NDArray[np.int32]:
        """Entries of one leaf, newest first; empty where there is no such leaf."""
        newest = _newest(self._codes, self._values, key)
        return self._chains(np.array([newest] if newest >= 0 else [], np.int32))

    def near(
        self,
        low: NDArray[np.float64],
        high: NDArray[np.float64],
        centre: NDArray[np.float64] | None = None,
        radius: float = math.inf,
    ) -> NDArray[np.int32]:
        """Entries of all leaves that touch the box from low to high (3,) and the ball about the centre."""
        centre = 0.5 * (low + high) if centre is None else centre
        leaves = np.empty(1024, np.int32)
        while True:
            box = (low - _SLACK, high + _SLACK, centre, (radius + _SLACK) ** 2)
            found = _touching(self._codes, self._values, *box, self.leaf_m, leaves)
            if found <= len(leaves):
                return self._chains(leaves[:found])
            leaves = np.empty(found, np.int32)

    def _chains(self, leaves: NDArray[np.int32]) -> NDArray[np.int32]:
        out = np.empty(4 * len(leaves) + 16, np.int32)
        while (found := _chained(self._previous, leaves, out)) > len(out):
            out = np.empty(found, np.int32)
        return out[:found]

    def _make_room(self, leaves: int, entries: int) -> None:
        if entries > len(self._previous):
            grown = np.zeros(max(entries, 2 * len(self._previous)), np.int32)
            grown[: len(self._previous)] = self._previous
            self._previous = grown
        while 2 * (self._counters[_USED] + leaves * (morton.BITS + 1)) > len(self._codes):
            codes, values = np.zeros(2 * len(self._codes), np.uint64), np.zeros(2 * len(self._codes), np.int32)
            _rehash(self._codes, self._values, codes, values)
            self._codes, self._values = codes, values


class NoOctree(Octree):
    """In which nothing is ever found."""

    def insert(self, keys: NDArray[np.uint64], entries: NDArray[np.int32]) -> None:
        """Hang entries nowhere."""
