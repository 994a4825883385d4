# SPDX-FileCopyrightText: The Mem4Nav stack developers
# SPDX-License-Identifier: Apache-2.0
"""The tree of frames that tf_static (and constant tf) describes."""

from __future__ import annotations

from collections.abc import Iterable

import numpy as np
from numpy.typing import NDArray

from slam.io.extrinsics import inverse
from slam.io.messages import StampedPose

Matrix = NDArray[np.float64]
TRANSLATION_TOLERANCE = 1e-4
ROTATION_TOLERANCE = 1e-4


class TfTree:
    """Frames with their parents.

    Attributes:
        edges: child to (parent, T_parent_child).
        problems: sentences about loops, frames with two parents, transforms that are none.
    """

    def __init__(self) -> None:
        self.edges: dict[str, tuple[str, Matrix]] = {}
        self.problems: list[str] = []

    @np.errstate(all="ignore")  # damaged messages hold numbers such as 1e300
    def add(self, pose: StampedPose) -> None:
        """Add or replace the edge of ``pose.child``; later messages win, as in tf."""
        norm = float(np.linalg.norm(pose.quaternion))
        if not np.isfinite([*pose.position, *pose.quaternion]).all() or abs(norm - 1.0) > 0.01:
            self._problem(f"tf {pose.frame} -> {pose.child}: the quaternion has length {norm:.3g}, not 1")
            if not norm > 0.0:
                return
        before = self.edges.get(pose.child)
        if before is not None and before[0] != pose.frame:
            self._problem(f"tf: frame {pose.child} has two parents, {before[0]} and {pose.frame}")
        self.edges[pose.child] = (pose.frame, pose.matrix)
        if self._is_loop(pose.child):
            self._problem(f"tf: a loop runs through frame {pose.child}; its edge from {pose.frame} is left out")
            del self.edges[pose.child]

    def frames(self) -> set[str]:
        """All frames, roots too."""
        return set(self.edges) | {parent for parent, _ in self.edges.values()}

    def find(self, target: str, source: str) -> Matrix | None:
        """T_target_source, or None where no path leads from one to the other."""
        up = dict(self._ancestors(target))
        for frame, T_frame_source in self._ancestors(source):
            if frame in up:
                return inverse(up[frame]) @ T_frame_source
        return None

    def _ancestors(self, frame: str) -> Iterable[tuple[str, Matrix]]:
        """The frame and all above it, each with T_ancestor_frame."""
        T = np.eye(4)
        yield frame, T
        while frame in self.edges:
            frame, T_parent = self.edges[frame]
            T = T_parent @ T
            yield frame, T

    def _is_loop(self, start: str) -> bool:
        frame, steps = start, 0
        while frame in self.edges and steps <= len(self.edges):
            frame, steps = self.edges[frame][0], steps + 1
            if frame == start:
                return True
        return False

    def _problem(self, sentence: str) -> None:
        if sentence not in self.problems:
            self.problems.append(sentence)


def constant_edges(poses: Iterable[StampedPose]) -> list[StampedPose]:
    """Transforms of /tf that never change: ROS 1 bags often hold their static ones there."""
    first: dict[tuple[str, str], StampedPose] = {}
    moving: set[tuple[str, str]] = set()
    seen: dict[tuple[str, str], int] = {}
    for pose in poses:
        key = (pose.frame, pose.child)
        seen[key] = seen.get(key, 0) + 1
        if key in first and not _same(first[key].matrix, pose.matrix):
            moving.add(key)
        first.setdefault(key, pose)
    return [pose for key, pose in first.items() if key not in moving and seen[key] > 1]


def _same(a: Matrix, b: Matrix) -> bool:
    rotation = np.abs(a[:3, :3] - b[:3, :3]).max() <= ROTATION_TOLERANCE
    return bool(rotation and np.abs(a[:3, 3] - b[:3, 3]).max() <= TRANSLATION_TOLERANCE)
