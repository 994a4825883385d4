# SPDX-FileCopyrightText: The Mem4Nav stack developers
# SPDX-License-Identifier: Apache-2.0
"""Which scene is opened, and what the walker is and sees."""

from __future__ import annotations

from dataclasses import dataclass, field
from enum import Enum
from pathlib import Path

import numpy as np

from sim_envs.errors import SimConfigError


class SensorKind(str, Enum):
    """What a sensor measures in each pixel."""

    RGB = "rgb"
    DEPTH = "depth"
    SEMANTIC = "semantic"


_PIXEL = {
    SensorKind.RGB: (np.dtype(np.uint8), 4),
    SensorKind.DEPTH: (np.dtype(np.float32), 1),
    SensorKind.SEMANTIC: (np.dtype(np.uint32), 1),
}


@dataclass(frozen=True, slots=True)
class SensorConfig:
    """One camera.

    Attributes:
        name: under which its picture comes.
        kind: what it measures.
        height_px, width_px: of the picture.
        eye_m: above the ground.
        hfov_deg: horizontal opening angle; of no meaning in a panorama.
        panorama: equirectangular, all round; the middle column looks ahead, columns run to the right.
        yaw_deg: to the left of straight ahead.
        far_m: what is further away is not drawn: the nearer, the faster.
    """

    name: str
    kind: SensorKind
    height_px: int = 480
    width_px: int = 640
    eye_m: float = 1.5
    hfov_deg: float = 90.0
    panorama: bool = False
    yaw_deg: float = 0.0
    far_m: float = 1000.0

    @property
    def dtype(self) -> np.dtype:
        """Of a pixel's channels."""
        return _PIXEL[self.kind][0]

    @property
    def shape(self) -> tuple[int, ...]:
        """As Habitat writes it: RGB with a fourth channel."""
        channels = _PIXEL[self.kind][1]
        return (self.height_px, self.width_px, channels) if channels > 1 else (self.height_px, self.width_px)

    @property
    def size_bytes(self) -> int:
        """Of a picture."""
        return int(np.prod(self.shape)) * self.dtype.itemsize


@dataclass(frozen=True, slots=True)
class AgentBody:
    """The walker: what is walkable follows from it.

    Attributes:
        height_m, radius_m: of its cylinder.
        climb_m: highest step that it takes.
        slope_deg: steepest ground that it walks.
        forward_m: length of a step.
        turn_deg: of a turn.
    """

    height_m: float = 1.5
    radius_m: float = 0.3
    climb_m: float = 0.2
    slope_deg: float = 30.0
    forward_m: float = 0.25
    turn_deg: float = 15.0


@dataclass(frozen=True, slots=True)
class HabitatConfig:
    """A scene and who walks it.

    Attributes:
        scene: *.stage_config.json, or what a dataset configuration calls a scene.
        dataset: *.scene_dataset_config.json of HM3D, Replica or one's own; None: the scene stands alone.
        navmesh: read where it exists; made and stored there otherwise. None: the scene's own.
        cell_m: side of a cell of a navmesh that is made.
        sensors: at least one, as Habitat makes no renderer and then no navmesh without.
        body: the walker.
        open_s, answer_s: longest wait for a scene to open, and for any other answer.
    """

    scene: Path
    dataset: Path | None = None
    navmesh: Path | None = None
    cell_m: float = 0.1
    sensors: tuple[SensorConfig, ...] = field(
        default_factory=lambda: (SensorConfig("rgb", SensorKind.RGB), SensorConfig("depth", SensorKind.DEPTH))
    )
    body: AgentBody = field(default_factory=AgentBody)
    open_s: float = 240.0
    answer_s: float = 60.0

    def __post_init__(self) -> None:
        names = [sensor.name for sensor in self.sensors]
        if not names or len(set(names)) < len(names):
            raise SimConfigError(f"sensors are {names}: at least one is needed, and each name once")
        if not 0.02 <= self.cell_m <= 0.2:
            raise SimConfigError(f"cell_m is {self.cell_m}: navmeshes are sound with cells of 0.02 to 0.2 m")
