# SPDX-FileCopyrightText: The Mem4Nav stack developers
# SPDX-License-Identifier: Apache-2.0
"""All observations of a memory: what, where, when, and hung on which keyframe."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence

import numpy as np
from numpy.typing import NDArray

from mem4nav.errors import MemoryInputError
from mem4nav.memory.columns import Columns
from mem4nav.memory.octree import Octree
from mem4nav.memory.text import Labels
from mem4nav.memory.types import Cells, Hit
from mem4nav.memory.vectors import ScannedVectors, Vectors, grown

ENTRY = np.dtype(
    [
        ("position", np.float64, 3),
        ("local", np.float64, 3),
        ("keyframe", np.int64),
        ("step", np.int64),
        ("key", np.uint64),
        ("label", np.int32),
        ("node", np.int32),
        ("gone", np.bool_),
        ("forgotten", np.bool_),
    ]
)
"""position: metres in map. local: the same seen from the keyframe, which is -1 for the map itself. key: of the leaf.
node: the topology graph's current one when it was written, -1 before the first."""

Ids = NDArray[np.int64]

_AT_ONCE = 4096
"""Rows handled in one go: a million vectors at once would be a second copy of them."""


class Observations:
    """Entries numbered from 0 in the order of their writing; a forgotten entry's number is not given again.

    Attributes:
        rows: ``ENTRY`` of each.
        vectors: embedding of each.
        keyframes: {keyframe: (4, 4) T_map_keyframe} of now.
    """

    def __init__(self, dimension: int, octree: Octree, labels: Labels) -> None:
        self.dimension = dimension
        self.rows, self.labels, self.octree = Columns(ENTRY), labels, octree
        self.vectors: Vectors = ScannedVectors(dimension)
        self.keyframes: dict[int, NDArray[np.float64]] = {}
        self.forgotten = 0

    def __len__(self) -> int:
        """Entries ever written."""
        return len(self.rows)

    def prepared(
        self,
        pose: NDArray[np.float64],
        count: int,
        offsets: NDArray[np.float64] | None,
        keyframe: int | None,
    ) -> NDArray[np.void]:
        """``ENTRY`` rows for so many observations made at a pose; nothing is stored yet.

        Raises:
            MemoryInputError: for a place out of the octree's reach.
        """
        rows = np.zeros(count, ENTRY)
        rows["position"] = pose[:3, 3] if offsets is None else offsets @ pose[:3, :3].T + pose[:3, 3]
        rows["key"] = self.octree.keys(np.ascontiguousarray(rows["position"]))
        rows["keyframe"], rows["local"] = self.anchored(rows["position"], keyframe)
        return rows

    def anchored(self, positions: NDArray[np.float64], keyframe: int | None) -> tuple[int, NDArray[np.float64]]:
        """The keyframe, -1 for none, and what (..., 3) positions in map are relative to it."""
        if keyframe is None:
            return -1, positions
        T = self.keyframes[keyframe]
        return keyframe, (positions - T[:3, 3]) @ T[:3, :3]

    def add(self, rows: NDArray[np.void], vectors: NDArray[np.float32]) -> Ids:
        """Take in prepared rows; returns their numbers."""
        self.vectors = grown(self.vectors, len(rows))
        self.vectors.add(vectors)
        return self.add_rows(rows)

    def add_rows(self, rows: NDArray[np.void]) -> Ids:
        """Take in prepared rows whose vectors are here already; returns their numbers."""
        numbers = np.arange(len(self), len(self) + len(rows))
        self.rows.append_rows(rows)
        kept = ~rows["forgotten"]
        self.forgotten += len(rows) - int(np.count_nonzero(kept))
        self.octree.insert(rows["key"][kept], numbers[kept].astype(np.int32))
        return numbers

    def place(self, rows: NDArray[np.void], poses: Mapping[int, NDArray[np.float64]]) -> None:
        """Fill in position and key of rows, from their keyframes' poses.

        Raises:
            MemoryInputError: for a place out of the octree's reach.
        """
        rows["position"] = self._in_map(rows["keyframe"], rows["local"], poses)
        rows["key"] = self.octree.keys(np.ascontiguousarray(rows["position"]))

    @staticmethod
    def _in_map(
        keyframes: NDArray[np.int64], local: NDArray[np.float64], poses: Mapping[int, NDArray[np.float64]]
    ) -> NDArray[np.float64]:
        known, which = np.unique(keyframes, return_inverse=True)
        T = np.stack([np.eye(4), *(poses[k] if k >= 0 else np.eye(4) for k in known.tolist())])[1:]
        positions = np.empty(local.shape)
        for first in range(0, len(local), _AT_ONCE):
            some = slice(first, first + _AT_ONCE)
            of = T[which[some]]
            positions[some] = np.einsum("nij,nj->ni", of[:, :3, :3], local[some]) + of[:, :3, 3]
        return positions

    # what there is

    def checked(self, entries: Sequence[int] | Ids) -> Ids:
        """(N,) ascending numbers, each once, of entries that are not forgotten.

        Raises:
            MemoryInputError: for a number that was never given.
        """
        numbers = np.unique(np.asarray(entries, np.int64))
        if len(numbers) and not 0 <= numbers[0] <= numbers[-1] < len(self):
            raise MemoryInputError(f"entries {numbers[0]} to {numbers[-1]}: this memory has written {len(self)}")
        return numbers[~self.rows["forgotten"][numbers]]

    def alive(self) -> Ids:
        """Numbers of the entries that are not forgotten, ascending."""
        return np.flatnonzero(~self.rows["forgotten"])

    def within(self, position: NDArray[np.float64], radius: float) -> Ids:
        """Numbers of the entries at most so many metres away, ascending."""
        found = self.octree.near(position - radius, position + radius, position, radius)
        away = self.rows["position"][found] - position
        return np.sort(found[np.einsum("nd,nd->n", away, away) <= radius * radius]).astype(np.int64)

    def in_box(self, low: NDArray[np.float64], high: NDArray[np.float64]) -> Ids:
        """Numbers of the entries in the closed box, ascending."""
        found = self.octree.near(low, high)
        at = self.rows["position"][found]
        return np.sort(found[((at >= low) & (at <= high)).all(axis=1)]).astype(np.int64)

    def at(self, position: NDArray[np.float64]) -> Ids:
        """Numbers of the entries in the leaf that holds a place, ascending."""
        return np.sort(self.octree.at(self.octree.keys(position[None])[0])).astype(np.int64)

    def cells(self, level: int) -> Cells:
        """What the octree's cells of 2^level leaves' side hold, in Morton order."""
        alive = self.alive()
        codes, cell = np.unique(self.rows["key"][alive] >> np.uint64(3 * level), return_inverse=True)
        sums = np.zeros((len(codes), self.dimension))
        labels = [Counter() for _ in codes]
        for first in range(0, len(alive), _AT_ONCE):
            some = slice(first, first + _AT_ONCE)
            np.add.at(sums, cell[some], self.vectors.get(alive[some]))
            for number, label in zip(cell[some], self.rows["label"][alive[some]], strict=True):
                labels[number][self.labels.texts[label]] += 1
        counts = np.bincount(cell, minlength=len(codes))
        return Cells(
            self.octree.centres(codes, level),
            self.octree.leaf_m * 2.0**level,
            counts,
            (sums / np.maximum(counts, 1)[:, None]).astype(np.float32),
            tuple(dict(counter.most_common()) for counter in labels),
        )

    def hits(self, entries: Ids, cosines: NDArray[np.floating]) -> tuple[Hit, ...]:
        """What these entries are, decoded."""
        rows, vectors = self.rows.all[entries], self.vectors.get(entries)
        texts, columns = self.labels.texts, (rows["label"].tolist(), rows["step"].tolist(), rows["gone"].tolist())
        return tuple(
            Hit(entry, cosine, texts[label], position, vector, step, gone)
            for entry, cosine, position, vector, label, step, gone in zip(
                entries.tolist(), cosines.tolist(), rows["position"], vectors, *columns, strict=True
            )
        )

    # what changes

    def correct(self, poses: dict[int, NDArray[np.float64]]) -> Ids:
        """Keyframes have new poses; returns the numbers of the entries that moved with them, ascending.

        Raises:
            MemoryInputError: where that takes an entry out of the octree's reach; nothing is changed.
        """
        moved = self.alive()
        moved = moved[np.isin(self.rows["keyframe"][moved], list(poses))]
        positions = self._in_map(self.rows["keyframe"][moved], self.rows["local"][moved], poses)
        keys = self.octree.keys(positions)
        self.keyframes |= poses
        elsewhere = keys != self.rows["key"][moved]
        self.octree.move(self.rows["key"][moved[elsewhere]], keys[elsewhere], moved[elsewhere].astype(np.int32))
        self.rows["position"][moved], self.rows["key"][moved] = positions, keys
        return moved

    def forget(self, entries: Ids) -> None:
        """Entries, each once, are no longer found; their embeddings are overwritten where they can be."""
        self.octree.remove(self.rows["key"][entries], entries.astype(np.int32))
        self.rows["forgotten"][entries] = True
        self.vectors.erase(entries)
        self.forgotten += len(entries)
