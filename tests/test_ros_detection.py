# SPDX-FileCopyrightText: The Mem4Nav stack developers
# SPDX-License-Identifier: Apache-2.0
"""The detector as a process: scans and pictures over DDS in, boxes out."""

from __future__ import annotations

import signal
import time
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

pytest.importorskip("open3d")
pytest.importorskip("torch")
pytest.importorskip("rclpy", reason="rclpy is not here: pip install 'mem4nav[ros]'", exc_type=ImportError)
pytest.importorskip(
    "vision_msgs.msg", reason="vision_msgs is not here: python -m nodes.interfaces builds it", exc_type=ImportError
)

from lifecycle_msgs.msg import Transition
from sensor_msgs.msg import Image, PointCloud2
from vision_msgs.msg import Detection3DArray
from visualization_msgs.msg import Marker, MarkerArray

from city_worlds import SHORT, small_town
from detection.config import CITY_CLASSES
from nodes.messages import cloud
from ros_processes import Company, stamps
from ros_refusals import refused
from sim_envs.city import simulate_drive
from sim_envs.city.bag import write_bag

pytestmark = pytest.mark.ros
CAREFUL = {f"qos_overrides./{topic}.subscription.reliability": "reliable" for topic in ("points", "odom")}
AS_RECORDED = {"camera/front/image": "camera/front/image_raw"}


@pytest.fixture(scope="module")
def bag(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("bags") / "town"
    write_bag(simulate_drive(small_town(), replace(SHORT, duration_s=4.0)), path, images=True)
    return path


def detection(company: Company, **parameters):
    node = company.start("detection", remap=AS_RECORDED, device="cpu", **CAREFUL, **parameters)
    node.until_said("ready")
    return node


def play(company: Company, bag: Path, **parameters):
    return company.start("bag_player", bag=bag, wait_for="[/points, /tf_static]", **parameters)


def test_what_is_in_a_scan_is_told_with_its_stamp_and_shown(bag, company):
    found = company.hear(Detection3DArray, "detections")
    shown, drawn = company.hear(MarkerArray, "detections_markers"), company.hear(Image, "detections_image")
    points = company.hear(PointCloud2, "points")
    node = detection(company, cameras="[front]")
    player = play(company, bag, rate=0.5)
    company.until(lambda: len(found) > 5 and shown and drawn, "detections, markers and a picture")
    assert set(stamps(found)) <= set(stamps(points))
    assert {one.header.frame_id for one in found} == {"base_link"}
    told = [one for message in found for one in message.detections]
    assert told and {one.results[0].hypothesis.class_id for one in told} <= set(CITY_CLASSES)
    assert all(0.1 <= one.results[0].hypothesis.score <= 1.0 for one in told)
    assert np.mean([one.bbox.size.x > 0.0 for one in told]) == 1.0
    assert shown[-1].markers[0].action == Marker.DELETEALL
    assert drawn[-1].encoding == "rgb8" and len(drawn[-1].data) == 3 * drawn[-1].width * drawn[-1].height
    assert node.stopped(signal.SIGINT, signal.SIGTERM) == 0
    player.kill()


def test_slow_detection_takes_the_newest_scan_and_counts_what_it_leaves_out(bag, company):
    found = company.hear(Detection3DArray, "detections")
    detection(company, max_hz=2.0)
    play(company, bag)
    company.until(lambda: len(found) > 3, "detections")
    assert np.diff(stamps(found)).min() > 0.35e9
    said = company.until_diagnosed("detection")
    values = {one.key: one.value for one in said.status[0].values}
    assert int(values["skipped for max_hz"]) > 0 and "latency p50, p95 (ms)" in values


def test_tracked_things_have_the_same_id_scan_after_scan(bag, company):
    found = company.hear(Detection3DArray, "detections")
    detection(company, track=True)
    odometry = company.start("odometry", **CAREFUL, use_imu=False)
    odometry.until_said("ready")
    play(company, bag, rate=0.5)
    company.until(lambda: len([one for one in found if one.detections]) > 4, "tracks")
    last, before = ({one.id for one in message.detections} for message in found[-1:-3:-1])
    assert "" not in last and len(last & before) > 0.5 * len(last)


def test_a_detector_that_is_killed_starts_again_in_the_middle(bag, company):
    found = company.hear(Detection3DArray, "detections")
    node = detection(company)
    play(company, bag, rate=0.5, loop=True)
    company.until(lambda: len(found) > 2, "detections")
    node.kill()
    known = len(found)
    detection(company)
    company.until(lambda: len(found) > known + 2, "detections again")


def test_a_detector_can_be_put_to_sleep_woken_and_configured_anew(bag, company):
    found = company.hear(Detection3DArray, "detections")
    node = detection(company)
    play(company, bag, rate=0.5, loop=True)
    company.until(lambda: len(found) > 2, "detections")
    company.change("detection", Transition.TRANSITION_DEACTIVATE)
    company.until_diagnosed("detection", "not active")
    known = len(found)
    company.change("detection", Transition.TRANSITION_ACTIVATE)
    company.until(lambda: len(found) > known + 2, "detections after a nap")
    company.change("detection", Transition.TRANSITION_DEACTIVATE, Transition.TRANSITION_CLEANUP)
    company.change("detection", Transition.TRANSITION_CONFIGURE, Transition.TRANSITION_ACTIVATE)
    assert node.stopped(signal.SIGINT) == 0


def test_scans_without_a_return_silence_and_a_camera_that_nobody_calibrated_are_named_and_survived(company):
    node = detection(company, cameras="[front]")
    points = company.node.create_publisher(PointCloud2, "points", 5)
    second = company.node.create_publisher(PointCloud2, "points", 5)
    company.until(points.get_subscription_count, "the detector")
    whole, short = (cloud(10**9, "base_link", np.full((100, 3), value)) for value in (np.nan, 0.0))
    short.data = short.data[:50]
    for number in range(60):
        for message in (short, whole):
            message.header.stamp.sec = 2 + number
            points.publish(message)
            time.sleep(0.02)
    company.until_diagnosed("detection", "had no valid return", "could not be decoded", "2 publishers on points")
    company.until_diagnosed("detection", "no scan for", "gone on without camera_info of front")
    company.node.destroy_publisher(second)
    assert node.stopped(signal.SIGTERM) == 0


@pytest.mark.parametrize(("name", "parameters", "reason"), refused("detection"))
def test_what_cannot_be_is_refused_with_a_reason(company, name, parameters, reason):
    node = company.start(name, **parameters)
    assert node.ended() in (1, 2)
    assert reason in node.said and "Traceback" not in node.said


@pytest.mark.parametrize("after_s", [0.5, 2.0])
def test_a_detector_that_is_told_to_stop_while_it_starts_ends_well(company, after_s):
    node = company.start("detection")
    time.sleep(after_s)
    assert node.stopped(signal.SIGINT, signal.SIGTERM) == 0, node.said
