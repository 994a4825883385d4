# SPDX-FileCopyrightText: The Mem4Nav stack developers
# SPDX-License-Identifier: Apache-2.0
"""A process that makes itself ready beforehand, so that it can take the place of one that was killed."""

from __future__ import annotations

import os
import sys
from collections.abc import Callable

from rclpy.node import Node

from nodes.stopping import end_if_asked


def stood_by(make_ready: Callable[[], object]) -> Node:
    """Make ready, meet the others, and come back once a line is there to be read; the process ends where none can come.

    What takes a second or more after a start over DDS is to find everybody else, process by process. That is done
    under a hidden name, with no topic; whoever then opens topics in this process is heard at once.

    Returns:
        What keeps the acquaintance until other nodes stand beside it; to be destroyed then.
    """
    met = Node(
        f"_standing_by_{os.getpid()}", use_global_arguments=False, enable_rosout=False, start_parameter_services=False
    )
    make_ready()
    end_if_asked()
    if not sys.stdin.readline():
        sys.exit(0)
    return met
