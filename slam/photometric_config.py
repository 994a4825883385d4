# SPDX-FileCopyrightText: The Mem4Nav stack developers
# SPDX-License-Identifier: Apache-2.0
"""Settings of the update by the camera."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class PhotometricConfig:
    """The update by the camera, and when it abstains."""

    blurs_px: tuple[float, ...] = (4.0, 2.0, 1.0)
    """Coarse to fine: standard deviations of the blur of rendering and picture, pixels."""
    pixels: int = 3000
    """Anchors, picked where the gradient is large."""
    least_pixels: int = 400
    """With fewer the update abstains."""
    least_alpha: float = 0.8
    """Pixels of a rendering that are covered less are no anchors."""
    use_keyframe: bool = True
    """Hold pictures against the last keyframe's, at the map's depths; else against the map's rendering alone."""
    depth_sigma_m: float = 0.03
    """Standard deviation of the map's depths, by which they are laid on the LiDAR's planes, metres."""
    max_iterations: int = 6
    """At each blur."""
    converged_deg: float = 0.002
    """Rotation below which the iteration stops, degrees."""
    converged_m: float = 0.0005
    """Translation below which the iteration stops, metres."""
    independent_pixels: float = 300.0
    """Neighbouring pixels share the errors of the map: so many count as independent."""
    tau_sigma: float = 0.3
    """Standard deviation of the inverse exposure from one picture to the next: it may jump."""
    least_correlation: float = 0.75
    """Of anchors and picture at the end, or the update abstains."""
    largest_rms: float = 0.12
    """Brightness by which they may still differ then."""
    least_in_view: float = 0.6
    """Share of the anchors that the picture must still show."""
    largest_surprise: float = 5.0
    """Standard deviations of the prior that the update may move the pose by."""
    darkest: float = 0.03
    """Mean brightness of a picture below which it is dark, and above one minus which it is white."""
    least_contrast: float = 0.015
    """Standard deviation of the brightness below which a picture shows nothing."""
