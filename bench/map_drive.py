# SPDX-FileCopyrightText: The Mem4Nav stack developers
# SPDX-License-Identifier: Apache-2.0
"""A loop of 1 km with a camera: window and memory over the way, and the map's size beside simpler coloured maps."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from tempfile import TemporaryDirectory

import numpy as np
from numpy.typing import NDArray

from bench.drives import bags
from bench.driving import driven
from bench.held_out import EVERY, SCALE, frames, projected
from bench.rows import Report
from bench.soak import resident_mb
from slam.gaussian_map.mapping_config import MappingConfig
from slam.gaussian_map.regions import RegionStore
from slam.io import open_recording
from slam.io.recording import Recording
from slam.map_store import save_map
from slam.odometry import Odometry
from slam.results import ScanResult
from slam.trajectory import Trajectory
from slam.visual import Visual

SEED, SAMPLE_M = 1, 50.0
VOXEL_M = 0.1
POINT_BYTES, VOXEL_BYTES, GAUSSIAN_BYTES = 15, 24, 56
"""A point of 3 float32 and 3 bytes; a voxel's key, sums of its colour and their count; a Gaussian's 14 float32."""
GROWTH = 1.25
"""The largest window and the memory of the second half against the first."""
LEAST_EARLIER_M = 5.0
"""With less of the way driven before in front of the camera the ground counts as new."""


@dataclass(frozen=True, slots=True)
class Sample:
    """What there was after so many metres; megabytes are resident ones of the process.

    ``earlier_m``: of the way driven before that lay within the camera's angle and the map's reach.
    """

    way_m: float
    earlier_m: float
    window: int
    window_mb: float
    gaussians: int
    map_mb: float
    voxels: int
    resident_mb: float


@dataclass(slots=True)
class Watch:
    """Follows a drive."""

    odometry: Odometry
    visual: Visual
    samples: list[Sample] = field(default_factory=list)
    stamps: list[int] = field(default_factory=list)
    poses: list[NDArray[np.float64]] = field(default_factory=list)
    way_m: float = 0.0

    def see(self, result: ScanResult) -> None:
        """Take notice of one scan."""
        if self.poses:
            self.way_m += float(np.linalg.norm(result.T_odom_base[:3, 3] - self.poses[-1][:3, 3]))
        self.stamps.append(result.stamp_ns)
        self.poses.append(result.T_odom_base)
        if self.way_m >= SAMPLE_M * (len(self.samples) + 1) and self.visual.mapper is not None:
            mapper = self.visual.mapper
            earlier_m = earlier_in_view(np.array(self.poses), mapper.config.reach_m)
            self.samples.append(
                Sample(
                    self.way_m, earlier_m, mapper.window.shown, mapper.window.nbytes * 1e-6, len(mapper.map),
                    mapper.map.nbytes * 1e-6, len(self.odometry.map), resident_mb(),
                )
            )  # fmt: skip

    @property
    def way(self) -> Trajectory:
        """The estimate so far, base_link in odom."""
        return Trajectory.from_matrices(self.stamps, np.array(self.poses))


def earlier_in_view(poses: NDArray[np.float64], reach_m: float) -> float:
    """Metres of the way (N, 4, 4) that lie in front of the last pose, within 45 degrees, as the camera's edges are."""
    ahead = (poses[:-1, :3, 3] - poses[-1, :3, 3]) @ poses[-1, :3, :3]
    seen = (np.abs(ahead[:, 1]) < ahead[:, 0]) & (np.linalg.norm(ahead, axis=1) < reach_m)
    return float(np.linalg.norm(np.diff(poses[:, :3, 3], axis=0), axis=1)[seen].sum())


def main() -> None:
    report = Report("map_drive")
    recording = open_recording(bags("kilometre_seen", (SEED,))[SEED])
    mapping = MappingConfig(scale=SCALE, hold_out=EVERY)
    with TemporaryDirectory() as spool:
        odometry = Odometry(calibration=recording.calibration, mapping=mapping, regions=RegionStore(spool))
        assert isinstance(odometry.visual, Visual)
        watch = Watch(odometry, odometry.visual)
        driven(recording, odometry, on_result=watch.see)
        _window(report, watch.samples)
        _bounds(report, watch)
        _sizes(report, watch, recording)
    _table(report, watch)
    report.save()


