# SPDX-FileCopyrightText: The Mem4Nav stack developers
# SPDX-License-Identifier: Apache-2.0
"""LiDARs: which ray leaves when, and what comes back."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from sim_envs.city.materials import REFLECTIVITY
from sim_envs.city.motion import Motion
from sim_envs.city.moving import SceneHits, Track, cast_scene
from sim_envs.city.world import World
from sim_envs.errors import SimConfigError
from slam.measurements import Scan

_GOLDEN = 0.5 * (1.0 + np.sqrt(5.0))
_TURNS = 43.0


@dataclass(frozen=True, slots=True)
class LidarConfig:
    """A LiDAR and its errors.

    Attributes:
        pattern: "spinning" (all round, in rings) or "solid_state" (a rosette forward that never repeats).
        channels: rings; for solid_state, lines fired together.
        columns: firings a sweep.
        rate_hz: sweeps a second.
        fov_deg: (lowest, highest) elevation of the rings; for solid_state, half the cone is their mean distance.
        max_range_m: nothing comes back from further.
        min_range_m: nothing comes back from nearer.
        range_noise_m: standard deviation of the range.
        dropout: share of returns lost at random.
        intensity_noise: standard deviation of the intensity, on its scale of 0 to 255.
    """

    pattern: Literal["spinning", "solid_state"] = "spinning"
    channels: int = 32
    columns: int = 1024
    rate_hz: float = 10.0
    fov_deg: tuple[float, float] = (-25.0, 15.0)
    max_range_m: float = 100.0
    min_range_m: float = 0.5
    range_noise_m: float = 0.02
    dropout: float = 0.02
    intensity_noise: float = 3.0

    def __post_init__(self) -> None:
        if self.channels < 1 or self.columns < 1 or self.rate_hz <= 0:
            raise SimConfigError(f"{self.channels} channels x {self.columns} columns at {self.rate_hz} Hz: no sweep")
        if not 0.0 <= self.min_range_m < self.max_range_m:
            raise SimConfigError(f"range from {self.min_range_m} to {self.max_range_m} m is empty")
        if self.pattern not in ("spinning", "solid_state"):
            raise SimConfigError(f"pattern is {self.pattern!r}: 'spinning' or 'solid_state'")

    @property
    def period_ns(self) -> int:
        """Length of a sweep."""
        return round(1e9 / self.rate_hz)


@dataclass(frozen=True, slots=True)
class Lidar:
    """A LiDAR on the vehicle.

    Attributes:
        config: what it is.
        T_base_lidar: (4, 4) LiDAR frame into base_link.
        seed: of its errors.
    """

    config: LidarConfig
    T_base_lidar: NDArray[np.float64]
    seed: int
    _sweep: NDArray[np.float64] = field(default_factory=lambda: np.zeros((0, 3)), repr=False)

    def scan(self, index: int, start_ns: int, world: World, tracks: Sequence[Track], motion: Motion) -> Scan:
        """The sweep number ``index``; its header stamp is ``start_ns`` + index * period, its first firing.

        Points are in the LiDAR frame at each point's own time, in firing order; rays that return
        nothing are left out. Intensity is 0 to 255.
        """
        config = self.config
        offsets = self.column_offsets_ns()
        time = 1e-9 * (index * config.period_ns + offsets)
        directions = self.directions(index)
        rotation, position = motion.pose(time)
        turn = rotation @ self.T_base_lidar[:3, :3]
        origins = position + rotation @ self.T_base_lidar[:3, 3]
        rays = np.einsum("cij,crj->cri", turn, directions).reshape(-1, 3)
        each = config.channels
        hits = cast_scene(
            world.static, tracks, np.repeat(origins, each, axis=0), rays, np.repeat(time, each), config.max_range_m
        )
        stamp = start_ns + index * config.period_ns
        return self._returns(
            index, stamp, hits, rays, directions.reshape(-1, 3), np.repeat(offsets, each), world, tracks
        )

    def column_offsets_ns(self) -> NDArray[np.int64]:
        """(columns,) firing times within a sweep."""
        return np.arange(self.config.columns, dtype=np.int64) * self.config.period_ns // self.config.columns

    def directions(self, index: int) -> NDArray[np.float64]:
        """(columns, channels, 3) unit rays of sweep ``index``, in the LiDAR frame."""
        if self.config.pattern == "spinning":
            return spinning_rays(self.config)
        return rosette_rays(self.config, index)

    def rings(self, points: NDArray[np.floating]) -> NDArray[np.uint16]:
        """(N,) ring number, lowest first, that each point (N, 3) was measured by; 0 for solid state."""
        if self.config.pattern != "spinning" or self.config.channels == 1:
            return np.zeros(len(points), np.uint16)
        elevation = np.degrees(np.arctan2(points[:, 2], np.hypot(points[:, 0], points[:, 1])))
        low, high = self.config.fov_deg
        place = np.nan_to_num((elevation - low) / (high - low) * (self.config.channels - 1))
        return np.clip(np.rint(place), 0, self.config.channels - 1).astype(np.uint16)

    def _returns(
        self,
        index: int,
        stamp_ns: int,
        hits: SceneHits,
        rays: NDArray[np.float64],
        directions: NDArray[np.float64],
        offsets: NDArray[np.int64],
        world: World,
        tracks: Sequence[Track],
    ) -> Scan:
        config = self.config
        rng = np.random.default_rng([self.seed, 0x11DA, index])
        noise = rng.standard_normal(len(rays), np.float32)
        lucky = rng.random(len(rays), np.float32) >= config.dropout
        kept = np.flatnonzero(lucky & (hits.distance >= config.min_range_m) & (hits.distance <= config.max_range_m))
        distance = hits.distance[kept] + config.range_noise_m * noise[kept]
        points = (directions[kept] * distance[:, None]).astype(np.float32)
        facing = np.abs(np.sum(rays[kept] * hits.normal[kept], axis=1))
        facing /= np.maximum(np.linalg.norm(hits.normal[kept], axis=1), 1e-9)
        material = hit_material(hits, kept, world, tracks)
        intensity = 255.0 * REFLECTIVITY[material] * (0.25 + 0.75 * facing)
        intensity += config.intensity_noise * rng.standard_normal(len(kept), np.float32)
        return Scan(stamp_ns, points, offsets[kept], np.clip(intensity, 0.0, 255.0).astype(np.float32))


def hit_material(hits: SceneHits, rays: NDArray[np.int64], world: World, tracks: Sequence[Track]) -> NDArray[np.uint8]:
    """(N,) materials that these rays (which all hit something) met."""
    static = hits.track[rays] < 0
    material = np.empty(len(rays), np.uint8)
    material[static] = world.mesh.material[hits.face[rays[static]]]
    for index in np.unique(hits.track[rays[~static]]):
        those = hits.track[rays] == index
        material[those] = tracks[index].model.mesh.material[hits.face[rays[those]]]
    return material


def spinning_rays(config: LidarConfig) -> NDArray[np.float64]:
    """(columns, channels, 3): clockwise from straight behind, lowest ring first."""
    azimuth = np.pi - 2.0 * np.pi * np.arange(config.columns)[:, None] / config.columns
    low, high = np.radians(config.fov_deg)
    elevation = np.linspace(low, high, config.channels) if config.channels > 1 else np.array([0.5 * (low + high)])
    flat = np.cos(elevation)
    return np.stack(
        [np.cos(azimuth) * flat, np.sin(azimuth) * flat, np.broadcast_to(np.sin(elevation), (len(azimuth), len(flat)))],
        axis=-1,
    )


def rosette_rays(config: LidarConfig, index: int) -> NDArray[np.float64]:
    """(columns, channels, 3): two prisms turning at rates whose ratio is irrational, so no sweep repeats another.

    The radius of the rosette is |cos| of one angle, its azimuth the other (as two counter-turning
    wedge prisms make it); the lines of one firing are spread across the azimuth.
    """
    firing = index * config.columns + np.arange(config.columns)
    turns = firing[:, None] / config.columns * _TURNS
    petal = 2.0 * np.pi * (turns * _GOLDEN + np.arange(config.channels) / config.channels)
    azimuth = 2.0 * np.pi * (turns * 0.3819660113 + np.arange(config.channels) / config.channels)
    half = np.radians(0.5 * (config.fov_deg[1] - config.fov_deg[0]))
    away = half * np.cos(petal)
    return np.stack([np.cos(away), np.sin(away) * np.cos(azimuth), np.sin(away) * np.sin(azimuth)], axis=-1)


def lidar_preset(
    pattern: Literal["spinning", "solid_state"], channels: int | None = None, columns: int | None = None
) -> LidarConfig:
    """The usual sensor of a pattern: 32 x 1024 all round, or 24,000 points a sweep in a cone of 70 degrees."""
    if pattern == "spinning":
        return LidarConfig(channels=channels or 32, columns=columns or 1024)
    return LidarConfig("solid_state", channels or 6, columns or 4000, fov_deg=(-35.0, 35.0))
