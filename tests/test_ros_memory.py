# SPDX-FileCopyrightText: The Mem4Nav stack developers
# SPDX-License-Identifier: Apache-2.0
"""The memory as a process: poses and detections over DDS in, answers and markers out."""

from __future__ import annotations

import json
import signal
import time
from pathlib import Path

import numpy as np
import pytest

pytest.importorskip("rclpy", reason="rclpy is not here: pip install 'mem4nav[ros]'", exc_type=ImportError)
pytest.importorskip(
    "vision_msgs.msg", reason="vision_msgs is not here: python -m nodes.interfaces builds it", exc_type=ImportError
)

from geometry_msgs.msg import PoseStamped
from nav_msgs.msg import Odometry
from sensor_msgs.msg import Image
from std_msgs.msg import String
from vision_msgs.msg import Detection3DArray
from visualization_msgs.msg import MarkerArray

from detection.sample import make_boxes
from memory_worlds import at
from nodes.boxes import detections
from nodes.messages import header, picture, pose, stamped
from ros_processes import LATCHED, Company
from ros_refusals import refused
from test_observing import CLASSES, in_view

pytestmark = pytest.mark.ros
CAREFUL = {f"qos_overrides./{topic}.subscription.reliability": "reliable" for topic in ("odom", "detections")}


class Drive:
    """A memory's process, and a vehicle that passes what there is in ``in_view``, 0.5 m a tenth of a second."""

    def __init__(self, company: Company) -> None:
        self.company = company
        self.answers = company.hear(String, "recall_answer", 10)
        self._out = {
            topic: company.node.create_publisher(kind, topic, 50)
            for topic, kind in (
                ("odom", Odometry), ("detections", Detection3DArray), ("camera/front/image", Image),
                ("recall_query", String), ("recall_pose", PoseStamped),
            )
        }  # fmt: skip
        self.number = 0

    def start(self, **parameters):
        node = self.company.start("memory", save_period_s=0.5, markers_period_s=0.2, **CAREFUL, **parameters)
        node.until_said("ready")
        for topic in ("odom", "detections", "recall_query", "recall_pose"):
            self.company.until(self._out[topic].get_subscription_count, f"the memory on {topic}")
        return node

    def pass_along(self, first_m: float, last_m: float) -> None:
        for x in np.arange(first_m, last_m, 0.5):
            self.publish(at(x))
            time.sleep(0.04)

    def publish(self, T, frame="odom", boxes=None, boxes_frame="base_link") -> None:
        stamp_ns = 10**9 + 10**8 * self.number
        self.number += 1
        message = Odometry(header=header(stamp_ns, frame), child_frame_id="base_link")
        message.pose.pose = pose(T)
        seen = in_view(T) if boxes is None else boxes
        self.say("detections", detections(header(stamp_ns, boxes_frame), seen, CLASSES))
        self.say("odom", message)

    def look(self, encoding: str = "rgb8") -> None:
        """A picture at the next moment."""
        shades = np.random.default_rng(0).integers(0, 255, (60, 80, 3)).astype(np.uint8)
        message = picture(header(10**9 + 10**8 * self.number, "camera"), shades)
        message.encoding = encoding
        self.say("camera/front/image", message)

    def say(self, topic: str, message) -> None:
        self._out[topic].publish(message)

    def recall(self, topic: str, message) -> dict:
        """Asked again while nobody answers: one that was killed is counted among those who listen for a while."""
        before, asked_s = len(self.answers), 0.0

        def answered() -> bool:
            nonlocal asked_s
            if time.monotonic() - asked_s > 1.0:
                asked_s = time.monotonic()
                self.say(topic, message)
            return len(self.answers) > before

        self.company.until(answered, "an answer")
        return json.loads(self.answers[-1].data)

    def until_recalled(self, words: str) -> dict:
        """The first answer with something in it."""
        end = time.monotonic() + 20.0
        while not (told := self.recall("recall_query", String(data=words)))["hits"]:
            assert time.monotonic() < end, f"nothing is recalled for {words!r}"
        return told


@pytest.fixture
def drive(tmp_path: Path):
    with Company(tmp_path) as company:
        yield Drive(company)


def test_what_was_passed_is_recalled_in_words_and_around_a_pose_and_shown(drive):
    shown = drive.company.hear(MarkerArray, "memory_markers", LATCHED)
    node = drive.start(camera="front")
    drive.pass_along(0.0, 60.0)
    told = drive.until_recalled("where is the traffic light?")
    assert told["frame"] == "odom" and told["hits"][0]["label"] == "traffic light"
    assert np.linalg.norm(np.array(told["hits"][0]["position"]) - [48.0, 4.0, 3.0]) < 0.2
    near = drive.recall("recall_pose", stamped(0, "odom", at(46.0)))
    assert {hit["label"] for hit in near["hits"]} == {"hydrant", "traffic light"} and near["place"].startswith("place ")
    elsewhere = drive.recall("recall_pose", stamped(0, "map", at(46.0)))
    assert "'map'" in elsewhere["reason"] and elsewhere["hits"] == []
    drive.company.until(lambda: shown and len(points_of(shown[-1], "places")) > 2, "markers of places")
    kinds = {marker.ns for marker in shown[-1].markers}
    assert {"places", "ways", "things", "names"} <= kinds
    assert {marker.header.frame_id for marker in shown[-1].markers} == {"odom"}
    late = drive.company.hear(MarkerArray, "memory_markers", LATCHED)
    drive.company.until(lambda: late, "markers for one who comes late")
    assert node.stopped(signal.SIGINT, signal.SIGTERM) == 0


