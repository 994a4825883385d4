# SPDX-FileCopyrightText: The Mem4Nav stack developers
# SPDX-License-Identifier: Apache-2.0
"""The embeddings of a memory and the search among them: an exact scan while they are few, then faiss' lists.

Either holds each vector once, as float32, and gives it back as it came, so that what is searched is also what is
decoded. Beyond ``MANY`` vectors and without faiss the exact scan goes on.
"""

from __future__ import annotations

import ctypes
import importlib.util
import logging
import sys
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

_LOG = logging.getLogger(__name__)

MANY = 50_000
"""Vectors from which on an index is worth its building: a scan of them takes some milliseconds."""
LISTS, READ, ROUNDS = 2048, 16, 2
"""Lists, those read by a search, and rounds of k-means; docs/memory.md has what they were chosen by."""

_TRIMMED_EVERY = 10_000

Found = tuple[NDArray[np.float32], NDArray[np.int64]]
"""Cosines and numbers of vectors, best first."""


class ScannedVectors:
    """(N, D) vectors in one array, compared with a query one and all."""

    def __init__(self, dimension: int) -> None:
        self._array = np.empty((64, dimension), np.float32)
        self._count = 0

    def __len__(self) -> int:
        return self._count

    def add(self, vectors: NDArray[np.float32]) -> None:
        """Append (M, D)."""
        end = self._count + len(vectors)
        if end > len(self._array):
            grown = np.empty((max(end, 2 * len(self._array)), self._array.shape[1]), np.float32)
            grown[: self._count] = self._array[: self._count]
            self._array = grown
        self._array[self._count : end] = vectors
        self._count = end

    def get(self, numbers: NDArray[np.int64]) -> NDArray[np.float32]:
        """(M, D) vectors exactly as they came."""
        return self._array[numbers]

    def erase(self, numbers: NDArray[np.int64]) -> None:
        """Overwrite (M,) vectors with zeros."""
        self._array[numbers] = 0.0

    def search(self, query: NDArray[np.float32], count: int) -> Found:
        """The ``count`` of highest cosine with the (D,) query."""
        return best(self._array[: self._count] @ query, count)


class ListedVectors:
    """Vectors in an ``IndexIVFFlat`` of inner products: lists about centres, of which a search reads the nearest ones.

    Its own storage is where the vectors lie.
    """

    def __init__(self, index: Any) -> None:
        index.nprobe = READ
        index.make_direct_map()
        self.index = index

    @classmethod
    def about(cls, examples: NDArray[np.float32]) -> ListedVectors:
        """None in it yet; centres are fitted to the (N, D) examples. Needs faiss."""
        import faiss

        dimension = examples.shape[1]
        index = faiss.IndexIVFFlat(faiss.IndexFlatIP(dimension), dimension, LISTS, faiss.METRIC_INNER_PRODUCT)
        index.cp.niter, index.cp.min_points_per_centroid = ROUNDS, 1
        index.cp.max_points_per_centroid = MANY // LISTS
        index.train(examples)
        return cls(index)

    def __len__(self) -> int:
        return self.index.ntotal

    def add(self, vectors: NDArray[np.float32]) -> None:
        """Append (M, D)."""
        before = len(self)
        self.index.add(vectors)
        if before // _TRIMMED_EVERY != len(self) // _TRIMMED_EVERY:
            _give_back()

    def get(self, numbers: NDArray[np.int64]) -> NDArray[np.float32]:
        """(M, D) vectors exactly as they came."""
        return self.index.reconstruct_batch(np.asarray(numbers, np.int64))

    def erase(self, numbers: NDArray[np.int64]) -> None:
        """Overwrite (M,) vectors with zeros."""
        if len(numbers):
            self.index.update_vectors(numbers, np.zeros((len(numbers), self.index.d), np.float32))

    def search(self, query: NDArray[np.float32], count: int) -> Found:
        """About the ``count`` of highest cosine with the (D,) query."""
        cosines, numbers = self.index.search(query[None], min(count, len(self)))
        found = numbers[0] >= 0
        return cosines[0][found], numbers[0][found]

    def write(self, path: Path) -> None:
        """Store the lists and their vectors."""
        import faiss

        faiss.write_index(self.index, str(path))

    @classmethod
    def read(cls, path: Path) -> ListedVectors:
        """What ``write`` stored.

        Raises:
            RuntimeError: faiss cannot make an index of it.
        """
        import faiss

        return cls(faiss.read_index(str(path)))


Vectors = ScannedVectors | ListedVectors


def best(scores: NDArray[np.float32], count: int) -> Found:
    """The ``count`` highest scores and where they stand; of equals the earlier one first."""
    if count < len(scores) // 8:
        few = np.argpartition(-scores, count)[:count]
        few.sort()
        order = few[np.argsort(-scores[few], kind="stable")]
    else:
        order = np.argsort(-scores, kind="stable")[:count]
    return scores[order], order


def grown(vectors: Vectors, coming: int) -> Vectors:
    """The same vectors, in the form that suits them and as many as are coming."""
    if not isinstance(vectors, ScannedVectors) or len(vectors) < LISTS or len(vectors) + coming <= MANY:
        return vectors
    if not has_faiss():
        return vectors
    scanned = vectors.get(np.arange(len(vectors)))
    listed = ListedVectors.about(scanned)
    listed.add(scanned)
    return listed


def _give_back() -> None:
    """Return free memory to the system: lists that grow leave gaps that glibc keeps, 0.2 GB among a million vectors."""
    trim = getattr(ctypes.CDLL(None), "malloc_trim", None) if sys.platform == "linux" else None
    if trim is not None:
        trim(0)


def has_faiss() -> bool:
    """Whether the index can be had; says once what its absence means."""
    found = importlib.util.find_spec("faiss") is not None
    if not found and not _told:
        _told.append(True)
        _LOG.warning("faiss is not installed (extra nav): beyond %d entries every recall compares them all", MANY)
    return found


_told: list[bool] = []
