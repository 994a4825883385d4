# SPDX-FileCopyrightText: The Mem4Nav stack developers
# SPDX-License-Identifier: Apache-2.0
"""The stack at the wheel in the town: sensors to odometry and detector, to the driver, to the vehicle, and round again.

Nothing that the simulator knows reaches the stack but what its sensors measure; truth judges the end alone.
"""

from __future__ import annotations

import logging
import time
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy.spatial.transform import Rotation

from detection.inference import CITY_WEIGHTS, Detector
from detection.sample import Sample
from mem4nav.driving.driver import Driver, Phase
from sim_envs.city import DriveConfig, make_city
from sim_envs.city.navigation.drivable import DrivableTask, make_drivable_task
from sim_envs.city.stepping import SteppedDrive
from slam.measurements import Measurement, Scan
from slam.odometry import Odometry
from slam.sequencer import Sequencer

_BINS = 64
_DETECT_EVERY = 2
_FULL_INTENSITY = 255.0
_MOST_S = 660.0
_MIDDLE_M = 1.1
_ROLL_OUT = 20


@dataclass(frozen=True, slots=True)
class Run:
    """How one route went.

    Attributes:
        seed: of the task.
        length_m, turns: of the route.
        instruction: as given.
        phase, reason: how the driver ended, in its own words.
        succeeded: it stopped, said that it had arrived, and stands abreast of the goal within 3 m.
        along_m, across_m: from the goal, when it stood.
        simulated_s, wall_s: how long it took, in the town and here.
        struck: steps in which the vehicle's outline touched a kerb or a vehicle.
        drift_m: error of the odometry's position at the end.
    """

    seed: int
    length_m: float
    turns: int
    instruction: str
    phase: str
    reason: str
    succeeded: bool
    along_m: float
    across_m: float
    simulated_s: float
    wall_s: float
    struck: int
    drift_m: float

    @property
    def finished(self) -> bool:
        """It arrived or reported failure, within ten minutes of the town's time."""
        return self.phase in (Phase.ARRIVED.value, Phase.FAILED.value) and self.simulated_s <= _MOST_S


class Stack:
    """Odometry, detector and driver.

    Args:
        drive: whose sensors they hear.
        driver: that decides.
        detector: that looks.
    """

    def __init__(self, drive: SteppedDrive, driver: Driver, detector: Detector) -> None:
        self._calibration, self._driver, self._detector = drive.calibration, driver, detector
        self._sequencer = Sequencer()
        self._odometry = Odometry(calibration=drive.calibration, use_camera=False)
        self._scans = 0
        self.T_odom_base = np.eye(4)

    def take(self, measurements: list[Measurement]) -> tuple[float, float]:
        """Speed and turn rate after everything measured in a step."""
        for measurement in measurements:
            for bundle in self._sequencer.push(measurement):
                began = self._odometry.register(bundle).T_odom_base
                state = self._odometry.state
                assert state is not None
                T = np.eye(4)
                T[:3, :3], T[:3, 3] = state.R, state.position
                self.T_odom_base = T @ np.linalg.inv(self._odometry.T_base_body)
                self._scans += 1
                self._drive_on(bundle.scan, began)
        command = self._driver.command(measurements[-1].stamp_ns)
        return command.speed, command.turn_rate

    def _drive_on(self, scan: Scan, T_began: NDArray[np.float64]) -> None:
        points = registered(scan, T_began, self.T_odom_base, self._calibration.T_base_lidar)
        if self._scans % _DETECT_EVERY == 0:
            boxes = self._detector.detect([self._sample(scan, points)])[0]["fused"]
            self._driver.see(boxes, self.T_odom_base)
        end_ns = scan.stamp_ns + (int(scan.offsets_ns.max()) if scan.offsets_ns is not None else 0)
        self._driver.update(end_ns, self.T_odom_base, points)

    def _sample(self, scan: Scan, points: NDArray[np.float64]) -> Sample:
        """What the detector takes: points where they are from base_link at the end of the sweep."""
        T = np.linalg.inv(self.T_odom_base)
        here = points @ T[:3, :3].T + T[:3, 3]
        assert scan.intensity is not None
        rows = np.column_stack([here, scan.intensity / _FULL_INTENSITY, np.zeros(len(here))])
        origin = self._calibration.T_base_lidar[:3, 3]
        return Sample(str(scan.stamp_ns), scan.stamp_ns, rows.astype(np.float32), lidar_origin=origin)


