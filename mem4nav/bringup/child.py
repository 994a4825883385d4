# SPDX-FileCopyrightText: The Mem4Nav stack developers
# SPDX-License-Identifier: Apache-2.0
"""One process that a supervisor runs, and what it says."""

from __future__ import annotations

import ctypes
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress

_PR_SET_PDEATHSIG = 1


class Child:
    """A process in a session of its own, which ends with the thread that started it (Linux).

    Attributes:
        started_s: when it was started, or told to go on (``time.monotonic``).
    """

    def __init__(
        self, command: Sequence[str], environment: Mapping[str, str], tell: Callable[[str], None], waits: bool = False
    ) -> None:
        """Start it.

        Args:
            environment: all its variables.
            tell: called with each line that it says, from a thread.
            waits: it makes itself ready and reads a line from its input before it goes on.
        """
        self._process = subprocess.Popen(
            command, env=environment, stdin=subprocess.PIPE if waits else None, stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT, text=True, errors="replace", start_new_session=True, preexec_fn=_die_with_parent,
        )  # fmt: skip
        self.started_s = time.monotonic()
        self._reader = threading.Thread(target=self._read, args=(tell,), daemon=True)
        self._reader.start()

    @property
    def code(self) -> int | None:
        """Its exit code; None while it runs."""
        return self._process.poll()

    def go_on(self) -> None:
        """Tell one that waits to go on; where it is not ready yet, it does so once it is."""
        assert self._process.stdin is not None
        self.started_s = time.monotonic()
        with suppress(OSError), self._process.stdin as waiting:  # it has just ended: its code says so
            waiting.write("\n")

    def signal(self, number: int) -> None:
        """Send it a signal."""
        self._process.send_signal(number)

    def buried(self) -> None:
        """Wait for its end and for its last words."""
        self._process.wait()
        self._reader.join(1.0)
        if self._process.stdin is not None:
            self._process.stdin.close()

    def _read(self, tell: Callable[[str], None]) -> None:
        assert self._process.stdout is not None
        with self._process.stdout as lines:
            for line in lines:
                tell(line.rstrip())


_LIBC = ctypes.CDLL(None) if sys.platform == "linux" else None
"""Looked up here: between fork and exec there is no loading of libraries."""


def _die_with_parent() -> None:
    """No node is left running where the supervisor is killed, and none is deaf to SIGINT because a shell was."""
    signal.signal(signal.SIGINT, signal.SIG_DFL)
    if _LIBC is not None:
        _LIBC.prctl(_PR_SET_PDEATHSIG, signal.SIGTERM)
