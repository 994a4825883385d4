# SPDX-FileCopyrightText: The Mem4Nav stack developers
# SPDX-License-Identifier: Apache-2.0
"""PNG and JPEG to arrays."""

from __future__ import annotations

from io import BytesIO
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from slam.errors import RecordingError


def decode_picture(source: Path | bytes) -> NDArray[np.uint8]:
    """(H, W, 3) uint8 RGB, or (H, W) uint8 for a grey picture, from a file or its bytes.

    Raises:
        RecordingError: not a picture, or cut off.
    """
    from PIL import Image as Pillow
    from PIL import UnidentifiedImageError

    name = str(source) if isinstance(source, Path) else f"picture of {len(source)} bytes"
    try:
        with Pillow.open(source if isinstance(source, Path) else BytesIO(source)) as picture:
            return np.asarray(picture.convert("L" if picture.mode in ("1", "L", "I;16") else "RGB"))
    except (UnidentifiedImageError, OSError, SyntaxError, ValueError) as err:
        raise RecordingError(f"{name} cannot be decoded: {err}") from None
