# SPDX-FileCopyrightText: The Mem4Nav stack developers
# SPDX-License-Identifier: Apache-2.0
"""How a node lives: callbacks in one thread, work in another, a clean end on SIGINT and SIGTERM."""

from __future__ import annotations

import faulthandler
import logging
import sys
import threading
from collections.abc import Callable, Sequence
from typing import Protocol, cast

import rclpy
from rclpy.exceptions import InvalidParameterTypeException, InvalidParameterValueException
from rclpy.executors import ExternalShutdownException, SingleThreadedExecutor
from rclpy.node import Node
from rclpy.signals import SignalHandlerOptions
from rclpy.task import Future

from mem4nav.bringup.supervisor import REFUSED, STAND_BY
from nodes.shared_memory import free_memory_of_the_dead
from nodes.standing_by import stood_by
from nodes.stopping import Ending, end_on_signals

logger = logging.getLogger(__name__)


class RefusedError(Exception):
    """The node cannot be started as it was configured; the text says why."""


class Works(Protocol):
    """A node that computes."""

    def work(self, stopped: threading.Event) -> None:
        """Compute until told to stop, and leave all as it should be found."""
        ...


def run(
    make: Callable[[], Node], args: Sequence[str] | None = None, make_ready: Callable[[], object] = lambda: None
) -> None:
    """Make the node and run it until a signal; exits with one line, and code 2, where its parameters are refused.

    Args:
        args: of the command line; None: those of this process.
        make_ready: what a process that stands by can do before it knows that it is needed.
    """
    faulthandler.enable()  # a crash, or SIGABRT to a node that hangs, tells where
    end_on_signals()
    free_memory_of_the_dead()
    rclpy.init(args=args, signal_handler_options=SignalHandlerOptions.NO)
    met = stood_by(make_ready) if STAND_BY in (sys.argv if args is None else args) else None
    try:
        node = make()
    except (RefusedError, InvalidParameterValueException, InvalidParameterTypeException) as error:
        rclpy.try_shutdown()
        sys.stderr.write(f"refused: {error}\n")
        sys.exit(REFUSED)
    if met is not None:
        met.destroy_node()
    failed = _end_of(node, cast(Works, node).work)
    node.destroy_node()
    rclpy.try_shutdown()
    if failed:
        sys.exit(1)


def _end_of(node: Node, work: Callable[[threading.Event], None]) -> bool:
    """Run a node until a signal, or until it fails; whether it failed.

    The executor has a thread of its own: in the main thread it would have to wake ten times a second to see a signal.
    """
    ending, stopped, over, failed = Ending(), threading.Event(), Future(), threading.Event()
    executor = SingleThreadedExecutor()
    executor.add_node(node)

    def keep(name: str, going: Callable[[], object]) -> threading.Thread:
        thread = threading.Thread(target=_keep, args=(going, failed, ending), name=name)
        thread.start()
        return thread

    working = keep("work", lambda: work(stopped))
    spinning = keep("spin", lambda: executor.spin_until_future_complete(over))
    ending.wait()
    stopped.set()
    working.join()
    over.set_result(None)
    spinning.join()
    return failed.is_set()


def _keep(going: Callable[[], object], failed: threading.Event, ending: Ending) -> None:
    """A thread that ends or fails takes the node with it: whoever started it starts it again."""
    try:
        going()
    except ExternalShutdownException:
        pass
    except Exception:
        logger.exception("the node fails")
        failed.set()
    finally:
        ending.tell()
