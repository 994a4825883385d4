# SPDX-FileCopyrightText: The Mem4Nav stack developers
# SPDX-License-Identifier: Apache-2.0
"""Poses over time, and the TUM format that stores them."""

from __future__ import annotations

from dataclasses import dataclass
from decimal import ROUND_HALF_EVEN, Decimal, InvalidOperation
from pathlib import Path

import numpy as np
from numpy.typing import ArrayLike, NDArray
from scipy.spatial.transform import Rotation

from slam.errors import TrajectoryError
from slam.files import write_text

_INT64_MAX = 2**63 - 1


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

    def __post_init__(self) -> None:
        count = len(self.stamps_ns)
        shapes = (np.shape(self.stamps_ns), np.shape(self.positions), np.shape(self.quaternions))
        if shapes != ((count,), (count, 3), (count, 4)):
            raise TrajectoryError(f"expected stamps (N,), positions (N, 3), quaternions (N, 4), got shapes {shapes}")

    def __len__(self) -> int:
        return len(self.stamps_ns)

    @classmethod
    def from_matrices(cls, stamps_ns: ArrayLike, T_world_body: ArrayLike) -> Trajectory:
        """From (N,) stamps in nanoseconds and (N, 4, 4) poses that map body points into the world."""
        T = np.asarray(T_world_body, dtype=np.float64).reshape(-1, 4, 4)
        quaternions = Rotation.from_matrix(T[:, :3, :3]).as_quat() if len(T) else np.zeros((0, 4))
        return cls(np.asarray(stamps_ns, dtype=np.int64), T[:, :3, 3].copy(), quaternions)

    def matrices(self) -> NDArray[np.float64]:
        """(N, 4, 4) float64 poses that map body points into the world."""
        T = np.tile(np.eye(4), (len(self), 1, 1))
        if len(self):
            T[:, :3, :3] = Rotation.from_quat(self.quaternions).as_matrix()
        T[:, :3, 3] = self.positions
        return T

    def select(self, indices: ArrayLike | slice) -> Trajectory:
        """The poses at these indices, or where this mask is true."""
        which = indices if isinstance(indices, slice) else np.asarray(indices)
        return Trajectory(self.stamps_ns[which], self.positions[which], self.quaternions[which])

    def transformed(self, T_new_world: NDArray[np.float64]) -> Trajectory:
        """The same poses seen from another world frame; ``T_new_world`` (4, 4) maps the old world into the new."""
        return Trajectory.from_matrices(self.stamps_ns, T_new_world @ self.matrices())

    def relative(self) -> Trajectory:
        """The same motion with the first pose as its world: T_0^-1 T_i."""
        if not len(self):
            return self
        return self.transformed(np.linalg.inv(self.matrices()[0]))

    def distances(self) -> NDArray[np.float64]:
        """(N,) float64 way from the first pose to each, metres."""
        steps = np.linalg.norm(np.diff(self.positions, axis=0), axis=1)
        return np.concatenate([np.zeros(min(1, len(self))), np.cumsum(steps)])

    def length_m(self) -> float:
        """Length of the way through all positions, metres."""
        return float(self.distances()[-1]) if len(self) else 0.0

    def at(self, stamps_ns: ArrayLike) -> Trajectory:
        """Poses at (M,) stamps in between: positions linear, rotations along the shortest arc (slerp).

        Raises:
            TrajectoryError: when a stamp lies outside the trajectory, or its own stamps do not increase.
        """
        wanted = np.atleast_1d(np.asarray(stamps_ns, dtype=np.int64))
        self._check_covers(wanted)
        right = np.clip(np.searchsorted(self.stamps_ns, wanted, side="left"), min(1, len(self) - 1), len(self) - 1)
        left = np.maximum(right - 1, 0)
        span = np.maximum(self.stamps_ns[right] - self.stamps_ns[left], 1)
        part = ((wanted - self.stamps_ns[left]) / span)[:, None]
        positions = (1.0 - part) * self.positions[left] + part * self.positions[right]
        return Trajectory(wanted, positions, _slerp(self.quaternions[left], self.quaternions[right], part))

    def _check_covers(self, wanted: NDArray[np.int64]) -> None:
        if not len(self):
            raise TrajectoryError("an empty trajectory has no pose at any stamp")
        if np.any(np.diff(self.stamps_ns) <= 0):
            i = int(np.argmax(np.diff(self.stamps_ns) <= 0))
            raise TrajectoryError(
                f"stamps do not increase: {self.stamps_ns[i]} ns is followed by {self.stamps_ns[i + 1]}"
            )
        outside = (wanted < self.stamps_ns[0]) | (wanted > self.stamps_ns[-1])
        if np.any(outside):
            raise TrajectoryError(
                f"{int(outside.sum())} of {len(wanted)} stamps lie outside the trajectory, which spans "
                f"{format_stamp(self.stamps_ns[0])} s to {format_stamp(self.stamps_ns[-1])} s; "
                f"the first is {format_stamp(wanted[outside][0])} s"
            )


