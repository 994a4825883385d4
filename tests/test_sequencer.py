# SPDX-FileCopyrightText: The Mem4Nav stack developers
# SPDX-License-Identifier: Apache-2.0
"""Time order: what the sequencer hands out, and when."""

from __future__ import annotations

from collections.abc import Iterable
from itertools import pairwise

import numpy as np
import pytest

from slam.bundle import ScanBundle
from slam.measurements import Image, ImuSample, Measurement, Scan
from slam.sequencer import Sequencer, SequencerConfig

MS = 1_000_000
HOUR = 3_600_000 * MS
START = 1_700_000_000_000 * MS


def scan(ms: float, shift_ns: int = 0) -> Scan:
    """A sweep of 100 ms that begins at ``ms``."""
    offsets = np.array([0, 50 * MS, 100 * MS])
    return Scan(START + int(ms * MS) + shift_ns, np.ones((3, 3), np.float32), offsets)


def imu(ms: float, shift_ns: int = 0, value: float = 0.0) -> ImuSample:
    return ImuSample(START + int(ms * MS) + shift_ns, np.array([0.0, 0.0, value]), np.array([0.0, 0.0, 9.81]))


def image(ms: float, shift_ns: int = 0) -> Image:
    return Image(START + int(ms * MS) + shift_ns, "front", np.zeros((2, 2), np.uint8))


def drive(seconds: float, rate_ms: int = 5) -> list[Measurement]:
    """IMU at 200 Hz, scans at 10 Hz that arrive when they are complete."""
    messages: list[tuple[float, int, Measurement]] = [(ms, 0, imu(ms)) for ms in range(0, int(seconds * 1000), rate_ms)]
    messages += [(ms + 100, 1, scan(ms)) for ms in range(0, int(seconds * 1000) - 100, 100)]
    return [m for _, _, m in sorted(messages, key=lambda entry: entry[:2])]


def run(messages: Iterable[Measurement], config: SequencerConfig | None = None) -> tuple[list[ScanBundle], Sequencer]:
    sequencer = Sequencer(config)
    bundles = [b for m in messages for b in sequencer.push(m)]
    return bundles + sequencer.flush(), sequencer


def stamps_ms(bundles: Iterable[ScanBundle]) -> list[float]:
    return [(b.scan.stamp_ns - START) / MS for b in bundles]


def imu_ms(bundles: Iterable[ScanBundle]) -> list[float]:
    return [(t - START) / MS for b in bundles for t in b.imu.stamps_ns.tolist()]


def events(bundles: Iterable[ScanBundle]) -> str:
    return " | ".join(e for b in bundles for e in b.events)


def test_a_scan_waits_until_the_imu_has_passed_its_end() -> None:
    sequencer = Sequencer()
    assert sequencer.push(imu(0)) == [] and sequencer.push(scan(0)) == []
    assert sequencer.push(imu(95)) == []
    (bundle,) = sequencer.push(imu(100))
    assert bundle.end_ns == START + 100 * MS
    assert imu_ms([bundle]) == [0, 95, 100] and bundle.imu.gyro.shape == bundle.imu.accel.shape == (3, 3)


