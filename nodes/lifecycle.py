# SPDX-FileCopyrightText: The Mem4Nav stack developers
# SPDX-License-Identifier: Apache-2.0
"""A lifecycle node that brings itself up: nobody else has to configure and activate it."""

from __future__ import annotations

from typing import TypeVar

from rclpy.lifecycle import LifecycleNode, TransitionCallbackReturn

from nodes.running import RefusedError


class RefusableNode(LifecycleNode):
    """Says why it cannot be configured.

    Attributes:
        refused: the reason, where there is one.
    """

    refused = ""


AnyNode = TypeVar("AnyNode", bound=RefusableNode)


def brought_up(node: AnyNode) -> AnyNode:
    """The node, configured and active.

    Raises:
        RefusedError: it cannot be configured.
    """
    if node.trigger_configure() is not TransitionCallbackReturn.SUCCESS:
        raise RefusedError(node.refused or "the node cannot be configured")
    node.trigger_activate()
    return node
