# SPDX-FileCopyrightText: The Mem4Nav stack developers
# SPDX-License-Identifier: Apache-2.0
"""The town, or Habitat, as a robot: cmd_vel in, sensors, /clock, tf_static and ground truth out."""

from __future__ import annotations

import threading
import time

import numpy as np
from geometry_msgs.msg import Twist
from nav_msgs.msg import Odometry
from rclpy.node import Node
from rclpy.qos import DurabilityPolicy, QoSProfile, ReliabilityPolicy
from rclpy.qos_overriding_options import QoSOverridingOptions
from rosgraph_msgs.msg import Clock
from sensor_msgs.msg import CameraInfo, Image, Imu, PointCloud2

from nodes.messages import tf_message
from nodes.parameters import Parameter, declare
from nodes.running import run
from nodes.simulated import SIMS, Rig, simulated
from sim_envs.city.ros_messages import RosMessages
from slam.measurements import Image as Picture
from slam.measurements import ImuSample, Measurement, Scan

_LATCHED = QoSProfile(depth=1, durability=DurabilityPolicy.TRANSIENT_LOCAL, reliability=ReliabilityPolicy.RELIABLE)
_CLOCK_NS = 10_000_000
_PARAMETERS = (
    Parameter("sim", SIMS[0], f"what simulates: {' or '.join(SIMS)}"),
    Parameter("towns", "", "folder of Habitat's towns; empty: in the cache"),
    Parameter("task", 0, "number of the route: the town, and where the vehicle starts", 0, 999),
    Parameter("realtime_factor", 1.0, "simulated over wall time; 0 for as fast as it goes", 0.0, 50.0, live=True),
    Parameter("command_timeout_s", 0.5, "wall time after which a command is a stop, seconds", 0.1, 10.0, live=True),
    Parameter("lidar_channels", 32, "rings of the LiDAR", 1, 128),
    Parameter("lidar_columns", 1024, "firings of a sweep", 64, 4096),
    Parameter("cameras", False, "four pictures all round, five a second"),
)


class Simulator(Node):
    """Steps the robot by the newest command, as fast as ``realtime_factor`` says."""

    def __init__(self, **options) -> None:
        super().__init__("simulator", **options)
        declare(self, _PARAMETERS)
        self._command, self._commanded = (0.0, 0.0), 0.0
        sim, task = self._value("sim"), self._value("task")
        rig = Rig(self._value("lidar_channels"), self._value("lidar_columns"), self._value("cameras"))
        chosen = simulated(sim, task, self._value("towns"))
        self.drive = chosen.start(rig)
        self._ros, self._clock_ns = RosMessages(), 0
        self._outputs = self._advertise()
        self.create_subscription(Twist, "cmd_vel", self._take, 1, qos_overriding_options=_overridable())
        self.get_logger().info(f"{sim}, task {task}: {chosen.instruction}")

    def work(self, stopped: threading.Event) -> None:
        """Step until told to stop; a command older than ``command_timeout_s`` is a stop."""
        due = time.monotonic()
        self._announce()
        while not stopped.is_set():
            factor = self._value("realtime_factor")
            fresh = time.monotonic() - self._commanded < self._value("command_timeout_s")
            for measurement in self.drive.step(*(self._command if fresh else (0.0, 0.0))):
                self._publish(measurement)
            self._tell_truth()
            self._tick(self.drive.stamp_ns)
            if factor > 0.0:
                due = max(due + self.drive.period_s / factor, time.monotonic() - self.drive.period_s)
                stopped.wait(max(0.0, due - time.monotonic()))

    def _value(self, name: str):
        return self.get_parameter(name).value

    def _advertise(self) -> dict:
        kinds = {"points": PointCloud2, "imu": Imu, "ground_truth/odom": Odometry}
        for name in self.drive.calibration.cameras:
            kinds |= {f"camera/{name}/image": Image, f"camera/{name}/camera_info": CameraInfo}
        made = {
            topic: self.create_publisher(kind, topic, 10, qos_overriding_options=_overridable())
            for topic, kind in kinds.items()
        }
        made["/clock"] = self.create_publisher(Clock, "/clock", 10)
        return made

    def _announce(self) -> None:
        """Where the sensors sit; without tf2_msgs everybody takes the rig's own calibration from a file."""
        message = tf_message()
        if message is None:
            self.get_logger().warning("tf2_msgs is not installed: no tf_static; python -m nodes.interfaces builds it")
            return
        self._outputs["tf_static"] = self.create_publisher(message, "/tf_static", _LATCHED)
        transforms = self._ros.static_transforms(self.drive.stamp_ns, self.drive.calibration)
        self._outputs["tf_static"].publish(transforms)

    def _take(self, command: Twist) -> None:
        told = (command.linear.x, command.angular.z)
        if np.isfinite(told).all():
            self._command, self._commanded = told, time.monotonic()
        else:
            self.get_logger().warning(f"cmd_vel is {told}: not finite, left out", throttle_duration_sec=5.0)

    def _publish(self, measurement: Measurement) -> None:
        if isinstance(measurement, ImuSample):
            self._tick(measurement.stamp_ns)
            self._outputs["imu"].publish(self._ros.imu(measurement))
        elif isinstance(measurement, Scan):
            self._tick(self.drive.stamp_ns)
            self._outputs["points"].publish(self._ros.cloud(measurement, self.drive.rings(measurement.points)))
        elif isinstance(measurement, Picture):
            name, camera = measurement.camera, self.drive.calibration.cameras[measurement.camera]
            info = self._ros.camera_info(measurement.stamp_ns, name, camera)
            self._outputs[f"camera/{name}/camera_info"].publish(info)
            self._outputs[f"camera/{name}/image"].publish(self._ros.image(measurement))

    def _tell_truth(self) -> None:
        odometry = self._ros.odometry(self.drive.stamp_ns, self.drive.truth())
        self._outputs["ground_truth/odom"].publish(odometry)

    def _tick(self, now_ns: int) -> None:
        """Advance /clock, at most a hundred times a simulated second."""
        if now_ns - self._clock_ns >= _CLOCK_NS:
            self._clock_ns = now_ns
            message = Clock()
            message.clock.sec, message.clock.nanosec = divmod(now_ns, 1_000_000_000)
            self._outputs["/clock"].publish(message)


def _overridable() -> QoSOverridingOptions:
    return QoSOverridingOptions.with_default_policies()


def main(args=None) -> None:
    """Run the node until SIGINT or SIGTERM."""
    run(Simulator, args)


if __name__ == "__main__":
    main()
