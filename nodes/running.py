# SPDX-FileCopyrightText: The Mem4Nav stack developers
# SPDX-License-Identifier: Apache-2.0
"""How a node lives: callbacks in the main thread, work in a thread of its own, a clean end on SIGINT and SIGTERM."""

from __future__ import annotations

import logging
import sys
import threading
from collections.abc import Callable, Sequence
from typing import Protocol

import rclpy
from rclpy.exceptions import InvalidParameterTypeException, InvalidParameterValueException
from rclpy.executors import ExternalShutdownException, SingleThreadedExecutor
from rclpy.node import Node
from rclpy.signals import SignalHandlerOptions

from mem4nav.bringup.supervisor import REFUSED
from nodes.stopping import end_on_signals, stopped_by_signals

logger = logging.getLogger(__name__)


class RefusedError(Exception):
    """The node cannot be started as it was configured; the text says why."""


class Works(Protocol):
    """A node that computes."""

    def work(self, stopped: threading.Event) -> None:
        """Compute until told to stop, and leave all as it should be found."""
        ...


def run(make: Callable[[], Node], args: Sequence[str] | None = None) -> None:
    """Make the node and run it until a signal; exits with one line, and code 2, where its parameters are refused."""
    end_on_signals()
    rclpy.init(args=args, signal_handler_options=SignalHandlerOptions.NO)
    try:
        node = make()
    except (RefusedError, InvalidParameterValueException, InvalidParameterTypeException) as error:
        rclpy.try_shutdown()
        sys.stderr.write(f"refused: {error}\n")
        sys.exit(REFUSED)
    stopped = stopped_by_signals()
    failed = threading.Event()
    worker = threading.Thread(target=_work, args=(node, stopped, failed), name="work")
    worker.start()
    executor = SingleThreadedExecutor()
    executor.add_node(node)
    try:
        while not stopped.is_set():
            executor.spin_once(timeout_sec=0.1)
    except ExternalShutdownException:
        pass
    finally:
        stopped.set()
        worker.join()
        node.destroy_node()
        rclpy.try_shutdown()
    if failed.is_set():
        sys.exit(1)


def _work(node: Works, stopped: threading.Event, failed: threading.Event) -> None:
    """A worker that fails takes the node with it: whoever started it starts it again."""
    try:
        node.work(stopped)
    except Exception:
        logger.exception("the node fails")
        failed.set()
    finally:
        stopped.set()
