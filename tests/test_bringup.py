# SPDX-FileCopyrightText: The Mem4Nav stack developers
# SPDX-License-Identifier: Apache-2.0
"""What the description makes of arguments, and how processes are kept running; stand-ins take the place of nodes."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import threading
import time
from pathlib import Path

import pytest
import yaml

from bag_writing import standard_bag
from mem4nav.bringup.description import Restart, load_bringup
from mem4nav.bringup.processes import company_of
from mem4nav.bringup.supervisor import REFUSED, Supervisor, Task
from mem4nav.cli.main import BAD_INPUT, DONE, main
from slam.errors import ConfigError

ROOT = Path(__file__).parents[1]
NODES = {path.stem for path in (ROOT / "nodes").glob("*.py")}
PATIENCE_S = 30.0


def nodes_of(setup: str, **given: object) -> dict:
    """The setup's processes by name."""
    return {node.name: node for node in company_of(load_bringup(), setup, given, {}).nodes}


@pytest.fixture
def bag(tmp_path: Path) -> Path:
    return standard_bag(tmp_path / "town", "mcap")


# the description


@pytest.mark.parametrize("setup", ["robot", "sim"])
def test_every_setup_starts_nodes_that_exist(setup):
    assert set(nodes_of(setup)) <= NODES
    assert all(one.description for one in load_bringup().arguments_of(setup).values())


def test_every_setup_has_its_launch_file():
    files = {path.name.removesuffix(".launch.py") for path in (ROOT / "launch").iterdir() if path.is_file()}
    assert files == set(load_bringup().setups)


def test_a_spare_of_the_odometry_has_the_same_parameters_and_waits():
    odometry = nodes_of("robot", config="ouster")["odometry"]
    assert odometry.spare_command() == odometry.command("--stand-by")
    assert [word for word in odometry.spare_command() if word != "--stand-by"] == odometry.command()
    assert nodes_of("robot")["navigator"].spare_command() == []


def test_a_node_is_left_out_where_its_argument_says_so():
    assert "detection" in nodes_of("robot") and "detection" not in nodes_of("robot", detection="false")


def test_values_keep_the_type_of_their_argument(bag):
    player = nodes_of("replay", bag=bag, rate="4")["bag_player"]
    assert player.parameters["rate"] == 4.0 and isinstance(player.parameters["rate"], float)
    assert player.parameters["loop"] is False
    assert "rate:=4.0" in player.command() and "loop:=false" in player.command()


def test_a_family_of_sensors_names_the_topics_and_the_node_reads_its_file():
    odometry = nodes_of("robot", config="ouster")["odometry"]
    assert odometry.remappings["points"] == "ouster/points" and odometry.remappings["imu"] == "ouster/imu"
    assert odometry.parameters["config"] == str(ROOT / "config" / "ouster.yaml")
    assert odometry.parameters["cameras"] == [""]


def test_cameras_go_by_the_short_names_of_their_topics(tmp_path):
    file = tmp_path / "rig.yaml"
    file.write_text(yaml.safe_dump({"recording": {"image_topics": ["/cam/front/image_raw", "/cam/back/image_raw"]}}))
    nodes = nodes_of("robot", config=file, cameras=True)
    odometry = nodes["odometry"]
    assert odometry.parameters["cameras"] == nodes["detection"].parameters["cameras"] == ["front", "back"]
    assert nodes["memory"].parameters["camera"] == "front"
    assert odometry.remappings["camera/front/image"] == "cam/front/image_raw"
    assert odometry.remappings["camera/front/camera_info"] == "cam/front/camera_info"


def test_topics_of_a_bag_are_found_as_a_replay_finds_them(bag):
    nodes = nodes_of("replay", bag=bag)
    heard = nodes["bag_player"].parameters["wait_for"]
    odometry = nodes["odometry"]
    assert [f"/{odometry.remappings.get(name, name)}" for name in ("points", "imu")] == heard
    assert all(f"qos_overrides.{topic}.subscription.reliability" in odometry.parameters for topic in heard)
    assert nodes["bag_player"].remappings["odom"] == "recorded/odom"


