# SPDX-FileCopyrightText: The Mem4Nav stack developers
# SPDX-License-Identifier: Apache-2.0
"""A simulated drive: a recording that is made while it is read."""

from __future__ import annotations

import copy
import heapq
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field

import numpy as np
from numpy.typing import ArrayLike, NDArray
from scipy.spatial.transform import Rotation

from sim_envs.city.camera import CameraConfig
from sim_envs.city.faults import Fault, fault_filter
from sim_envs.city.imu import ImuConfig, ImuReadings, read_imu
from sim_envs.city.lidar import Lidar, LidarConfig
from sim_envs.city.motion import Kidnapped, Motion, State, euler_rotation
from sim_envs.city.moving import Box, Track, boxes_at
from sim_envs.city.render import Rendered, Renderer
from sim_envs.city.routes import pick_loop, straight_route
from sim_envs.city.streams import Filter, chained
from sim_envs.city.traffic import TrafficConfig, make_traffic
from sim_envs.city.trajectory import DrivingConfig, drive_route
from sim_envs.city.world import World
from sim_envs.errors import SimConfigError
from slam.calibration import Calibration
from slam.measurements import Image, Measurement, Scan
from slam.trajectory import Trajectory

START_NS = 1_700_000_000_000_000_000
_TRUTH_HZ = 100.0


def rigid(xyz: ArrayLike, yaw_deg: float = 0.0, pitch_deg: float = 0.0, roll_deg: float = 0.0) -> NDArray[np.float64]:
    """(4, 4) transform of a frame at ``xyz``, turned by Rz(yaw) Ry(pitch) Rx(roll)."""
    T = np.eye(4)
    T[:3, :3] = euler_rotation(*np.radians([yaw_deg, pitch_deg, roll_deg]))
    T[:3, 3] = xyz
    return T


@dataclass(frozen=True, slots=True)
class KidnapConfig:
    """The vehicle is put elsewhere in no time, and its IMU does not notice.

    Attributes:
        time_s: when, seconds since the drive's start.
        distance_m: how far.
        turn_deg: by how much it is turned about +z.
        bearing_deg: which way, from straight ahead to the left.
    """

    time_s: float
    distance_m: float = 4.0
    turn_deg: float = 86.0
    bearing_deg: float = 75.0


@dataclass(frozen=True, slots=True)
class DriveConfig:
    """A drive and the vehicle's sensors.

    Attributes:
        seed: of the route, the sensors' errors and the traffic.
        length_m: way to go round in the city; the nearest loop there is. The corridor sets its own.
        duration_s: stop recording after this time; None for the whole drive.
        driving: speeds.
        lidar: the LiDAR.
        imu: the IMU.
        traffic: what else moves.
        cameras: any number of cameras, by different names.
        lidar_xyz: where the LiDAR sits in base_link (on the ground under the rear axle), metres.
        lidar_ypr_deg: yaw, pitch, roll of the LiDAR.
        imu_xyz: where the IMU sits, metres.
        imu_ypr_deg: yaw, pitch, roll of the IMU.
        kidnap: displacement of the vehicle at some time, or None.
    """

    seed: int = 1
    length_m: float = 300.0
    duration_s: float | None = None
    driving: DrivingConfig = field(default_factory=DrivingConfig)
    lidar: LidarConfig = field(default_factory=LidarConfig)
    imu: ImuConfig = field(default_factory=ImuConfig)
    traffic: TrafficConfig = field(default_factory=TrafficConfig)
    cameras: tuple[CameraConfig, ...] = (CameraConfig(),)
    lidar_xyz: tuple[float, float, float] = (0.9, 0.0, 1.9)
    lidar_ypr_deg: tuple[float, float, float] = (0.5, 1.0, 0.0)
    imu_xyz: tuple[float, float, float] = (0.35, -0.12, 0.62)
    imu_ypr_deg: tuple[float, float, float] = (2.0, -1.0, 0.7)
    kidnap: KidnapConfig | None = None


