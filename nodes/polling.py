# SPDX-FileCopyrightText: The Mem4Nav stack developers
# SPDX-License-Identifier: Apache-2.0
"""Topics past the executor, which looks at all of a node's services, timers and topics for every message of any."""

from __future__ import annotations

import threading
from collections.abc import Callable

from rclpy.callback_groups import CallbackGroup
from rclpy.guard_condition import GuardCondition
from rclpy.impl.implementation_singleton import rclpy_implementation
from rclpy.node import Node
from rclpy.qos import QoSProfile
from rclpy.qos_overriding_options import QoSOverridingOptions
from rclpy.subscription import Subscription


class _NeverWaitedFor(CallbackGroup):
    """Its subscriptions wake no executor."""

    def can_execute(self, entity) -> bool:
        return False

    def beginning_execution(self, entity) -> bool:
        return False

    def ending_execution(self, entity) -> None:
        pass


class PolledSubscription:
    """Many small messages, taken in bundles: serialised they wait in the middleware, as many as the quality's depth."""

    def __init__(self, node: Node, kind: type, topic: str, quality: QoSProfile) -> None:
        """Subscribe; the quality of service can be overridden by parameters."""
        self._node, self._kind = node, kind
        self._subscription: Subscription = node.create_subscription(
            kind, topic, _unused, quality, callback_group=_NeverWaitedFor(), raw=True,
            qos_overriding_options=QoSOverridingOptions.with_default_policies(),
        )  # fmt: skip

    def take(self) -> list[bytes]:
        """All that came since the last call, oldest first."""
        taken, handle = [], self._subscription.handle
        with handle:
            while (found := handle.take_message(self._kind, True)) is not None:
                taken.append(found[0])
        return taken

    def destroy(self) -> None:
        """Subscribe no more."""
        self._node.destroy_subscription(self._subscription)


class AttendedSubscription(PolledSubscription):
    """Few large messages, which a thread of its own hands on the moment that they come."""

    def __init__(
        self, node: Node, kind: type, topic: str, quality: QoSProfile, hand_on: Callable[[bytes], None]
    ) -> None:
        """Subscribe; ``hand_on`` enqueues a serialised message, and must not fail."""
        super().__init__(node, kind, topic, quality)
        self._hand_on, self._ended = hand_on, threading.Event()
        self._wake = GuardCondition(None, None, context=node.context)
        self._thread = threading.Thread(target=self._attend, name=topic, daemon=True)
        self._thread.start()

    def _attend(self) -> None:
        context, handle, wake = self._node.context.handle, self._subscription.handle, self._wake.handle
        with context, handle, wake:
            awaited = rclpy_implementation.WaitSet(1, 1, 0, 0, 0, 0, context)
            while not self._ended.is_set():
                awaited.clear_entities()
                awaited.add_subscription(handle)
                awaited.add_guard_condition(wake)
                awaited.wait(-1)
                for data in self.take():
                    self._hand_on(data)

    def destroy(self) -> None:
        """Subscribe no more."""
        self._ended.set()
        self._wake.trigger()
        self._thread.join()
        self._wake.destroy()
        super().destroy()


def _unused(_: bytes) -> None:
    """A subscription must have a callback; nobody calls this one."""
