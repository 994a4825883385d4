# SPDX-FileCopyrightText: The Mem4Nav stack developers
# SPDX-License-Identifier: Apache-2.0
"""Written directions in, cmd_vel out: the driver between the odometry, the detector and the vehicle."""

from __future__ import annotations

import json
import threading
import time
from collections.abc import Callable

import numpy as np
from diagnostic_msgs.msg import DiagnosticArray, DiagnosticStatus
from geometry_msgs.msg import PoseStamped, Twist
from nav_msgs.msg import Odometry, Path
from rclpy.clock import Clock, ClockType
from rclpy.node import Node
from rclpy.qos import DurabilityPolicy, QoSProfile, qos_profile_sensor_data
from rclpy.qos_overriding_options import QoSOverridingOptions
from sensor_msgs.msg import PointCloud2
from std_msgs.msg import Empty, String

from detection.config import CITY_CLASSES
from detection.sample import make_boxes
from mem4nav.driving.clauses import InstructionError
from mem4nav.driving.config import DriverConfig, FollowerConfig
from mem4nav.driving.driver import Driver
from mem4nav.driving.follower import STAND, Command
from mem4nav.driving.poses import Poses
from nodes.boxes import detection_array
from nodes.diagnostics import Diagnostics, Trouble
from nodes.inbox import Inbox
from nodes.messages import matrix, stamp_ns
from nodes.parameters import Parameter, declare
from nodes.running import run
from slam.io.pointcloud2 import parse_pointcloud2

_LATCHED = QoSProfile(depth=1, durability=DurabilityPolicy.TRANSIENT_LOCAL)
_SAME_SCAN_NS = 60_000_000
_LONGEST_CARRY_NS = 400_000_000
_STATUS_S = 1.0
_USUAL = DriverConfig()
_PARAMETERS = (
    Parameter("speed", _USUAL.follower.speed, "on a free street, m/s", 0.1, 8.0),
    Parameter("seeking_speed", _USUAL.follower.seeking_speed, "where a landmark has to be found, m/s", 0.1, 8.0),
    Parameter("crossing_speed", _USUAL.follower.crossing_speed, "at and before crossings, m/s", 0.1, 5.0),
    Parameter("silence_s", _USUAL.silence_s, "wall time without a scan after which the vehicle stops", 0.1, 0.45),
    Parameter("heeds", "odometry", "node whose errors in /diagnostics make the vehicle stand; empty: nobody's"),
    Parameter("command_hz", 20.0, "commands a second", 5.0, 100.0),
    Parameter("odom_frame", "odom", "frame of the plan and the goal"),
    Parameter("classes", list(CITY_CLASSES), "class names that detections come with"),
)


