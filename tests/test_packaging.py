# SPDX-FileCopyrightText: The Mem4Nav stack developers
# SPDX-License-Identifier: Apache-2.0
"""What pip and colcon make of the source tree."""

from __future__ import annotations

import shutil
import subprocess
import sys
import xml.etree.ElementTree as ElementTree
import zipfile
from importlib import metadata
from pathlib import Path

import pytest

import mem4nav

ROOT = Path(__file__).resolve().parents[1]
LEFT_OUT = (".git", ".venv", "out", "build", "*.egg-info", "__pycache__", ".*_cache", "tests", "bench")


@pytest.fixture(scope="module")
def source(tmp_path_factory) -> Path:
    """A copy of the tree, so that builds leave nothing in it."""
    copy = tmp_path_factory.mktemp("package") / "source"
    shutil.copytree(ROOT, copy, ignore=shutil.ignore_patterns(*LEFT_OUT))
    return copy


def run(*words: str, folder: Path) -> None:
    done = subprocess.run([sys.executable, *words], cwd=folder, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr[-2000:]


@pytest.fixture(scope="module")
def wheel(source) -> list[str]:
    pytest.importorskip("setuptools", minversion="70.1")
    wheels = source.parent / "wheels"
    run("-m", "pip", "wheel", "-q", "--no-deps", "--no-build-isolation", "-w", str(wheels), ".", folder=source)
    with zipfile.ZipFile(next(wheels.glob("*.whl"))) as packed:
        return packed.namelist()


def test_a_lidar_only_user_gets_neither_torch_nor_open3d():
    needs = metadata.requires("mem4nav") or []
    core = {need.split(";")[0].strip() for need in needs if "extra ==" not in need}
    assert any(need.startswith("numpy") for need in core)
    assert not [need for need in core if need.startswith(("torch", "open3d", "transformers", "cupy", "ray", "viser"))]


def test_the_extras_are_those_of_the_readme():
    extras = set(metadata.metadata("mem4nav").get_all("Provides-Extra") or [])
    assert extras == {"nav", "detect", "sim", "viz", "ros", "gpu", "habitat", "cluster", "dev"}


def test_a_wheel_carries_the_rooms_and_what_ament_looks_for(wheel):
    share = "mem4nav-0.1.0.data/data/share"
    assert f"{share}/ament_index/resource_index/packages/mem4nav" in wheel
    assert f"{share}/mem4nav/package.xml" in wheel
    assert "mem4nav-0.1.0.dist-info/entry_points.txt" in wheel
    assert "mem4nav/cli/report.css" in wheel
    assert f"{share}/mem4nav/launch/robot.launch.py" in wheel and f"{share}/mem4nav/config/bringup.yaml" in wheel
    assert "nodes/interfaces/definitions/tf2_msgs/msg/TFMessage.msg" in wheel
    importable = {name.split("/")[0] for name in wheel if name.endswith(".py") and not name.startswith(share)}
    assert importable <= {"mem4nav", "slam", "detection", "nodes", "sim_envs"}


def test_a_wheel_carries_all_weights_that_ship(wheel):
    weights = [
        path.relative_to(ROOT) for room in ("mem4nav", "detection") for path in (ROOT / room).rglob("*.safetensors")
    ]
    assert len(weights) >= 4 and {path.as_posix() for path in weights} <= set(wheel)


def test_ament_finds_the_command_in_lib(source):
    pytest.importorskip("setuptools")
    target = source.parent / "ament"
    managed = ("--single-version-externally-managed", "--record", str(source.parent / "record.txt"))
    run("setup.py", "-q", "install", "--prefix", str(target), *managed, folder=source)
    assert (target / "lib" / "mem4nav" / "mem4nav").is_file()
    assert (target / "share" / "ament_index" / "resource_index" / "packages" / "mem4nav").is_file()


@pytest.mark.parametrize("options", [(), ("--symlink-install",)], ids=["copied", "linked"])
def test_colcon_builds_a_workspace_with_the_nodes_and_what_launches_them(source, tmp_path, options):
    colcon = Path(sys.executable).with_name("colcon")
    if not colcon.is_file():
        pytest.skip("colcon is not here: pip install colcon-core colcon-ros")
    shutil.copytree(source, tmp_path / "src" / "mem4nav", ignore=shutil.ignore_patterns(*LEFT_OUT))
    words = [str(colcon), "build", *options]
    done = subprocess.run(words, cwd=tmp_path, capture_output=True, text=True)
    assert done.returncode == 0, done.stdout[-2000:] + done.stderr[-2000:]
    prefix = tmp_path / "install" / "mem4nav"
    nodes = {path.name for path in (prefix / "lib" / "mem4nav").iterdir()}
    assert {"mem4nav", "odometry_node", "detection_node", "memory_node", "navigator_node", "simulator_node"} <= nodes
    share = prefix / "share" / "mem4nav"
    assert all((share / "launch" / f"{name}.launch.py").is_file() for name in ("robot", "sim", "replay"))
    assert (share / "config" / "bringup.yaml").is_file() and (share / "package.xml").is_file()


def test_the_version_is_the_same_everywhere():
    package = ElementTree.parse(ROOT / "package.xml").getroot()
    assert package.findtext("version") == metadata.version("mem4nav")
    assert package.findtext("export/build_type") == "ament_python"
    assert package.get("format") == "3"
    assert mem4nav.__version__ == metadata.version("mem4nav")


def test_constraints_pin_exactly():
    lines = [line.split("#")[0].strip() for line in (ROOT / "constraints.txt").read_text().splitlines()]
    assert all("==" in line.split(";")[0] for line in lines if line)
