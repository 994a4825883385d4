# SPDX-FileCopyrightText: The Mem4Nav stack developers
# SPDX-License-Identifier: Apache-2.0
"""The street that one drives along: a straight axis between two kerbs, and what opens beside it."""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage

from mem4nav.driving.config import StreetConfig
from mem4nav.driving.grid import Ground

_TURNS = np.radians(np.arange(-12.0, 12.1, 1.0))
_BIN_M = 0.25
_LEAST_CELLS = 14
_NEAR_LINE_M = 0.6
_GAIN = 0.4
_FIT_TURN = np.radians(15.0)
_STEP_M = 0.3


@dataclass(frozen=True, slots=True)
class Street:
    """The axis of a street in odom.

    Attributes:
        point: (2,) some place on it, metres.
        heading: direction of travel, radians about +z from +x.
        half_width: from the axis to either kerb, metres.
        seen: how many cells of kerbs bore it out in the last scan.
    """

    point: NDArray[np.float64]
    heading: float
    half_width: float = 5.5
    seen: int = 0

    @property
    def along(self) -> NDArray[np.float64]:
        """(2,) unit vector of travel."""
        return np.array([np.cos(self.heading), np.sin(self.heading)])

    @property
    def left(self) -> NDArray[np.float64]:
        """(2,) unit vector to the left of it."""
        return np.array([-np.sin(self.heading), np.cos(self.heading)])

    def station(self, points: NDArray[np.float64]) -> NDArray[np.float64]:
        """(..., 2) metres along the axis from ``point``, and to its left, of (..., 2) points."""
        away = points - self.point
        return np.stack([away @ self.along, away @ self.left], axis=-1)

    def place(self, along: float | NDArray[np.float64], left: float | NDArray[np.float64]) -> NDArray[np.float64]:
        """(..., 2) points at stations; the inverse of ``station``."""
        along, left = np.broadcast_arrays(np.asarray(along, float), np.asarray(left, float))
        return self.point + along[..., None] * self.along + left[..., None] * self.left

    def from_here(self, position: NDArray[np.float64]) -> Street:
        """The same axis, with its ``point`` abreast of a position (2,)."""
        return replace(self, point=self.point + float(self.station(position)[0]) * self.along)


def fitted(street: Street, ground: Ground, position: NDArray[np.float64], config: StreetConfig) -> Street:
    """The street as this scan's kerbs move it; as it was (``seen`` 0) where too few of them are in view.

    The heading is the one under which kerbs fall together best on either side; a line is then fitted to those.
    """
    street = street.from_here(position)
    cells = _kerb_cells(street, ground, config)
    if len(cells) < _LEAST_CELLS:
        return replace(street, seen=0)
    turn, kerbs = _best_turn(cells, config)
    support, line = _lines(cells, turn, kerbs)
    if support < _LEAST_CELLS or abs(turn) > _FIT_TURN:
        return replace(street, seen=support if abs(turn) <= _FIT_TURN else 0)
    slope, offset, half = line
    half = street.half_width if half is None else half
    return Street(
        street.point + _GAIN * offset * street.left,
        street.heading + _GAIN * float(np.arctan(slope)),
        street.half_width + _GAIN * (half - street.half_width),
        support,
    )


def _kerb_cells(street: Street, ground: Ground, config: StreetConfig) -> NDArray[np.float64]:
    """(K, 2) stations of kerb cells beside the axis; those of parked vehicles are left out."""
    bare = ground.kerb & ~ndimage.binary_dilation(ground.obstacle, iterations=3)
    cells = street.station(ground.points(bare))
    low, high = config.half_width_m
    inside = (cells[:, 0] > -config.behind_m) & (cells[:, 0] < config.ahead_m)
    return cells[inside & (np.abs(cells[:, 1]) > low - 1.5) & (np.abs(cells[:, 1]) < high + 1.5)]


def _best_turn(cells: NDArray[np.float64], config: StreetConfig) -> tuple[float, tuple[float | None, float | None]]:
    """Turn of the axis (radians) and where the kerbs then lie to the right and to the left (None: not seen)."""
    low, high = config.half_width_m
    edges = np.arange(-high - 2.0, high + 2.0 + _BIN_M, _BIN_M)
    middles = 0.5 * (edges[1:] + edges[:-1])
    best, found = -1.0, (0.0, (None, None))
    for turn in _TURNS:
        counts = np.histogram(cells[:, 1] * np.cos(turn) - cells[:, 0] * np.sin(turn), edges)[0]
        smooth = np.convolve(counts, np.ones(2), "same")
        peaks = [np.where(side & (np.abs(middles) > low - 0.8), smooth, 0.0) for side in (middles < 0, middles > 0)]
        score = sum(float(peak.max()) for peak in peaks) - 5.0 * abs(turn)
        if score > best:
            kerbs = tuple(
                float(middles[int(peak.argmax())]) if peak.max() >= 0.5 * _LEAST_CELLS else None for peak in peaks
            )
            best, found = score, (float(turn), (kerbs[0], kerbs[1]))
    return found


def _lines(
    cells: NDArray[np.float64], turn: float, kerbs: tuple[float | None, float | None]
) -> tuple[int, tuple[float, float, float | None]]:
    """Cells near the kerbs, and the (slope, offset, half width) of the axis by least squares on them."""
    across = cells[:, 1] * np.cos(turn) - cells[:, 0] * np.sin(turn)
    rows, values = [], []
    for side, kerb in zip((-1.0, 1.0), kerbs, strict=True):
        if kerb is not None:
            near = cells[np.abs(across - kerb) < _NEAR_LINE_M]
            rows.append(np.column_stack([near[:, 0], np.ones(len(near)), np.full(len(near), side)]))
            values.append(near[:, 1])
    if not rows or None in kerbs:
        return 0, (0.0, 0.0, None)
    design, target = np.concatenate(rows), np.concatenate(values)
    slope, offset, half = np.linalg.lstsq(design, target, rcond=None)[0]
    return len(target), (float(slope), float(offset), float(half))


def mouths(
    street: Street, ground: Ground, side: int, reach: tuple[float, float], config: StreetConfig
) -> list[tuple[float, float]]:
    """(begin, end) metres along the axis where another street opens on a side (1: left, -1: right)."""
    along = np.arange(reach[0], reach[1], _STEP_M)
    across = side * np.arange(street.half_width - 1.5, config.mouth_m + 0.01, _STEP_M)
    grid = street.place(along[:, None], across[None, :])
    # A cell that looks like a kerb for once, out where scans are thin, neither closes a mouth nor parts it in two.
    clear = ndimage.binary_closing(ground.at(ground.street, grid).all(axis=1), np.ones(4))
    return [run for run in _runs(along, clear) if run[1] - run[0] >= config.mouth_width_m]


def _runs(along: NDArray[np.float64], clear: NDArray[np.bool_]) -> list[tuple[float, float]]:
    """Begin and end of each stretch that is clear."""
    padded = np.diff(np.concatenate([[False], clear, [False]]).astype(np.int8))
    return [
        (float(along[a]), float(along[b - 1]))
        for a, b in zip(np.flatnonzero(padded == 1), np.flatnonzero(padded == -1), strict=True)
    ]
