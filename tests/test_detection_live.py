# SPDX-FileCopyrightText: The Mem4Nav stack developers
# SPDX-License-Identifier: Apache-2.0
"""A detector on serialised messages as they come finds what it finds in a recording of them."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from itertools import islice
from pathlib import Path

import numpy as np
import pytest

pytest.importorskip("open3d")
pytest.importorskip("torch")

import torch

from city_worlds import SHORT, small_town
from detection.errors import DetectionError
from detection.inference import CITY_WEIGHTS, Detector
from detection.live import LiveDetector, Seen
from mem4nav.cli.detect_samples import Frames
from sim_envs.city import simulate_drive
from sim_envs.city.bag import write_bag
from slam.io.bag_source import open_bag
from slam.io.bag_types import RawMessage
from slam.io.live import LiveSensors
from slam.io.opening import open_recording
from slam.measurements import Scan

torch.set_num_threads(1)


@pytest.fixture(scope="module")
def bag(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("bags") / "town"
    write_bag(simulate_drive(small_town(), replace(SHORT, duration_s=1.5)), path, images=True)
    return path


@pytest.fixture
def messages(bag: Path) -> list[RawMessage]:
    source = open_bag(bag)
    return list(source.messages({topic for topic in source.topics if not topic.startswith("/ground_truth")}))


@pytest.fixture(scope="module")
def detector() -> Detector:
    return Detector.load(CITY_WEIGHTS)


def live_of(detector: Detector, cameras: tuple[str, ...] = ("front",), **options) -> LiveDetector:
    return LiveDetector(detector, LiveSensors(cameras=cameras, use_imu=False), **options)


def scans(live: LiveDetector, messages: list[RawMessage], cameras: bool = True) -> Iterator[Scan]:
    for message in messages:
        data, topic = bytes(message.data), message.topic
        if topic == "/imu" or ("camera" in topic and not cameras):
            continue
        scan = live.take(lambda sensors, data=data, topic=topic: heard(sensors, topic, data))
        if scan is not None:
            yield scan


def heard(sensors: LiveSensors, topic: str, data: bytes) -> list:
    if topic == "/points":
        return sensors.points(data)
    if topic == "/tf_static":
        return sensors.transforms(data) or []
    if topic.endswith("camera_info"):
        return sensors.camera_info("front", data) or []
    return sensors.image("front", data)


def test_boxes_are_those_of_the_recording(bag, messages, detector):
    live = live_of(detector, ())
    recorded = {
        sample.stamp_ns: replace(sample, views=()) for sample in Frames(open_recording(bag)).samples()
    }  # fmt: skip
    found = [live.detect(scan) for scan in islice(scans(live, messages, cameras=False), 3)]
    assert len(found) == 3
    for seen in found:
        sample = recorded[seen.sample.stamp_ns]
        assert np.array_equal(seen.sample.points, sample.points)
        expected = detector.detect([sample])[0]["fused"]
        assert len(expected) and np.allclose(seen.standing.centre, expected.centre)


def test_the_picture_nearest_to_the_scan_goes_with_it(messages, detector):
    live = live_of(detector)
    seen = [live.detect(scan) for scan in islice(scans(live, messages), 3)]
    assert all([view.name for view in one.sample.views] == ["front"] for one in seen)
    assert live.unpaired["front"] == 0 and not live.misfits


def test_a_camera_without_pictures_or_with_others_than_calibrated_is_told(messages, detector):
    live = live_of(detector)
    without = [one for one in messages if not one.topic.endswith("image_raw")]
    for scan in islice(scans(live, without), 3):
        assert live.detect(scan).sample.views == ()
    assert live.unpaired["front"] == 3


def test_a_camera_without_calibration_is_gone_on_without_in_the_end(messages, detector):
    live = live_of(detector)
    without = [one for one in messages if not one.topic.endswith("camera_info")]
    found = list(scans(live, without * 3))
    assert found and live.detect(found[-1]).sample.views == ()
    assert any("gone on without camera_info of front" in note for note in live.sensors.notes)


def test_boxes_stand_on_the_ground_however_high_base_link_is(messages, detector):
    live = live_of(detector, (), ground_m=-0.5)
    seen = live.detect(next(scans(live, messages, cameras=False)))
    assert len(seen.boxes) and live.ground_m == -0.5
    assert np.allclose(seen.boxes.centre[:, 2], seen.standing.centre[:, 2] - 0.5)
    assert live.differs


def test_a_scan_without_a_return_is_empty_and_counted(messages, detector):
    live = live_of(detector, ())
    scan = next(scans(live, messages, cameras=False))
    nothing = replace(scan, points=np.full_like(scan.points, np.nan), stamp_ns=scan.stamp_ns + 10**8)
    assert len(live.detect(nothing).boxes) == 0 and live.empty == 1


def test_tracks_keep_their_identity_and_begin_anew_when_the_clock_goes_back(messages, detector):
    live = live_of(detector, ())
    first = next(scans(live, messages, cameras=False))

    def again(number: int) -> Seen:
        later = replace(first, stamp_ns=first.stamp_ns + number * 10**8)
        return live.tracked(live.detect(later), np.eye(4))

    assert len(again(1).boxes) == len(again(2).boxes) == 0
    third, fourth = again(3), again(4)
    assert len(third.boxes) and np.array_equal(third.boxes.identity, fourth.boxes.identity)
    with pytest.raises(DetectionError, match="order of time"):
        again(4)
    assert len(again(-20).boxes) == 0 and live.resets == 1


def test_less_precision_finds_about_the_same(messages, detector):
    exact, rough = live_of(detector, ()), live_of(detector, (), precision="bfloat16")
    rough.warm_up()
    a, b = (live.detect(next(scans(live, messages, cameras=False))).boxes for live in (exact, rough))
    a, b = (boxes.pick(boxes.score > 0.5) for boxes in (a, b))
    assert len(a) and abs(len(a) - len(b)) <= 2
    away = np.linalg.norm(a.centre[:, None] - b.centre[None], axis=-1).min(axis=1)
    assert np.median(away) < 0.2