def _window(report: Report, samples: list[Sample]) -> None:
    """Over new ground its size is that of the pictures; a street mapped before is seen as far as it reaches."""
    new = [sample if sample.earlier_m < LEAST_EARLIER_M else None for sample in samples]
    for what, chosen in (("the window", samples), ("the window over new ground", new)):
        half = len(chosen) // 2
        first, second = (max(s.window for s in part if s is not None) for part in (chosen[:half], chosen[half:]))
        report.row(
            f"{what}: largest in the first and the second half of {samples[-1].way_m:.0f} m",
            f"the second at most {GROWTH:g} x the first", f"{first} / {second} Gaussians", second <= GROWTH * first,
        )  # fmt: skip
    report.note(
        "Over new ground the window holds what the pictures have shown. Where the loop closes, a street mapped before "
        "comes into view as far as the map reaches, and nothing hides another; of cells that look smaller than "
        f"{MappingConfig().detail_px:g} px each counts as one, as it is shown."
    )


def _bounds(report: Report, watch: Watch) -> None:
    half = len(watch.samples) // 2
    values = [sample.resident_mb for sample in watch.samples]
    first, second = max(values[:half]), max(values[half:])
    report.row(
        f"resident memory: largest in the first and the second half of {watch.way_m:.0f} m",
        f"the second at most {GROWTH:g} x the first", f"{first:.0f} / {second:.0f} MB", second <= GROWTH * first,
    )  # fmt: skip
    scores = [score.psnr_db for score in watch.visual.judge()]
    thirds = [float(np.mean(part)) for part in np.array_split(np.array(scores), 3)]
    report.row(
        "PSNR near returns of held-out pictures, thirds of the way", "", ", ".join(f"{x:.2f}" for x in thirds) + " dB"
    )


def _sizes(report: Report, watch: Watch, recording: Recording) -> None:
    assert watch.visual.mapper is not None
    map_ = watch.visual.mapper.map
    with TemporaryDirectory() as folder:
        save_map(folder, watch.odometry.map, map_)
        on_disk = sum(path.stat().st_size for path in Path(folder).rglob("*") if path.is_file())
    points, voxels = _coloured(recording, watch.way)
    everywhere = map_.gaussians().size
    maps = {
        "Gaussian map": (everywhere, GAUSSIAN_BYTES),
        f"voxels of {VOXEL_M:g} m with their mean colour": (voxels, VOXEL_BYTES),
        "coloured points": (points, POINT_BYTES),
    }
    rows = [
        [name, count, f"{count / watch.way_m:.0f}", size, f"{count * size / watch.way_m / 1000:.1f}"]
        for name, (count, size) in maps.items()
    ]
    report.table("Size of the maps", ["map", "elements", "elements a metre", "bytes each", "kB a metre"], rows)
    report.note(
        f"The map with its planes takes {on_disk / 1e6:.1f} MB on disk, {on_disk / watch.way_m / 1000:.1f} kB/m."
    )


def _coloured(recording: Recording, way: Trajectory) -> tuple[int, int]:
    """Points that a picture shows, and the voxels that they fall into."""
    count, keys = 0, np.zeros(0, np.int64)
    for cells in _cells(recording, way):
        count += len(cells)
        keys = np.union1d(keys, cells)
    return count, len(keys)


def _cells(recording: Recording, way: Trajectory) -> Iterator[NDArray[np.int64]]:
    """Of each picture's points a number for the voxel of each."""
    for frame in frames(recording, way):
        if not frame.held_out:
            _, _, seen = projected(frame.view, frame.points)
            x, y, z = (np.floor(frame.points[seen] / VOXEL_M).astype(np.int64) + (1 << 20)).T
            yield (x << 42) | (y << 21) | z


def _table(report: Report, watch: Watch) -> None:
    columns = [
        "way, m", "of it in view again, m", "Gaussians in the window", "window, MB", "Gaussians in memory",
        "Gaussian map, MB", "voxels of planes", "resident, MB",
    ]  # fmt: skip
    rows = [
        [
            f"{s.way_m:.0f}", f"{s.earlier_m:.0f}", s.window, f"{s.window_mb:.1f}", s.gaussians,
            f"{s.map_mb:.1f}", s.voxels, f"{s.resident_mb:.0f}",
        ]
        for s in watch.samples
    ]  # fmt: skip
    report.table(f"Over the way, every {SAMPLE_M:g} m", columns, rows)


if __name__ == "__main__":
    main()
