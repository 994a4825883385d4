# SPDX-FileCopyrightText: The Mem4Nav stack developers
# SPDX-License-Identifier: Apache-2.0
"""What a detector was trained on, in numbers, and what of another rig will hurt it, in plain sentences."""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, fields

import numpy as np
from numpy.typing import NDArray

from detection.errors import CheckpointError
from detection.sample import Sample

Range = tuple[float, float, float]
"""The 5th, 50th and 95th percentile over samples; NaN where nothing was measured."""

MOST_SAMPLES = 1000
"""The first so many samples of a training stand for all."""
GROUND_BIN_M, GROUND_NEAR_M, GROUND_FAR_M = 0.1, 2.0, 25.0
FEWEST_RETURNS = 50


@dataclass(frozen=True, slots=True)
class Inputs:
    """One sample in numbers; NaN where there is no LiDAR, or no camera.

    Attributes:
        returns: LiDAR points of the current sweep.
        past: sweeps' worth of older points: all points over those of the current sweep, less one.
        ground_m: height of the ground in base_link; 0 where base_link's origin stands on it.
        lidar_m: height of the LiDAR over that ground.
        low_m, high_m: 1st and 99th percentile of the points' heights over ground.
        far_m: 95th percentile of the points' distances from the LiDAR.
        down_deg, up_deg: 1st and 99th percentile of their elevations.
        around_deg: how much of a full turn holds points.
        intensity: median intensity.
        bright: 99th percentile of it.
        cameras: number of pictures.
        width_px, height_px: median size of the pictures.
        fov_deg: their median horizontal field of view.
        camera_m: median height of the cameras over ground.
    """

    returns: float
    past: float
    ground_m: float
    lidar_m: float
    low_m: float
    high_m: float
    far_m: float
    down_deg: float
    up_deg: float
    around_deg: float
    intensity: float
    bright: float
    cameras: float
    width_px: float
    height_px: float
    fov_deg: float
    camera_m: float


@dataclass(frozen=True, slots=True)
class InputStatistics:
    """The samples of a training in numbers.

    Attributes:
        samples: how many were looked at.
        ranges: by name of a field of ``Inputs``.
    """

    samples: int
    ranges: dict[str, Range]

    @classmethod
    def of(cls, inputs: Sequence[Inputs]) -> InputStatistics:
        """Over what was measured of any number of samples."""
        ranges = {}
        for one in fields(Inputs):
            values = np.array([getattr(row, one.name) for row in inputs])
            values = values[np.isfinite(values)]
            low, middle, high = np.percentile(values, (5.0, 50.0, 95.0)) if len(values) else (math.nan,) * 3
            ranges[one.name] = (float(low), float(middle), float(high))
        return cls(len(inputs), ranges)

    def to_json(self) -> dict[str, object]:
        """Plain values; null for NaN."""
        plain = {name: [None if math.isnan(v) else v for v in values] for name, values in self.ranges.items()}
        return {"samples": self.samples, "ranges": plain}

    @classmethod
    def from_json(cls, plain: dict[str, object]) -> InputStatistics:
        """What ``to_json`` gave.

        Raises:
            CheckpointError: something else.
        """
        try:
            ranges = {
                one.name: tuple(math.nan if v is None else float(v) for v in plain["ranges"][one.name])  # type: ignore[index]
                for one in fields(Inputs)
            }
            return cls(int(plain["samples"]), ranges)  # type: ignore[arg-type]
        except (KeyError, TypeError, ValueError) as error:
            raise CheckpointError(f"statistics of the training data are damaged: {error!r}") from error


