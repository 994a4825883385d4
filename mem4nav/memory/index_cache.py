# SPDX-FileCopyrightText: The Mem4Nav stack developers
# SPDX-License-Identifier: Apache-2.0
"""The index beside the store, so that loading need not build it: a cache, built anew where it does not fit the store.

Embeddings never change and numbers are never given twice, so an index of the first n entries stays right while more are
written: what is missing from it is added from the journal.
"""

from __future__ import annotations

import hashlib
import logging
import time
from pathlib import Path

from mem4nav.memory.store import INDEX, INDEX_KEYS, Store
from mem4nav.memory.vectors import MANY, ListedVectors, ScannedVectors, Vectors, grown, has_faiss

_LOG = logging.getLogger(__name__)


def load_vectors(store: Store, entries: int, dimension: int) -> Vectors:
    """The embeddings of a store's entries, by the cached index where that can be trusted."""
    found = _cached(store, entries, dimension) if entries > MANY and has_faiss() else None
    vectors: Vectors = found or ScannedVectors(dimension)
    missing, began = entries - len(vectors), time.perf_counter()
    for some in store.embeddings(len(vectors), entries, dimension):
        vectors = grown(vectors, 0)
        vectors.add(some)
    if missing and entries > MANY:
        _LOG.info("%s: indexed %d of %d entries in %.1f s", store.folder, missing, entries, time.perf_counter() - began)
    return vectors


def save_index(store: Store, vectors: Vectors) -> None:
    """Cache the index. A scan needs none."""
    if not isinstance(vectors, ListedVectors) or store.get("index_entries") == len(vectors):
        return
    aside = store.folder / f".{INDEX}.part"
    vectors.write(aside)
    store.adopt(aside, INDEX, dict(zip(INDEX_KEYS, (file_digest(aside), len(vectors)), strict=True)))


def _cached(store: Store, entries: int, dimension: int) -> ListedVectors | None:
    path = store.folder / INDEX
    digest, count = (store.get(key) for key in INDEX_KEYS)
    if digest is None or not path.is_file():
        return None
    if not (isinstance(count, int) and count <= entries and file_digest(path) == digest):
        _LOG.warning("%s: does not fit its store (changed or damaged): it is built anew", path)
        return None
    vectors = ListedVectors.read(path)
    return vectors if len(vectors) == count and vectors.index.d == dimension else None


def file_digest(path: Path) -> str:
    """SHA-256 of what is in a file."""
    digest = hashlib.sha256()
    with open(path, "rb") as file:
        while block := file.read(1 << 20):
            digest.update(block)
    return digest.hexdigest()
