# SPDX-FileCopyrightText: The Mem4Nav stack developers
# SPDX-License-Identifier: Apache-2.0
"""LiDAR, inertial and visual odometry: an iterated error-state Kalman filter, after GS-LIVO and FAST-LIO2."""

from __future__ import annotations

import logging
import time
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from slam import so3
from slam.bundle import ScanBundle
from slam.calibration import Calibration
from slam.deskew import Undoing, motion_within
from slam.downsample import Downsampler
from slam.gaussian_map.mapping_config import MappingConfig
from slam.gaussian_map.regions import RegionStore
from slam.gaussian_map.returns import placed
from slam.gaussian_map.store import GaussianMap
from slam.gravity import GravityWatch, starting_covariance, starting_state
from slam.health import HealthMonitor, Suspicion
from slam.ieskf import BG, VEL, FilterState, Path
from slam.lidar_update import Alignment, align
from slam.measurements import USUAL_PERIOD_NS, Scan
from slam.octree import PlaneMap
from slam.odometry_config import HealthConfig, OdometryConfig, RegistrationConfig
from slam.prediction import LEVER_M, Prediction, Predictor
from slam.results import Health, ScanResult, State
from slam.visual import Blind, Visual

log = logging.getLogger(__name__)

START_CORRECTIONS = 3
TOLERATED_BLUR_M = 0.03
FARTHEST_EXTRAPOLATION_S = 1.0
DOUBTFUL_SHARE = 0.85
"""A share of fitting points this much below another is clearly worse."""
ON_STORED_MAP = {"max_iterations": 40, "coarse_iterations": 20, "gate_shrink": 0.8}
"""The first scan on a stored map starts from a rough pose: it takes its time."""
LONGEST_PERIOD_NS = 1_000_000_000


@dataclass(frozen=True, slots=True)
class _Points:
    """A scan in the body frame at its end: rows of x, y, z, share of the path; what was left out; how it was laid."""

    dense: NDArray[np.float64]
    matching: NDArray[np.float64]
    not_finite: int
    undoing: Undoing


