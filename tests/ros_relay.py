# SPDX-FileCopyrightText: The Mem4Nav stack developers
# SPDX-License-Identifier: Apache-2.0
"""Between the town's sensors and the odometry: messages passed on as they are, changed, or not at all."""

from __future__ import annotations

import array
import time
from collections.abc import Callable, Mapping
from functools import partial
from typing import Any

import numpy as np
from rosgraph_msgs.msg import Clock
from sensor_msgs.msg import Imu, PointCloud2

from ros_processes import Company

Change = Callable[[Any], Any]
"""A message in; the same one changed out, or None where it is kept back."""


class Relay:
    """Hears ``points_raw``, ``imu_raw`` and ``clock_raw``, and says ``points``, ``imu`` and ``/clock``.

    Attributes:
        names: what the simulator is to call its topics.
    """

    def __init__(self, together: Company) -> None:
        self.names: dict[str, str] = {}
        self._node, self._second = together.node, None
        self._changes: Mapping[str, Change] = {}
        self._passed_s = self._changed_s = 0.0
        for topic, kind in (("points", PointCloud2), ("imu", Imu), ("/clock", Clock)):
            self.names[topic] = f"{topic}_raw"
            publisher = together.node.create_publisher(kind, topic, 10)
            together.node.create_subscription(kind, f"{topic}_raw", partial(self._pass, topic, publisher), 50)

    def change(self, changes: Mapping[str, Change]) -> None:
        """Change messages from now on, by topic; nothing: all are passed on as they are, and once."""
        self._changes, self._changed_s = dict(changes), 0.0
        if self._second is not None:
            self._node.destroy_publisher(self._second)
            self._second = None

    def double(self) -> None:
        """From now on a second publisher repeats the points."""
        self._second = self._node.create_publisher(PointCloud2, "points", 10)

    @property
    def began_s(self) -> float:
        """When the first changed message went out; where none does, when the last one went that was as it should be."""
        return self._changed_s or self._passed_s

    def _pass(self, topic: str, publisher: Any, message: Any) -> None:
        change = self._changes.get(topic)
        if change is not None and (message := change(message)) is None:
            return
        publisher.publish(message)
        if self._second is not None and topic == "points":
            self._second.publish(message)
        if change is not None:
            self._changed_s = self._changed_s or time.monotonic()
        elif topic in self._changes or not self._changes:
            self._passed_s = time.monotonic()


def kept_back(_: Any) -> None:
    """Nothing comes any more."""


def in_frame(name: str, message: Any) -> Any:
    """The same in another frame."""
    message.header.frame_id = name
    return message


def set_back(seconds: int, message: Any) -> Any:
    """The same so much earlier; also of a tick of the clock."""
    (message.header.stamp if hasattr(message, "header") else message.clock).sec -= seconds
    return message


def without_numbers(message: Any) -> Any:
    """Points or an inertial sample whose numbers are none."""
    if not hasattr(message, "point_step"):
        message.linear_acceleration.x = message.angular_velocity.z = float("nan")
        return message
    rows = np.frombuffer(message.data, np.uint8).reshape(-1, message.point_step).copy()
    rows[:, :12] = np.full(3, np.nan, np.float32).view(np.uint8)
    message.data = array.array("B")
    message.data.frombytes(rows.tobytes())
    return message
