# SPDX-FileCopyrightText: The Mem4Nav stack developers
# SPDX-License-Identifier: Apache-2.0
"""``mem4nav up`` with the real nodes: a bag is replayed, killed nodes come back, one signal ends all."""

from __future__ import annotations

import os
import signal

import pytest

pytest.importorskip("open3d")
pytest.importorskip("rclpy", reason="rclpy is not here: pip install 'mem4nav[ros]'", exc_type=ImportError)
pytest.importorskip("tf2_msgs.msg", reason="tf2_msgs is not here: python -m nodes.interfaces", exc_type=ImportError)

from nav_msgs.msg import Odometry
from tf2_msgs.msg import TFMessage

from ros_processes import PATIENCE_S, Up

pytestmark = pytest.mark.ros


def test_a_replay_goes_on_after_any_of_its_nodes_is_killed_and_ends_with_one_signal(town_bag, company, tmp_path):
    tf = company.hear(TFMessage, "/tf")
    with Up(tmp_path / "up.log", "replay", f"bag:={town_bag}", "loop:=true") as up:
        company.until(lambda: len(tf) > 5, f"transforms; {up.said}")
        for name in ("odometry", "bag_player"):
            others = {other: pid for other, pid in up.children().items() if other != name}
            os.kill(up.children()[name], signal.SIGKILL)
            company.until(lambda: "SIGKILL" in up.said, "news of it")
            tf.clear()
            company.until(lambda: len(tf) > 5, f"transforms after {name} was killed; {up.said}")
            assert {other: up.children()[other] for other in others} == others
        up.process.send_signal(signal.SIGINT)
        assert up.process.wait(PATIENCE_S) == 0, up.said
    assert not up.children()


def test_two_replays_run_side_by_side_in_namespaces(town_bag, company, tmp_path):
    left, right = company.hear(Odometry, "/left/odom"), company.hear(Odometry, "/right/odom")
    tf = company.hear(TFMessage, "/left/tf")
    with (
        Up(tmp_path / "left.log", "replay", f"bag:={town_bag}", "namespace:=left") as one,
        Up(tmp_path / "right.log", "replay", f"bag:={town_bag}", "namespace:=right") as other,
    ):
        company.until(lambda: len(left) > 10 and len(right) > 10 and tf, f"poses; {one.said} {other.said}")


def test_a_node_that_refuses_ends_all_with_its_reason(town_bag, company, tmp_path):
    with Up(tmp_path / "up.log", "replay", f"bag:={town_bag}", "save_map:=true") as up:
        assert up.process.wait(PATIENCE_S) == 2
    assert "map_folder is not" in up.said and "Traceback" not in up.said
    assert not up.children()
