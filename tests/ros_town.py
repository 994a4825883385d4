# SPDX-FileCopyrightText: The Mem4Nav stack developers
# SPDX-License-Identifier: Apache-2.0
"""The town, the odometry and the navigator as processes, and what is heard of them while they drive."""

from __future__ import annotations

import json
import time
from collections.abc import Mapping

from geometry_msgs.msg import Twist
from nav_msgs.msg import Odometry
from nav_msgs.msg import Path as Plan
from std_msgs.msg import Empty, String

from ros_processes import RELIABLE, Company

TEXT = "Turn left at the second crossing. Stop by the hydrant."


class Town:
    """A company of simulator, odometry and navigator.

    Attributes:
        commands: (wall time of arrival, message) of cmd_vel.
        states: what navigator_status said.
        poses: odom.
    """

    def __init__(self, company: Company, remap: Mapping[str, str] | None = None) -> None:
        """Start them, and wait for poses.

        Args:
            remap: names of the simulator's topics, where they are not its own.
        """
        self.company = company
        self.truth = company.hear(Odometry, "ground_truth/odom")
        self.plans = company.hear(Plan, "plan")
        self.commands: list[tuple[float, Twist]] = []
        self._told = company.hear(String, "navigator_status", 10)
        company.node.create_subscription(Twist, "cmd_vel", self._note, 50)
        self.poses = company.hear(Odometry, "odom")
        self._instruction = company.node.create_publisher(String, "instruction", 1)
        self._cancel = company.node.create_publisher(Empty, "cancel", 1)
        self.start_odometry()
        self.navigator = company.start("navigator", use_sim_time=True)
        self.odometry.until_said("ready")
        self.simulator = company.start("simulator", remap, lidar_columns=512)
        self.until_posed()

    @property
    def states(self) -> list[dict[str, str]]:
        return [json.loads(one.data) for one in self._told]

    def start_odometry(self) -> None:
        self.odometry = self.company.start("odometry", **RELIABLE)

    def instruct(self, text: str) -> None:
        self.company.until(self._instruction.get_subscription_count, "the navigator")
        self._instruction.publish(String(data=text))

    def cancel(self) -> None:
        self.company.until(self._cancel.get_subscription_count, "the navigator")
        self._cancel.publish(Empty())

    def is_told(self, state: str) -> bool:
        return bool(self.states) and self.states[-1]["state"] == state

    def until_posed(self) -> None:
        """Until poses come."""
        began = len(self.poses)
        self.company.until(lambda: len(self.poses) > began + 15, "poses")

    def until_driving(self) -> None:
        """Until the vehicle is well under way."""
        began = len(self.truth)
        self.company.until(lambda: moved_m(self.truth[began:]) > 3.0, f"a vehicle that moves, {self.states[-1:]},")

    def until_standing(self) -> None:
        self.company.until(lambda: moved_m(self.truth[-20:]) < 0.01 and len(self.truth) > 20, "a vehicle that stands")

    def _note(self, message: Twist) -> None:
        self.commands.append((time.monotonic(), message))


def moved_m(truth: list) -> float:
    """Metres between the first and the last of these poses."""
    if len(truth) < 2:
        return 0.0
    a, b = (one.pose.pose.position for one in (truth[0], truth[-1]))
    return ((a.x - b.x) ** 2 + (a.y - b.y) ** 2) ** 0.5


def stands(command: Twist) -> bool:
    return command.linear.x == 0.0 and command.angular.z == 0.0
