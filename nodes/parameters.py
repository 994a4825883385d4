# SPDX-FileCopyrightText: The Mem4Nav stack developers
# SPDX-License-Identifier: Apache-2.0
"""Parameters of a node: each declared with what it is for and what it may be, and refused with a reason."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from rcl_interfaces.msg import FloatingPointRange, IntegerRange, ParameterDescriptor
from rclpy.node import Node


@dataclass(frozen=True, slots=True)
class Parameter:
    """One parameter.

    Attributes:
        name: as it is set.
        default: its value otherwise, which also tells its type.
        description: one phrase, with the unit.
        low, high: least and greatest value of a number; None where it may be any.
        live: it may be set while the node runs.
    """

    name: str
    default: Any
    description: str
    low: float | None = None
    high: float | None = None
    live: bool = False

    def descriptor(self) -> ParameterDescriptor:
        """As ROS wants it."""
        about = ParameterDescriptor(description=self.description, read_only=not self.live)
        if self.low is not None and self.high is not None:
            if isinstance(self.default, int):
                about.integer_range = [IntegerRange(from_value=int(self.low), to_value=int(self.high), step=1)]
            else:
                about.floating_point_range = [FloatingPointRange(from_value=self.low, to_value=self.high, step=0.0)]
        return about


def declare(node: Node, parameters: Sequence[Parameter]) -> None:
    """Declare them all.

    Raises:
        rclpy.exceptions.InvalidParameterValueException: a value out of its range, with the range.
    """
    for one in parameters:
        node.declare_parameter(one.name, one.default, one.descriptor())