class Navigator(Node):
    """Callbacks only enqueue, ``work`` decides in a thread of its own, and a timer on the wall's clock speaks."""

    def __init__(self, **options) -> None:
        super().__init__("navigator", **options)
        declare(self, _PARAMETERS)
        self._inbox = Inbox()
        self._driver: Driver | None = None
        self._poses, self._told = Poses(), ""
        self._arrived_s, self._heard_s = 0.0, 0.0
        self._refused, self._ill = "", ""
        overridable = QoSOverridingOptions.with_default_policies()
        self._cmd_vel = self.create_publisher(Twist, "cmd_vel", 1, qos_overriding_options=overridable)
        self._goal = self.create_publisher(PoseStamped, "goal_pose", _LATCHED)
        self._plan = self.create_publisher(Path, "plan", 1)
        self._status = self.create_publisher(String, "navigator_status", _LATCHED)
        self._diagnostics = Diagnostics(self, self._inbox, self._troubles)
        self._listen(overridable)
        wall = Clock(clock_type=ClockType.STEADY_TIME)
        self.create_timer(1.0 / self._value("command_hz"), self._speak, clock=wall)
        self.create_timer(_STATUS_S, self._tell, clock=wall)

    def work(self, stopped: threading.Event) -> None:
        """Do what was enqueued, until told to stop; the last word to the vehicle is to stand."""
        while not stopped.is_set():
            parcel = self._inbox.take(0.1)
            if parcel is not None:
                self._arrived_s = parcel.arrived_s
                parcel.task()
                self._diagnostics.latency_s.append(time.monotonic() - parcel.arrived_s)
        if self._told:
            self._cmd_vel.publish(_twist(STAND))

    def _value(self, name: str):
        return self.get_parameter(name).value

    def _listen(self, overridable: QoSOverridingOptions) -> None:
        def on(kind, topic: str, take: Callable, raw: bool = False, quality=qos_profile_sensor_data) -> None:
            self.create_subscription(
                kind, topic, lambda message: self._inbox.put(topic, lambda: take(message)), quality, raw=raw,
                qos_overriding_options=overridable,
            )  # fmt: skip

        on(Odometry, "odom", self._take_pose)
        on(PointCloud2, "points_registered", self._take_scan, raw=True)
        self.create_subscription(DiagnosticArray, "/diagnostics", self._heed, 10)
        on(String, "instruction", self._take_instruction, quality=QoSProfile(depth=1))
        on(Empty, "cancel", self._cancel, quality=QoSProfile(depth=1))
        if (kind := detection_array()) is not None:
            on(kind, "detections", self._take_detections)
        else:
            self.get_logger().warning("vision_msgs is not installed: no landmark can be seen")

    def _take_instruction(self, message: String) -> None:
        follower = FollowerConfig(
            speed=self._value("speed"), seeking_speed=self._value("seeking_speed"),
            crossing_speed=self._value("crossing_speed"),
        )  # fmt: skip
        try:
            self._driver = Driver(message.data, self._value("classes"), DriverConfig(follower=follower))
            self._refused = ""
        except InstructionError as error:
            self._driver, self._refused = None, str(error)
        self._tell()

    def _cancel(self, _: Empty) -> None:
        self._driver, self._refused = None, "cancelled"
        self._tell()

    def _heed(self, message: DiagnosticArray) -> None:
        heeded = f"{self.get_namespace()}/{self._value('heeds')}".lstrip("/")
        for status in message.status:
            if status.name == heeded:
                self._ill = status.message if status.level == DiagnosticStatus.ERROR else ""

    def _take_pose(self, message: Odometry) -> None:
        try:
            T = matrix(message.pose.pose)
        except ValueError as error:
            return self.get_logger().warning(f"odom left out: {error}", throttle_duration_sec=5.0)
        if not self._poses.add(stamp_ns(message.header), T) and self._driver is not None:
            self._driver, self._refused = (
                None,
                "the clock jumped back, or the odometry begins anew: give the instruction again",
            )
            self._tell()

    def _take_scan(self, data: bytes) -> None:
        cloud = parse_pointcloud2(data, False, frozenset())
        now = self._poses.carried_to(self.get_clock().now().nanoseconds, _LONGEST_CARRY_NS)
        if now is None or not len(cloud.points) or self._poses.at(cloud.stamp_ns, 10 * _SAME_SCAN_NS) is None:
            return  # a scan without a return is none: whoever drives on it drives blind
        self._heard_s = self._arrived_s  # not now: scans that waited in the queue are no sign that more will come
        if self._driver is not None and not self._driver.is_over:
            before = self._driver.phase, self._driver.directions.number
            self._driver.update(*now, cloud.points.astype(np.float64))
            self._show(self._driver)
            if before != (self._driver.phase, self._driver.directions.number):
                self._tell()

    def _take_detections(self, message) -> None:
        T = self._poses.at(stamp_ns(message.header), _SAME_SCAN_NS)
        classes = self._value("classes")
        found = [
            (one.bbox.center.position, one.results[0].hypothesis)
            for one in message.detections
            if one.results and one.results[0].hypothesis.class_id in classes
        ]
        if T is None or self._driver is None or not found:
            return
        centre = np.array([[p.x, p.y, p.z] for p, _ in found])
        label = [classes.index(hypothesis.class_id) for _, hypothesis in found]
        score = [hypothesis.score for _, hypothesis in found]
        self._driver.see(make_boxes(centre, np.ones_like(centre), np.zeros(len(found)), label, score=score), T)

    def _speak(self) -> None:
        """The last decision while scans come and the odometry is well; else zero, whatever the simulated clock does."""
        driver = self._driver
        if driver is None and not self._told:
            return
        fresh = time.monotonic() - self._heard_s < self._value("silence_s") and not self._ill
        command = driver.command(self._stamp_of_last()) if driver is not None and fresh else STAND
        self._cmd_vel.publish(_twist(command))

    def _troubles(self) -> list[Trouble]:
        driver = self._driver
        if driver is None or driver.is_over:
            return []
        silent_s = time.monotonic() - self._heard_s
        ill = [Trouble(f"the vehicle is stopped: {self._value('heeds')} says {self._ill}", True)] if self._ill else []
        if silent_s < self._value("silence_s"):
            return ill
        return [*ill, Trouble(f"no scan with a pose for {silent_s:.1f} s: the vehicle is stopped", True)]

    def _stamp_of_last(self) -> int:
        carried = self._poses.carried_to(0, 0)
        return carried[0] if carried is not None else 0

    def _show(self, driver: Driver) -> None:
        path = Path()
        path.header.frame_id = self._value("odom_frame")
        path.header.stamp = self.get_clock().now().to_msg()
        for x, y in driver.path[::3]:
            pose = PoseStamped(header=path.header)
            pose.pose.position.x, pose.pose.position.y = float(x), float(y)
            path.poses.append(pose)
        self._plan.publish(path)
        if path.poses:
            self._goal.publish(path.poses[-1])

    def _tell(self) -> None:
        driver = self._driver
        state = {"state": "idle", "clause": "", "reason": self._refused}
        if driver is not None:
            state |= {"state": driver.phase.value, "clause": driver.directions.clause.text, "reason": driver.reason}
        self._told = json.dumps(state)
        self._status.publish(String(data=self._told))


def _twist(command: Command) -> Twist:
    message = Twist()
    message.linear.x, message.angular.z = command.speed, command.turn_rate
    return message


def main(args=None) -> None:
    """Run the node until SIGINT or SIGTERM."""
    run(Navigator, args)


if __name__ == "__main__":
    main()