def registered(
    scan: Scan, T_began: NDArray[np.float64], T_ended: NDArray[np.float64], T_base_lidar: NDArray[np.float64]
) -> NDArray[np.float64]:
    """(N, 3) points of a sweep in odom, the motion between its first and last pose (4, 4 each) undone."""
    assert scan.offsets_ns is not None
    share = scan.offsets_ns / max(int(scan.offsets_ns.max()), 1)
    bins = np.minimum((share * _BINS).astype(np.int64), _BINS - 1)
    middle = (np.arange(_BINS) + 0.5) / _BINS
    turn = Rotation.from_matrix(T_began[:3, :3].T @ T_ended[:3, :3]).as_rotvec()
    R = T_began[:3, :3] @ Rotation.from_rotvec(middle[:, None] * turn).as_matrix()
    t = T_began[:3, 3] + middle[:, None] * (T_ended[:3, 3] - T_began[:3, 3])
    base = scan.points @ T_base_lidar[:3, :3].T + T_base_lidar[:3, 3]
    return np.einsum("nij,nj->ni", R[bins], base) + t[bins]


def drive_task(seed: int, config: DriveConfig | None = None) -> Run:
    """Follow the directions of one task from its start to wherever that leads."""
    import torch

    torch.set_num_threads(1)
    task = make_drivable_task(seed)
    config = config or DriveConfig(seed=seed, cameras=())
    detector = Detector.load(CITY_WEIGHTS)
    drive = SteppedDrive(make_city(task.town), config, task.start)
    driver = Driver(task.instruction, detector.config.classes)
    stack, command, struck, began = Stack(drive, driver, detector), (0.0, 0.0), 0, time.monotonic()
    while not driver.is_over and drive.steps * drive.period_s < _MOST_S:
        command = stack.take(drive.step(*command))
        struck += bool(drive.struck())
    decided_s = drive.steps * drive.period_s
    for _ in range(_ROLL_OUT):
        stack.take(drive.step(0.0, 0.0))
    return _judged(seed, task, driver, drive, stack, decided_s, time.monotonic() - began, struck)


def _judged(
    seed: int, task: DrivableTask, driver: Driver, drive: SteppedDrive, stack: Stack, simulated_s: float,
    wall_s: float, struck: int,
) -> Run:  # fmt: skip
    state = drive.truth()
    T_map_base = np.eye(4)
    T_map_base[:3, :3], T_map_base[:3, 3] = state.rotation[0], state.position[0]
    middle = middle_of(T_map_base)
    along, across = task.misses_m(middle)
    succeeded = driver.phase is Phase.ARRIVED and task.is_reached(middle)
    return Run(
        seed, task.length_m, task.turns, task.instruction, driver.phase.value, driver.reason, succeeded, along, across,
        simulated_s, wall_s, struck, drift_m(task, stack.T_odom_base, T_map_base),
    )  # fmt: skip


def middle_of(T_map_base: NDArray[np.float64]) -> NDArray[np.float64]:
    """(2,) the middle of the vehicle on the plan."""
    return T_map_base[:2, 3] + _MIDDLE_M * T_map_base[:2, 0]


def drift_m(task: DrivableTask, T_odom_base: NDArray[np.float64], T_map_base: NDArray[np.float64]) -> float:
    """Error of an odometry that began at the task's start, on the plan."""
    x, y, yaw = task.start
    turned = np.array([[np.cos(yaw), -np.sin(yaw)], [np.sin(yaw), np.cos(yaw)]]) @ T_odom_base[:2, 3]
    return float(np.linalg.norm(np.array([x, y]) + turned - T_map_base[:2, 3]))


if __name__ == "__main__":
    import sys

    logging.basicConfig(level=logging.INFO, format="%(message)s")
    for number in sys.argv[1:]:
        print(drive_task(int(number)), flush=True)
