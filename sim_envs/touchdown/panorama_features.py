# SPDX-FileCopyrightText: The Mem4Nav stack developers
# SPDX-License-Identifier: Apache-2.0
"""Image features of panoramas, for those who hold the licence: a folder of .npy files in one of the known layouts.

The publications store pickles (ORAR, VELMA) and torch files (FLAME), which run code when they are opened and are not
read here; docs/evaluation.md has the few lines that turn one's own copy into such a folder.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

from sim_envs.errors import PanoramaFeatureError


@dataclass(frozen=True, slots=True)
class Layout:
    """How the features of a publication lie.

    Attributes:
        shape: of one array; None where the publication leaves a size open.
        by_heading: one array for each link's heading, in PANO_HEADING.npy with whole degrees; else one for the whole
            panorama, in PANO.npy, the panorama's yaw in the middle of axis 1.
        what: the network and the layer.
    """

    shape: tuple[int | None, ...]
    by_heading: bool
    what: str


LAYOUTS = {
    "touchdown": Layout((100, 464, 128), False, "ResNet-18, fourth to last layer, Touchdown (Chen et al. 2019)"),
    "orar-fourth-to-last": Layout(
        (100, 100), True, "ResNet-18, fourth to last layer, averaged over its channels (ORAR)"
    ),
    "orar-pre-final": Layout((5, 2048), True, "ResNet-50, views at -90, -45, 0, 45 and 90 degrees (ORAR)"),
    "orar-segmentation": Layout((5, 25), True, "shares of 25 classes in the same five views (ORAR)"),
    "velma": Layout((5, None), True, "CLIP image embeddings of the same five views, unit vectors (VELMA)"),
    "flame": Layout((None, None), True, "tokens of FLAME's vision encoder; their number depends on its checkpoint"),
}


class FeatureSource(Protocol):
    """What the panorama at a place looks like, in numbers."""

    def at(self, place: str, heading_deg: float) -> NDArray[np.float32]:
        """Features of a place as seen facing a heading.

        Raises:
            PanoramaFeatureError: where there are none, or of another shape than was said.
        """
        ...


class PanoramaFeatures:
    """Features from a folder of .npy files.

    Args:
        folder: holds PANO.npy or PANO_HEADING.npy.
        layout: one of LAYOUTS, or one's own.
        yaws_deg: compass heading of each panorama's middle; needed where a layout has whole panoramas.

    Raises:
        PanoramaFeatureError: for a folder or layout that is not there.
    """

    def __init__(self, folder: str | Path, layout: str | Layout, yaws_deg: Mapping[str, float] | None = None) -> None:
        if isinstance(layout, str) and layout not in LAYOUTS:
            raise PanoramaFeatureError(
                f"unknown layout {layout!r} of panorama features: known are {', '.join(LAYOUTS)}"
            )
        self.layout = LAYOUTS[layout] if isinstance(layout, str) else layout
        self._folder = Path(folder)
        self._yaws = yaws_deg or {}
        if not self._folder.is_dir():
            raise PanoramaFeatureError(f"{folder} is no folder: panorama features lie in one as .npy files")

    def at(self, place: str, heading_deg: float) -> NDArray[np.float32]:
        """Features of a place as seen facing a heading, float32; of a whole panorama, the heading in its middle."""
        if self.layout.by_heading:
            return self._load(f"{place}_{round(heading_deg) % 360}.npy")
        if place not in self._yaws:
            raise PanoramaFeatureError(f"the yaw of panorama {place!r} is not known: its features cannot be turned")
        features = self._load(f"{place}.npy")
        return np.roll(features, round(features.shape[1] * (self._yaws[place] - heading_deg) / 360.0), axis=1)

    def _load(self, name: str) -> NDArray[np.float32]:
        path = self._folder / name
        try:
            features = np.load(path, allow_pickle=False)
        except (OSError, ValueError, EOFError) as error:
            raise PanoramaFeatureError(f"cannot read {path}: {error}") from None
        shape = self.layout.shape
        sizes_fit = all(wanted in (None, size) for wanted, size in zip(shape, features.shape, strict=False))
        if features.ndim != len(shape) or not sizes_fit or not np.issubdtype(features.dtype, np.number):
            wanted = tuple("any" if size is None else size for size in shape)
            raise PanoramaFeatureError(
                f"{path} holds {features.dtype} of shape {features.shape}, not {wanted} ({self.layout.what}): "
                "another layout?"
            )
        return features.astype(np.float32, copy=False)
