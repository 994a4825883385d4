# SPDX-FileCopyrightText: The Mem4Nav stack developers
# SPDX-License-Identifier: Apache-2.0
"""A topic of many small messages, taken in bundles: waiting for each of them costs ten times what it holds."""

from __future__ import annotations

from rclpy.callback_groups import CallbackGroup
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
    """Serialised messages wait in the middleware, as many as the quality's depth, until they are taken."""

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


def _unused(_: bytes) -> None:
    """A subscription must have a callback; nobody calls this one."""
