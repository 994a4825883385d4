# SPDX-FileCopyrightText: The Mem4Nav stack developers
# SPDX-License-Identifier: Apache-2.0
"""Serialised messages as they come on a robot give the poses that a recording of them gives."""

from __future__ import annotations

import struct
from collections.abc import Iterable, Iterator
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

pytest.importorskip("open3d")

from city_worlds import SHORT, small_town
from sim_envs.city import simulate_drive
from sim_envs.city.bag import write_bag
from slam.errors import MapError
from slam.gaussian_map.mapping_config import MappingConfig
from slam.io.bag_source import open_bag
from slam.io.bag_types import RawMessage
from slam.io.live import LiveSensors
from slam.io.opening import open_recording
from slam.live import LiveOdometry, warm_up
from slam.odometry import Odometry
from slam.replay import replay
from slam.results import ScanResult


@pytest.fixture(scope="module")
def bag(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("bags") / "town"
    write_bag(simulate_drive(small_town(), replace(SHORT, duration_s=2.0)), path, images=True)
    return path


@pytest.fixture
def messages(bag: Path) -> list[RawMessage]:
    source = open_bag(bag)
    return list(source.messages({topic for topic in source.topics if not topic.startswith("/ground_truth")}))


def fed(live: LiveOdometry, messages: Iterable[RawMessage]) -> Iterator[ScanResult]:
    for message in messages:
        data, topic = bytes(message.data), message.topic
        yield from live.take(lambda sensors, data=data, topic=topic: heard(sensors, topic, data))


def heard(sensors: LiveSensors, topic: str, data: bytes) -> list:
    if topic == "/points":
        return sensors.points(data)
    if topic == "/imu":
        return sensors.imu(data)
    if topic == "/tf_static":
        return sensors.transforms(data) or []
    if topic.endswith("camera_info"):
        return sensors.camera_info("front", data) or []
    return sensors.image("front", data)


def later(message: RawMessage, by_ns: int) -> RawMessage:
    """The same message with another header stamp; CDR holds it after four bytes."""
    data = bytearray(message.data)
    sec, nanosec = struct.unpack_from("<II", data, 4)
    struct.pack_into("<II", data, 4, *divmod(sec * 10**9 + nanosec + by_ns, 10**9))
    return message._replace(data=bytes(data))


def test_poses_are_those_of_a_replay_of_the_same_bag_up_to_rounding(bag, messages):
    expected = replay(open_recording(bag), use_camera=False).results
    found = list(fed(LiveOdometry(LiveSensors()), messages))
    assert len(expected) - len(found) <= 1
    for mine, theirs in zip(found, expected, strict=False):
        assert mine.stamp_ns == theirs.stamp_ns
        np.testing.assert_allclose(mine.T_odom_base, theirs.T_odom_base, atol=1e-9)
        np.testing.assert_allclose(mine.covariance, theirs.covariance, rtol=1e-6, atol=1e-12)


def test_twist_and_registered_points_belong_to_the_newest_scan(messages):
    live = LiveOdometry(LiveSensors())
    *_, last = fed(live, messages)
    odometry = live.odometry
    assert odometry is not None
    assert np.linalg.norm(odometry.twist()[:3]) < 20.0 and np.isfinite(odometry.twist()).all()
    points = odometry.registered_points()
    assert len(points) > 1000 and np.linalg.norm(points - last.T_odom_base[:3, 3], axis=1).max() < 150.0


def test_what_comes_before_the_calibration_is_held_and_then_told(messages):
    static = [m for m in messages if m.topic == "/tf_static"]
    rest = [m for m in messages if m.topic != "/tf_static"]
    middle = next(i for i, m in enumerate(rest) if m.record_ns > rest[0].record_ns + 1_000_000_000)
    live = LiveOdometry(LiveSensors())
    assert not list(fed(live, rest[:middle])) and "tf_static from base_link" in live.sensors.missing
    found = list(fed(live, [*static, *rest[middle:]]))
    assert not live.sensors.missing
    stamps = [one.stamp_ns for one in found]
    assert stamps == sorted(stamps) and len(found) >= 19


def test_without_tf_it_goes_on_after_a_while_and_says_so(messages):
    live = LiveOdometry(LiveSensors(wait_for_tf=False))
    found = list(fed(live, (m for m in messages if m.topic in ("/points", "/imu"))))
    assert found and any("gone on without" in note for note in live.sensors.notes)


def test_a_message_that_cannot_be_decoded_is_counted_and_the_others_go_on(messages):
    live = LiveOdometry(LiveSensors())
    broken = [m._replace(data=bytes(m.data)[:40]) if m.topic == "/imu" and i % 50 == 0 else m
              for i, m in enumerate(messages)]  # fmt: skip
    assert list(fed(live, broken))
    count, why = live.sensors.undecoded["imu"]
    assert count > 0 and why


@pytest.mark.parametrize("topic", ["points", "imu"])
def test_another_frame_on_the_same_topic_is_named_and_left_out(messages, topic):
    live = LiveOdometry(LiveSensors())
    list(fed(live, messages))
    frame = live.sensors.frames[topic].encode()
    last = later([m for m in messages if m.topic == f"/{topic}"][-1], 100_000_000)
    assert not heard(live.sensors, last.topic, bytes(last.data).replace(frame, b"X" * len(frame), 1))
    assert live.sensors.strays[topic].startswith("X")
    assert heard(live.sensors, last.topic, bytes(last.data))


def test_another_frame_is_forgotten_when_only_the_first_has_come_for_a_while(messages):
    live = LiveOdometry(LiveSensors())
    list(fed(live, messages))
    frame, last = live.sensors.frames["imu"].encode(), [m for m in messages if m.topic == "/imu"][-1]
    stray = bytes(last.data).replace(frame, b"X" * len(frame), 1)
    assert not heard(live.sensors, last.topic, stray)
    for _ in range(99):
        heard(live.sensors, last.topic, bytes(last.data))
    assert not heard(live.sensors, last.topic, stray) and live.sensors.strays
    for _ in range(100):
        assert live.sensors.strays
        heard(live.sensors, last.topic, bytes(last.data))
    assert not live.sensors.strays


def test_a_clock_that_goes_back_begins_anew(messages):
    live = LiveOdometry(LiveSensors())
    first = list(fed(live, messages))
    again = list(fed(live, (later(m, -100 * 10**9) for m in messages if m.topic != "/tf_static")))
    assert live.resets == 1 and again[-1].stamp_ns < first[0].stamp_ns
    assert np.linalg.norm(again[2].T_odom_base[:3, 3]) < 0.5


def test_a_stored_map_can_be_gone_on_in_from_a_given_place(messages, tmp_path):
    live = LiveOdometry(LiveSensors())
    *_, last = fed(live, messages)
    live.save_map(str(tmp_path / "map"))
    live.load_map(str(tmp_path / "map"))
    live.place(last.T_odom_base)
    tail = [later(m, 60 * 10**9) for m in messages if m.record_ns > messages[-1].record_ns - 700_000_000]
    found = list(fed(live, tail))
    assert found and np.linalg.norm(found[0].T_odom_base[:3, 3] - last.T_odom_base[:3, 3]) < 8.0
    with pytest.raises(MapError):
        live.load_map(str(tmp_path / "none"))
    assert live.odometry is not None


def test_after_a_reset_it_begins_at_the_origin_with_the_calibration_it_has(messages):
    live = LiveOdometry(LiveSensors())
    list(fed(live, messages))
    live.reset()
    found = list(fed(live, [later(m, 60 * 10**9) for m in messages if m.topic != "/tf_static"]))
    assert np.linalg.norm(found[0].T_odom_base[:3, 3]) < 0.1


def test_kernels_are_warm_after_the_warm_up():
    warm_up()


def test_where_pictures_are_mapped_the_warm_up_maps_some_and_looks_for_a_pose_by_them(monkeypatch):
    cameras, register = [], Odometry.register

    def noting(odometry, bundle):
        cameras.append(register(odometry, bundle).camera)

    monkeypatch.setattr(Odometry, "register", noting)
    warm_up(mapping=MappingConfig())
    assert cameras.count("used") >= 2
