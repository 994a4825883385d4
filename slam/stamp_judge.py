# SPDX-FileCopyrightText: The Mem4Nav stack developers
# SPDX-License-Identifier: Apache-2.0
"""Tells a message that is stamped wrongly from a gap and from a clock that has jumped.

A stamp far from the one before proves nothing alone: the messages that follow decide. Until they have, the
message is held. If they go on from it, it was a gap or a jump; if they go on from before, it was wrong alone.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Generic, TypeVar

Message = TypeVar("Message")

SECOND = 1_000_000_000


@dataclass(frozen=True, slots=True)
class StreamTiming:
    """What is normal between two messages of one stream.

    Attributes:
        reorder_ns: a message this much older than the newest one was overtaken on the way.
        quiet_ns: a pause up to this length (or five periods) is nothing special.
        confirmations: so many consistent messages prove a jump.
        max_gap_ns: a longer pause counts as a jump of the clock: dead reckoning cannot bridge it anyway.
        near_ns: a pause is believed at once where another sensor's clock is this near.
    """

    reorder_ns: int = SECOND // 10
    quiet_ns: int = 35 * SECOND // 100
    confirmations: int = 3
    max_gap_ns: int = 10 * SECOND
    near_ns: int = SECOND // 2


@dataclass(slots=True)
class Verdict(Generic[Message]):
    """What is now known, in the order of arrival.

    Attributes:
        accepted, rejected: messages with their stamps.
        jump_ns: how far the clock jumped just before the first accepted message; 0 where it did not.
    """

    accepted: list[tuple[int, Message]] = field(default_factory=list)
    rejected: list[tuple[int, Message]] = field(default_factory=list)
    jump_ns: int = 0


class StampJudge(Generic[Message]):
    """Judges the stamps of one stream, message by message.

    Attributes:
        last_ns: newest stamp accepted on the present clock; None before the first message.
        period_ns: running mean of the time between messages.
        held: messages not decided upon.
    """

    def __init__(self, timing: StreamTiming) -> None:
        self.timing = timing
        self.last_ns: int | None = None
        self.period_ns = 0
        self.held: list[tuple[int, Message]] = []

    def judge(self, stamp_ns: int, message: Message, other_ns: int | None = None) -> Verdict[Message]:
        """Decide on a message, and perhaps on those held; ``other_ns`` is another sensor's newest stamp."""
        if self.last_ns is None:
            self.last_ns = stamp_ns
            return Verdict([(stamp_ns, message)])
        if self._follows(stamp_ns, other_ns):
            rejected, self.held = self.held, []
            self.advance(stamp_ns)
            return Verdict([(stamp_ns, message)], rejected)
        return self._hold(stamp_ns, message)

    def advance(self, stamp_ns: int) -> None:
        """Take note of an accepted stamp."""
        step = stamp_ns - (self.last_ns or 0)
        if step > 0:
            self.period_ns = step if not self.period_ns else self.period_ns + (step - self.period_ns) // 8
            self.last_ns = stamp_ns

    def close(self) -> Verdict[Message]:
        """Decide on what is held when nothing follows: a pause is believed, a jump is not."""
        if not self.held:
            return Verdict()
        step = self.held[0][0] - (self.last_ns or 0)
        if 0 < step <= self.timing.max_gap_ns:
            return self._accept_held()
        rejected, self.held = self.held, []
        return Verdict([], rejected)

    def _follows(self, stamp_ns: int, other_ns: int | None) -> bool:
        step = stamp_ns - (self.last_ns or 0)
        timing = self.timing
        if -max(timing.reorder_ns, 2 * self.period_ns) <= step <= max(timing.quiet_ns, 5 * self.period_ns):
            return True
        if not self.period_ns and not self.held:
            return 0 < step <= timing.max_gap_ns
        near = other_ns is not None and abs(stamp_ns - other_ns) <= timing.near_ns
        return near and 0 < step <= timing.max_gap_ns

    def _hold(self, stamp_ns: int, message: Message) -> Verdict[Message]:
        rejected: list[tuple[int, Message]] = []
        if self.held and not self._continues(stamp_ns):
            rejected, self.held = self.held, []
        self.held.append((stamp_ns, message))
        if len(self.held) < self.timing.confirmations:
            return Verdict([], rejected)
        verdict = self._accept_held()
        verdict.rejected = rejected
        return verdict

    def _continues(self, stamp_ns: int) -> bool:
        """Does the stamp go on from the held ones? The period is not known yet when the first pause is a jump."""
        step = stamp_ns - self.held[-1][0]
        limit = max(self.timing.quiet_ns, 5 * self.period_ns, SECOND)
        return -self.timing.reorder_ns <= step <= limit

    def _accept_held(self) -> Verdict[Message]:
        accepted, self.held = self.held, []
        step = accepted[0][0] - (self.last_ns or 0)
        jump_ns = 0 if 0 < step <= self.timing.max_gap_ns else step - self.period_ns
        self.last_ns = max(stamp for stamp, _ in accepted)
        if len(accepted) > 1 and accepted[-1][0] > accepted[0][0]:
            self.period_ns = (accepted[-1][0] - accepted[0][0]) // (len(accepted) - 1)
        return Verdict(accepted, [], jump_ns)
