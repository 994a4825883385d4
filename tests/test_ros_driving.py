# SPDX-FileCopyrightText: The Mem4Nav stack developers
# SPDX-License-Identifier: Apache-2.0
"""The town, the odometry and the navigator as processes: written directions in, a vehicle that drives."""

from __future__ import annotations

import json
import signal
import time
from pathlib import Path

import pytest

pytest.importorskip("open3d")
pytest.importorskip("torch")
pytest.importorskip("rclpy", reason="rclpy is not here: pip install 'mem4nav[ros]'", exc_type=ImportError)

from geometry_msgs.msg import Twist
from nav_msgs.msg import Odometry
from nav_msgs.msg import Path as Plan
from std_msgs.msg import Empty, String

from ros_processes import Company

pytestmark = pytest.mark.ros
RELIABLE = {f"qos_overrides./{topic}.subscription.reliability": "reliable" for topic in ("points", "imu")}
TEXT = "Turn left at the second crossing. Stop by the hydrant."
SILENCE_S = 0.5


class Town:
    """A company of simulator, odometry and navigator, and what is heard of them.

    Attributes:
        commands: (wall time of arrival, message) of cmd_vel.
        states: what navigator_status said.
    """

    def __init__(self, company: Company) -> None:
        self.company = company
        self.truth = company.hear(Odometry, "ground_truth/odom")
        self.plans = company.hear(Plan, "plan")
        self.commands: list[tuple[float, Twist]] = []
        self._told = company.hear(String, "navigator_status", 10)
        company.node.create_subscription(Twist, "cmd_vel", self._note, 50)
        poses = company.hear(Odometry, "odom")
        self._instruction = company.node.create_publisher(String, "instruction", 1)
        self._cancel = company.node.create_publisher(Empty, "cancel", 1)
        self.odometry = company.start("odometry", **RELIABLE)
        self.navigator = company.start("navigator", use_sim_time=True)
        self.odometry.until_said("ready")
        self.simulator = company.start("simulator", lidar_columns=512)
        company.until(lambda: len(poses) > 15, "poses")

    @property
    def states(self) -> list[dict[str, str]]:
        return [json.loads(one.data) for one in self._told]

    def instruct(self, text: str) -> None:
        self.company.until(self._instruction.get_subscription_count, "the navigator")
        self._instruction.publish(String(data=text))

    def cancel(self) -> None:
        self.company.until(self._cancel.get_subscription_count, "the navigator")
        self._cancel.publish(Empty())

    def is_told(self, state: str) -> bool:
        return bool(self.states) and self.states[-1]["state"] == state

    def until_driving(self) -> None:
        """Until the vehicle is well under way."""
        began = len(self.truth)
        self.company.until(lambda: moved_m(self.truth[began:]) > 3.0, "a vehicle that moves")

    def until_standing(self) -> None:
        self.company.until(lambda: moved_m(self.truth[-20:]) < 0.01 and len(self.truth) > 20, "a vehicle that stands")

    def _note(self, message: Twist) -> None:
        self.commands.append((time.monotonic(), message))


@pytest.fixture
def town(tmp_path: Path):
    with Company(tmp_path) as company:
        yield Town(company)


def moved_m(truth: list) -> float:
    """Metres between the first and the last of these poses."""
    if len(truth) < 2:
        return 0.0
    a, b = (one.pose.pose.position for one in (truth[0], truth[-1]))
    return ((a.x - b.x) ** 2 + (a.y - b.y) ** 2) ** 0.5


def stands(command: Twist) -> bool:
    return command.linear.x == 0.0 and command.angular.z == 0.0


def test_directions_are_driven_their_clauses_told_and_a_cancelled_drive_ends(town):
    town.instruct("Stop by the cathedral.")
    town.company.until(lambda: town.states and "cathedral" in town.states[-1]["reason"], "a refusal")
    assert not [one for _, one in town.commands if not stands(one)]
    town.instruct(TEXT)
    town.until_driving()
    assert town.is_told("driving") or town.is_told("crossing")
    assert town.states[-1]["clause"] == "Turn left at the second crossing."
    assert town.plans[-1].header.frame_id == "odom" and len(town.plans[-1].poses) > 5
    assert max(abs(one.linear.x) for _, one in town.commands) <= 4.5
    town.cancel()
    town.company.until(lambda: town.is_told("idle"), "an end")
    assert town.states[-1]["reason"] == "cancelled"
    town.until_standing()
    assert town.navigator.stopped(signal.SIGINT) == 0
    assert town.simulator.stopped(signal.SIGTERM, signal.SIGTERM) == 0


def test_a_vehicle_whose_odometry_is_killed_is_stopped_at_once(town):
    town.instruct(TEXT)
    town.until_driving()
    town.odometry.kill()
    killed = time.monotonic()
    town.company.until(lambda: town.commands[-1][0] > killed + 2.0 * SILENCE_S, "commands after it was killed")
    late = [one for at, one in town.commands if at > killed + SILENCE_S]
    assert late and all(stands(one) for one in late)
    town.company.until_diagnosed("navigator", "no scan with a pose", "stopped")
    town.until_standing()
    assert town.navigator.process.poll() is None and town.simulator.process.poll() is None
