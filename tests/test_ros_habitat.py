# SPDX-FileCopyrightText: The Mem4Nav stack developers
# SPDX-License-Identifier: Apache-2.0
"""Habitat behind the simulator node, as a process: what it is told moves it, and its sensors say what the town's do."""

from __future__ import annotations

import os
import signal
from itertools import pairwise
from pathlib import Path

import numpy as np
import pytest

pytest.importorskip("open3d")
pytest.importorskip("rclpy", reason="rclpy is not here: pip install 'mem4nav[ros]'", exc_type=ImportError)

from geometry_msgs.msg import Twist
from nav_msgs.msg import Odometry
from rosgraph_msgs.msg import Clock
from sensor_msgs.msg import CameraInfo, Image, Imu, PointCloud2

from nodes.messages import tf_message
from ros_processes import LATCHED, Company, stamps

pytestmark = [pytest.mark.ros, pytest.mark.habitat]
TASK = 1


def position(message: Odometry) -> np.ndarray:
    at = message.pose.pose.position
    return np.array([at.x, at.y, at.z])


def children(pid: int) -> list[int]:
    """Processes that a process has started."""
    return [int(word) for word in Path(f"/proc/{pid}/task/{pid}/children").read_text().split()]


def test_habitat_drives_as_it_is_told_says_what_it_sees_and_outlives_its_own_death(company: Company, habitat_towns):
    truth = company.hear(Odometry, "ground_truth/odom")
    heard = {
        "points": company.hear(PointCloud2, "points"),
        "imu": company.hear(Imu, "imu", 1000),
        "image": company.hear(Image, "camera/front/image"),
        "info": company.hear(CameraInfo, "camera/front/camera_info"),
        "clock": company.hear(Clock, "/clock"),
    }
    message = tf_message()
    if message is not None:
        heard["tf_static"] = company.hear(message, "/tf_static", LATCHED)
    drive = company.node.create_publisher(Twist, "cmd_vel", 1)
    node = company.start(
        "simulator", sim="habitat", towns=str(habitat_towns), task=TASK, lidar_columns=512, cameras=True,
        command_timeout_s=10.0,
    )  # fmt: skip
    company.until(lambda: all(heard.values()) and len(truth) > 3, "every sensor", 300.0)
    assert "habitat, task 1" in node.said
    start = position(truth[-1])
    command = Twist()
    command.linear.x = 1.0

    def gone(metres: float) -> bool:
        drive.publish(command)
        return float(np.linalg.norm(position(truth[-1]) - start)) > metres

    company.until(lambda: gone(2.0), "a robot that moves")
    os.kill(children(node.process.pid)[0], signal.SIGKILL)
    company.until(lambda: gone(4.0), "a robot that moves on", 300.0)
    assert "Habitat is started again" in node.said
    clouds, samples = (sorted(set(stamps(heard[name]))) for name in ("points", "imu"))
    assert all(later - earlier >= 100_000_000 for earlier, later in pairwise(clouds))
    assert np.median(np.diff(samples)) == 5_000_000
    picture, info = heard["image"][-1], heard["info"][-1]
    assert (picture.width, picture.height, picture.encoding) == (info.width, info.height, "rgb8")
    assert picture.header.frame_id == info.header.frame_id == "camera_front_optical"
    assert heard["points"][-1].header.frame_id == "lidar" and heard["points"][-1].width > 3000


def test_a_simulator_that_is_none_is_refused(company: Company):
    node = company.start("simulator", sim="gazebo")
    assert node.ended() == 2 and "city, habitat" in node.said
