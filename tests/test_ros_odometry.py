# SPDX-FileCopyrightText: The Mem4Nav stack developers
# SPDX-License-Identifier: Apache-2.0
"""The bag player and the odometry as processes that speak over DDS."""

from __future__ import annotations

import signal
import time
from pathlib import Path

import numpy as np
import pytest

pytest.importorskip("open3d")
pytest.importorskip("rclpy", reason="rclpy is not here: pip install 'mem4nav[ros]'", exc_type=ImportError)

from geometry_msgs.msg import PoseWithCovarianceStamped
from lifecycle_msgs.msg import Transition
from nav_msgs.msg import Odometry
from rclpy.qos import DurabilityPolicy, QoSProfile
from sensor_msgs.msg import Imu, PointCloud2
from std_msgs.msg import Header

from nodes.messages import cloud, matrix, pose
from ros_processes import RELIABLE, Company, stamps
from ros_refusals import refused
from slam.io.opening import open_recording
from slam.replay import replay

pytestmark = pytest.mark.ros


def odometry(company: Company, **parameters):
    node = company.start("odometry", **RELIABLE, **parameters)
    node.until_said("ready")
    return node


def play(company: Company, bag: Path, **parameters):
    """A player that begins once the odometry hears it, and this process the odometry."""
    company.until(lambda: company.node.count_publishers("odom"), "odom")
    return company.start("bag_player", bag=bag, wait_for="[/points, /imu, /tf_static]", **parameters)


def test_a_bag_played_gives_every_pose_of_its_replay(town_bag, company, tmp_path):
    expected = replay(open_recording(town_bag), use_camera=False).results
    odom = company.hear(Odometry, "odom")
    node = odometry(company)
    player = play(company, town_bag)
    company.until(lambda: len(odom) >= len(expected) - 1, "a pose of every scan")
    found = {stamp: matrix(one.pose.pose) for stamp, one in zip(stamps(odom), odom, strict=True)}
    for result in expected[:-1]:
        assert np.abs(found[result.stamp_ns][:3, 3] - result.T_odom_base[:3, 3]).max() < 1e-3
    assert {(one.header.frame_id, one.child_frame_id) for one in odom} == {("odom", "base_link")}
    assert np.array(odom[-1].pose.covariance).reshape(6, 6).diagonal().min() > 0.0
    assert node.stopped(signal.SIGINT, signal.SIGTERM) == 0
    assert player.stopped(signal.SIGTERM, signal.SIGTERM) == 0


def test_transforms_say_what_odom_says(town_bag, company):
    TFMessage = pytest.importorskip("tf2_msgs.msg", exc_type=ImportError).TFMessage
    odom, tf = company.hear(Odometry, "odom"), company.hear(TFMessage, "/tf")
    odometry(company, publish_map_tf=True)
    play(company, town_bag, rate=4.0)
    company.until(lambda: len(odom) > 20 and len(tf) > 20, "poses and transforms")
    poses = dict(zip(stamps(odom), odom, strict=True))
    both = [one for message in tf for one in message.transforms]
    assert {(one.header.frame_id, one.child_frame_id) for one in both} == {("odom", "base_link"), ("map", "odom")}
    moved = next(one for one in both if one.child_frame_id == "base_link" and stamps([one])[0] in poses)
    position = poses[stamps([moved])[0]].pose.pose.position
    assert (moved.transform.translation.x, moved.transform.translation.y) == (position.x, position.y)


def test_a_bag_in_a_loop_makes_the_odometry_begin_anew(town_bag, company):
    odom = company.hear(Odometry, "odom")
    odometry(company)
    play(company, town_bag, rate=4.0, loop=True)
    company.until_diagnosed("odometry", "the clock went back 1 times: begun anew")
    company.until(lambda: len(odom) > 60, "poses of the second round")


def test_an_odometry_can_be_put_to_sleep_woken_and_configured_anew(town_bag, company):
    odom = company.hear(Odometry, "odom")
    node = odometry(company)
    play(company, town_bag, loop=True)
    company.until(lambda: len(odom) > 5, "poses")
    company.change("odometry", Transition.TRANSITION_DEACTIVATE)
    company.until_diagnosed("odometry", "not active")
    known = len(odom)
    company.change("odometry", Transition.TRANSITION_ACTIVATE)
    company.until(lambda: len(odom) > known + 5, "poses after a nap")
    company.change("odometry", Transition.TRANSITION_DEACTIVATE, Transition.TRANSITION_CLEANUP)
    company.change("odometry", Transition.TRANSITION_CONFIGURE, Transition.TRANSITION_ACTIVATE)
    known = len(odom)
    company.until(lambda: len(odom) > known + 5, "poses once it was configured anew")
    company.until(lambda: company.node.count_publishers("odom") == 1, "one publisher")
    assert company.ask("odometry/reset").success
    assert node.stopped(signal.SIGINT) == 0


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
@pytest.mark.parametrize("after_s", [0.3, 0.8, 1.6])
def test_a_node_that_is_told_to_stop_while_it_starts_ends_well(company, number, after_s):
    node = company.start("odometry")
    time.sleep(after_s)
    assert node.stopped(number, number) == 0, node.said


