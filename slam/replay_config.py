# SPDX-FileCopyrightText: The Mem4Nav stack developers
# SPDX-License-Identifier: Apache-2.0
"""All that can be configured of a replay, and of its live twin, in one file."""

from __future__ import annotations

from dataclasses import dataclass, field

from slam.gaussian_map.mapping_config import MappingConfig
from slam.io.settings import RecordingConfig
from slam.odometry_config import OdometryConfig


@dataclass(frozen=True, slots=True)
class JudgedMapping(MappingConfig):
    """How the map is built, with pictures kept apart to judge it by."""

    hold_out: int = 5
    """The last of so many pictures is used for nothing but judging the map, its scan for the pose alone; 0: none."""


@dataclass(frozen=True, slots=True)
class ReplayConfig:
    """What ``--config`` may hold, and what config.yaml beside the results does hold."""

    recording: RecordingConfig = field(default_factory=RecordingConfig)
    """How the recording is read, where it is not to be recognised."""
    odometry: OdometryConfig = field(default_factory=OdometryConfig)
    """The filter, its map and its health."""
    mapping: JudgedMapping = field(default_factory=JudgedMapping)
    """The Gaussian map, where the recording has pictures."""
