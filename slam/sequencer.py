# SPDX-FileCopyrightText: The Mem4Nav stack developers
# SPDX-License-Identifier: Apache-2.0
"""The one place that decides time order, for recordings and live sensors alike.

    sequencer = Sequencer()
    for measurement in recording.measurements():
        for bundle in sequencer.push(measurement):
            odometry.register(bundle)
    for bundle in sequencer.flush():
        odometry.register(bundle)

A scan comes out once the IMU has passed its end, and every scan comes out exactly once. What comes out depends
on nothing but what was pushed, and in which order: never on the wall clock.
"""

from __future__ import annotations

from bisect import insort
from dataclasses import dataclass, field

from slam import sweep
from slam.bundle import ImuBlock, ScanBundle
from slam.event_journal import EventJournal
from slam.image_buffer import ImageBuffer
from slam.imu_lane import NEVER, ImuLane
from slam.measurements import ImuSample, Measurement, Scan
from slam.stamp_judge import SECOND, StampJudge, StreamTiming

__all__ = ["ImuBlock", "ScanBundle", "Sequencer", "SequencerConfig"]

MAX_OFFSET_NS = SECOND


@dataclass(frozen=True, slots=True)
class SequencerConfig:
    """How long to wait for what.

    Attributes:
        expect_imu: False where there is no IMU: scans then come out at once.
        max_wait_ns: scan time that a scan waits for the IMU to pass its end; then it goes without.
        max_wait_scans: so many scans may wait at once.
        imu_capacity: samples kept while no scan comes.
        image_capacity: pictures kept while no scan reaches their stamp.
        image_max_age_ns: pictures this much older than a scan's end are dropped.
        recover_sweep: where all points of a scan carry the same time, it is recovered from their bearings. Switch
            it off where the driver has undone the motion already.
        scans: what is normal between two scans.
        imu: what is normal between two inertial samples.
    """

    expect_imu: bool = True
    max_wait_ns: int = SECOND // 2
    max_wait_scans: int = 5
    imu_capacity: int = 8192
    image_capacity: int = 16
    image_max_age_ns: int = 2 * SECOND
    recover_sweep: bool = True
    scans: StreamTiming = field(default_factory=lambda: StreamTiming(reorder_ns=SECOND // 4, confirmations=3))
    imu: StreamTiming = field(default_factory=lambda: StreamTiming(reorder_ns=SECOND // 10, confirmations=5))


@dataclass(slots=True)
class _Waiting:
    """A scan in the queue; ``early``: it may have overtaken another one; ``reason``: it is rejected."""

    key_ns: int
    end_ns: int
    scan: Scan
    reason: str = ""
    jump_ns: int = 0
    early: bool = False


class Sequencer:
    """Puts measurements in order and hands out one bundle a scan."""

    def __init__(self, config: SequencerConfig | None = None) -> None:
        self.config = config or SequencerConfig()
        self._scan_judge: StampJudge[Scan] = StampJudge(self.config.scans)
        self._waiting: list[_Waiting] = []
        self._journal = EventJournal()
        self._images = ImageBuffer(self.config.image_capacity, self.config.image_max_age_ns, self._journal)
        self._imu = ImuLane(self.config.imu, self.config.imu_capacity, self._journal)
        self._released_ns = NEVER  # stamp of the newest scan handed out

    @property
    def statistics(self) -> dict[str, int]:
        """Totals so far: measurements by kind, and faults by kind."""
        return dict(self._journal.totals)

    @property
    def imu_behind_ns(self) -> int:
        """How far the newest IMU sample is behind the end of the newest scan that waits for it; 0 where none waits."""
        newest_ns = self._imu.newest_ns
        ends = [one.end_ns for one in list(self._waiting) if not one.reason]
        return max(0, max(ends) - newest_ns) if ends and newest_ns is not None else 0

    def push(self, measurement: Measurement) -> list[ScanBundle]:
        """Take one measurement in the order of arrival; returns the scans that became ready, oldest first."""
        if isinstance(measurement, ImuSample):
            self._imu.push(measurement, self._scan_judge.last_ns)
        elif isinstance(measurement, Scan):
            return self._push_scan(measurement)
        else:
            self._images.push(measurement)
        return self._release() if self._waiting else []

    def flush(self) -> list[ScanBundle]:
        """The recording is over: decide on what is held, and hand out every scan that is left."""
        self._imu.close(self._scan_judge.last_ns)
        verdict = self._scan_judge.close()
        self._reject_scans(verdict.rejected)
        for stamp_ns, scan in verdict.accepted:
            self._enqueue(stamp_ns, scan)
        return self._release(force=True)

    def _push_scan(self, scan: Scan) -> list[ScanBundle]:
        self._journal.count("scans")
        if self.config.recover_sweep and sweep.says_nothing(scan):
            if not self._journal.totals["sweeps_recovered"]:
                self._journal.say("all points of a scan carry the same time: it is recovered from their bearings")
            self._journal.count("sweeps_recovered")
            scan = sweep.recovered(scan, self._scan_judge.period_ns)
        before_ns, period_ns = self._scan_judge.last_ns, self._scan_judge.period_ns
        verdict = self._scan_judge.judge(scan.stamp_ns, scan, self._imu.newest_ns)
        self._reject_scans(verdict.rejected)
        over = self._change_scan_clock(verdict.jump_ns) if verdict.jump_ns else []
        if verdict.accepted:
            for waiting in self._waiting:
                waiting.early = False
        for index, (stamp_ns, accepted) in enumerate(sorted(verdict.accepted, key=lambda entry: entry[0])):
            self._enqueue(stamp_ns, accepted, verdict.jump_ns if index == 0 else 0)
        if len(verdict.accepted) == 1 and period_ns and self._waiting and before_ns is not None:
            self._waiting[-1].early = 2 * (scan.stamp_ns - before_ns) > 3 * period_ns
        return over + self._release()

    def _enqueue(self, stamp_ns: int, scan: Scan, jump_ns: int = 0) -> None:
        reason = ""
        if stamp_ns == self._released_ns or any(w.key_ns == stamp_ns and not w.reason for w in self._waiting):
            reason = "it has the same stamp as another scan"
        elif stamp_ns < self._released_ns:
            late_s = (self._released_ns - stamp_ns) / SECOND
            reason = f"it came {late_s:.3f} s too late: a newer scan is out already"
        self._queue(_Waiting(stamp_ns, _end_ns(scan), scan, reason, jump_ns))

    def _reject_scans(self, rejected: list[tuple[int, Scan]]) -> None:
        last_ns = self._scan_judge.last_ns or 0
        for stamp_ns, scan in rejected:
            reason = f"its stamp is {(stamp_ns - last_ns) / SECOND:+.3f} s off the scans around it"
            self._queue(_Waiting(last_ns, stamp_ns, scan, reason))

    def _queue(self, waiting: _Waiting) -> None:
        if waiting.reason:
            self._journal.count("scans_rejected")
        insort(self._waiting, waiting, key=lambda w: w.key_ns)

    def _change_scan_clock(self, jump_ns: int) -> list[ScanBundle]:
        """All scans of the clock before leave first; then the stamps may be smaller than theirs."""
        over = self._release(force=True)
        self._journal.count("clock_jumps")
        self._journal.say(f"clock jumped by {jump_ns / SECOND:+.3f} s between two scans: a change of time, or a pause")
        self._released_ns = NEVER
        self._imu.forget_clock()
        return over

    def _release(self, force: bool = False) -> list[ScanBundle]:
        ready = []
        while self._waiting and (force or self._is_ready(self._waiting[0])):
            ready.append(self._bundle(self._waiting.pop(0)))
        return ready

    def _is_ready(self, waiting: _Waiting) -> bool:
        if waiting.reason:
            return True
        imu_ns = self._imu.newest_ns
        needed_ns = waiting.end_ns + (3 * self._scan_judge.period_ns // 2 if waiting.early else 0)
        if self.config.expect_imu and imu_ns is not None and imu_ns >= needed_ns:
            return True
        if waiting.early and len(self._waiting) == 1:
            return False
        if not self.config.expect_imu or self._imu.silent:
            return True
        return self._has_waited_long(waiting)

    def _has_waited_long(self, waiting: _Waiting) -> bool:
        waited_ns = (self._scan_judge.last_ns or 0) - waiting.end_ns
        if waited_ns <= self.config.max_wait_ns and len(self._waiting) <= self.config.max_wait_scans:
            return False
        self._imu.silent = True
        last = self._imu.newest_ns
        since = "it has sent nothing yet" if last is None else f"its last sample is of {last / SECOND:.3f} s"
        self._journal.say(f"IMU silent at the scan of {waiting.scan.stamp_ns / SECOND:.3f} s ({since}): on without it")
        return True

    def _bundle(self, waiting: _Waiting) -> ScanBundle:
        if waiting.reason:
            self._journal.say(f"scan of {waiting.scan.stamp_ns / SECOND:.3f} s rejected: {waiting.reason}")
            return ScanBundle(
                waiting.scan, waiting.end_ns, events=self._journal.take(), rejected=True, reason=waiting.reason
            )
        imu = self._imu.take(waiting.end_ns)
        self._released_ns = waiting.key_ns
        images = self._images.take(waiting.end_ns)
        return ScanBundle(waiting.scan, waiting.end_ns, imu, images, self._journal.take(), waiting.jump_ns)


def _end_ns(scan: Scan) -> int:
    """Stamp of the last point; offsets past a second are no measurement of a sweep and count as a second."""
    if scan.offsets_ns is None or not len(scan.offsets_ns):
        return scan.stamp_ns
    return scan.stamp_ns + min(max(int(scan.offsets_ns.max()), 0), MAX_OFFSET_NS)
