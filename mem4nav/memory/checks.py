# SPDX-FileCopyrightText: The Mem4Nav stack developers
# SPDX-License-Identifier: Apache-2.0
"""What comes in is examined once, here: nothing that a memory could choke on later gets past this door."""

from __future__ import annotations

import numpy as np
from numpy.typing import ArrayLike, NDArray

from mem4nav.errors import MemoryInputError

NORM_TOLERANCE = 1e-3
_FOURTH_ROW = np.array([0.0, 0.0, 0.0, 1.0])
_EYE = np.eye(3)


def unit_vectors(vectors: ArrayLike, dimension: int) -> NDArray[np.float32]:
    """(N, D) float32 embeddings, as they came.

    Raises:
        MemoryInputError: of another shape, not finite, or not of norm 1 within ``NORM_TOLERANCE``.
    """
    found = np.ascontiguousarray(vectors, np.float32)
    if found.ndim != 2 or found.shape[1] != dimension:
        raise MemoryInputError(f"embeddings of shape {found.shape}, not (N, {dimension}): another encoder?")
    off = np.abs(np.einsum("nd,nd->n", found, found) - 1.0)
    if not (off < 2.0 * NORM_TOLERANCE).all():  # the negation also catches what is not finite
        row = int(np.argmax(np.where(np.isfinite(off), off, np.inf)))
        norm = float(np.linalg.norm(found[row].astype(np.float64)))
        raise MemoryInputError(f"embedding {row} of {len(found)} has norm {norm:.4g}, not 1: divide it by its norm")
    return found


def rigid(pose: ArrayLike, what: str = "pose") -> NDArray[np.float64]:
    """(4, 4) float64 pose, as it came.

    Raises:
        MemoryInputError: where it is no finite rotation and translation.
    """
    T = np.asarray(pose, np.float64)
    if T.shape != (4, 4):
        raise MemoryInputError(f"{what} of shape {T.shape}, should be (4, 4): T_map_base")
    R = T[:3, :3]
    turned = np.abs(R @ R.T - _EYE).max()
    if not (turned < 1e-3 and np.abs(T[3] - _FOURTH_ROW).max() < 1e-9 and np.isfinite(T[:3, 3]).all()):
        raise MemoryInputError(f"{what} is not rigid (R R^T is off the identity by {turned:.2g}): {T.tolist()}")
    return T


def points(values: ArrayLike, count: int, what: str = "offsets") -> NDArray[np.float64]:
    """(count, 3) float64, finite.

    Raises:
        MemoryInputError: otherwise.
    """
    found = np.asarray(values, np.float64)
    if found.shape != (count, 3) or not np.isfinite(found).all():
        raise MemoryInputError(f"{what} of shape {found.shape}, should be ({count}, 3) finite metres")
    return found


def position(value: ArrayLike) -> NDArray[np.float64]:
    """(3,) float64 metres of a position, or of a (4, 4) pose's origin.

    Raises:
        MemoryInputError: where it is neither.
    """
    found = np.asarray(value, np.float64)
    return points((rigid(found)[:3, 3] if found.shape == (4, 4) else found)[None], 1, "position")[0]
