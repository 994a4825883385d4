# SPDX-FileCopyrightText: The Mem4Nav stack developers
# SPDX-License-Identifier: Apache-2.0
"""Words and sights as unit vectors of one memory, without a trained model.

A vector is [words ; sight]: what has a label has no sight, a view has no words, and a place has both. Hence a question
in words never meets a view by chance, nor a picture a label.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from mem4nav.memory import TextEncoder

SIGHT_SIDE = 16
SIGHT = SIGHT_SIDE * SIGHT_SIDE


class Embedder:
    """Serves a memory as its ``TextEncoder``.

    Args:
        words: embeds labels and questions.
    """

    def __init__(self, words: TextEncoder) -> None:
        self._words = words
        self.dimension = words.dimension + SIGHT

    def encode(self, texts: Sequence[str]) -> NDArray[np.float32]:
        """(N, dimension) unit vectors of labels or questions."""
        vectors = np.zeros((len(texts), self.dimension), np.float32)
        vectors[:, : self._words.dimension] = self._words.encode(texts)
        return vectors

    def view(self, pixels: NDArray[np.uint8]) -> NDArray[np.float32]:
        """(dimension,) unit vector of a (H, W, 3) or (H, W) picture."""
        vector = np.zeros(self.dimension, np.float32)
        vector[self._words.dimension :] = tiny_image(pixels)
        return vector

    def place(self, labels: Sequence[str], pixels: NDArray[np.uint8] | None) -> NDArray[np.float32]:
        """(dimension,) unit vector of a place, from what is seen there; without anything seen, that of no word."""
        total = self.encode([" ".join(labels)])[0]
        if pixels is not None:
            total += self.view(pixels)
        return total / np.linalg.norm(total)


def tiny_image(pixels: NDArray[np.uint8]) -> NDArray[np.float32]:
    """(SIGHT,) unit vector of a picture: its light and shade on a grid of 16 x 16 cells, mean 0.

    So coarse a picture still tells places apart along a route (SeqSLAM: Milford and Wyeth, ICRA 2012), and changes of
    exposure leave it as it is. A picture without any contrast becomes the first axis.
    """
    grey = Image.fromarray(pixels).convert("L").resize((SIGHT_SIDE, SIGHT_SIDE), Image.Resampling.BOX)
    cells = np.asarray(grey, np.float32).ravel()
    cells -= cells.mean()
    length = float(np.linalg.norm(cells))
    return cells / length if length > 1e-3 else np.eye(1, SIGHT, dtype=np.float32)[0]
