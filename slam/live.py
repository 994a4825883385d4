# SPDX-FileCopyrightText: The Mem4Nav stack developers
# SPDX-License-Identifier: Apache-2.0
"""Sensors to poses as they come: the live twin of ``slam.replay``, which runs the same calls in the same order."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from dataclasses import replace

import numpy as np
from numpy.typing import NDArray

from slam.bundle import ScanBundle
from slam.calibration import Calibration, Camera
from slam.gaussian_map.mapping_config import MappingConfig
from slam.io.live import LiveSensors
from slam.map_store import load_map, save_map
from slam.measurements import Image, ImuSample, Measurement, Scan
from slam.octree import PlaneMap
from slam.odometry import Odometry
from slam.odometry_config import OdometryConfig
from slam.results import ScanResult
from slam.sequencer import Sequencer, SequencerConfig

RESET_NS = 1_000_000_000
"""A clock that goes back by more was set back, or a recording began again: nothing of before counts."""


_ROOM_M = (12.0, 9.0, 3.0)
_WARM_SCANS = 5
_FORWARD = np.array([[0.0, 0.0, 1.0, 0.0], [-1.0, 0.0, 0.0, 0.0], [0.0, -1.0, 0.0, 0.0], [0.0, 0.0, 0.0, 1.0]])
_CAMERA = Camera(160, 120, np.array([[80.0, 0.0, 79.5], [0.0, 80.0, 59.5], [0.0, 0.0, 1.0]]), T_base_camera=_FORWARD)


def warm_up(config: OdometryConfig | None = None, mapping: MappingConfig | None = None) -> None:
    """Register a few scans of a made-up room, so that all kernels are compiled before the first real scan comes.

    Args:
        mapping: how pictures are mapped, None where there are none: in the room each becomes a keyframe.
    """
    calibration = Calibration(T_base_imu=np.eye(4))
    if mapping is not None:
        calibration = replace(calibration, cameras={"front": _CAMERA})
        at_once = replace(mapping.keyframes, move_m=0.0, least_taken=1)
        mapping = replace(mapping, keyframes=at_once, refine_every=1)
    odometry, sequencer = Odometry(config, calibration, mapping=mapping), Sequencer()
    for item in _room():
        for bundle in sequencer.push(item):
            odometry.register(bundle)
            odometry.registered_points()
            odometry.visual.work()


def _room() -> Iterator[Measurement]:
    """What one measures who stands in a room of bare walls that flicker a little."""
    rng = np.random.default_rng(0)
    points = rng.uniform(-0.5, 0.5, (8000, 3)) * _ROOM_M
    wall, side = rng.integers(0, 3, len(points)), rng.choice([-0.5, 0.5], len(points))
    points[np.arange(len(points)), wall] = side * np.array(_ROOM_M)[wall]
    offsets = np.linspace(0, 99_000_000, len(points)).astype(np.int64)
    paint = np.kron(rng.integers(40, 200, (15, 20, 3)), np.ones((8, 8, 1))).astype(np.uint8)
    for number in range(20 * _WARM_SCANS):
        stamp_ns = 5_000_000 * number
        yield ImuSample(stamp_ns, np.zeros(3), np.array([0.0, 0.0, 9.81]))
        if number % 20 == 0:
            yield Scan(stamp_ns, points.astype(np.float32), offsets)
        if number % 20 == 10:
            yield Image(stamp_ns, "front", paint + rng.integers(0, 8, paint.shape, np.uint8))


class LiveOdometry:
    """Sensors, sequencer and odometry, and when to begin anew.

        live = LiveOdometry(LiveSensors(cameras=("front",)))
        for result in live.take(lambda sensors: sensors.points(data)):
            publish(result)

    Attributes:
        sensors: what decodes the messages.
        odometry: None until the calibration is known.
        resets: how often it began anew because the clock went back.
    """

    def __init__(
        self, sensors: LiveSensors, config: OdometryConfig | None = None, mapping: MappingConfig | None = None
    ) -> None:
        self.sensors, self._config, self._mapping = sensors, config or OdometryConfig(), mapping
        self._start_map: PlaneMap | None = None
        self._start_pose: NDArray[np.float64] | None = None
        self.resets = 0
        self.odometry: Odometry | None = None
        self._sequencer: Sequencer | None = None

    def take(self, decode: Callable[[LiveSensors], list[Measurement]]) -> Iterable[ScanResult]:
        """Results of the scans that a message completes; mostly none or one.

        Args:
            decode: one of the methods of ``LiveSensors``, with its message.
        """
        for measurement in decode(self.sensors):
            self._begin()
            assert self._sequencer is not None
            if isinstance(measurement, ImuSample) and not self._use_imu:
                continue
            for bundle in self._sequencer.push(measurement):
                yield self._register(bundle)

    def work(self, budget_s: float | None = None) -> None:
        """Fit the map to pictures, between scans; nothing is begun after ``budget_s`` seconds, None: all is done."""
        if self.odometry is not None:
            self.odometry.visual.work(budget_s)

    @property
    def is_through_with_pictures(self) -> bool:
        """Whether the map holds all pictures so far: where it does not, another one would only wait."""
        return self.odometry is None or self.odometry.visual.is_idle

    def reset(self) -> None:
        """Begin anew, without a map; where the sensors sit stays known."""
        self._start_map = self._start_pose = self.odometry = self._sequencer = None

    def place(self, T_map_base: NDArray[np.float64]) -> None:
        """Go on in the map as it stands, from another pose (4, 4): a loaded map's, or the present one's."""
        self._start_map = self.odometry.map if self.odometry is not None else self._start_map
        self._start_pose = T_map_base
        self.odometry = self._sequencer = None

    def save_map(self, folder: str) -> None:
        """Store the map of planes in ``folder``.

        Raises:
            MapError: there is no map yet, or it cannot be written.
        """
        plane_map = self.odometry.map if self.odometry is not None else self._start_map
        save_map(folder, plane_map if plane_map is not None else PlaneMap(self._config.map))

    def load_map(self, folder: str) -> None:
        """Begin anew in a stored map, at its origin until ``place`` says otherwise.

        Raises:
            MapError: there is none, or it is damaged; then nothing has changed.
        """
        stored = load_map(folder, self._config.map)
        self.odometry = self._sequencer = None
        self._start_map, self._start_pose = stored, np.eye(4)

    @property
    def statistics(self) -> dict[str, int]:
        """Totals of the sequencer since it began: measurements by kind, and faults by kind."""
        return self._sequencer.statistics if self._sequencer is not None else {}

    @property
    def imu_behind_s(self) -> float:
        """How far the newest IMU sample is behind the newest scan that waits for it, seconds; see ``Sequencer``."""
        return 1e-9 * self._sequencer.imu_behind_ns if self._sequencer is not None else 0.0

    @property
    def _use_imu(self) -> bool:
        return self.odometry is not None and self.odometry.use_imu

    def _begin(self) -> None:
        if self.odometry is None:
            calibration = self.sensors.calibration
            assert calibration is not None
            imu = calibration.T_base_imu is not None
            self.odometry = Odometry(
                self._config, calibration, use_imu=imu, mapping=self._mapping,
                start_map=self._start_map, start_pose=self._start_pose,
            )  # fmt: skip
            self._sequencer = Sequencer(SequencerConfig(expect_imu=imu))

    def _register(self, bundle: ScanBundle) -> ScanResult:
        if bundle.clock_jump_ns < -RESET_NS:
            self.resets += 1
            sequencer = self._sequencer
            self.odometry = None
            self._begin()
            self._sequencer = sequencer
        assert self.odometry is not None
        return self.odometry.register(bundle)
