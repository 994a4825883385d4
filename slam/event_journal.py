# SPDX-FileCopyrightText: The Mem4Nav stack developers
# SPDX-License-Identifier: Apache-2.0
"""Collects what goes wrong between two scans, so that a thousand equal faults make one sentence."""

from __future__ import annotations

from collections import Counter

MAX_SENTENCES = 20


class EventJournal:
    """Sentences and counted faults since the last ``take``; ``totals`` counts over the whole run."""

    def __init__(self) -> None:
        self.totals: Counter[str] = Counter()
        self._sentences: list[str] = []
        self._left_out = 0
        self._faults: Counter[str] = Counter()

    def say(self, sentence: str) -> None:
        """Note one sentence; past the limit between two scans they are only counted."""
        if len(self._sentences) < MAX_SENTENCES:
            self._sentences.append(sentence)
        else:
            self._left_out += 1

    def count(self, key: str, fault: str = "", times: int = 1) -> None:
        """Add to a total; ``fault`` is the phrase that names it to a reader, where it is one."""
        self.totals[key] += times
        if fault:
            self._faults[fault] += times

    def take(self) -> tuple[str, ...]:
        """All sentences since the last call."""
        counted = [f"{times} {fault}" for fault, times in self._faults.items()]
        more = [f"and {self._left_out} more events"] if self._left_out else []
        taken = (*self._sentences, *counted, *more)
        self._sentences, self._left_out = [], 0
        self._faults.clear()
        return taken
