# SPDX-FileCopyrightText: The Mem4Nav stack developers
# SPDX-License-Identifier: Apache-2.0
"""The town, the odometry and the navigator as processes: written directions in, a vehicle that drives."""

from __future__ import annotations

import signal
import time
from functools import partial
from pathlib import Path

import pytest

pytest.importorskip("open3d")
pytest.importorskip("torch")
pytest.importorskip("rclpy", reason="rclpy is not here: pip install 'mem4nav[ros]'", exc_type=ImportError)

from ros_processes import Company
from ros_refusals import refused
from ros_relay import Relay, in_frame, kept_back, without_numbers
from ros_town import TEXT, Town, stands

pytestmark = pytest.mark.ros
SILENCE_S = 0.5


@pytest.fixture
def town(tmp_path: Path):
    with Company(tmp_path) as company:
        yield Town(company)


def test_directions_are_driven_their_clauses_told_and_a_cancelled_drive_ends(town):
    town.instruct("Stop by the cathedral.")
    town.company.until(lambda: town.states and "cathedral" in town.states[-1]["reason"], "a refusal")
    assert not [one for _, one in town.commands if not stands(one)]
    town.instruct(TEXT)
    town.until_driving()
    assert town.is_told("driving") or town.is_told("crossing")
    assert town.states[-1]["clause"] == "Turn left at the second crossing."
    assert town.plans[-1].header.frame_id == "odom" and len(town.plans[-1].poses) > 5
    assert max(abs(one.linear.x) for _, one in town.commands) <= 4.5
    town.cancel()
    town.company.until(lambda: town.is_told("idle"), "an end")
    assert town.states[-1]["reason"] == "cancelled"
    town.until_standing()
    assert town.navigator.stopped(signal.SIGINT) == 0
    assert town.simulator.stopped(signal.SIGTERM, signal.SIGTERM) == 0


def test_a_vehicle_whose_odometry_is_killed_is_stopped_at_once(town):
    town.instruct(TEXT)
    town.until_driving()
    town.odometry.kill()
    killed = time.monotonic()
    town.company.until(lambda: town.commands[-1][0] > killed + 2.0 * SILENCE_S, "commands after it was killed")
    late = [one for at, one in town.commands if at > killed + SILENCE_S]
    assert late and all(stands(one) for one in late)
    town.company.until_diagnosed("navigator", "no scan with a pose", "stopped")
    town.until_standing()
    assert town.navigator.process.poll() is None and town.simulator.process.poll() is None


def test_a_vehicle_that_sees_nothing_is_stopped_and_what_is_wrong_with_its_sensors_is_named(tmp_path):
    with Company(tmp_path) as company:
        relay = Relay(company)
        town = Town(company, relay.names)
        for change, node, phrase in (
            (without_numbers, "navigator", "no scan with a pose"),
            (partial(in_frame, "roof"), "odometry", "points came in frame 'roof'"),
        ):
            town.instruct(TEXT)
            town.until_driving()
            relay.change({"points": change})
            company.until_diagnosed(node, phrase)
            town.until_standing()
            town.cancel()
            company.until(lambda: town.is_told("idle"), "an end")
            relay.change({})
            town.until_posed()
        relay.change({"imu": without_numbers})
        company.until_diagnosed("odometry", "IMU samples that are NaN")


@pytest.mark.parametrize("fault", ["no IMU", "two publishers of points"])
def test_a_vehicle_whose_odometry_is_not_well_stands(tmp_path, fault):
    with Company(tmp_path) as company:
        relay = Relay(company)
        town = Town(company, relay.names)
        town.instruct(TEXT)
        town.until_driving()
        if fault == "no IMU":
            relay.change({"imu": kept_back})
            company.until_diagnosed("odometry", "scans without IMU")
        else:
            relay.double()
            company.until_diagnosed("odometry", "2 publishers on points")
        company.until_diagnosed("navigator", "the vehicle is stopped")
        town.until_standing()
        relay.change({})
        town.until_driving()
        assert town.states[-1]["state"] in ("driving", "crossing")


@pytest.mark.parametrize(("name", "parameters", "reason"), refused("navigator", "simulator"))
def test_what_cannot_be_is_refused_with_a_reason(tmp_path, name, parameters, reason):
    with Company(tmp_path) as company:
        node = company.start(name, **parameters)
        assert node.ended() == 2
        assert reason in node.said and "Traceback" not in node.said