def inputs_of(sample: Sample) -> Inputs:
    """A sample in numbers."""
    now = sample.points[sample.points[:, 4] <= 0.0]
    xyz, origin = now[:, :3].astype(np.float64), sample.lidar_origin
    ground = ground_height(xyz, origin)
    above = 0.0 if math.isnan(ground) else ground
    away = xyz - origin
    distance = np.linalg.norm(away, axis=1)
    elevation = np.degrees(np.arcsin(np.clip(away[:, 2] / np.maximum(distance, 1e-6), -1.0, 1.0)))
    sector = np.unique(np.floor(np.degrees(np.arctan2(away[:, 1], away[:, 0])) / 10.0))
    any_returns = len(now) > 0
    cameras = [view.camera for view in sample.views]
    return Inputs(
        returns=float(len(now)) if any_returns else math.nan,
        past=len(sample.points) / len(now) - 1.0 if any_returns else math.nan,
        ground_m=ground,
        lidar_m=float(origin[2]) - ground,
        low_m=_percentile(xyz[:, 2], 1.0) - above,
        high_m=_percentile(xyz[:, 2], 99.0) - above,
        far_m=_percentile(distance, 95.0),
        down_deg=_percentile(elevation, 1.0),
        up_deg=_percentile(elevation, 99.0),
        around_deg=10.0 * len(sector) if any_returns else math.nan,
        intensity=_percentile(now[:, 3], 50.0),
        bright=_percentile(now[:, 3], 99.0),
        cameras=float(len(cameras)),
        width_px=_percentile([camera.width for camera in cameras], 50.0),
        height_px=_percentile([camera.height for camera in cameras], 50.0),
        fov_deg=_percentile([2.0 * math.degrees(math.atan(c.width / (2.0 * c.K[0, 0]))) for c in cameras], 50.0),
        camera_m=_percentile([camera.T_base_camera[2, 3] - above for camera in cameras], 50.0),
    )


def ground_height(points: NDArray[np.floating], lidar_origin: NDArray[np.float64]) -> float:
    """Height of the ground near the LiDAR in the points' frame, metres: where most points under the LiDAR lie.

    Args:
        points: (P, 3), metres.
        lidar_origin: (3,) where the LiDAR sits.

    Returns:
        NaN where fewer than 50 points lie lower than the LiDAR, 2 to 25 m away from it.
    """
    away = np.linalg.norm(points[:, :2] - lidar_origin[:2], axis=1)
    low = points[(away > GROUND_NEAR_M) & (away < GROUND_FAR_M) & (points[:, 2] < lidar_origin[2] - 0.1), 2]
    if len(low) < FEWEST_RETURNS:
        return math.nan
    bins = np.floor(low / GROUND_BIN_M).astype(np.int64)
    counts = np.bincount(bins - bins.min())
    # Two neighbouring bins as one, so that a level ground at their border is not halved.
    first = int(np.argmax(counts + np.append(counts[1:], 0))) + bins.min()
    return float(np.median(low[(bins == first) | (bins == first + 1)]))


def compare(statistics: InputStatistics, samples: Sample | Iterable[Sample]) -> list[str]:
    """One sentence for each thing that differs enough from the training to hurt; none where nothing does.

    Args:
        samples: one sample, or a few of one rig, whose medians are taken.
    """
    samples = [samples] if isinstance(samples, Sample) else list(samples)
    if not samples:
        return []
    now = InputStatistics.of([inputs_of(sample) for sample in samples])
    return [*_missing(statistics, now), *_lidar(statistics, now), *_cameras(statistics, now)]


def _missing(trained: InputStatistics, now: InputStatistics) -> list[str]:
    found = []
    if math.isnan(now.ranges["returns"][1]):
        found.append("there are no LiDAR points: only what the cameras see is found, and its distance is a guess")
    if now.ranges["cameras"][1] == 0.0:
        found.append("there are no pictures: kinds of things that look alike in shape cannot be told apart")
    elif now.ranges["cameras"][1] < trained.ranges["cameras"][0]:
        found.append(f"{now.ranges['cameras'][1]:.0f} cameras against {trained.ranges['cameras'][1]:.0f} in training")
    return found