class SimulatedDrive:
    """A drive through a world; a ``slam.io.recording.Recording`` that needs no file.

    Every measurement is made when asked for and depends on the seed alone: iterating twice gives the
    same bytes, and so does stopping half way.

    Attributes:
        world, motion, tracks: what is driven through, how, and what else moves there.
        name, calibration, notes, scan_count: as in ``Recording``.
    """

    def __init__(self, world: World, motion: Motion, config: DriveConfig, tracks: Sequence[Track] = ()) -> None:
        self.world = world
        self.motion = motion
        self.config = config
        self.tracks = list(tracks)
        self.duration_s = min(motion.duration_s, config.duration_s or np.inf)
        self.name = f"{world.name}-drive-{config.seed}"
        T_lidar = rigid(config.lidar_xyz, *config.lidar_ypr_deg)
        T_imu = rigid(config.imu_xyz, *config.imu_ypr_deg)
        cameras = {camera.name: camera.calibration() for camera in config.cameras}
        self.calibration = Calibration(T_lidar, T_imu, cameras, "the simulator's own rig")
        self.notes = ["simulated: point times are exact, relative to the first firing of the sweep, in ns"]
        self.lidar = Lidar(config.lidar, T_lidar, config.seed)
        self.scan_count = int(self.duration_s * 1e9) // config.lidar.period_ns
        self._imu: ImuReadings | None = None
        self._renderer: Renderer | None = None
        self._filters: list[Filter] = []

    def with_filters(self, *filters: Filter) -> SimulatedDrive:
        """The same drive seen through these filters too: a sensor's faults, a driver's, the network's."""
        twin = copy.copy(self)
        twin._filters = [*self._filters, *filters]
        return twin

    def with_faults(self, *faults: Fault) -> SimulatedDrive:
        """The same drive with these sensors failing."""
        twin = self.with_filters(*(fault_filter(fault, START_NS, self.config.seed) for fault in faults))
        told = [f"fault: {f.sensor} {f.kind} from {f.start_s:g} to {f.end_s:g} s" for f in faults]
        twin.notes = [*self.notes, *told]
        return twin

    @property
    def imu(self) -> ImuReadings:
        """All inertial samples with their true biases."""
        if self._imu is None:
            T = self.calibration.T_base_imu
            assert T is not None
            self._imu = read_imu(self.motion, T, self.config.imu, self.config.seed)
        return self._imu

    def scan(self, index: int) -> Scan:
        """Sweep number ``index``, 0 to scan_count - 1."""
        return self.lidar.scan(index, START_NS, self.world, self.tracks, self.motion)

    def measurements(self, *, images: bool = False) -> Iterator[Measurement]:
        """Everything measured, in the order in which it would arrive: a scan when its sweep ends."""
        streams = [self._imu_stream(), self._scan_stream()]
        if images:
            streams += [self._image_stream(number) for number in range(len(self.config.cameras))]
        merged = heapq.merge(*streams, key=lambda item: item[:2])
        return chained((measurement for _, _, measurement in merged), self._filters)

    def _imu_stream(self) -> Iterator[tuple[int, int, Measurement]]:
        end = START_NS + round(self.duration_s * 1e9)
        for sample in self.imu.samples(START_NS):
            if sample.stamp_ns > end:
                return
            yield sample.stamp_ns, 0, sample

    def _scan_stream(self) -> Iterator[tuple[int, int, Measurement]]:
        period = self.config.lidar.period_ns
        for index in range(self.scan_count):
            yield START_NS + (index + 1) * period, 1, self.scan(index)

    def _image_stream(self, number: int) -> Iterator[tuple[int, int, Measurement]]:
        camera = self.config.cameras[number]
        for index in range(int((self.duration_s - camera.phase_s) * camera.rate_hz) + 1):
            time = camera.phase_s + index / camera.rate_hz
            stamp = START_NS + round(time * 1e9)
            yield stamp, 2 + number, Image(stamp, camera.name, self.render(camera.name, time).pixels)

    def render(self, camera: str, time_s: float) -> Rendered:
        """The picture of a camera at any time, with depth, classes and identities as truth.

        Raises:
            SimConfigError: there is no camera of that name.
        """
        found = [one for one in self.config.cameras if one.name == camera]
        if not found:
            names = ", ".join(one.name for one in self.config.cameras) or "none"
            raise SimConfigError(f"camera {camera!r} is not on the vehicle: there is {names}")
        if self._renderer is None:
            self._renderer = Renderer(self.world, self.tracks)
        return self._renderer.render(found[0], self.motion, time_s, self.config.seed)

    def ground_truth(self) -> Trajectory:
        """Poses of base_link in map, 100 a second."""
        return self.truth_at(np.arange(0.0, self.duration_s, 1.0 / _TRUTH_HZ))

    def truth_at(self, time_s: ArrayLike) -> Trajectory:
        """Poses of base_link in map at (N,) seconds since the start."""
        time = np.atleast_1d(np.asarray(time_s, float))
        rotation, position = self.motion.pose(time)
        stamps = START_NS + np.rint(time * 1e9).astype(np.int64)
        return Trajectory(stamps, position, Rotation.from_matrix(rotation).as_quat())

    def state_at(self, time_s: ArrayLike) -> State:
        """Exact motion of base_link at (N,) seconds since the start."""
        return self.motion.at(time_s)

    def boxes(self, time_s: float, within_m: float = np.inf) -> list[Box]:
        """Truth about all that moves, and about parked cars, at one time, not further than so from the vehicle."""
        boxes = boxes_at(self.tracks, time_s) + self.world.parked
        if not np.isfinite(within_m):
            return boxes
        place = self.motion.pose(time_s)[1][0]
        return [box for box in boxes if np.hypot(*(box.centre - place)[:2]) <= within_m]


def simulate_drive(world: World, config: DriveConfig | None = None) -> SimulatedDrive:
    """A drive through a world: a closed loop where there are streets, else along ``world.line``.

    Raises:
        SimConfigError: the world offers no way to drive.
    """
    config = config or DriveConfig()
    rng = np.random.default_rng([config.seed, 0xD21])
    straight = world.roads is None
    route = straight_route(*world.line) if straight else pick_loop(world.roads, config.length_m, rng)
    motion: Motion = drive_route(route, world.terrain, config.driving, rng)
    if config.kidnap is not None:
        motion = _kidnapped(motion, config.kidnap)
    return SimulatedDrive(world, motion, config, make_traffic(world, motion, config.traffic, config.seed))


def _kidnapped(motion: Motion, config: KidnapConfig) -> Kidnapped:
    bearing = np.radians(config.bearing_deg)
    offset = config.distance_m * np.array([np.cos(bearing), np.sin(bearing), 0.0])
    return Kidnapped(motion, config.time_s, offset, euler_rotation(np.radians(config.turn_deg), 0.0, 0.0))
