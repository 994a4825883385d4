# SPDX-FileCopyrightText: The Mem4Nav stack developers
# SPDX-License-Identifier: Apache-2.0
"""What goes wrong in front of a camera's sensor, or on it."""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from slam.measurements import Image

_SHADOW = 0.1
"""Width of a cover's edge as a share of the picture: it lies on the lens, far out of focus."""


def blinded(image: Image, value: int) -> Image:
    """The picture with every pixel at ``value`` (0 to 255)."""
    return replace(image, pixels=np.full_like(image.pixels, value))


def covered(image: Image, share: float) -> Image:
    """The picture with this share of its width dark, from the left; the dark part's edge is soft."""
    width = image.pixels.shape[1]
    across = (np.arange(width) + 0.5) / width
    light = np.clip((across - share) / _SHADOW + 0.5, 0.0, 1.0)
    light = light.reshape(1, width, *[1] * (image.pixels.ndim - 2))
    return replace(image, pixels=np.rint(image.pixels * light).astype(np.uint8))