def _lidar(trained: InputStatistics, now: InputStatistics) -> list[str]:
    found = []
    if abs(ground := now.ranges["ground_m"][1]) > 0.3:
        found.append(
            f"the ground lies at {ground:+.1f} m in base_link: its origin is not on the ground, and boxes will float"
        )
    for name, sensor in (("lidar_m", "LiDAR sits"), ("camera_m", "cameras sit")):
        if off := _beyond(trained, now, name, slack=0.3):
            here, there = now.ranges[name][1], trained.ranges[name][1]
            found.append(
                f"the {sensor} {abs(here - there):.1f} m {'lower' if off < 0.0 else 'higher'} than in training: "
                f"{here:.1f} m over ground against {there:.1f} m"
            )
    if _differs(trained, now, "returns"):
        found.append(f"{_pair(trained, now, 'returns', ',.0f')} points a scan in training")
    if _differs(trained, now, "far_m"):
        found.append(f"most points lie within {_pair(trained, now, 'far_m', '.0f')} m in training")
    if _beyond(trained, now, "past", slack=0.9):
        found.append(f"{_pair(trained, now, 'past', '.0f')} past sweeps in training")
    if _beyond(trained, now, "around_deg", slack=45.0):
        found.append(f"the LiDAR looks {_pair(trained, now, 'around_deg', '.0f')} degrees around in training")
    if _beyond(trained, now, "up_deg", slack=8.0) or _beyond(trained, now, "down_deg", slack=8.0):
        here, there = (f"{s.ranges['down_deg'][1]:+.0f} to {s.ranges['up_deg'][1]:+.0f}" for s in (now, trained))
        found.append(f"the LiDAR's beams go from {here} degrees of elevation against {there} in training")
    return found + _intensity(trained, now)


def _intensity(trained: InputStatistics, now: InputStatistics) -> list[str]:
    if now.ranges["bright"][1] > 2.0:
        return [f"intensities go up to {now.ranges['bright'][1]:.0f}: they must be scaled to [0, 1]"]
    if _beyond(trained, now, "intensity", slack=0.15):
        return [f"the median intensity is {_pair(trained, now, 'intensity', '.2f')} in training"]
    return []


def _cameras(trained: InputStatistics, now: InputStatistics) -> list[str]:
    found = []
    if _beyond(trained, now, "fov_deg", slack=12.0):
        found.append(f"the cameras see {_pair(trained, now, 'fov_deg', '.0f')} degrees across in training")
    shapes = [s.ranges["width_px"][1] / s.ranges["height_px"][1] for s in (now, trained)]
    if abs(turn := math.log(shapes[0] / shapes[1])) > 0.25:
        here, there = (f"{s.ranges['width_px'][1]:.0f} x {s.ranges['height_px'][1]:.0f}" for s in (now, trained))
        loss = "they are padded below" if turn > 0.0 else "their upper part is cut off"
        found.append(f"pictures of {here} pixels against {there} in training: {loss}")
    return found


def _percentile(values: Sequence[float] | NDArray[np.floating], share: float) -> float:
    return float(np.percentile(values, share)) if len(values) else math.nan


def _beyond(trained: InputStatistics, now: InputStatistics, name: str, slack: float) -> float:
    """How far the median is outside of what was seen in training, by more than ``slack``; else 0, also for NaN."""
    (low, _, high), value = trained.ranges[name], now.ranges[name][1]
    if value < low - slack:
        return value - low
    return value - high if value > high + slack else 0.0


def _differs(trained: InputStatistics, now: InputStatistics, name: str) -> bool:
    """Whether the median is more than half as much again as in training, or that much less."""
    (low, _, high), value = trained.ranges[name], now.ranges[name][1]
    return 1.5 * value < low or value > 1.5 * high


def _pair(trained: InputStatistics, now: InputStatistics, name: str, form: str) -> str:
    return f"{now.ranges[name][1]:{form}} against {trained.ranges[name][1]:{form}}"
