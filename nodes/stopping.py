# SPDX-FileCopyrightText: The Mem4Nav stack developers
# SPDX-License-Identifier: Apache-2.0
"""How a node is told to stop: by SIGINT or SIGTERM, as often as they come, with exit code 0."""

from __future__ import annotations

import os
import signal
import sys
from types import FrameType

_SIGNALS = (signal.SIGINT, signal.SIGTERM)
_asked: list[int] = []
"""The signal that came before there was an ``Ending``."""


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


def _end(number: int, frame: FrameType | None) -> None:
    for other in _SIGNALS:
        signal.signal(other, lambda *_: None)
    _asked.append(number)
    sys.exit(0)


def end_if_asked() -> None:
    """End where a signal came and its exit was lost: one that is raised in a callback of compiled code is ignored."""
    if _asked:
        sys.exit(0)


class Ending:
    """From now on signals end the node in order: ``wait`` comes back, at once where one came before.

    Of two signals in a row the kernel may hand both to a thread that is not the main one, which a lock that it waits
    for would never learn; a byte in a pipe it does, whoever has handled the signal.
    """

    def __init__(self) -> None:
        self._told, self._tell = os.pipe()
        os.set_blocking(self._tell, False)
        signal.set_wakeup_fd(self._tell)
        for number in _SIGNALS:
            signal.signal(number, lambda *_: None)
        if _asked:
            self.tell()

    def tell(self) -> None:
        """End it without a signal; from any thread."""
        os.write(self._tell, b"\0")

    def wait(self) -> None:
        """Until a signal has come, or somebody has told so."""
        os.read(self._told, 1)
