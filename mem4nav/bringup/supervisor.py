# SPDX-FileCopyrightText: The Mem4Nav stack developers
# SPDX-License-Identifier: Apache-2.0
"""Keeps processes running: started together, restarted when they crash, ended together."""

from __future__ import annotations

import ctypes
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

from mem4nav.bringup.description import Restart

REFUSED = 2
"""Exit code of a process that cannot run as it was configured: starting it again would not help."""
_POLL_S = 0.05
_PATIENCE_S = (10.0, 3.0)
"""After SIGINT, after SIGTERM; then comes SIGKILL."""
_PR_SET_PDEATHSIG = 1


@dataclass(frozen=True, slots=True)
class Task:
    """One process to keep running.

    Attributes:
        name: what its lines are told under.
        command: words.
        once: it may end by itself; otherwise its end is a crash, whatever its code.
    """

    name: str
    command: tuple[str, ...]
    once: bool = False


class Supervisor:
    """Runs tasks until told to stop.

        supervisor = Supervisor(tasks, environment, print)
        signal.signal(signal.SIGINT, lambda *_: supervisor.stop())
        code = supervisor.run()

    ``run`` belongs into the main thread: on Linux the processes die with the thread that started them.
    """

    def __init__(
        self, tasks: Sequence[Task], environment: Mapping[str, str], tell: Callable[[str, str], None],
        restart: Restart | None = None,
    ) -> None:  # fmt: skip
        """Get ready.

        Args:
            environment: all variables of the processes.
            tell: called with a task's name and a line that it said, or that is said of it; from several threads.
        """
        self._environment, self._tell, self._restart = dict(environment), tell, restart or Restart()
        self._running = [_Running(task) for task in tasks]
        self._stops = 0

    def stop(self) -> None:
        """End all in order; told so again, at once. Safe in a signal handler."""
        self._stops += 1

    def run(self) -> int:
        """Start all, and keep them running until ``stop``, or until none is left.

        Returns:
            0; or ``REFUSED`` where one refused to run; or 1 where one had to be killed.
        """
        refused = False
        for one in self._running:
            self._start(one)
        while not self._stops and not refused and any(not one.over for one in self._running):
            time.sleep(_POLL_S)
            refused = bool([one for one in self._running if self._attend(one)])
        killed = self._end()
        return REFUSED if refused else int(killed)

    def _start(self, one: _Running) -> None:
        one.process = subprocess.Popen(
            one.task.command, env=self._environment, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True,
            errors="replace", start_new_session=True, preexec_fn=_die_with_parent,
        )  # fmt: skip
        one.started_s = time.monotonic()
        one.reader = threading.Thread(target=self._read, args=(one.task.name, one.process), daemon=True)
        one.reader.start()

    def _read(self, name: str, process: subprocess.Popen[str]) -> None:
        assert process.stdout is not None
        with process.stdout as lines:
            for line in lines:
                self._tell(name, line.rstrip())

    def _attend(self, one: _Running) -> bool:
        """Look after one process; True where it refused to run."""
        now = time.monotonic()
        if one.over or one.process is None:
            return False
        if one.due_s is not None:
            if now >= one.due_s:
                one.due_s = None
                self._start(one)
            return False
        code = one.process.poll()
        if code is None:
            return False
        if code == REFUSED and not one.task.once:
            self._tell(one.task.name, "cannot run as it was configured: all are stopped")
            return True
        if one.task.once:
            one.over = True
            self._tell(one.task.name, "done" if code == 0 else f"ended with {_named(code)}")
            return False
        wait_s = one.wait_s(now, self._restart)
        one.due_s = now + wait_s
        self._tell(one.task.name, f"ended with {_named(code)}: started again in {wait_s:.1f} s")
        return False

    def _end(self) -> bool:
        """End what runs; True where something had to be killed."""
        patient = 1 if self._stops else 0
        for number, patience_s in zip((signal.SIGINT, signal.SIGTERM), _PATIENCE_S, strict=True):
            self._signal(number)
            until = time.monotonic() + patience_s
            while self._alive() and time.monotonic() < until and self._stops <= patient:
                time.sleep(_POLL_S)
        killed = self._alive()
        for one in killed:
            self._tell(one.task.name, "did not end: killed")
        self._signal(signal.SIGKILL)
        for one in self._running:
            if one.process is not None and one.reader is not None:
                one.process.wait()
                one.reader.join(1.0)
        return bool(killed)

    def _alive(self) -> list[_Running]:
        return [one for one in self._running if one.process is not None and one.process.poll() is None]

    def _signal(self, number: int) -> None:
        for one in self._alive():
            assert one.process is not None
            one.process.send_signal(number)


@dataclass(slots=True)
class _Running:
    task: Task
    process: subprocess.Popen[str] | None = None
    reader: threading.Thread | None = None
    started_s: float = 0.0
    due_s: float | None = None
    last_wait_s: float = 0.0
    over: bool = False

    def wait_s(self, now: float, restart: Restart) -> float:
        """Before it is started again."""
        if now - self.started_s >= restart.well_s or not self.last_wait_s:
            self.last_wait_s = restart.first_s
        else:
            self.last_wait_s = min(2.0 * self.last_wait_s, restart.most_s)
        return self.last_wait_s


def _named(code: int) -> str:
    return signal.Signals(-code).name if code < 0 else f"code {code}"


_LIBC = ctypes.CDLL(None) if sys.platform == "linux" else None
"""Looked up here: between fork and exec there is no loading of libraries."""


def _die_with_parent() -> None:
    """No node is left running where the supervisor is killed, and none is deaf to SIGINT because a shell was."""
    signal.signal(signal.SIGINT, signal.SIG_DFL)
    if _LIBC is not None:
        _LIBC.prctl(_PR_SET_PDEATHSIG, signal.SIGTERM)
