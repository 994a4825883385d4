# SPDX-FileCopyrightText: The Mem4Nav stack developers
# SPDX-License-Identifier: Apache-2.0
"""How a node is told to stop: by SIGINT or SIGTERM, as often as they come, with exit code 0."""

from __future__ import annotations

import os
import signal
import sys
from queue import SimpleQueue
from types import FrameType

_SIGNALS = (signal.SIGINT, signal.SIGTERM)


def end_while_loading() -> None:
    """While modules are loaded a signal ends the process on the spot.

    Raised while a compiled module sets itself up, ``SystemExit`` would come out as an ``ImportError``.
    """
    for number in _SIGNALS:
        signal.signal(number, lambda *_: os._exit(0))


def end_on_signals() -> None:
    """While there is nothing yet that would have to be left in order, a signal ends the process."""
    for number in _SIGNALS:
        signal.signal(number, _end)


def told_to_end() -> SimpleQueue[None]:
    """From now on signals put something into this queue, and the node ends by itself.

    A signal may come while this very thread holds the lock of an event or of a queue of the usual kind; here it may.
    """
    told: SimpleQueue[None] = SimpleQueue()
    for number in _SIGNALS:
        signal.signal(number, lambda *_: told.put(None))
    return told


def _end(number: int, frame: FrameType | None) -> None:
    for other in _SIGNALS:
        signal.signal(other, lambda *_: None)
    sys.exit(0)
