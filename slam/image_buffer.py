# SPDX-FileCopyrightText: The Mem4Nav stack developers
# SPDX-License-Identifier: Apache-2.0
"""Pictures that wait for their scan: bounded, and never handed out long after their time."""

from __future__ import annotations

from slam.event_journal import EventJournal
from slam.measurements import Image

SECOND = 1_000_000_000


class ImageBuffer:
    """Pictures of all cameras; what is dropped goes to the journal."""

    def __init__(self, capacity: int, max_age_ns: int, journal: EventJournal) -> None:
        self.capacity = capacity
        self.max_age_ns = max_age_ns
        self._journal = journal
        self._images: list[Image] = []

    def push(self, image: Image) -> None:
        """Keep a picture; the oldest goes once the capacity is passed."""
        self._journal.count("images")
        self._images.append(image)
        if len(self._images) > self.capacity:
            self._images.pop(0)
            self._journal.count("images_dropped", "pictures dropped: no scan reached their stamp")

    def take(self, end_ns: int) -> tuple[Image, ...]:
        """Remove and return the pictures up to ``end_ns`` by stamp, without those that are too old for it."""
        if not self._images:
            return ()
        due = sorted((i for i in self._images if i.stamp_ns <= end_ns), key=lambda i: i.stamp_ns)
        self._images = [i for i in self._images if i.stamp_ns > end_ns]
        fresh = tuple(i for i in due if i.stamp_ns >= end_ns - self.max_age_ns)
        if old := len(due) - len(fresh):
            age_s = (end_ns - due[0].stamp_ns) / SECOND
            self._journal.count("images_dropped", times=old)
            self._journal.say(f"{old} pictures dropped: up to {age_s:.3f} s older than their scan")
        return fresh
