# SPDX-FileCopyrightText: The Mem4Nav stack developers
# SPDX-License-Identifier: Apache-2.0
"""Lettering: texts drawn once, looked up by the renderer."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

GLYPH_PX = 40
_MARGIN_PX = 6


@dataclass(frozen=True, slots=True)
class SignAtlas:
    """All texts side by side.

    Attributes:
        pixels: (H, W) uint8, how much of each pixel the letters cover, 0 to 255; row 0 is the top.
        starts: (S + 1,) int64 column where each sign begins; sign i ends where i + 1 begins.
    """

    pixels: NDArray[np.uint8]
    starts: NDArray[np.int64]


def draw_signs(texts: Sequence[str]) -> SignAtlas:
    """An atlas with these texts in the order given."""
    from PIL import ImageFont

    font = ImageFont.load_default(GLYPH_PX)
    drawn = [_draw(text, font) for text in texts] or [np.zeros((GLYPH_PX, 1), np.uint8)]
    height = max(image.shape[0] for image in drawn)
    padded = [np.pad(image, ((0, height - image.shape[0]), (0, 0))) for image in drawn]
    starts = np.cumsum([0] + [image.shape[1] for image in drawn])
    return SignAtlas(np.ascontiguousarray(np.concatenate(padded, axis=1)), starts.astype(np.int64))


def sign_width(text: str, height: float) -> float:
    """Roughly how wide a sign of that height (metres) must be for its letters not to be squeezed."""
    return height * (0.62 * len(text) + 0.6)


def _draw(text: str, font) -> NDArray[np.uint8]:
    from PIL import Image, ImageDraw

    stroke = 1
    left, top, right, bottom = font.getbbox(text, stroke_width=stroke)
    size = (int(right - left) + 2 * _MARGIN_PX, int(1.45 * GLYPH_PX))
    image = Image.new("L", size, 0)
    middle = (0.5 * (size[0] - left - right), 0.5 * (size[1] - top - bottom))
    ImageDraw.Draw(image).text(middle, text, fill=255, font=font, stroke_width=stroke, stroke_fill=255)
    return np.asarray(image)