def test_a_namespace_takes_in_tf_and_the_clock_so_that_two_run_side_by_side(bag):
    nodes = nodes_of("replay", bag=bag, namespace="left/", loop=True)
    for node in nodes.values():
        assert node.namespace == "/left" and "__ns:=/left" in node.command()
        assert node.remappings["/tf_static"] == "tf_static" and node.remappings["/clock"] == "clock"
    reliable = [name for name in nodes["odometry"].parameters if name.startswith("qos_overrides.")]
    assert reliable and all(name.startswith("qos_overrides./left/") for name in reliable)


def test_the_profile_and_the_range_of_discovery_are_set_unless_the_user_has_set_them():
    fresh = company_of(load_bringup(), "robot", {}, {}).environment
    assert fresh["ROS_AUTOMATIC_DISCOVERY_RANGE"] == "LOCALHOST"
    assert Path(fresh["FASTRTPS_DEFAULT_PROFILES_FILE"]).is_file()
    own = company_of(load_bringup(), "robot", {}, {"ROS_AUTOMATIC_DISCOVERY_RANGE": "SUBNET"}).environment
    assert "ROS_AUTOMATIC_DISCOVERY_RANGE" not in own


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (["sim", "tsk:=3"], "did you mean 'task'?"),
        (["sim", "task:=three"], "task:=three: it is a whole number"),
        (["sim", "memory:=maybe"], "true or false"),
        (["sim", "viewer:=gazebo"], "one of none, rviz, foxglove"),
        (["sim", "task=3"], "not NAME:=VALUE"),
        (["replay"], "needs a bag"),
        (["replay", "bag:=/nowhere/town"], "/nowhere/town"),
        (["robot", "config:=radar"], "neither a file nor the name of a family"),
        (["robot", "config:=/nowhere/rig.yaml"], "/nowhere/rig.yaml"),
        (["robot", "cameras:=true", "config:=ouster"], "names no topic with pictures"),
        (["robot", "namespace:=7up"], "namespace:=7up"),
    ],
)
def test_what_cannot_be_is_refused_in_one_line(words, said, capsys):
    assert main(["up", *words]) == BAD_INPUT
    (line,) = capsys.readouterr().err.splitlines()
    assert said in line


def test_a_description_with_an_unknown_key_names_the_nearest(tmp_path):
    file = tmp_path / "bringup.yaml"
    file.write_text("setups: {robot: {nodes: {odometry: {parameterz: {}}}}}")
    with pytest.raises(ConfigError, match="did you mean 'parameters'"):
        load_bringup(file)


def test_arguments_and_commands_can_be_seen_without_starting_anything(capsys):
    assert main(["up", "sim", "--show-args"]) == DONE
    assert "realtime_factor:=" in capsys.readouterr().out
    assert main(["up", "robot", "config:=livox", "--show-commands"]) == DONE
    assert "-m nodes.odometry --ros-args" in capsys.readouterr().out


# processes


def python(script: str) -> tuple[str, ...]:
    return (sys.executable, "-c", script)


SLEEPER = python("print('up', flush=True)\nimport time\ntime.sleep(600)")
SPARE = python("print('ready', flush=True)\ninput()\nprint('goes on', flush=True)\nimport time\ntime.sleep(600)")
DEAF = python(
    "import faulthandler, signal, time\nfaulthandler.enable()\nfor n in (2, 15): signal.signal(n, signal.SIG_IGN)\n"
    "print('up', flush=True)\ntime.sleep(600)"
)


class Told:
    """What a supervisor says, and a supervisor that is stopped once it has said something."""

    def __init__(self, *tasks: Task, spare_s: float = 0.1) -> None:
        self.lines: list[tuple[str, str]] = []
        restart = Restart(0.02, 0.1, 60.0, spare_s=spare_s)
        self.supervisor = Supervisor(tasks, os.environ, lambda *line: self.lines.append(line), restart)

    def said(self, word: str) -> int:
        return sum(word in line for _, line in self.lines)

    def run(self, *then) -> int:
        """Run; a second thread waits for (condition, action) after (condition, action)."""

        def follow() -> None:
            end = time.monotonic() + PATIENCE_S
            for condition, act in then:
                while not condition() and time.monotonic() < end:
                    time.sleep(0.01)
                act()

        threading.Thread(target=follow, daemon=True).start()
        return self.supervisor.run()


