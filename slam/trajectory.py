# SPDX-FileCopyrightText: The Mem4Nav stack developers
# SPDX-License-Identifier: Apache-2.0
"""Poses over time, and the TUM format that stores them."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray


@dataclass(frozen=True, slots=True)
class Trajectory:
    """N poses in one world frame.

    Attributes:
        stamps_ns: (N,) int64, non-decreasing not required here.
        positions: (N, 3) float64, metres.
        quaternions: (N, 4) float64, unit, xyzw: rotation of the moving frame into the world.
    """

    stamps_ns: NDArray[np.int64]
    positions: NDArray[np.float64]
    quaternions: NDArray[np.float64]
