# SPDX-FileCopyrightText: The Mem4Nav stack developers
# SPDX-License-Identifier: Apache-2.0
"""A lifecycle node that hears sensors and brings itself up: nobody else has to configure and activate it."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import Any, TypeVar

from rclpy.lifecycle import LifecycleNode, LifecycleState, TransitionCallbackReturn
from rclpy.qos import QoSProfile, ReliabilityPolicy
from rclpy.qos_overriding_options import QoSOverridingOptions
from sensor_msgs.msg import PointCloud2

from detection.errors import DetectionError
from nodes import messages
from nodes.inbox import Inbox
from nodes.polling import AttendedSubscription
from nodes.running import RefusedError
from slam.errors import SlamError
from slam.io.live import LiveSensors
from slam.measurements import Measurement

Decode = Callable[[LiveSensors, bytes], list[Measurement]]


class SensorNode(LifecycleNode):
    """Says why it cannot be configured, and listens while it is active.

    Attributes:
        refused: the reason, where there is one.
    """

    refused = ""

    def __init__(self, name: str, **options) -> None:
        super().__init__(name, **options)
        self._live: Any = None
        self._inbox = Inbox()
        self._listening: list = []
        self._active, self._heard_s = False, time.monotonic()

    def _made(self) -> Any:
        """What computes, by the parameters.

        Raises:
            RefusedError, SlamError, DetectionError: it cannot be had; the text says why.
        """
        raise NotImplementedError

    def _advertise(self) -> None:
        """Open topics and services."""
        raise NotImplementedError

    def _listen(self) -> None:
        """Subscribe, and leave the subscriptions in ``_listening``."""
        raise NotImplementedError

    def _points_kind(self) -> type:
        """Of the messages with points.

        Raises:
            RefusedError: it is Livox's own, which is not installed.
        """
        kind = messages.livox() if self._value("livox") else PointCloud2
        if kind is None:
            raise RefusedError("livox is set, but livox_ros_driver2's messages are not installed")
        return kind

    def _on(self, kind: type, topic: str, decode: Decode, most: int, quality: QoSProfile | None = None) -> None:
        """Enqueue a topic's messages, of which at most so many wait."""

        def enqueue(data: bytes) -> None:
            self._inbox.put(topic, lambda: self._take(lambda sensors: decode(sensors, data)), most)

        quality = quality or QoSProfile(depth=most, reliability=ReliabilityPolicy.BEST_EFFORT)
        overridable = QoSOverridingOptions.with_default_policies()
        self._listening.append(
            self.create_subscription(kind, topic, enqueue, quality, raw=True, qos_overriding_options=overridable)
        )

    def _on_points(self, most: int) -> None:
        """Enqueue scans, of which at most so many wait."""

        def enqueue(data: bytes) -> None:
            self._heard_s = heard_s = time.monotonic()
            self._inbox.put("points", lambda: self._take_scan(data, heard_s), most)

        quality = QoSProfile(depth=most, reliability=ReliabilityPolicy.BEST_EFFORT)
        self._listening.append(AttendedSubscription(self, self._points_kind(), "points", quality, enqueue))

    def _take_scan(self, data: bytes, heard_s: float) -> None:
        """Do what is to be done with a scan, serialised, which came at ``heard_s`` (``time.monotonic``)."""
        self._take(lambda sensors: sensors.points(data, self._value("livox")))

    def _take(self, decode: Callable[[LiveSensors], list[Measurement]]) -> None:
        """Do what is to be done with what a message holds."""
        raise NotImplementedError

    def on_configure(self, state: LifecycleState) -> TransitionCallbackReturn:
        """Read the configuration, open topics and services."""
        try:
            self._live = self._made()
        except (RefusedError, SlamError, DetectionError) as error:
            self.refused = str(error)
            self.get_logger().error(f"refused: {error}")
            return TransitionCallbackReturn.FAILURE
        self._advertise()
        return super().on_configure(state)

    def on_activate(self, state: LifecycleState) -> TransitionCallbackReturn:
        """Listen."""
        self._listen()
        self._active, self._heard_s = True, time.monotonic()
        self.get_logger().info("ready")
        return super().on_activate(state)

    def on_deactivate(self, state: LifecycleState) -> TransitionCallbackReturn:
        """Stop listening; what is known stays."""
        self._active = False
        self._listen_no_more()
        return super().on_deactivate(state)

    def destroy_node(self) -> None:
        """End the node; no thread of it is left listening."""
        self._listen_no_more()
        super().destroy_node()

    def _listen_no_more(self) -> None:
        while self._listening:
            one = self._listening.pop()
            one.destroy() if isinstance(one, AttendedSubscription) else self.destroy_subscription(one)

    def _cameras(self) -> list[str]:
        return [name for name in self._value("cameras") if name]

    def _value(self, name: str):
        return self.get_parameter(name).value


AnyNode = TypeVar("AnyNode", bound=SensorNode)


def brought_up(node: AnyNode) -> AnyNode:
    """The node, configured and active.

    Raises:
        RefusedError: it cannot be configured.
    """
    if node.trigger_configure() is not TransitionCallbackReturn.SUCCESS:
        raise RefusedError(node.refused or "the node cannot be configured")
    node.trigger_activate()
    return node