def _slerp(a: NDArray[np.float64], b: NDArray[np.float64], part: NDArray[np.float64]) -> NDArray[np.float64]:
    start = Rotation.from_quat(a)
    turn = (start.inv() * Rotation.from_quat(b)).as_rotvec()
    return (start * Rotation.from_rotvec(part * turn)).as_quat()


def read_tum(path: str | Path) -> Trajectory:
    """Read lines of ``time x y z qx qy qz qw`` (seconds, metres); stamps are exact to the nanosecond.

    Raises:
        TrajectoryError: for an unreadable or empty file, or a bad line, with its number.
    """
    try:
        lines = Path(path).read_text(encoding="utf-8").splitlines()
    except (OSError, UnicodeDecodeError) as error:
        raise TrajectoryError(f"cannot read the trajectory {path}: {getattr(error, 'strerror', error)}") from None
    numbered = ((number, line.split()) for number, line in enumerate(lines, 1) if not line.lstrip().startswith("#"))
    rows = [_parse_line(fields, f"{path}, line {number}") for number, fields in numbered if fields]
    if not rows:
        raise TrajectoryError(f"{path} holds no poses (lines of: time x y z qx qy qz qw)")
    values = np.array([row[1] for row in rows])
    quaternions = values[:, 3:] / np.linalg.norm(values[:, 3:], axis=1, keepdims=True)
    return Trajectory(np.array([row[0] for row in rows], dtype=np.int64), values[:, :3].copy(), quaternions)


def write_tum(path: str | Path, trajectory: Trajectory) -> Path:
    """Write ``time x y z qx qy qz qw`` a line, nanosecond stamps, aside first and then renamed."""
    lines = ["# timestamp tx ty tz qx qy qz qw"]
    for stamp, p, q in zip(trajectory.stamps_ns, trajectory.positions, trajectory.quaternions, strict=True):
        numbers = [f"{value:.9f}" for value in (*p, *q)]
        lines.append(" ".join([format_stamp(stamp), *numbers]))
    return write_text(path, "\n".join(lines) + "\n")


def format_stamp(stamp_ns: int | np.integer) -> str:
    """Nanoseconds as decimal seconds, without going through a float."""
    sign, value = ("-", -int(stamp_ns)) if stamp_ns < 0 else ("", int(stamp_ns))
    return f"{sign}{value // 10**9}.{value % 10**9:09d}"


def parse_stamp(text: str) -> int:
    """Decimal seconds as nanoseconds, without going through a float; digits past the ninth are rounded.

    Raises:
        ValueError: when the text is no number, or its seconds do not fit 64-bit nanoseconds.
    """
    try:
        stamp = int((Decimal(text) * 10**9).to_integral_value(ROUND_HALF_EVEN))
    except (InvalidOperation, OverflowError, ValueError):
        raise ValueError(f"{text!r} is no time in seconds") from None
    if abs(stamp) > _INT64_MAX:
        raise ValueError(f"time {text} s is out of range: are these nanoseconds?")
    return stamp


def _parse_line(fields: list[str], where: str) -> tuple[int, list[float]]:
    if len(fields) != 8:
        raise TrajectoryError(f"{where}: expected 8 numbers (time x y z qx qy qz qw), got {len(fields)}")
    try:
        stamp, values = parse_stamp(fields[0]), [float(field) for field in fields[1:]]
    except ValueError as error:
        raise TrajectoryError(f"{where}: {error}") from None
    if not np.all(np.isfinite(values)):
        raise TrajectoryError(f"{where}: the pose holds NaN or infinity: {' '.join(fields[1:])}")
    if abs(np.linalg.norm(values[3:]) - 1.0) > 0.1:
        raise TrajectoryError(f"{where}: the quaternion {' '.join(fields[4:])} is not of unit length")
    return stamp, values
