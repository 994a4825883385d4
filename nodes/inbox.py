# SPDX-FileCopyrightText: The Mem4Nav stack developers
# SPDX-License-Identifier: Apache-2.0
"""What callbacks leave for the thread that computes: in order of arrival, the newest of each kind, drops counted."""

from __future__ import annotations

import threading
import time
from collections import Counter, deque
from collections.abc import Callable
from typing import NamedTuple


class Parcel(NamedTuple):
    """One message: what to do with it, of what kind it is, and when it arrived (``time.monotonic``)."""

    kind: str
    task: Callable[[], None]
    arrived_s: float


class Inbox:
    """Parcels from the thread that spins to the thread that computes.

    Attributes:
        arrived, dropped: totals by kind.
    """

    def __init__(self) -> None:
        self.arrived: Counter[str] = Counter()
        self.dropped: Counter[str] = Counter()
        self._waiting: deque[Parcel] = deque()
        self._count: Counter[str] = Counter()
        self._filled = threading.Condition()

    def put(self, kind: str, task: Callable[[], None], most: int = 5) -> None:
        """Leave a parcel; where ``most`` of its kind wait already, the oldest of them is dropped."""
        with self._filled:
            self.arrived[kind] += 1
            if self._count[kind] >= most:
                oldest = next(i for i, parcel in enumerate(self._waiting) if parcel.kind == kind)
                del self._waiting[oldest]
                self.dropped[kind] += 1
                self._count[kind] -= 1
            self._waiting.append(Parcel(kind, task, time.monotonic()))
            self._count[kind] += 1
            self._filled.notify()

    def take(self, timeout_s: float) -> Parcel | None:
        """The oldest parcel, or None where none comes in time."""
        with self._filled:
            if not self._waiting:
                self._filled.wait(timeout_s)
            if not self._waiting:
                return None
            parcel = self._waiting.popleft()
            self._count[parcel.kind] -= 1
            return parcel

    def holds(self, kind: str) -> bool:
        """Whether a parcel of this kind waits."""
        return self._count[kind] > 0

    def __len__(self) -> int:
        return len(self._waiting)