def test_views_are_remembered_where_they_were_taken_and_strange_pictures_are_named(drive):
    shown = drive.company.hear(MarkerArray, "memory_markers", LATCHED)
    drive.start(camera="front")
    for x in np.arange(0.0, 20.0, 0.5):
        drive.look("rgb8" if x < 15.0 else "yuv422")
        time.sleep(0.04)
        drive.publish(at(x))
        time.sleep(0.04)
    drive.company.until_diagnosed("memory", "of pictures left out")
    drive.company.until(lambda: shown and len(points_of(shown[-1], "views")) > 4, "views")
    assert {point.y for point in points_of(shown[-1], "views")} == {0.5}


def points_of(shown: MarkerArray, space: str) -> list:
    return [point for marker in shown.markers if marker.ns == space for point in marker.points]


def test_a_memory_that_is_killed_comes_back_as_it_was(drive, tmp_path):
    node = drive.start(folder=tmp_path / "memory")
    drive.pass_along(0.0, 40.0)
    drive.until_recalled("bench")
    node.kill()
    again = drive.start(folder=tmp_path / "memory")
    assert drive.recall("recall_query", String(data="bench"))["hits"][0]["label"] == "bench"
    drive.pass_along(40.0, 60.0)
    drive.until_recalled("traffic light")
    assert again.stopped(signal.SIGTERM, signal.SIGTERM) == 0


def test_a_memory_in_ram_is_saved_now_and_then_and_loaded_when_asked(drive, tmp_path):
    node = drive.start(folder=tmp_path / "memory", load_on_start=False)
    drive.pass_along(0.0, 40.0)
    drive.until_recalled("bench")
    assert drive.company.ask("memory/save").success
    node.kill()
    drive.start(folder=tmp_path / "memory", load_on_start=False)
    assert drive.recall("recall_query", String(data="bench"))["hits"] == []
    loaded = drive.company.ask("memory/load")
    assert loaded.success and "loaded from" in loaded.message
    assert drive.recall("recall_query", String(data="bench"))["hits"]


def test_without_a_folder_nothing_can_be_stored_or_loaded_and_that_is_said(drive):
    drive.start()
    for service in ("memory/save", "memory/load"):
        answer = drive.company.ask(service)
        assert not answer.success and "folder" in answer.message


def test_silence_strange_frames_and_numbers_that_are_none_are_named_and_survived(drive):
    node = drive.start()
    drive.company.until_diagnosed("memory", "no odom for")
    nowhere = at(0.0)
    nowhere[0, 3] = np.nan
    none = make_boxes([[np.nan, 0.0, 0.0]], np.ones((1, 3)), [0.0], [0])
    for _ in range(20):
        drive.publish(nowhere, boxes=none)
        drive.publish(at(0.0), frame="kitchen", boxes_frame="roof")
    drive.company.until_diagnosed("memory", "of odom left out", "of detections left out")
    drive.company.until_diagnosed("memory", "odom comes in frame 'kitchen'", "detections comes in frame 'roof'")
    drive.pass_along(0.0, 40.0)
    drive.until_recalled("bench")
    assert node.stopped(signal.SIGTERM) == 0


def test_a_clock_that_jumps_back_and_a_second_source_are_named(drive):
    drive.start()
    second = drive.company.node.create_publisher(Odometry, "odom", 5)
    drive.pass_along(0.0, 20.0)
    drive.number = 0
    drive.pass_along(0.0, 5.0)
    drive.company.until_diagnosed("memory", "2 publishers on odom", "clock or pose jumped 1 times")
    drive.company.node.destroy_publisher(second)


@pytest.mark.parametrize(("name", "parameters", "reason"), refused("memory"))
def test_what_cannot_be_is_refused_with_a_reason(drive, name, parameters, reason):
    node = drive.company.start(name, **parameters)
    assert node.ended() in (1, 2)
    assert reason in node.said and "Traceback" not in node.said


def test_a_memory_that_is_damaged_or_in_use_is_refused_by_name(drive, tmp_path):
    (tmp_path / "memory").mkdir()
    (tmp_path / "memory" / "memory.sqlite").write_bytes(b"no database" * 1000)
    node = drive.company.start("memory", folder=tmp_path / "memory")
    assert node.ended() in (1, 2) and "is the file damaged?" in node.said
    drive.start(folder=tmp_path / "other")
    second = drive.company.start("memory", folder=tmp_path / "other")
    assert second.ended() in (1, 2) and "in use by process" in second.said
