# SPDX-FileCopyrightText: The Mem4Nav stack developers
# SPDX-License-Identifier: Apache-2.0
"""The IMU's side of the sequencer: which samples count, and which of them belong to a scan."""

from __future__ import annotations

import math

from slam.bundle import ImuBlock
from slam.event_journal import EventJournal
from slam.imu_buffer import ImuBuffer, Row
from slam.measurements import ImuSample
from slam.stamp_judge import SECOND, StampJudge, StreamTiming

SAME_CLOCK_NS = 10 * SECOND
MIN_GAP_NS = SECOND // 20
NEVER = -(1 << 63)
LATE = "IMU samples came after their scan was out, or twice: dropped"


class ImuLane:
    """Inertial samples on their way to the scans.

    Attributes:
        silent: scans have stopped waiting for it.
        buffer: samples not handed out.
    """

    def __init__(self, timing: StreamTiming, capacity: int, journal: EventJournal) -> None:
        self.silent = False
        self.buffer = ImuBuffer(capacity)
        self._before_jump = ImuBuffer(capacity)
        self._judge: StampJudge[Row] = StampJudge(timing)
        self._journal = journal
        self._horizon_ns = NEVER  # samples up to here come too late
        self._handed_ns = NEVER  # newest sample handed out
        self._ahead = False  # the samples at hand are of after the scans

    @property
    def newest_ns(self) -> int | None:
        """Newest stamp believed."""
        return self._judge.last_ns

    def push(self, sample: ImuSample, scan_ns: int | None) -> None:
        """Take a sample; ``scan_ns`` is the newest scan's stamp. The common case takes two microseconds."""
        self._journal.totals["imu"] += 1
        row = [*sample.gyro.tolist(), *sample.accel.tolist()]
        if not math.isfinite(sum(row)):
            self._journal.count("imu_not_finite", "IMU samples with NaN or inf dropped")
            return
        judge, stamp_ns = self._judge, sample.stamp_ns
        last_ns = judge.last_ns
        if last_ns is not None and 0 < stamp_ns - last_ns <= judge.timing.quiet_ns and not judge.held:
            judge.advance(stamp_ns)
            self._keep(stamp_ns, row, scan_ns)
        else:
            self._judged(stamp_ns, row, scan_ns)

    def close(self, scan_ns: int | None) -> None:
        """Nothing follows: decide on what is held."""
        for stamp_ns, row in self._judge.close().accepted:
            self._keep(stamp_ns, row, scan_ns)

    def forget_clock(self) -> None:
        """The scans' clock has jumped: what was late for the scans before is not late for those to come."""
        self._horizon_ns = NEVER
        self._before_jump = ImuBuffer(self.buffer.capacity)

    def take(self, end_ns: int) -> ImuBlock:
        """Samples for a scan that ends at ``end_ns``, from before a jump of this clock where the scan is too."""
        imu_ns = self._judge.last_ns
        if imu_ns is None:
            return ImuBlock()
        if abs(end_ns - imu_ns) > SAME_CLOCK_NS:
            block = self._take_before_jump(end_ns)
        else:
            block = self.buffer.take(end_ns)
            self._horizon_ns = max(self._horizon_ns, end_ns, *block.stamps_ns[-1:].tolist())
            self._report_gaps(block)
        self._report_absence(block, end_ns)
        return block

    def _judged(self, stamp_ns: int, row: Row, scan_ns: int | None) -> None:
        verdict = self._judge.judge(stamp_ns, row, scan_ns)
        for wrong_ns, _ in verdict.rejected:
            off_s = (wrong_ns - (self._judge.last_ns or 0)) / SECOND
            self._journal.count("imu_mis_stamped")
            self._journal.say(f"IMU sample stamped {off_s:+.3f} s off dropped")
        if verdict.jump_ns:
            self._change_clock(verdict.jump_ns, verdict.accepted[0][0])
        for accepted_ns, accepted in verdict.accepted:
            self._keep(accepted_ns, accepted, scan_ns)

    def _change_clock(self, jump_ns: int, first_ns: int) -> None:
        """Samples of the clock before stay for the scans of the clock before, which are still to come."""
        self._journal.count("imu_clock_jumps")
        self._journal.say(f"IMU clock jumped by {jump_ns / SECOND:+.3f} s")
        self._before_jump, self.buffer = self.buffer, ImuBuffer(self.buffer.capacity)
        self._handed_ns = NEVER
        if abs(first_ns - self._horizon_ns) > SAME_CLOCK_NS:
            self._horizon_ns = NEVER

    def _keep(self, stamp_ns: int, row: Row, scan_ns: int | None) -> None:
        if stamp_ns <= self._horizon_ns:
            self._journal.count("imu_late", "" if self.silent else LATE)  # once silent, it has been said
        elif not self.buffer.insert(stamp_ns, row):
            self._journal.count("imu_duplicates", "IMU samples with a stamp seen before dropped")
        else:
            if self.silent and abs(stamp_ns - (scan_ns or 0)) <= SAME_CLOCK_NS:
                self.silent = False
                self._journal.say(f"IMU is back at {stamp_ns / SECOND:.3f} s")
            if dropped := self.buffer.trim():
                self._journal.count("imu_overflow", "IMU samples dropped: no scan came to use them", dropped)

    def _take_before_jump(self, end_ns: int) -> ImuBlock:
        before = self._before_jump
        if len(before) and abs(end_ns - before.stamps[-1]) <= SAME_CLOCK_NS:
            return before.take(end_ns)
        return ImuBlock()

    def _report_absence(self, block: ImuBlock, end_ns: int) -> None:
        """A scan without samples; said once where they lie ahead: a clock of its own, or an IMU that started late."""
        if len(block):
            self._ahead = False
            return
        self._journal.count("scans_without_imu")
        if not self._ahead and len(self.buffer) and self.buffer.stamps[0] > end_ns + SECOND // 2:
            self._ahead = True
            ahead_s = (self.buffer.stamps[0] - end_ns) / SECOND
            self._journal.say(f"no IMU for a scan: the samples at hand begin {ahead_s:.3f} s after its end")

    def _report_gaps(self, block: ImuBlock) -> None:
        limit_ns = max(MIN_GAP_NS, 5 * self._judge.period_ns)
        for stamp_ns in block.stamps_ns.tolist():
            if self._handed_ns != NEVER and stamp_ns - self._handed_ns > limit_ns:
                self._journal.count("imu_gaps")
                gap_s = (stamp_ns - self._handed_ns) / SECOND
                self._journal.say(f"no IMU for {gap_s:.3f} s up to {stamp_ns / SECOND:.3f} s")
            self._handed_ns = stamp_ns