@pytest.mark.parametrize(("name", "parameters", "reason"), refused("odometry", "bag_player"))
def test_what_cannot_be_is_refused_with_a_reason(company, name, parameters, reason):
    node = company.start(name, **parameters)
    assert node.ended() == 2
    assert reason in node.said and "Traceback" not in node.said


def test_the_map_is_stored_when_told_and_on_the_way_out_and_can_be_gone_on_in(town_bag, company, tmp_path):
    odom = company.hear(Odometry, "odom")
    node = odometry(company, map_folder=tmp_path / "map", save_on_exit=True)
    assert not company.ask("odometry/load_map").success
    play(company, town_bag, rate=2.0)
    company.until(lambda: len(odom) > 30, "poses")
    assert company.ask("odometry/save_map").success
    assert company.ask("odometry/load_map").success
    assert company.ask("odometry/reset").success
    stored = max(path.stat().st_mtime_ns for path in (tmp_path / "map").rglob("*"))
    assert node.stopped(signal.SIGTERM) == 0
    assert max(path.stat().st_mtime_ns for path in (tmp_path / "map").rglob("*")) > stored


def test_an_initial_pose_is_where_a_loaded_map_is_gone_on_in(town_bag, company, tmp_path):
    odom = company.hear(Odometry, "odom")
    odometry(company, map_folder=tmp_path / "map")
    player = play(company, town_bag, rate=2.0)
    company.until(lambda: len(odom) >= 38, "poses")
    player.kill()
    assert company.ask("odometry/save_map").success and company.ask("odometry/load_map").success
    latched = QoSProfile(depth=1, durability=DurabilityPolicy.VOLATILE)
    out = company.node.create_publisher(PoseWithCovarianceStamped, "/initialpose", latched)
    company.until(out.get_subscription_count, "the odometry on /initialpose")
    place = PoseWithCovarianceStamped(header=Header(frame_id="map"))
    place.pose.pose = pose(matrix(odom[0].pose.pose))
    out.publish(place)
    before = len(odom)
    play(company, town_bag, rate=2.0)
    company.until(lambda: len(odom) > before + 10, "poses in the loaded map")
    began = matrix(odom[before].pose.pose)
    assert np.linalg.norm(began[:3, 3] - matrix(odom[0].pose.pose)[:3, 3]) < 1.0


def test_silence_is_told_and_a_player_killed_is_followed_by_another(town_bag, company):
    odom = company.hear(Odometry, "odom")
    node = odometry(company)
    player = play(company, town_bag)
    company.until(lambda: len(odom) > 8, "poses")
    player.kill()
    company.until_diagnosed("odometry", "no scan for")
    known = len(odom)
    play(company, town_bag)
    company.until(lambda: len(odom) > known + 8, "poses again")
    assert node.process.poll() is None


def test_two_sources_of_the_same_topic_are_named(town_bag, company):
    odometry(company)
    for name in ("first", "second"):
        play(company, town_bag, rate=0.5, remap={"__node": name})
    company.until_diagnosed("odometry", "2 publishers on points")


def test_messages_that_make_no_sense_are_named_and_survived(company):
    node = odometry(company)
    points = company.node.create_publisher(PointCloud2, "points", 5)
    inertial = company.node.create_publisher(Imu, "imu", 5)
    company.until(lambda: points.get_subscription_count() and inertial.get_subscription_count(), "the odometry")
    whole = cloud(1_000_000_000, "lidar", np.full((100, 3), np.nan))
    short = cloud(1_100_000_000, "lidar", np.zeros((100, 3)))
    short.data = short.data[:50]
    strange = cloud(1_200_000_000, "roof", np.zeros((0, 3)))
    for message in (whole, short, strange, *[whole] * 5):
        points.publish(message)
        time.sleep(0.1)
    inertial.publish(Imu(header=Header(frame_id="imu")))
    company.until_diagnosed("odometry", "points came in frame 'roof', before in 'lidar'", "could not be decoded")
    company.until_diagnosed("odometry", "tf_static from base_link to 'lidar'")
    assert node.stopped(signal.SIGINT) == 0
