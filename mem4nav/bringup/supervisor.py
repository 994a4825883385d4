# SPDX-FileCopyrightText: The Mem4Nav stack developers
# SPDX-License-Identifier: Apache-2.0
"""Keeps processes running: started together, replaced or restarted when they crash, ended together."""

from __future__ import annotations

import signal
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

from mem4nav.bringup.child import Child
from mem4nav.bringup.description import Restart

REFUSED = 2
"""Exit code of a process that cannot run as it was configured: starting it again would not help."""
STAND_BY = "--stand-by"
"""Option of a node that makes itself ready, and goes on once a line comes on its input."""
_POLL_S = 0.05
_PATIENCE_S = (10.0, 3.0)
"""After SIGINT, after SIGTERM; then comes SIGABRT, on which a node says where it hangs, and SIGKILL."""
_LAST_WORDS_S = 1.0


@dataclass(frozen=True, slots=True)
class Task:
    """One process to keep running.

    Attributes:
        name: what its lines are told under.
        command: words.
        spare: words of a process that makes itself ready, and takes the place of one that ended; empty: there is none.
        once: it may end by itself; otherwise its end is a crash, whatever its code.
    """

    name: str
    command: tuple[str, ...]
    spare: tuple[str, ...] = ()
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
        one.due_s, one.child = None, self._child(one.task.name, one.task.command)
        one.spare_due_s = one.child.started_s + self._restart.spare_s

    def _child(self, name: str, command: Sequence[str], *, waits: bool = False) -> Child:
        return Child(command, self._environment, lambda line: self._tell(name, line), waits=waits)

    def _attend(self, one: _Running) -> bool:
        """Look after one process; True where it refused to run."""
        now = time.monotonic()
        if one.over or one.child is None:
            return False
        if one.due_s is not None:
            if now >= one.due_s:
                self._start(one)
            return False
        code = one.child.code
        if code is None:
            self._keep_spare(one, now)
            return False
        if code == REFUSED and not one.task.once:
            self._tell(one.task.name, "cannot run as it was configured: all are stopped")
            return True
        if one.task.once:
            one.over = True
            self._tell(one.task.name, "done" if code == 0 else f"ended with {_named(code)}")
        else:
            self._replace(one, code, now)
        return False

    def _keep_spare(self, one: _Running, now: float) -> None:
        """A spare is made ready when it is due, and after a while another where it ended by itself."""
        if one.spare is not None and one.spare.code is not None:
            one.spare, one.spare_due_s = None, now + self._restart.most_s
        if one.task.spare and one.spare is None and now >= one.spare_due_s:
            one.spare = self._child(one.task.name, one.task.spare, waits=True)

    def _replace(self, one: _Running, code: int, now: float) -> None:
        """The spare goes on where there is one; the next is made ready at once where the one that ended ran well."""
        assert one.child is not None
        if one.spare is not None and one.spare.code is None:
            one.spare.go_on()
            ran_well = now - one.child.started_s >= self._restart.well_s
            one.child, one.spare, one.spare_due_s = one.spare, None, now + (0.0 if ran_well else self._restart.spare_s)
            return self._tell(one.task.name, f"ended with {_named(code)}: another, which stood by, goes on")
        wait_s = one.wait_s(now, self._restart)
        one.due_s = now + wait_s
        self._tell(one.task.name, f"ended with {_named(code)}: started again in {wait_s:.1f} s")

    def _end(self) -> bool:
        """End what runs; True where something had to be killed."""
        patient = 1 if self._stops else 0
        for number, patience_s in zip((signal.SIGINT, signal.SIGTERM), _PATIENCE_S, strict=True):
            self._signal(number)
            self._wait_for_all(patience_s, lambda: self._stops <= patient)
        killed = self._alive()
        for name, _ in killed:
            self._tell(name, "did not end: killed")
        self._signal(signal.SIGABRT)
        self._wait_for_all(_LAST_WORDS_S)
        self._signal(signal.SIGKILL)
        for one in self._running:
            for child in one.children():
                child.buried()
        return bool(killed)

    def _wait_for_all(self, patience_s: float, patient: Callable[[], bool] = lambda: True) -> None:
        until = time.monotonic() + patience_s
        while self._alive() and time.monotonic() < until and patient():
            time.sleep(_POLL_S)

    def _alive(self) -> list[tuple[str, Child]]:
        return [(one.task.name, child) for one in self._running for child in one.children() if child.code is None]

    def _signal(self, number: int) -> None:
        for _, child in self._alive():
            child.signal(number)


@dataclass(slots=True)
class _Running:
    task: Task
    child: Child | None = None
    spare: Child | None = None
    due_s: float | None = None
    spare_due_s: float = 0.0
    last_wait_s: float = 0.0
    over: bool = False

    def children(self) -> list[Child]:
        """The process and its spare, those that there are."""
        return [child for child in (self.child, self.spare) if child is not None]

    def wait_s(self, now: float, restart: Restart) -> float:
        """Before it is started again."""
        assert self.child is not None
        if now - self.child.started_s >= restart.well_s or not self.last_wait_s:
            self.last_wait_s = restart.first_s
        else:
            self.last_wait_s = min(2.0 * self.last_wait_s, restart.most_s)
        return self.last_wait_s


def _named(code: int) -> str:
    return signal.Signals(-code).name if code < 0 else f"code {code}"
