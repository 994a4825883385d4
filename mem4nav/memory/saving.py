# SPDX-FileCopyrightText: The Mem4Nav stack developers
# SPDX-License-Identifier: Apache-2.0
"""A memory into a folder, and out of it."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np

from mem4nav.memory.graph import TopologyGraph
from mem4nav.memory.index_cache import file_digest, load_vectors, save_index
from mem4nav.memory.observations import Observations
from mem4nav.memory.store import TOKENS, TOKENS_KEY, Store
from mem4nav.memory.tokens import PlaceTokens
from mem4nav.memory.types import MemoryConfig, MemoryMode
from mem4nav.memory.vectors import Vectors
from slam.config import to_dict

_AT_ONCE = 4096


def put_settings(store: Store, mode: MemoryMode, config: MemoryConfig) -> None:
    """Store what a memory was made with."""
    with store.together():
        store.put("mode", mode.value)
        store.put("config", json.dumps(to_dict(config)))


def copy_into(
    folder: Path,
    mode: MemoryMode,
    config: MemoryConfig,
    observations: Observations,
    graph: TopologyGraph,
    step: int,
    tokens: PlaceTokens,
) -> None:
    """Store a memory in place of the one in ``folder``, as a whole or not at all."""
    store = Store(folder)
    try:
        store.drop_caches()
        with store.together():
            store.cleared()
            put_settings(store, mode, config)
            store.hung(observations.keyframes)
            for first in range(0, len(observations), _AT_ONCE):
                rows = observations.rows.all[first : first + _AT_ONCE]
                vectors = observations.vectors.get(np.arange(first, first + len(rows)))
                store.wrote(first, rows, vectors, observations.labels.texts)
            store.replaced_graph(graph)
            store.put("step", step)
        save_caches(store, observations.vectors, tokens)
    finally:
        store.close()


def read_into(store: Store, observations: Observations, graph: TopologyGraph, tokens: PlaceTokens) -> None:
    """Take a stored memory into an empty one."""
    for label in store.labels():
        observations.labels.number(label)
    observations.keyframes = store.keyframes()
    rows = store.entries()
    observations.place(rows, observations.keyframes)
    observations.vectors = load_vectors(store, len(rows), observations.dimension)
    observations.add_rows(rows)
    store.fill(graph)
    path = store.folder / TOKENS
    if path.is_file() and store.get(TOKENS_KEY) == file_digest(path):
        tokens.unpack(path.read_bytes())


def save_caches(store: Store, vectors: Vectors, tokens: PlaceTokens) -> None:
    """Store what could be made anew: the index, and tokens of places."""
    save_index(store, vectors)
    if data := tokens.packed():
        aside = store.folder / f".{TOKENS}.part"
        aside.write_bytes(data)
        store.adopt(aside, TOKENS, {TOKENS_KEY: file_digest(aside)})
