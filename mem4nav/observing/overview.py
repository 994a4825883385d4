# SPDX-FileCopyrightText: The Mem4Nav stack developers
# SPDX-License-Identifier: Apache-2.0
"""A memory as a viewer draws it: places, ways between them, and the leaves of the octree that hold something."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from mem4nav.memory import Memory


@dataclass(frozen=True, slots=True)
class Overview:
    """What there is, in map.

    Attributes:
        places: (N, 3) metres.
        names: of the places, with what was seen from there: "place 3: 2 bench, hydrant".
        ways: (E, 2) numbers of places, from and to.
        leaves: (M, 3) centres of the octree's leaves, metres.
        leaf_m: their side.
        labels: of each leaf the most frequent label, "" where it holds views alone.
    """

    places: NDArray[np.float64]
    names: tuple[str, ...]
    ways: NDArray[np.int64]
    leaves: NDArray[np.float64]
    leaf_m: float
    labels: tuple[str, ...]


def overview(memory: Memory) -> Overview:
    """Of all that is not forgotten."""
    observations, graph = memory.observations, memory.graph
    rows = observations.rows.all[observations.alive()]
    texts = observations.labels.texts
    codes, leaf = np.unique(rows["key"], return_inverse=True)
    seen_at = [Counter[str]() for _ in graph.names]
    held_in = [Counter[str]() for _ in codes]
    for number, node, label in zip(leaf.tolist(), rows["node"].tolist(), rows["label"].tolist(), strict=True):
        if text := texts[label]:
            held_in[number][text] += 1
            if 0 <= node < len(seen_at):
                seen_at[node][text] += 1
    return Overview(
        graph.positions.copy(),
        tuple(_named(name, seen) for name, seen in zip(graph.names, seen_at, strict=True)),
        np.array(list(graph.edges), np.int64).reshape(-1, 2),
        observations.octree.centres(codes, 0),
        observations.octree.leaf_m,
        tuple(held.most_common(1)[0][0] if held else "" for held in held_in),
    )


def _named(name: str, seen: Counter[str]) -> str:
    things = ", ".join(f"{count} {label}" if count > 1 else label for label, count in seen.most_common())
    return f"{name}: {things}" if things else name
