# SPDX-FileCopyrightText: The Mem4Nav stack developers
# SPDX-License-Identifier: Apache-2.0
"""Gives written directions once, tells what becomes of them, and ends with the drive."""

from __future__ import annotations

import json
import threading

from rclpy.node import Node
from rclpy.qos import DurabilityPolicy, QoSProfile
from std_msgs.msg import String

from nodes.parameters import Parameter, declare
from nodes.running import RefusedError, run
from nodes.simulated import SIMS, simulated

_LATCHED = QoSProfile(depth=1, durability=DurabilityPolicy.TRANSIENT_LOCAL)
_PARAMETERS = (
    Parameter("text", "", "directions; empty: those of the town's task"),
    Parameter("sim", SIMS[0], f"what simulates: {' or '.join(SIMS)}"),
    Parameter("towns", "", "folder of Habitat's towns; empty: in the cache"),
    Parameter("task", -1, "number of the town's task whose directions are given, where text is empty", -1, 999),
)
_OVER = ("arrived", "failed", "idle")


class Instructor(Node):
    """Waits for a navigator that sees where it is."""

    def __init__(self, **options) -> None:
        super().__init__("instructor", **options)
        declare(self, _PARAMETERS)
        self._text = self._directions()
        self._state, self._over = {}, threading.Event()
        self._said = self._taken = False
        self._out = self.create_publisher(String, "instruction", QoSProfile(depth=1))
        self.create_subscription(String, "navigator_status", self._take, _LATCHED)

    def work(self, stopped: threading.Event) -> None:
        """Say it until it is taken, then wait for the end."""
        while not stopped.is_set() and not self._over.is_set():
            if not self._taken and self._state and self._out.get_subscription_count():
                self._said = True
                self._out.publish(String(data=self._text))
            self._over.wait(1.0)

    def _directions(self) -> str:
        if text := self.get_parameter("text").value:
            return text
        if (task := self.get_parameter("task").value) < 0:
            raise RefusedError("neither text nor task is set: there is nothing to say")
        return simulated(self.get_parameter("sim").value, task, self.get_parameter("towns").value).instruction

    def _take(self, message: String) -> None:
        state = json.loads(message.data)
        if state != self._state:
            self.get_logger().info(" ".join(str(state.get(key, "")) for key in ("state", "clause", "reason")).strip())
        self._state = state
        self._taken = self._taken or state["state"] != "idle" or (self._said and bool(state["reason"]))
        if self._taken and state["state"] in _OVER:
            self._over.set()


def main(args=None) -> None:
    """Run the node until the drive is over, or SIGINT or SIGTERM."""
    run(Instructor, args)


if __name__ == "__main__":
    main()