class Odometry:
    """Registers one scan after the other.

    Attributes:
        state: the filter at the end of the last scan, None before the first.
        map: planes of the current segment, in odom.
        segment: number of the segment.
        gravity: what is known of the direction of gravity; its ``tilt`` levels odom.
        events: (stamp_ns, sentence) of what happened.
        visual: what the cameras add; its ``work`` fits the map, between scans.
    """

    def __init__(
        self,
        config: OdometryConfig | None = None,
        calibration: Calibration | None = None,
        *,
        use_imu: bool = True,
        use_camera: bool = True,
        mapping: MappingConfig | None = None,
        start_map: PlaneMap | GaussianMap | None = None,
        start_pose: NDArray[np.float64] | None = None,
        regions: RegionStore | None = None,
    ) -> None:
        """Get ready.

        Args:
            use_imu: False: the constant-velocity model takes its place.
            use_camera: False: pictures go into the map and leave the pose alone.
            mapping: how the Gaussian map is built; None builds none, and pictures are ignored.
            start_map: a stored map that the first scan is registered against, with Gaussians or without.
            start_pose: (4, 4) base_link in that map's frame at the first scan, within about a metre and ten degrees.
            regions: takes the Gaussians that the vehicle leaves behind; None keeps them in memory.
        """
        self.config = config or OdometryConfig()
        self.calibration = calibration or Calibration()
        self.use_imu = use_imu
        gaussians = start_map if isinstance(start_map, GaussianMap) else None
        planes = gaussians.plane_map if gaussians is not None else start_map
        self.map = planes if isinstance(planes, PlaneMap) else PlaneMap(self.config.map)
        self.state: FilterState | None = None
        self.segment = 0
        self.gravity = GravityWatch(self.config.start, False, 0)
        self.events: list[tuple[int, str]] = []
        self._start_pose, self._searching = start_pose, start_map is not None
        self._predictor = Predictor(self.config, use_imu)
        self._downsampler = Downsampler()
        self._health = HealthMonitor(self.config.health)
        self._place_sensors()
        self.visual = self._eye(mapping, use_camera, gaussians, regions)
        self._scans, self._period_ns, self._sweep_ns = 0, USUAL_PERIOD_NS, 0
        self._suspicion = Suspicion()
        self._noted: set[str] = set()
        self._first: tuple[FilterState, ScanBundle] | None = None
        self._laid: tuple[Scan, Prediction, _Points] | None = None

    def register(self, bundle: ScanBundle) -> ScanResult:
        """Take one scan through all steps. Every scan gets a pose; this never raises on what a sensor sent."""
        clock = (time.perf_counter_ns(), time.process_time_ns())
        self._take_in(bundle)
        self._laid = None
        if (problem := self._unusable(bundle)) is not None:
            return self._extrapolated(bundle.scan, problem, clock)
        prediction = self._predict(bundle)
        points = self._prepare(bundle.scan, prediction.path)
        self._note_gaps(bundle, points)
        alignment = self._align(prediction, points)
        if alignment is not None and self._starts_in_motion(prediction, alignment):
            prediction, points, alignment = self._correct_start(bundle, prediction, points, alignment)
        elif alignment is not None and self._doubts_imu(alignment):
            prediction, points, alignment = self._without_imu(bundle, prediction, points, alignment)
        health = self._settle(prediction, points, alignment)
        self._settle_gravity()
        camera = self._look(bundle, prediction)
        self._extend_map(bundle.scan, prediction, points, health)
        self._laid = bundle.scan, prediction, points
        return self._result(bundle.scan, prediction, alignment, health, clock, camera)

    def registered_points(self) -> NDArray[np.float64]:
        """(N, 3) points in range of the scan registered last, in odom, the motion within the scan undone."""
        if self._laid is None or self.state is None:
            return np.zeros((0, 3))
        scan, prediction, points = self._laid
        limits = (self.config.scan.min_range_m, self.config.scan.max_range_m)
        return placed(scan.points, points.undoing, prediction.bent_to(self.state), limits)

    def twist(self) -> NDArray[np.float64]:
        """(6,) velocity and turn rate of base_link in itself at the end of the last scan, m/s and rad/s."""
        if self.state is None:
            return np.zeros(6)
        rate, T = self._predictor.turn_rate, self._T_body_base
        velocity = self.state.R.T @ self.state.velocity + np.cross(rate, T[:3, 3])
        return np.concatenate([T[:3, :3].T @ velocity, T[:3, :3].T @ rate])

    # what comes before: sensors, time, the first state

    def _place_sensors(self) -> None:
        c = self.calibration
        T_base_imu = c.T_base_imu if c.T_base_imu is not None else np.eye(4)
        self.T_base_body = T_base_imu if self.use_imu else c.T_base_lidar
        self._T_body_base = np.linalg.inv(self.T_base_body)
        self.T_body_lidar = self._T_body_base @ c.T_base_lidar

    def _eye(self, mapping: MappingConfig | None, use_camera: bool, start_map, regions) -> Visual | Blind:
        if mapping is None or not self.calibration.cameras:
            return Blind()
        photometric = self.config.photometric if use_camera else None
        return Visual(
            self.calibration, self._T_body_base, mapping, photometric, start_map=start_map, regions=regions
        )  # fmt: skip

    def _take_in(self, bundle: ScanBundle) -> None:
        for event in bundle.events:
            self._say(bundle.scan.stamp_ns, event)
        if bundle.clock_jump_ns and self.state is not None:
            self._say(
                bundle.scan.stamp_ns, f"clock jumped by {bundle.clock_jump_ns * 1e-9:+.3f} s: a new segment starts"
            )
            self._predictor.inertial.clear()
            self.state.stamp_ns = bundle.end_ns - self._period_ns
            self._new_segment()
        for news in self._predictor.take_in(bundle.imu):
            self._say(bundle.scan.stamp_ns, news)

    def _note_gaps(self, bundle: ScanBundle, points: _Points) -> None:
        """Say what is missing, when it begins to be missing."""
        assert self.state is not None
        stamp_ns, total = bundle.scan.stamp_ns, len(bundle.scan.points)
        waited_ns = bundle.end_ns - self.state.stamp_ns
        if self._scans > 1 and waited_ns > 2.5 * self._period_ns:
            self._say(stamp_ns, f"no scan for {waited_ns * 1e-9:.2f} s: predicted across")
        for known, sentence in (
            (points.not_finite > 0, f"{points.not_finite} of {total} points are NaN or inf: dropped"),
            (self._too_few(points), f"only {len(points.matching)} of {total} points can be used: pose predicted"),
        ):
            kind = sentence.rpartition(" ")[2]
            if known and kind not in self._noted:
                self._say(stamp_ns, sentence)
            (self._noted.add if known else self._noted.discard)(kind)

    def _unusable(self, bundle: ScanBundle) -> str | None:
        if bundle.rejected:
            return bundle.reason
        if self.state is None:
            self._start(bundle)
        elif bundle.end_ns <= self.state.stamp_ns:
            return f"ends {(self.state.stamp_ns - bundle.end_ns) * 1e-9:.3f} s before the scan registered last"
        return None

    def _start(self, bundle: ScanBundle) -> None:
        """The state at the first point of the first scan, with base_link at the origin of odom."""
        stamp_ns = min(_first_point_ns(bundle.scan), bundle.end_ns - 1_000)
        _, values = self._predictor.inertial.window(0, bundle.end_ns)
        self.state, self.gravity, sentence = starting_state(
            stamp_ns, values, self.T_base_body, self.config, self.use_imu
        )
        if self._start_pose is not None:
            self._place_on_map(self._start_pose)
        else:
            self._first = (self.state.copy(), bundle)
        self._say(stamp_ns, sentence)

    def _place_on_map(self, T_map_base: NDArray[np.float64]) -> None:
        assert self.state is not None
        T = T_map_base @ self.T_base_body
        self.state.R, self.state.position = T[:3, :3].copy(), T[:3, 3].copy()
        self.state.P[:3, :3] = np.eye(3) * np.radians(self.config.start.map_pose_sigma_deg) ** 2
        self.state.P[3:6, 3:6] = np.eye(3) * self.config.start.map_pose_sigma_m**2

    # the steps

    def _predict(self, bundle: ScanBundle) -> Prediction:
        assert self.state is not None
        prediction = self._predictor.predict(self.state, bundle.end_ns, trust_imu=self._suspicion.trusts())
        if self._scans == 0 or self._searching:
            _forget_motion(prediction.state.P)
            return replace(prediction, stiffness=1.0)
        return prediction

    def _prepare(self, scan: Scan, path: Path) -> _Points:
        c = self.config.scan
        timed = scan if c.deskew else replace(scan, offsets_ns=None)
        undoing = motion_within(timed, path, self.T_body_lidar)
        limits = (c.min_range_m, c.max_range_m)
        dense, finite, _ = self._downsampler.centroids(scan.points, undoing, limits, c.map_voxel_m)
        return _Points(dense, self._downsampler.first(dense, c.match_voxel_m), len(scan.points) - finite, undoing)

    def _align(self, prediction: Prediction, points: _Points) -> Alignment | None:
        """None where there is nothing to register against (the first scan of a segment), or nothing to register."""
        if not len(self.map) or self._too_few(points):
            return None
        return align(self.map, points.matching, prediction, *self._update_settings())

    def _too_few(self, points: _Points) -> bool:
        return len(points.matching) < self.config.health.least_points

    def _update_settings(self) -> tuple[NDArray[np.float64], RegistrationConfig, HealthConfig]:
        registration = self.config.registration
        if self._searching:
            registration = replace(registration, **ON_STORED_MAP)
        return self.T_body_lidar[:3, 3], registration, self.config.health

    def _settle(self, prediction: Prediction, points: _Points, alignment: Alignment | None) -> Health:
        """Accept the update, or go on with the prediction where the scan does not fit."""
        before = self.state
        assert before is not None
        self.state, health = prediction.state, Health()
        if alignment is not None:
            fits = self._health.fits(alignment)
            health = self._suspicion.added_to(self._health.verdict(alignment, fits))
            if fits:
                self.state, self._searching = alignment.state, False
        elif self._too_few(points):
            reason = f"{len(points.matching)} points in range, at least {self.config.health.least_points} are needed"
            health = Health(State.DEGRADED, np.eye(3), (reason,))
        self._predictor.learn(before, self.state)
        if not self._too_few(points):
            self._period_ns = min(self.state.stamp_ns - before.stamp_ns, LONGEST_PERIOD_NS)
        return health

    def _doubts_imu(self, alignment: Alignment) -> bool:
        """A scan that fits worse than usual where the IMU puts it may fit where the motion model does.

        Along an axis that the geometry leaves open the scan cannot judge between the two.
        """
        if not self.use_imu or self._suspicion.waiting or 0 < len(alignment.axes) < 3:
            return False
        if not self._predictor.inertial.speaks(alignment.state.stamp_ns):
            return False
        return self._health.usual is not None and alignment.share < DOUBTFUL_SHARE * self._health.usual

    def _without_imu(self, bundle: ScanBundle, prediction: Prediction, points: _Points, alignment: Alignment):
        """Predict by constant velocity and register again; keep what fits clearly better."""
        assert self.state is not None
        other = self._predictor.predict(self.state, bundle.end_ns, trust_imu=False)
        other_points = self._prepare(bundle.scan, other.path)
        second = self._align(other, other_points)
        if second is None or second.fit.matched < self.config.health.least_points:
            return prediction, points, alignment
        if second.share < alignment.share / DOUBTFUL_SHARE:
            return prediction, points, alignment
        self._suspicion.strike()
        found = f"{alignment.share:.0%} of the scan fit with the IMU, {second.share:.0%} without it"
        self._say(bundle.scan.stamp_ns, f"{found}: left out for {self._suspicion.waiting} scans")
        return other, other_points, second

    def _starts_in_motion(self, prediction: Prediction, alignment: Alignment) -> bool:
        """The first scan was laid as if at rest: the second tells whether that was wrong."""
        if self._first is None:
            return False
        change = alignment.state.minus(prediction.state)
        start, bundle = self._first
        span_s = (bundle.end_ns - start.stamp_ns) * 1e-9
        moved = span_s * (np.linalg.norm(change[VEL]) + LEVER_M * np.linalg.norm(change[BG]))
        if self._scans != 1 or bundle.scan.offsets_ns is None or moved < TOLERATED_BLUR_M:
            self._first = None
        return self._first is not None

    def _correct_start(self, bundle: ScanBundle, prediction: Prediction, points: _Points, alignment: Alignment):
        """Lay the first scan anew with the motion that the second one shows, and register the second again."""
        assert self._first is not None
        (start, first), self._first = self._first, None
        T_said = self._at_header(start, first)
        for _ in range(START_CORRECTIONS):
            change = alignment.state.minus(prediction.state)
            start.velocity, start.bg = start.velocity + change[VEL], start.bg + change[BG]
            start = start.transformed(T_said @ np.linalg.inv(self._at_header(start, first)))
            laid = self._predictor.predict(start, first.end_ns)
            dense = self._prepare(first.scan, laid.path).dense
            self.map = PlaneMap(self.config.map)
            self.map.insert(dense, laid.state.R, laid.state.position, 0)
            prediction = self._predictor.predict(laid.state, bundle.end_ns)
            points = self._prepare(bundle.scan, prediction.path)
            alignment = align(self.map, points.matching, prediction, *self._update_settings())
        speed = float(np.linalg.norm(start.velocity))
        self._say(bundle.scan.stamp_ns, f"in motion at the first scan ({speed:.2f} m/s): laid anew with that motion")
        return prediction, points, alignment

    def _at_header(self, start: FilterState, bundle: ScanBundle) -> NDArray[np.float64]:
        """(4, 4) body in odom at the header stamp, as predicted: the first scan's pose is out and stays as it is."""
        laid = self._predictor.predict(start, bundle.end_ns)
        return laid.pose_at(bundle.scan.stamp_ns, laid.state)

    def _settle_gravity(self) -> None:
        assert self.state is not None
        if not len(self._predictor.inertial.stamps_ns):
            self.gravity.start_ns = self.state.stamp_ns
        settled = self.gravity.settle(self.state)
        if settled is not None:
            self.state = settled
            angle = np.degrees(np.linalg.norm(so3.log(self.gravity.tilt)))
            self._say(settled.stamp_ns, f"gravity settled in motion: odom is {angle:.2f} deg off level")

    def _look(self, bundle: ScanBundle, prediction: Prediction) -> str:
        """Let the pictures correct the pose; returns what became of them."""
        assert self.state is not None
        self.state, camera = self.visual.update(bundle, prediction, self.state, self.map)
        for news in self.visual.news():
            self._say(bundle.scan.stamp_ns, news)
        return camera

    def _extend_map(self, scan: Scan, prediction: Prediction, points: _Points, health: Health) -> None:
        assert self.state is not None
        if health.state is State.LOST and self._health.lost >= self.config.health.new_segment_scans:
            self._say(self.state.stamp_ns, f"lost for {self._health.lost} scans: segment {self.segment + 1} starts")
            self._new_segment()
        if self._health.doubted == 0:
            poses, limits = prediction.bent_to(self.state), (self.config.scan.min_range_m, self.config.scan.max_range_m)
            if not self.visual.holds_out:
                self.map.insert_bent(points.dense, poses, self._scans)
            self.visual.extend(
                prediction, self.state, lambda: placed(scan.points, points.undoing, poses, limits), self.map
            )
        self.map.forget(self.state.position, self._scans)
        self._scans += 1

    def _new_segment(self) -> None:
        assert self.state is not None
        self.segment += 1
        self.map = PlaneMap(self.config.map)
        self._health = HealthMonitor(self.config.health)
        fresh = starting_covariance(self.config, self.use_imu)
        self.state.P[VEL, :], self.state.P[:, VEL] = 0.0, 0.0
        self.state.P[VEL, VEL] = fresh[VEL, VEL]

    # what goes out

    def _result(
        self, scan: Scan, prediction: Prediction, alignment: Alignment | None, health: Health, clock, camera: str
    ):
        assert self.state is not None
        T, self._sweep_ns = prediction.pose_at(scan.stamp_ns, self.state), self.state.stamp_ns - scan.stamp_ns
        fit = alignment.fit if alignment is not None else None
        return self._report(
            scan, T, health, clock, points=alignment.points if alignment else 0,
            matched=fit.matched if fit else 0, residual_m=fit.rms_m if fit else float("nan"), camera=camera,
        )  # fmt: skip

    def _extrapolated(self, scan: Scan, problem: str, clock: tuple[int, int]) -> ScanResult:
        """A scan that cannot be registered takes the pose of the constant twist, at its stamp if it can."""
        T = self.T_base_body.copy()
        if self.state is not None:
            ahead_s = (scan.stamp_ns - self.state.stamp_ns) * 1e-9
            if abs(ahead_s) > FARTHEST_EXTRAPOLATION_S:
                ahead_s = (self._period_ns - self._sweep_ns) * 1e-9
            T[:3, :3] = self.state.R @ so3.exp(self._predictor.turn_rate * ahead_s)
            T[:3, 3] = self.state.position + self.state.velocity * ahead_s
        self._say(scan.stamp_ns, f"scan not used: {problem}")
        return self._report(scan, T, Health(State.DEGRADED, np.eye(3), (problem,)), clock)

    def _report(self, scan: Scan, T_odom_body: NDArray[np.float64], health: Health, clock, **figures) -> ScanResult:
        covariance = self.state.P[:6, :6].copy() if self.state is not None else np.full((6, 6), np.nan)
        wall_ns, cpu_ns = time.perf_counter_ns() - clock[0], time.process_time_ns() - clock[1]
        return ScanResult(
            scan.stamp_ns, T_odom_body @ self._T_body_base, T_odom_body @ self.T_body_lidar, covariance, health,
            self.segment, wall_ns=wall_ns, cpu_ns=cpu_ns, **figures,
        )  # fmt: skip

    def _say(self, stamp_ns: int, sentence: str) -> None:
        self.events.append((stamp_ns, sentence))
        log.info("%.3f s: %s", stamp_ns * 1e-9, sentence)


def _first_point_ns(scan: Scan) -> int:
    """Stamp of the first point: before the header stamp where the driver stamps the end of a sweep."""
    if scan.offsets_ns is None or not len(scan.offsets_ns):
        return scan.stamp_ns
    return scan.stamp_ns + min(0, max(int(scan.offsets_ns.min()), -LONGEST_PERIOD_NS))


def _forget_motion(P: NDArray[np.float64]) -> None:
    """One scan on a stored map tells where the body is, not how fast it moves."""
    P[:6, 6:] = 0.0
    P[6:, :6] = 0.0
