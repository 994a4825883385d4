# SPDX-FileCopyrightText: The Mem4Nav stack developers
# SPDX-License-Identifier: Apache-2.0
"""Drive folders in the KITTI raw layout (Geiger et al., IJRR 2013).

Of oxts only acceleration and turn rate in the body frame are read: its position, velocity and yaw never are.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import partial
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from slam.errors import RecordingError
from slam.io.extrinsics import with_configured
from slam.io.kitti_calibration import read_calibration
from slam.io.pictures import decode_picture
from slam.io.settings import RecordingConfig
from slam.measurements import USUAL_PERIOD_NS, Image, ImuSample, Measurement, Scan
from slam.trajectory import Trajectory

OXTS_ACCELERATION = slice(11, 14)
OXTS_TURN_RATE = slice(17, 20)
NO_STAMP = np.iinfo(np.int64).min


@dataclass(frozen=True, slots=True)
class Stream:
    """Files of one sensor with their stamps; file NNN carries the stamp of line NNN."""

    files: list[Path]
    stamps_ns: NDArray[np.int64]


@dataclass(frozen=True, slots=True)
class Sweep:
    """Start and end of each sweep, for the files of the LiDAR stream."""

    start_ns: NDArray[np.int64]
    end_ns: NDArray[np.int64]


class KittiDrive:
    """A drive folder, opened: see ``slam.io.recording.Recording``."""

    def __init__(self, folder: Path, settings: RecordingConfig | None = None) -> None:
        settings = settings or RecordingConfig()
        self.folder = folder
        self.name = folder.name
        self.notes: list[str] = []
        self._scans = self._stream("velodyne_points", (".bin", ".txt"))
        if not self._scans.files:
            raise RecordingError(f"{folder}: velodyne_points/data holds no .bin or .txt file: a drive without scans")
        self._imu = self._stream("oxts", (".txt",))
        self._images = {name: self._stream(name, (".png", ".jpg", ".jpeg")) for name in self._cameras(settings)}
        self._sweep = self._sweep_times(settings)
        self.calibration = with_configured(
            read_calibration(folder.parent, tuple(self._images), bool(self._imu.files)), settings
        )
        self._say_what_is_missing()

    @property
    def scan_count(self) -> int:
        return len(self._scans.files)

    def measurements(self, *, images: bool = False) -> Iterator[Measurement]:
        """Everything in the order of its stamps; at one instant first the IMU, then scans, then images."""
        events = [*self._events(self._imu, 0, self._imu_sample), *self._events(self._scans, 1, self._scan)]
        if images:
            for camera, stream in self._images.items():
                events += self._events(stream, 2, partial(_image, camera))
        for stamp_ns, _, index, path, read in sorted(events, key=lambda event: event[:3]):
            try:
                yield read(stamp_ns, index, path)
            except RecordingError as err:
                self.notes.append(f"skipped: {err}")

    def ground_truth(self) -> Trajectory | None:
        """None: the position of oxts is off by decimetres, and no other truth is in the layout."""
        return None

    def _events(self, stream: Stream, rank: int, read: Callable) -> list[tuple]:
        return [
            (int(stamp), rank, index, path, read)
            for index, (stamp, path) in enumerate(zip(stream.stamps_ns, stream.files, strict=True))
        ]

    def _scan(self, stamp_ns: int, index: int, path: Path) -> Scan:
        """A file that cannot be read is an empty scan: every scan keeps its line in the trajectory."""
        values = self._point_rows(path)
        points = np.ascontiguousarray(values[:, :3])
        offsets = None
        if self._sweep is not None:
            start, end = (int(t[index]) - stamp_ns for t in (self._sweep.start_ns, self._sweep.end_ns))
            offsets = sweep_offsets(points, start, end)
        return Scan(stamp_ns, points, offsets, np.ascontiguousarray(values[:, 3]))

    def _point_rows(self, path: Path) -> NDArray[np.float32]:
        try:
            if path.suffix == ".txt":
                return np.loadtxt(path, np.float32, ndmin=2).reshape(-1, 4)
            values = np.fromfile(path, np.float32)
        except (OSError, ValueError) as err:
            self.notes.append(f"{path.name} is not readable ({err}): an empty scan stands for it")
            return np.zeros((0, 4), np.float32)
        if values.size % 4 or path.stat().st_size % 16:
            self.notes.append(f"{path.name} is cut off: {path.stat().st_size} bytes, not a multiple of 16")
        return values[: values.size // 4 * 4].reshape(-1, 4)

    def _imu_sample(self, stamp_ns: int, _index: int, path: Path) -> ImuSample:
        words = path.read_text(errors="replace").split()
        try:
            row = np.array(words[:20], float)
            return ImuSample(stamp_ns, row[OXTS_TURN_RATE].copy(), row[OXTS_ACCELERATION].reshape(3).copy())
        except ValueError:
            raise RecordingError(f"oxts/{path.name} holds {len(words)} words, expected 30 numbers") from None

    def _cameras(self, settings: RecordingConfig) -> list[str]:
        present = [p.name for p in sorted(self.folder.glob("image_0?")) if (p / "data").is_dir()]
        wanted = settings.image_topics
        if wanted is None:
            return present
        if missing := [name for name in wanted if name not in present]:
            raise RecordingError(f"{self.folder}: no camera folder {', '.join(missing)}; there are {present or 'none'}")
        return list(wanted)

    def _stream(self, name: str, suffixes: tuple[str, ...]) -> Stream:
        data = self.folder / name / "data"
        files = sorted(p for p in data.iterdir() if p.suffix.lower() in suffixes) if data.is_dir() else []
        if not files:
            return Stream([], np.zeros(0, np.int64))
        return self._with_stamps(name, files, self._stamps(name, files, "timestamps.txt"))

    def _with_stamps(self, name: str, files: list[Path], stamps_ns: NDArray[np.int64]) -> Stream:
        """Drop files whose number has no line, and files without a usable stamp."""
        numbers = _file_numbers(files)
        usable = [i for i, n in enumerate(numbers) if n < len(stamps_ns) and stamps_ns[n] != NO_STAMP]
        if len(usable) < len(files):
            self.notes.append(
                f"{name}: {len(files) - len(usable)} of {len(files)} files have no stamp "
                f"({len(stamps_ns)} lines in timestamps.txt) and are left out"
            )
        return Stream([files[i] for i in usable], np.array([stamps_ns[numbers[i]] for i in usable], np.int64))

    def _stamps(self, name: str, files: list[Path], file_name: str) -> NDArray[np.int64]:
        path = self.folder / name / file_name
        if path.is_file():
            return read_timestamps(path)
        self.notes.append(f"{name}/{file_name} is missing: a period of 0.1 s is assumed")
        return np.arange(max(_file_numbers(files)) + 1, dtype=np.int64) * USUAL_PERIOD_NS

    def _sweep_times(self, settings: RecordingConfig) -> Sweep | None:
        """Sweep bounds of an unsynchronised drive; None where the scans are motion-compensated or nothing is known."""
        paths = [self.folder / "velodyne_points" / f"timestamps_{end}.txt" for end in ("start", "end")]
        raw = self.name.endswith("_extract") and settings.time_reference != "none"
        if not raw or not all(path.is_file() for path in paths):
            self.notes.append(
                "the drive is not named *_extract: its scans count as motion-compensated and are not deskewed"
                if not self.name.endswith("_extract")
                else "no use of timestamps_start.txt and timestamps_end.txt: the scans are not deskewed"
            )
            return None
        numbers = _file_numbers(self._scans.files)
        bounds = [read_timestamps(path) for path in paths]
        if min(map(len, bounds)) <= max(numbers):
            self.notes.append("timestamps_start.txt or timestamps_end.txt is too short: the scans are not deskewed")
            return None
        self.notes.append("per-point time from azimuth (counter-clockwise, cut behind) and the sweep's start and end")
        return Sweep(bounds[0][numbers], bounds[1][numbers])

    def _say_what_is_missing(self) -> None:
        if not self._imu.files:
            self.notes.append("no oxts folder: no IMU")
        elif self.calibration.T_base_imu is None:
            self.notes.append("oxts is there, but calib_imu_to_velo.txt is not: nobody knows where the IMU sits")
        if unknown := [name for name in self._images if name not in self.calibration.cameras]:
            self.notes.append(f"no calibration for {', '.join(unknown)}: calib_cam_to_cam.txt or calib_velo_to_cam.txt")


def read_timestamps(path: Path) -> NDArray[np.int64]:
    """(N,) int64 nanoseconds since the epoch of lines such as ``2011-09-26 13:02:25.594360375``.

    A line that is no date gives ``NO_STAMP``.
    """
    lines = path.read_text(errors="replace").splitlines()
    try:
        return np.array(lines, "datetime64[ns]").astype(np.int64)
    except ValueError:
        return np.array([_stamp(line) for line in lines], np.int64)


def _image(camera: str, stamp_ns: int, _index: int, path: Path) -> Image:
    return Image(stamp_ns, camera, decode_picture(path))


def _stamp(line: str) -> int:
    try:
        return int(np.datetime64(line.strip(), "ns").astype(np.int64))
    except ValueError:
        return int(NO_STAMP)


def sweep_offsets(points: NDArray[np.float32], start_ns: int, end_ns: int) -> NDArray[np.int64]:
    """(N,) int64 time of each point of a counter-clockwise sweep that begins and ends behind the sensor.

    ``start_ns`` and ``end_ns`` are relative to the header stamp, at which the beam looks forward.
    """
    turn = np.arctan2(points[:, 1], points[:, 0]) / (2.0 * np.pi) + 0.5
    return (start_ns + np.nan_to_num(turn) * (end_ns - start_ns)).astype(np.int64)


def _file_numbers(files: list[Path]) -> list[int]:
    """Number of each file from its name; its place in the list where a name is no number."""
    if all(path.stem.isdecimal() for path in files):
        return [int(path.stem) for path in files]
    return list(range(len(files)))
