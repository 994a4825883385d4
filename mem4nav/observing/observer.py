# SPDX-FileCopyrightText: The Mem4Nav stack developers
# SPDX-License-Identifier: Apache-2.0
"""Poses, detections and pictures in; observations and places written into a memory.

What stands still is written once, where it was seen again and again; what the picture shows is written along the way;
and the places that are passed become nodes of the topology graph. Each write hangs on the keyframe whose number is its
stamp in milliseconds, so that it is known when things were seen.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from detection.boxes import moved
from detection.sample import Boxes, no_boxes
from mem4nav.driving.landmarks import Landmark, Landmarks
from mem4nav.driving.poses import Poses
from mem4nav.memory import Memory
from mem4nav.observing.config import ObserverConfig
from mem4nav.observing.embedding import Embedder

_SAME_MOMENT_NS = 60_000_000
_PICTURE_NS = 500_000_000
_MOST_WAITING = 10
_STAMPS_PER_KEYFRAME = 1_000_000
"""The store reads its numbers as doubles: nanoseconds since 1970 do not fit, milliseconds do."""


class Observer:
    """Writes what a vehicle passes. One thread at a time.

    Args:
        memory: whose embeddings are those of ``embedder``.
        embedder: of labels, views and places.
        classes: names of what is remembered, in the order of the boxes' labels; what moves is best left out.

    Attributes:
        memory: the one that is written.
        jumps: how often clock or pose jumped: places before and after are not joined by a way.
    """

    def __init__(
        self, memory: Memory, embedder: Embedder, classes: Sequence[str], config: ObserverConfig | None = None
    ) -> None:
        self.memory, self.jumps = memory, 0
        self._embedder, self._classes, self._config = embedder, tuple(classes), config or ObserverConfig()
        self._poses = Poses()
        self._set_down()

    def go_on_in(self, memory: Memory) -> None:
        """Write another memory from now on; one comes there by no known way."""
        self.memory = memory
        self._set_down()

    def move(self, stamp_ns: int, T_map_base: NDArray[np.float64]) -> bool:
        """Be at a pose (4, 4); True where something was written.

        Raises:
            MemoryInputError: a place out of the memory's reach. MemoryStoreError: it cannot be stored.
        """
        if not self._poses.add(stamp_ns, T_map_base):
            self.jumps += 1
            self._set_down()
        waiting, self._waiting = self._waiting, deque(maxlen=_MOST_WAITING)
        for seen in waiting:
            self.see(*seen)
        here = T_map_base[:3, 3]
        if self._wrote_at is not None and np.linalg.norm(here - self._wrote_at) < self._config.every_m:
            return False
        self._wrote_at = here.copy()
        self._write(stamp_ns, T_map_base)
        return True

    def see(self, stamp_ns: int, boxes: Boxes) -> None:
        """Detections in base_link; they wait for the pose of their moment where that has not come yet."""
        T = self._poses.at(stamp_ns, _SAME_MOMENT_NS)
        if T is None:
            self._waiting.append((stamp_ns, boxes))
            return
        self._landmarks.add(boxes, T)
        self._boxes = moved(boxes, T)

    def look(self, stamp_ns: int, pixels: NDArray[np.uint8]) -> None:
        """A picture (H, W, 3) or (H, W) of what lies ahead."""
        self._picture = stamp_ns, pixels

    def _set_down(self) -> None:
        """One is somewhere, and came by no known way."""
        self._landmarks = Landmarks(self._classes, self._config.least_score)
        self._boxes = no_boxes()
        self._waiting: deque[tuple[int, Boxes]] = deque(maxlen=_MOST_WAITING)
        self._picture: tuple[int, NDArray[np.uint8]] | None = None
        self._wrote_at: NDArray[np.float64] | None = None
        self.memory.graph.current = -1

    def _write(self, stamp_ns: int, T: NDArray[np.float64]) -> None:
        keyframe, pixels, here = stamp_ns // _STAMPS_PER_KEYFRAME, self._fresh_picture(stamp_ns), T[:3, 3]
        sure = self._sure(here)
        self._visit(T, [one.label for one in sure], pixels, keyframe)
        seen = [(one.label, place) for one in sure if (place := self._place_of(one)) is not None]
        fresh = [(label, place) for label, place in seen if not self._knows(label, place)]
        labels = [label for label, _ in fresh]
        places = np.array([place for _, place in fresh]).reshape(-1, 3)
        vectors = self._embedder.encode(labels)
        if pixels is not None:
            labels, places = [*labels, ""], np.vstack([places, here])
            vectors = np.vstack([vectors, self._embedder.view(pixels)])
        if labels:
            self.memory.write_many(T, vectors, labels, (places - here) @ T[:3, :3], keyframe)

    def _fresh_picture(self, stamp_ns: int) -> NDArray[np.uint8] | None:
        if self._picture is None or abs(stamp_ns - self._picture[0]) > _PICTURE_NS:
            return None
        return self._picture[1]

    def _sure(self, here: NDArray[np.float64]) -> list[Landmark]:
        """What surely stands around here; what was left behind is let go."""
        near = self._landmarks
        near.known = [one for one in near.known if np.linalg.norm(one.position - here[:2]) < self._config.reach_m]
        hits, weight = self._config.sure_hits, self._config.sure_weight
        sure = [one for label in self._classes for one in near.sure(label, hits, weight)]
        return [one for one in sure if one.weight >= self._config.sure_score * one.hits]

    def _place_of(self, landmark: Landmark) -> NDArray[np.float64] | None:
        """(3,) with the height of its box in the last frame; None where it is not in view: how high is not known."""
        boxes = self._boxes.pick(self._boxes.label == self._classes.index(landmark.label))
        away = np.linalg.norm(boxes.centre[:, :2] - landmark.position, axis=1)
        if not len(away) or away.min() > self._config.same_m:
            return None
        return np.append(landmark.position, boxes.centre[away.argmin(), 2])

    def _knows(self, label: str, place: NDArray[np.float64]) -> bool:
        return any(hit.label == label for hit in self.memory.within(place, self._config.same_m))

    def _visit(
        self, T: NDArray[np.float64], labels: Sequence[str], pixels: NDArray[np.uint8] | None, keyframe: int
    ) -> None:
        """Be at the nearest place that is known, or at a new one; a place where one is already is not visited again."""
        graph = self.memory.graph
        away = np.linalg.norm(graph.positions - T[:3, 3], axis=1)
        nearest = int(away.argmin()) if len(away) else -1
        if nearest >= 0 and nearest == graph.current and away[nearest] <= self._config.place_m:
            return
        known = nearest >= 0 and away[nearest] <= self._config.place_m
        name = graph.names[nearest] if known else f"place {len(graph)}"
        self.memory.visit(T, self._embedder.place(labels, pixels), name=name, keyframe=keyframe)
