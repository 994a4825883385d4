# SPDX-FileCopyrightText: The Mem4Nav stack developers
# SPDX-License-Identifier: Apache-2.0
"""The shape of an inspection's result."""

from __future__ import annotations

from dataclasses import asdict, dataclass, field
from enum import Enum
from typing import Any


class Severity(str, Enum):
    """ok: as it should be; warn: works, worse than it could; bad: results will be wrong or missing."""

    OK = "ok"
    WARN = "warn"
    BAD = "bad"


@dataclass(frozen=True, slots=True)
class Finding:
    """One verdict.

    Attributes:
        severity: how bad.
        subject: topic or sensor.
        text: what was found, with numbers.
        remedy: what to do about it, empty where nothing is to be done.
    """

    severity: Severity
    subject: str
    text: str
    remedy: str = ""


@dataclass(frozen=True, slots=True)
class StreamStatistics:
    """Timing of one topic; stamps are those of the headers where the messages have one, else record times.

    Attributes:
        name, kind: topic and message type.
        count: messages.
        rate_hz: from the median period; None with fewer than two messages.
        longest_gap_s: largest step of the stamps forward, jumps of the clock apart.
        gap_at_s: where it begins, after the first message.
        repeats, backward, jumps: stamps that are equal to, or older than, the one before, or over 10 s off it.
        jump_s: the largest jump, with its sign; 0 where there is none.
        delay_ms: median of record time minus header stamp; None without both.
        delay_drift_ms: how much that changes from the first to the last tenth.
    """

    name: str
    kind: str
    count: int
    rate_hz: float | None = None
    longest_gap_s: float = 0.0
    gap_at_s: float = 0.0
    repeats: int = 0
    backward: int = 0
    jumps: int = 0
    jump_s: float = 0.0
    delay_ms: float | None = None
    delay_drift_ms: float = 0.0


@dataclass(slots=True)
class Report:
    """All that was found in a recording.

    Attributes:
        name: of the recording.
        duration_s: by record time (by stamps for a drive folder).
        streams: one for each topic.
        findings: the verdicts.
        numbers: measured values by name, for metrics.json.
    """

    name: str
    duration_s: float = 0.0
    streams: list[StreamStatistics] = field(default_factory=list)
    findings: list[Finding] = field(default_factory=list)
    numbers: dict[str, Any] = field(default_factory=dict)

    def add(self, severity: Severity, subject: str, text: str, remedy: str = "") -> None:
        """Append a finding."""
        self.findings.append(Finding(severity, subject, text, remedy))

    @property
    def worst(self) -> Severity:
        """The worst severity among the findings."""
        order = list(Severity)
        return max((f.severity for f in self.findings), key=order.index, default=Severity.OK)

    def as_dict(self) -> dict[str, Any]:
        """Plain values for metrics.json."""
        plain = asdict(self)
        plain["worst"] = self.worst.value
        for finding in plain["findings"]:
            finding["severity"] = finding["severity"].value
        return plain
