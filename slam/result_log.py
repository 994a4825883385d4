# SPDX-FileCopyrightText: The Mem4Nav stack developers
# SPDX-License-Identifier: Apache-2.0
"""The results of a long run, packed: half a kilobyte a scan instead of two."""

from __future__ import annotations

import sys
from collections.abc import Iterator, Sequence
from typing import overload

import numpy as np
from numpy.typing import NDArray

from slam.results import Health, ScanResult, State

_ROW = np.dtype([
    ("stamp_ns", "i8"), ("base", "f8", (3, 4)), ("lidar", "f8", (3, 4)), ("covariance", "f8", 21), ("segment", "i4"),
    ("points", "i4"), ("matched", "i4"), ("residual_m", "f8"), ("wall_ns", "i8"), ("cpu_ns", "i8"),
])  # fmt: skip
_PLAIN = ("stamp_ns", "segment", "points", "matched", "residual_m", "wall_ns", "cpu_ns")
_CHUNK = 4096
_UPPER = np.triu_indices(6)
_ALL_WELL = Health()


class ResultLog(Sequence[ScanResult]):
    """A sequence of results that grows at its end; what is read from it equals what was appended."""

    def __init__(self) -> None:
        self._chunks: list[NDArray[np.void]] = []
        self._length = 0
        self._health: dict[int, Health] = {}
        self._camera: dict[int, str] = {}

    def __len__(self) -> int:
        return self._length

    def append(self, result: ScanResult) -> None:
        """Add one result."""
        if self._length == len(self._chunks) * _CHUNK:
            self._chunks.append(np.zeros(_CHUNK, _ROW))
        row = self._chunks[-1][self._length % _CHUNK]
        for name in _PLAIN:
            row[name] = getattr(result, name)
        row["base"], row["lidar"] = result.T_odom_base[:3], result.T_odom_lidar[:3]
        row["covariance"] = result.covariance[_UPPER]
        health = result.health
        if health.state is not State.OK or health.reasons or len(health.axes):
            self._health[self._length] = health
        if result.camera:
            self._camera[self._length] = sys.intern(result.camera)
        self._length += 1

    @overload
    def __getitem__(self, index: int) -> ScanResult: ...
    @overload
    def __getitem__(self, index: slice) -> list[ScanResult]: ...
    def __getitem__(self, index: int | slice) -> ScanResult | list[ScanResult]:
        if isinstance(index, slice):
            return [self._at(k) for k in range(*index.indices(self._length))]
        if not -self._length <= index < self._length:
            raise IndexError(f"result {index} of {self._length}")
        return self._at(index % self._length)

    def __iter__(self) -> Iterator[ScanResult]:
        return (self._at(k) for k in range(self._length))

    def _at(self, index: int) -> ScanResult:
        row = self._chunks[index // _CHUNK][index % _CHUNK]
        plain = {name: row[name].item() for name in _PLAIN}
        covariance = np.zeros((6, 6))
        covariance[_UPPER] = row["covariance"]
        covariance.T[_UPPER] = row["covariance"]
        health = self._health.get(index, _ALL_WELL)
        base, lidar = _pose(row["base"]), _pose(row["lidar"])
        return ScanResult(
            T_odom_base=base, T_odom_lidar=lidar, covariance=covariance, health=health,
            camera=self._camera.get(index, ""), **plain,
        )  # fmt: skip


def _pose(top: NDArray[np.float64]) -> NDArray[np.float64]:
    T = np.eye(4)
    T[:3] = top
    return T
