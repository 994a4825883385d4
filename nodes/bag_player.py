# SPDX-FileCopyrightText: The Mem4Nav stack developers
# SPDX-License-Identifier: Apache-2.0
"""A bag as it was recorded: its messages byte for byte, in their time, with /clock."""

from __future__ import annotations

import importlib
import threading
import time
from collections.abc import Iterator
from pathlib import Path

from rclpy.node import Node
from rclpy.qos import DurabilityPolicy, QoSProfile, ReliabilityPolicy
from rclpy.qos_overriding_options import QoSOverridingOptions
from rosgraph_msgs.msg import Clock
from std_srvs.srv import Trigger

from nodes.parameters import Parameter, declare
from nodes.running import RefusedError, run
from slam.errors import RecordingError
from slam.io.bag_source import open_bag
from slam.io.bag_types import RawMessage

PARAMETERS = (
    Parameter("bag", "", "rosbag2 folder, or .mcap or .db3 file"),
    Parameter("rate", 1.0, "recorded over wall time", 0.01, 100.0, live=True),
    Parameter("start_s", 0.0, "seconds into the bag to begin at", 0.0, 1e6),
    Parameter("loop", False, "begin again at the end; stamps then go back"),
    Parameter("paused", False, "begin paused; ~/resume goes on"),
    Parameter("clock_hz", 100.0, "ticks of /clock a recorded second", 1.0, 1000.0),
    Parameter("wait_s", 1.0, "wall time before the first message, for others to find the topics", 0.0, 60.0),
    Parameter("wait_for", [""], "recorded topics that somebody must listen to before the first message, as /points"),
)
_CLOCK = "/clock"


class BagPlayer(Node):
    """Reads and sends in a thread of its own; services pause and resume it."""

    def __init__(self, **options) -> None:
        super().__init__("bag_player", **options)
        declare(self, PARAMETERS)
        path = self._value("bag")
        if not path:
            raise RefusedError("the parameter bag is not set: there is nothing to play")
        try:
            self._bag = open_bag(Path(path))
        except (RecordingError, OSError) as error:
            raise RefusedError(str(error)) from None
        if self._bag.ros1:
            raise RefusedError(f"{path} is a ROS 1 bag, whose messages are serialised otherwise: convert it (rosbags)")
        self._outputs = self._advertise()
        unknown = [topic for topic in self._value("wait_for") if topic and topic not in self._outputs]
        if unknown:
            raise RefusedError(f"wait_for names {unknown}, but {path} holds {sorted(self._outputs)}")
        self._clock, self._ticked_ns = self.create_publisher(Clock, _CLOCK, 10), 0
        self._going = threading.Event()
        if not self._value("paused"):
            self._going.set()
        self.create_service(Trigger, "~/pause", lambda _, answer: self._answer(answer, self._going.clear, "paused"))
        self.create_service(Trigger, "~/resume", lambda _, answer: self._answer(answer, self._going.set, "going on"))

    def work(self, stopped: threading.Event) -> None:
        """Send all, once or again and again; then stay, so that what is latched can still be had."""
        stopped.wait(self._value("wait_s"))
        awaited = [self._outputs[topic] for topic in self._value("wait_for") if topic]
        while not all(output.get_subscription_count() for output in awaited) and not stopped.is_set():
            stopped.wait(0.05)
        again = True
        while again and not stopped.is_set():
            sent = self._play(stopped)
            again = self._value("loop") and sent > 0
            self.get_logger().info(f"{sent} messages sent" + (", again from the start" if again else ": the end"))
        stopped.wait()

    def _play(self, stopped: threading.Event) -> int:
        sent, due, last_ns, self._ticked_ns = 0, time.monotonic(), None, 0
        for message in self._messages():
            last_ns = message.record_ns if last_ns is None else last_ns
            due += (message.record_ns - last_ns) * 1e-9 / self._value("rate")
            last_ns = message.record_ns
            if not self._going.is_set():
                while not self._going.wait(0.1) and not stopped.is_set():
                    pass
                due = time.monotonic()
            if stopped.wait(max(0.0, due - time.monotonic())):
                return sent
            self._tick(message.record_ns)
            self._outputs[message.topic].publish(bytes(message.data))
            sent += 1
        return sent

    def _messages(self) -> Iterator[RawMessage]:
        """From ``start_s`` on; what was latched before that still comes."""
        first_ns: int | None = None
        for message in self._bag.messages(set(self._outputs)):
            first_ns = message.record_ns if first_ns is None else first_ns
            early = message.record_ns - first_ns < self._value("start_s") * 1e9
            if not early or _is_latched(message.topic):
                yield message

    def _advertise(self) -> dict:
        made = {}
        for topic in self._bag.topics.values():
            kind = _type_of(topic.msgtype)
            if topic.name == _CLOCK or not topic.count:
                continue
            if kind is None:
                self.get_logger().warning(f"{topic.msgtype} is not installed: {topic.name} is left out")
                continue
            durability = DurabilityPolicy.TRANSIENT_LOCAL if _is_latched(topic.name) else DurabilityPolicy.VOLATILE
            quality = QoSProfile(depth=50, reliability=ReliabilityPolicy.RELIABLE, durability=durability)
            name = topic.name if topic.name.startswith("/tf") else topic.name.lstrip("/")
            made[topic.name] = self.create_publisher(
                kind, name, quality, qos_overriding_options=QoSOverridingOptions.with_default_policies()
            )
        if not made:
            raise RefusedError(f"{self._value('bag')}: none of its {len(self._bag.topics)} topics can be sent")
        return made

    def _tick(self, now_ns: int) -> None:
        if now_ns - self._ticked_ns >= 1e9 / self._value("clock_hz"):
            self._ticked_ns = now_ns
            message = Clock()
            message.clock.sec, message.clock.nanosec = divmod(now_ns, 1_000_000_000)
            self._clock.publish(message)

    def _answer(self, answer: Trigger.Response, do, what: str) -> Trigger.Response:
        do()
        answer.success, answer.message = True, what
        return answer

    def _value(self, name: str):
        return self.get_parameter(name).value


def _is_latched(topic: str) -> bool:
    return topic.endswith("tf_static")


def _type_of(msgtype: str):
    """The class of package/msg/Name, or None where it is not installed."""
    package, _, name = msgtype.split("/")
    try:
        return getattr(importlib.import_module(f"{package}.msg"), name)
    except (ImportError, AttributeError):
        return None


def main(args=None) -> None:
    """Run the node until SIGINT or SIGTERM."""
    run(BagPlayer, args)


if __name__ == "__main__":
    main()
