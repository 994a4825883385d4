# SPDX-FileCopyrightText: The Mem4Nav stack developers
# SPDX-License-Identifier: Apache-2.0
"""What is seen and what is remembered as rows of numbers: one row a landmark, a way, an image patch, a memory.

Every row has the same columns, so that a network reads all of them alike:
the embedding (D), sine and cosine of the bearing relative to the heading, log(1 + metres) / 5, the cosine of a
memory with what was asked, whether a way is blocked or a landmark gone, sine and cosine of where the known way to a
memory begins (0 and 0: none is known), and one of KINDS as 0 and 1.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence

import numpy as np
from numpy.typing import NDArray

from mem4nav.backbones.words import Remembered, landmark_words
from mem4nav.environment import Observation, angle_between_deg
from mem4nav.memory import TextEncoder

KINDS = ("place", "way", "landmark", "memory", "image")
GEOMETRY = 7
MOST_LANDMARKS = 16

ImageEncoder = Callable[[NDArray[np.uint8]], NDArray[np.float32]]


def row_width(dimension: int) -> int:
    """F, columns of a row with an embedding of so many numbers."""
    return dimension + GEOMETRY + len(KINDS)


class ObservationFeatures:
    """Turns observations and memories into rows.

    Args:
        encoder: of names, to unit vectors of D numbers; that of Remembering.
        image_encoder: an image (H, W, 3) to (N, D) rows from left to right, the middle ahead; None: images are not
            looked at.

    Attributes:
        dimension: D.
    """

    def __init__(self, encoder: TextEncoder, image_encoder: ImageEncoder | None = None) -> None:
        self.dimension = encoder.dimension
        self._encoder = encoder
        self._image_encoder = image_encoder

    def seen(self, observation: Observation) -> NDArray[np.float32]:
        """(K, F) rows of a place: itself, its ways, its nearest landmarks, its image."""
        nearest = sorted(observation.landmarks, key=lambda s: (s.distance_m, s.id))[:MOST_LANDMARKS]
        texts = [f"{len(observation.ways_deg)} ways", *map(landmark_words, nearest)]
        place, *names = self._encoder.encode(texts)
        rows = [self._row("place", embedding=place)]
        for way in observation.ways_deg:
            blocked = any(abs(angle_between_deg(way, closed)) < 1.0 for closed in observation.blocked_deg)
            rows.append(self._row("way", angle_between_deg(observation.heading_deg, way), flag=blocked))
        for sighting, name in zip(nearest, names, strict=True):
            relative = angle_between_deg(observation.heading_deg, sighting.bearing_deg)
            rows.append(self._row("landmark", relative, sighting.distance_m, name))
        return np.stack(rows + self._image_rows(observation))

    def remembered(self, memories: Sequence[Remembered], observation: Observation) -> NDArray[np.float32]:
        """(M, F) rows of what memory returned, as seen from here."""
        rows = np.zeros((len(memories), row_width(self.dimension)), np.float32)
        for row, memory in zip(rows, memories, strict=True):
            hit, heading = memory.hit, observation.heading_deg
            relative = angle_between_deg(heading, memory.bearing_deg)
            row[:] = self._row("memory", relative, memory.distance_m, hit.embedding, hit.cosine, hit.gone)
            if memory.way_deg is not None:
                way = math.radians(angle_between_deg(heading, memory.way_deg))
                row[self.dimension + GEOMETRY - 2 : self.dimension + GEOMETRY] = math.sin(way), math.cos(way)
        return rows

    def _image_rows(self, observation: Observation) -> list[NDArray[np.float32]]:
        if self._image_encoder is None or observation.image is None:
            return []
        patches = self._image_encoder(observation.image)
        relative = (np.arange(len(patches)) + 0.5) / len(patches) * 360.0 - 180.0
        return [self._row("image", angle, 0.0, patch) for angle, patch in zip(relative, patches, strict=True)]

    def _row(
        self,
        kind: str,
        relative_deg: float = 0.0,
        metres: float = 0.0,
        embedding: NDArray[np.float32] | None = None,
        cosine: float = 0.0,
        flag: bool = False,
    ) -> NDArray[np.float32]:
        row = np.zeros(row_width(self.dimension), np.float32)
        if embedding is not None:
            row[: self.dimension] = embedding
        angle = math.radians(relative_deg)
        geometry = (math.sin(angle), math.cos(angle), math.log1p(metres) / 5.0, cosine, float(flag))
        row[self.dimension : self.dimension + len(geometry)] = geometry
        row[self.dimension + GEOMETRY + KINDS.index(kind)] = 1.0
        return row
