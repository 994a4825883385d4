# SPDX-FileCopyrightText: The Mem4Nav stack developers
# SPDX-License-Identifier: Apache-2.0
"""Settings of the Gaussian map's building and fitting."""

from __future__ import annotations

from dataclasses import dataclass, field

from slam.gaussian_map.adam import LearningRates
from slam.gaussian_map.map_config import GaussianMapConfig
from slam.gaussian_map.refine import RefineConfig
from slam.gaussian_map.seeding import SeedConfig
from slam.gpu import Backend


@dataclass(frozen=True, slots=True)
class KeyframeConfig:
    """Which pictures build the map."""

    move_m: float = 0.2
    """A picture is a keyframe when the camera has moved so far since the last one, metres."""
    turn_deg: float = 3.0
    """... or turned so far, degrees."""
    fitted_together: int = 4
    """So many of the last keyframes are fitted together."""
    least_taken: int = 3
    """After so many keyframes the map is good enough to look for a pose by it, ..."""
    least_gaussians: int = 5000
    """... or as soon as it holds so many Gaussians."""


@dataclass(frozen=True, slots=True)
class FitConfig:
    """How the Gaussians are fitted to the keyframes."""

    steps: int = 8
    """Steps of Adam a keyframe, where no time budget is given."""
    paint_rounds: int = 2
    """Before these the colours are brought near the new keyframe's in so many rounds."""
    ssim_share: float = 0.2
    """Weight of D-SSIM against L1."""
    depth_weight: float = 1.0
    """Weight of the relative error of the depth at LiDAR returns; 0 fits the colour alone."""
    cover_weight: float = 0.5
    """Weight of what is left uncovered on pixels near a return."""
    near_px: float = 6.0
    """Colour is compared on pixels so near to a return, ..."""
    covered: float = 0.5
    """... or covered by so much alpha."""
    moving_m: float = 0.5
    """A return that is off the rendered depth by more than this and ``moving_share`` belongs to something moving."""
    moving_share: float = 0.1
    """See ``moving_m``."""
    moving_px: int = 3
    """The picture is masked so far round such returns, pixels."""
    mask_moving: bool = True
    """Leave the colours of moving objects out."""


@dataclass(frozen=True, slots=True)
class MappingConfig:
    """Everything the mapper can be told."""

    backend: Backend = "auto"
    """What renders and fits: cpu, cuda, or cuda where there is a device."""
    scale: float = 0.5
    """Of the pictures' resolution."""
    hold_out: int = 0
    """The last of so many pictures is used for nothing but judging the map, its scan for the pose alone; 0: none."""
    judge_after: int = 2
    """A held-out picture is judged when so many keyframes have followed it; 0: at the end."""
    reach_m: float = 110.0
    """Gaussians farther than this are not looked at, metres."""
    detail_px: float = 1.0
    """Cells that look smaller are each shown by one Gaussian, which is not fitted; 0: none are."""
    largest_sigma: float = 4.0
    """Standard deviations grow no larger than this, in sides of the Gaussian's cell."""
    most_in_window: int = 200_000
    """Where more Gaussians than this are in view, the window reaches less far."""
    refine_every: int = 5
    """Keyframes between two looks at what to split, merge and prune; 0: never."""
    windowed: bool = True
    """Keep what the keyframes see in a contiguous window; else all of the map."""
    map: GaussianMapConfig = field(default_factory=GaussianMapConfig)
    """Which cells there are."""
    keyframes: KeyframeConfig = field(default_factory=KeyframeConfig)
    """Which pictures are taken."""
    seeding: SeedConfig = field(default_factory=SeedConfig)
    """How a Gaussian begins."""
    fit: FitConfig = field(default_factory=FitConfig)
    """How it is fitted."""
    refine: RefineConfig = field(default_factory=RefineConfig)
    """Where the map is made finer, coarser or emptier."""
    rates: LearningRates = field(default_factory=LearningRates)
    """How far a step goes."""