def test_all_end_together_when_told_and_what_they_said_bears_their_names():
    told = Told(Task("one", SLEEPER), Task("other", SLEEPER))
    assert told.run((lambda: told.said("up") == 2, told.supervisor.stop)) == 0
    assert {name for name, line in told.lines if line == "up"} == {"one", "other"}


def test_who_crashes_is_started_again_later_each_time():
    told = Told(Task("weak", python("raise SystemExit(3)")), Task("well", SLEEPER))
    told.run((lambda: told.said("ended with code 3") >= 4, told.supervisor.stop))
    waits = [float(line.split(" in ")[1].split()[0]) for name, line in told.lines if "again" in line]
    assert waits[:4] == sorted(waits[:4]) and waits[3] == 0.1
    assert told.lines.count(("well", "up")) == 1


def test_who_is_killed_is_started_again_and_nobody_else(tmp_path):
    pids = tmp_path / "pids"
    script = f"import os, time\nopen({str(pids)!r}, 'a').write(f'{{os.getpid()}}\\n')\ntime.sleep(600)"
    told = Told(Task("victim", python(script)), Task("well", SLEEPER))

    def started() -> list[int]:
        return [int(line) for line in pids.read_text().splitlines()] if pids.exists() else []

    told.run(
        (lambda: len(started()) == 1, lambda: os.kill(started()[0], signal.SIGKILL)),
        (lambda: len(started()) == 2, told.supervisor.stop),
    )
    assert told.said("ended with SIGKILL") == 1 and told.lines.count(("well", "up")) <= 1


def test_who_is_killed_is_replaced_by_a_spare_that_stood_by_and_another_stands_by_then():
    told = Told(Task("victim", python("import os, time\nprint(os.getpid(), flush=True)\ntime.sleep(600)"), SPARE))
    code = told.run(
        (lambda: told.said("ready") == 1, lambda: os.kill(int(told.lines[0][1]), signal.SIGKILL)),
        (lambda: told.said("goes on") == 2 and told.said("ready") == 2, told.supervisor.stop),
    )
    assert told.said("SIGKILL: another, which stood by, goes on") == 1 and told.said("started again") == 0
    assert code == 0 and told.said("killed") == 0


def test_who_crashes_before_there_is_a_spare_is_started_again_after_a_wait():
    told = Told(Task("weak", python("raise SystemExit(3)"), SPARE), spare_s=PATIENCE_S)
    told.run((lambda: told.said("started again in") >= 3, told.supervisor.stop))
    assert told.said("ready") == 0


def test_who_refuses_is_not_started_again_and_takes_all_with_it():
    told = Told(Task("picky", python(f"print('refused: no map'); raise SystemExit({REFUSED})")), Task("well", SLEEPER))
    assert told.run() == REFUSED
    assert told.said("refused: no map") == 1


def test_who_does_one_thing_may_end():
    told = Told(Task("errand", python("print('done it')"), once=True))
    assert told.run() == 0 and told.said("started again") == 0


def test_who_does_not_listen_is_killed_when_told_twice_and_may_say_where_it_hangs():
    told = Told(Task("deaf", DEAF))
    begun = time.monotonic()
    code = told.run((lambda: told.said("up"), told.supervisor.stop), (lambda: True, told.supervisor.stop))
    assert code == 1 and told.said("killed") == 1 and time.monotonic() - begun < 9.0
    assert told.said("Current thread") == 1


@pytest.mark.skipif(sys.platform != "linux", reason="only Linux ends children with their parent")
def test_nothing_is_left_running_where_the_supervisor_is_killed(tmp_path):
    pid = tmp_path / "pid"
    child = f"import os, time; open({str(pid)!r}, 'w').write(str(os.getpid())); time.sleep(600)"
    script = (
        "import os, sys; from mem4nav.bringup.supervisor import Supervisor, Task\n"
        f"Supervisor([Task('a', (sys.executable, '-c', {child!r}))], os.environ, print).run()"
    )
    parent = subprocess.Popen([sys.executable, "-c", script], cwd=ROOT)
    end = time.monotonic() + PATIENCE_S
    while not (pid.exists() and pid.read_text()) and time.monotonic() < end:
        time.sleep(0.01)
    parent.kill()
    parent.wait()
    while Path(f"/proc/{pid.read_text()}").exists() and time.monotonic() < end:
        time.sleep(0.01)
    assert not Path(f"/proc/{pid.read_text()}").exists()
