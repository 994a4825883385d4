# SPDX-FileCopyrightText: The Mem4Nav stack developers
# SPDX-License-Identifier: Apache-2.0
"""/diagnostics at 1 Hz, and at once when an error begins or ends: rates, drops, latency, what is wrong, in words."""

from __future__ import annotations

import time
from collections import Counter, deque
from collections.abc import Callable, Mapping, Sequence
from typing import NamedTuple

import numpy as np
from diagnostic_msgs.msg import DiagnosticArray, DiagnosticStatus, KeyValue
from rclpy.clock import Clock, ClockType
from rclpy.node import Node

from nodes.inbox import Inbox

PERIOD_S = 1.0
_LOOK_S = 0.2
_REMEMBERED = 200


class Trouble(NamedTuple):
    """Something that is not as it should be; an error stops the node from doing what it is for."""

    sentence: str
    error: bool = False


class Diagnostics:
    """Tells, on the wall's clock, how a node is.

    Attributes:
        latency_s: from arrival to what came of it, of the newest messages.
    """

    def __init__(
        self,
        node: Node,
        inbox: Inbox,
        troubles: Callable[[], Sequence[Trouble]],
        values: Callable[[], Mapping[str, object]] = dict,
    ) -> None:
        """Begin to tell.

        Args:
            troubles: what is wrong now, the worst first; none: all is well.
            values: what else there is to know.
        """
        self.latency_s: deque[float] = deque(maxlen=_REMEMBERED)
        self._node, self._inbox, self._troubles, self._values = node, inbox, troubles, values
        self._before, self._at = Counter[str](), time.monotonic()
        self._level = DiagnosticStatus.OK
        self._out = node.create_publisher(DiagnosticArray, "/diagnostics", 10)
        node.create_timer(_LOOK_S, self._look, clock=Clock(clock_type=ClockType.STEADY_TIME))

    def _look(self) -> None:
        troubles = list(self._troubles())
        before, self._level = self._level, _level_of(troubles)
        is_due = time.monotonic() - self._at > PERIOD_S - 0.5 * _LOOK_S
        if is_due or (before != self._level and DiagnosticStatus.ERROR in (before, self._level)):
            self._tell(troubles)

    def _tell(self, troubles: Sequence[Trouble]) -> None:
        status = DiagnosticStatus(
            level=self._level, name=self._node.get_fully_qualified_name().lstrip("/"), hardware_id="mem4nav",
            message="; ".join(one.sentence for one in troubles) or "ok",
            values=[KeyValue(key=key, value=str(value)) for key, value in self._all_values().items()],
        )  # fmt: skip
        message = DiagnosticArray(status=[status])
        message.header.stamp = self._node.get_clock().now().to_msg()
        self._out.publish(message)

    def _all_values(self) -> dict[str, object]:
        now, arrived = time.monotonic(), Counter(self._inbox.arrived)
        span, self._at = max(now - self._at, 1e-3), now
        values: dict[str, object] = {
            f"{k} rate (Hz)": f"{(n - self._before[k]) / span:.1f}" for k, n in arrived.items()
        }
        self._before = arrived
        values |= {f"{kind} dropped": count for kind, count in self._inbox.dropped.items()}
        if self.latency_s:
            p50, p95 = np.quantile(list(self.latency_s), [0.5, 0.95])
            values["latency p50, p95 (ms)"] = f"{1e3 * p50:.1f}, {1e3 * p95:.1f}"
        return values | dict(self._values())


def _level_of(troubles: Sequence[Trouble]) -> bytes:
    if not troubles:
        return DiagnosticStatus.OK
    return DiagnosticStatus.ERROR if any(one.error for one in troubles) else DiagnosticStatus.WARN