def test_every_imu_sample_is_in_one_bundle_and_in_order() -> None:
    bundles, sequencer = run(drive(3.0))
    assert stamps_ms(bundles) == [100 * k for k in range(29)]
    assert imu_ms(bundles) == [5 * k for k in range(2900 // 5 + 1)]
    assert events(bundles) == "" and not any(b.rejected or b.clock_jump_ns for b in bundles)
    assert sequencer.statistics == {"scans": 29, "imu": 600}


def test_the_first_sample_after_the_end_closes_the_bundle() -> None:
    bundles, _ = run([imu(0), scan(0), imu(97), imu(107), imu(110)])
    assert imu_ms(bundles) == [0, 97, 107]


def test_without_imu_scans_come_out_at_once() -> None:
    sequencer = Sequencer(SequencerConfig(expect_imu=False))
    assert [len(sequencer.push(scan(100 * k))) for k in range(5)] == [1] * 5


def test_scans_before_the_first_imu_sample_are_passed_on_without() -> None:
    messages = [scan(0), scan(100), *(imu(ms) for ms in range(350, 420, 5)), scan(300)]
    bundles, _ = run(messages)
    assert stamps_ms(bundles) == [0, 100, 300]
    assert [len(b.imu) for b in bundles] == [0, 0, 11]


def test_a_dead_imu_never_blocks() -> None:
    sequencer = Sequencer()
    out = [len(sequencer.push(m)) for m in (imu(0), imu(5), *(scan(100 * k) for k in range(20)))]
    assert sum(out) == 20 and max(out[12:]) == 1
    bundles, _ = run([imu(0), imu(5), *(scan(100 * k) for k in range(20))])
    assert "IMU silent" in events(bundles) and events(bundles).count("IMU silent") == 1


def test_while_scans_wait_for_a_dead_imu_it_is_told_how_far_it_is_behind() -> None:
    sequencer, behind_ms = Sequencer(), []
    for measurement in (imu(0), scan(0), imu(105), *(scan(100 * k) for k in range(1, 8))):
        sequencer.push(measurement)
        behind_ms.append(sequencer.imu_behind_ns / MS)
    assert behind_ms == [0, 100, 0, 95, 195, 295, 395, 495, 0, 0]


def test_an_imu_that_never_speaks_never_blocks() -> None:
    bundles, sequencer = run([scan(100 * k) for k in range(20)])
    assert len(bundles) == 20 and sequencer.statistics.get("scans_without_imu", 0) == 0
    assert "it has sent nothing yet" in events(bundles)


def test_an_imu_that_returns_is_used_again_and_the_gap_is_named() -> None:
    messages = [m for m in drive(4.0) if not (isinstance(m, ImuSample) and 1000 < (m.stamp_ns - START) / MS < 2000)]
    bundles, sequencer = run(messages)
    assert stamps_ms(bundles) == [100 * k for k in range(39)]
    assert "no IMU for 1.000 s up to" in events(bundles) and "IMU is back" in events(bundles)
    assert all(len(b.imu) == 20 for b in bundles[25:])
    assert sequencer.statistics["imu_gaps"] == 1 and "clock_jumps" not in sequencer.statistics


def test_imu_samples_that_were_overtaken_are_sorted() -> None:
    messages = drive(1.0)
    at = [k for k, m in enumerate(messages) if isinstance(m, ImuSample) and (m.stamp_ns - START) // MS % 50 == 30]
    for k in at:
        messages[k], messages[k + 1] = messages[k + 1], messages[k]
    bundles, _ = run(messages)
    assert imu_ms(bundles) == [5 * k for k in range(900 // 5 + 1)]


def test_scans_that_were_overtaken_are_sorted() -> None:
    messages = drive(2.0)
    places = [k for k, m in enumerate(messages) if isinstance(m, Scan)]
    a, b = places[7], places[8]
    messages[a], messages[b] = messages[b], messages[a]
    bundles, _ = run(messages)
    assert stamps_ms(bundles) == [100 * k for k in range(19)] and not any(x.rejected for x in bundles)


def test_a_scan_that_comes_after_a_newer_one_left_is_rejected_but_comes_out() -> None:
    sequencer = Sequencer(SequencerConfig(expect_imu=False))
    bundles = [b for ms in (0, 100, 300, 400, 200) for b in sequencer.push(scan(ms))]
    assert stamps_ms(bundles) == [0, 100, 300, 400, 200]
    assert [b.rejected for b in bundles] == [False] * 4 + [True] and "0.200 s too late" in bundles[-1].reason


def test_duplicates_are_dropped_and_counted() -> None:
    messages = [copy for m in drive(1.0) for copy in (m, m)]
    bundles, sequencer = run(messages)
    good = [b for b in bundles if not b.rejected]
    assert stamps_ms(good) == [100 * k for k in range(9)] and len(bundles) == 18
    assert imu_ms(good) == [5 * k for k in range(900 // 5 + 1)]
    assert all("same stamp" in b.reason for b in bundles if b.rejected)
    statistics = sequencer.statistics
    assert statistics["imu_duplicates"] + statistics.get("imu_late", 0) == 200 and statistics["scans_rejected"] == 9


@pytest.mark.parametrize("shift", [HOUR, -HOUR, 2000 * MS, -2000 * MS])
def test_one_imu_sample_stamped_wrongly_is_dropped_alone(shift: int) -> None:
    messages = [
        imu(785, shift) if isinstance(m, ImuSample) and m.stamp_ns == START + 785 * MS else m for m in drive(2.0)
    ]
    bundles, sequencer = run(messages)
    nominal, _ = run(drive(2.0))
    assert stamps_ms(bundles) == stamps_ms(nominal)
    assert set(imu_ms(nominal)) - set(imu_ms(bundles)) == {785}
    assert sequencer.statistics["imu_mis_stamped"] == 1 and "off dropped" in events(bundles)
    assert not any(b.clock_jump_ns for b in bundles)


@pytest.mark.parametrize("shift", [HOUR, -HOUR])
def test_one_scan_stamped_wrongly_is_rejected_alone(shift: int) -> None:
    messages = [scan(500, shift) if isinstance(m, Scan) and m.stamp_ns == START + 500 * MS else m for m in drive(2.0)]
    bundles, _ = run(messages)
    assert len(bundles) == 19 and [b.rejected for b in bundles].count(True) == 1
    (bad,) = (b for b in bundles if b.rejected)
    assert bad.scan.stamp_ns == START + 500 * MS + shift and "off the scans around it" in bad.reason
    assert not any(b.clock_jump_ns for b in bundles)
    assert imu_ms(bundles) == [5 * k for k in range(1900 // 5 + 1)]


@pytest.mark.parametrize("shift", [HOUR, -HOUR])
@pytest.mark.parametrize("cut_ms", [1000, 1050, 1003])
def test_a_lasting_jump_of_all_clocks_is_accepted_and_said_once(shift: int, cut_ms: float) -> None:
    def moved(m: Measurement) -> Measurement:
        ms = (m.stamp_ns - START) / MS
        by = shift if ms >= cut_ms else 0
        return scan(ms, by) if isinstance(m, Scan) else imu(ms, by)

    bundles, sequencer = run(moved(m) for m in drive(3.0))
    assert len(bundles) == 29 and not any(b.rejected for b in bundles)
    jumps = [b for b in bundles if b.clock_jump_ns]
    assert len(jumps) == 1 and abs(jumps[0].clock_jump_ns - shift) < 150 * MS
    assert jumps[0].scan.stamp_ns == START + int(-(-cut_ms // 100) * 100) * MS + shift
    assert f"clock jumped by {'+' if shift > 0 else '-'}3" in events(bundles)
    assert sequencer.statistics["clock_jumps"] == sequencer.statistics["imu_clock_jumps"] == 1
    after = bundles[bundles.index(jumps[0]) + 1 :]
    assert all(len(b.imu) == 20 for b in after)


@pytest.mark.parametrize("shift", [HOUR, -HOUR, -1000 * MS])
def test_an_imu_clock_that_jumps_alone_leaves_the_scans_running(shift: int) -> None:
    messages = [
        imu((m.stamp_ns - START) / MS, shift) if isinstance(m, ImuSample) and m.stamp_ns >= START + 1000 * MS else m
        for m in drive(4.0)
    ]
    sequencer = Sequencer()
    bundles = [b for m in messages for b in sequencer.push(m)]
    assert len(bundles) >= 35, "nothing waits for ever"
    bundles += sequencer.flush()
    assert stamps_ms(bundles) == [100 * k for k in range(39)] and not any(b.rejected for b in bundles)
    assert "IMU clock jumped by" in events(bundles)
    assert all((b.imu.stamps_ns <= b.end_ns + 100 * MS).all() for b in bundles)


@pytest.mark.parametrize("shift, said", [(5000 * MS, "begin 4.9"), (-5000 * MS, "IMU silent")])
def test_an_imu_with_a_clock_of_its_own_is_named_and_blocks_nothing(shift: int, said: str) -> None:
    messages = [imu((m.stamp_ns - START) / MS, shift) if isinstance(m, ImuSample) else m for m in drive(4.0)]
    bundles, _ = run(messages)
    assert stamps_ms(bundles) == [100 * k for k in range(39)] and all(not len(b.imu) for b in bundles[1:])
    assert events(bundles).count(said) == 1 and len(events(bundles)) < 1000


def test_ten_missing_scans_are_no_jump() -> None:
    messages = [m for m in drive(4.0) if isinstance(m, ImuSample) or not 1000 <= (m.stamp_ns - START) / MS < 2000]
    for config in (None, SequencerConfig(expect_imu=False)):
        bundles, _ = run(messages if config is None else (m for m in messages if isinstance(m, Scan)), config)
        assert len(bundles) == 29 and not any(b.rejected or b.clock_jump_ns for b in bundles)


def test_samples_that_are_not_finite_are_dropped() -> None:
    bundles, sequencer = run([imu(0), imu(5, value=np.nan), imu(10, value=-np.inf), scan(0), imu(100)])
    assert imu_ms(bundles) == [0, 100] and sequencer.statistics["imu_not_finite"] == 2
    assert "2 IMU samples with NaN" in events(bundles)


def test_stamps_that_stand_still_do_not_stop_the_scans() -> None:
    stuck = [imu(995) if isinstance(m, ImuSample) and m.stamp_ns > START + 1000 * MS else m for m in drive(4.0)]
    bundles, _ = run(stuck)
    assert stamps_ms(bundles) == [100 * k for k in range(39)]
    assert "IMU silent" in events(bundles) and "twice" in events(bundles)


def test_pictures_go_with_the_scan_that_reaches_them() -> None:
    bundles, _ = run([imu(0), image(180), image(30), scan(0), imu(100), scan(100), imu(205)])
    assert [[(i.stamp_ns - START) // MS for i in b.images] for b in bundles] == [[30], [180]]


def test_pictures_of_a_foreign_clock_are_dropped_and_memory_stays_bounded() -> None:
    messages = [x for m in drive(5.0) for x in (m, image((m.stamp_ns - START) / MS, HOUR), image(0, -HOUR))]
    bundles, sequencer = run(messages)
    assert all(not b.images for b in bundles)
    assert sequencer.statistics["images_dropped"] >= sequencer.statistics["images"] - 16
    assert max(len(b.events) for b in bundles) <= 25


def test_imu_samples_without_any_scan_are_bounded() -> None:
    sequencer = Sequencer(SequencerConfig(imu_capacity=100))
    for k in range(1000):
        sequencer.push(imu(5 * k))
    assert len(sequencer._imu.buffer) <= 100 and sequencer.statistics["imu_overflow"] >= 900


def test_every_scan_comes_out_once_whatever_the_stamps() -> None:
    rng = np.random.default_rng(7)
    for _ in range(30):
        shifts = rng.choice([0, 0, 0, HOUR, -HOUR, 300 * MS, -300 * MS], size=200)
        messages = []
        for k, m in enumerate(drive(4.0)):
            make = scan if isinstance(m, Scan) else imu
            messages.append(make((m.stamp_ns - START) / MS, int(rng.choice(shifts[k // 20 : k // 20 + 3]))))
        bundles, _ = run(messages)
        assert sorted(id(b.scan) for b in bundles) == sorted(id(m) for m in messages if isinstance(m, Scan))
        assert all((np.diff(b.imu.stamps_ns) > 0).all() for b in bundles)
        good = [b for b in bundles if not b.rejected]
        for before, after in pairwise(good):
            assert after.scan.stamp_ns > before.scan.stamp_ns or after.clock_jump_ns


def test_what_comes_out_depends_only_on_what_went_in_before() -> None:
    messages = drive(3.0)
    whole, part = Sequencer(), Sequencer()
    all_bundles = [b for m in messages for b in whole.push(m)]
    first = [b for m in messages[:400] for b in part.push(m)]
    assert stamps_ms(first) == stamps_ms(all_bundles[: len(first)])
    assert imu_ms(first) == imu_ms(all_bundles[: len(first)])
