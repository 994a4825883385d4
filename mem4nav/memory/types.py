# SPDX-FileCopyrightText: The Mem4Nav stack developers
# SPDX-License-Identifier: Apache-2.0
"""What goes into a memory and what comes out, and which parts of it are there."""

from __future__ import annotations

from dataclasses import dataclass
from enum import Enum

import numpy as np
from numpy.typing import NDArray


class MemoryMode(str, Enum):
    """The whole memory, or the memory without one of its parts: for telling what each part is worth."""

    FULL = "full"
    NONE = "none"
    NO_OCTREE = "no-octree"
    NO_GRAPH = "no-graph"
    NO_LTM = "no-ltm"
    NO_STM = "no-stm"
    CACHE = "cache"


@dataclass(frozen=True, slots=True)
class MemoryConfig:
    """Sizes and thresholds of a memory.

    Attributes:
        dimension: numbers in an embedding.
        leaf_m: side of the semantic octree's leaves, metres.
        node_distance: a place becomes a new node of the topology graph where its embedding is further than this from
            that of every node (delta; embeddings are unit vectors, so 0 to 2).
        distance_weight: weight of metres in an edge's cost (alpha).
        instruction_weight: weight of the instruction's cost in an edge's cost (beta).
        short_term_entries: entries that the short-term memory holds (K).
        frequency_weight: an entry's frequency against its age when one must go (lambda).
        near_m: the short-term memory answers with what is within this of the query, metres (epsilon).
        sure_cosine: from this best cosine on, the short-term memory's answer stands (tau).
        top: answers of a recall (m).
        place_weight: long-term memory ranks by cosine less this times 1 - exp(-metres / ``place_m``), where the query
            has a pose: of things that look alike, the nearer one.
        place_m: see ``place_weight``.
    """

    dimension: int = 256
    leaf_m: float = 1.0
    node_distance: float = 0.7
    distance_weight: float = 1.0
    instruction_weight: float = 0.5
    short_term_entries: int = 128
    frequency_weight: float = 0.5
    near_m: float = 3.0
    sure_cosine: float = 0.7
    top: int = 3
    place_weight: float = 0.05
    place_m: float = 50.0


@dataclass(frozen=True, slots=True)
class Hit:
    """One remembered observation.

    Attributes:
        entry: number of the observation in its memory.
        cosine: with the query.
        label: "" where it was written without one.
        position: (3,) metres in map, with its keyframe's pose of now.
        embedding: (D,) float32 unit vector, exactly as written.
        step: number of the write, counted from the memory's first.
        gone: it was looked for and is no longer there.
    """

    entry: int
    cosine: float
    label: str
    position: NDArray[np.float64]
    embedding: NDArray[np.float32]
    step: int
    gone: bool = False


@dataclass(frozen=True, slots=True)
class Recall:
    """What a memory answers.

    Attributes:
        source: "short-term", "long-term" or "none".
        confidence: in [0, 1]; how sure the memory is that its first hit is what was asked for.
        hits: best first.
    """

    source: str
    confidence: float
    hits: tuple[Hit, ...] = ()


@dataclass(frozen=True, slots=True)
class Cells:
    """The memory seen coarsely: occupied cells of the octree at one level.

    Attributes:
        centres: (M, 3) metres in map.
        side_m: of a cell.
        counts: (M,) observations in each.
        embeddings: (M, D) float32 their mean; its norm says how much they agree.
        labels: of each cell, {label: how often}, most frequent first.
    """

    centres: NDArray[np.float64]
    side_m: float
    counts: NDArray[np.int64]
    embeddings: NDArray[np.float32]
    labels: tuple[dict[str, int], ...]
