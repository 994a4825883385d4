# SPDX-FileCopyrightText: The Mem4Nav stack developers
# SPDX-License-Identifier: Apache-2.0
"""Interface packages built with ROS's own generators from pip, cmake, ninja and a C++ compiler.

The generators live in an environment of their own that is thrown away: they ask for an old setuptools, and their
cmake files, which name folders of the machine that they were packed on, have to be corrected.
"""

from __future__ import annotations

import importlib.util
import logging
import os
import re
import shutil
import subprocess
import sys
import sysconfig
import tempfile
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from importlib import metadata
from pathlib import Path

logger = logging.getLogger(__name__)

DEFINITIONS = Path(__file__).with_name("definitions")
GENERATORS = Path(__file__).with_name("generators.txt")
PACKAGES = {"tf2_msgs": ("geometry_msgs",), "vision_msgs": ("std_msgs", "geometry_msgs")}
"""What can be built, and what the messages are made of."""
GUARD = "_ROS_WHEELS_BOOTSTRAP_COMPLETE"
"""Set by the wheels in a process that has found its libraries; a child in another environment has to find its own."""

_FOREIGN_PYTHON = re.compile(r"/opt/python/cp3\d+-cp3\d+/include/python3\.\d+")
_FOREIGN_NUMPY = re.compile(r"/opt/python/cp3\d+-cp3\d+/lib/python3\.\d+/site-packages/numpy/_core/include")


class BuildError(Exception):
    """A package that cannot be built; the text says what is missing or what the compiler said."""


def missing(packages: Sequence[str] = tuple(PACKAGES)) -> list[str]:
    """Those of the packages that this interpreter cannot import."""
    return [name for name in packages if importlib.util.find_spec(name) is None]


def build(packages: Sequence[str] = tuple(PACKAGES), prefix: str | Path = sys.prefix) -> list[str]:
    """Build what of ``packages`` is missing here and install it under ``prefix``; returns the names of what was built.

    Raises:
        BuildError: an unknown package, no rclpy from wheels, no compiler, no network, or a step that fails.
    """
    wanted = missing(packages)
    if not wanted:
        return []
    _check(wanted)
    with tempfile.TemporaryDirectory(prefix="mem4nav-interfaces-") as folder:
        workshop = _Workshop(Path(folder), Path(prefix))
        workshop.furnish()
        for name in wanted:
            workshop.make(name)
    _prove(wanted, Path(prefix))
    return wanted


def _check(wanted: Sequence[str]) -> None:
    unknown = [name for name in wanted if name not in PACKAGES]
    if unknown:
        raise BuildError(f"no definitions of {', '.join(unknown)}; there are those of {', '.join(PACKAGES)}")
    if "ros-rclpy" not in _ros_versions():
        raise BuildError("rclpy is not here, or not from wheels (pip install 'mem4nav[ros]'); apt has these packages")
    if shutil.which("g++") is None and shutil.which("c++") is None:
        raise BuildError("no C++ compiler (g++ or c++) on the path: apt install g++")


def _ros_versions() -> dict[str, str]:
    """Versions of ROS's wheels here: what is built must fit them to the byte."""
    found = ((one.metadata["Name"].lower().replace("_", "-"), one.version) for one in metadata.distributions())
    return {name: version for name, version in found if name.startswith("ros-")}


@dataclass(frozen=True, slots=True)
class _Workshop:
    """A folder with the generators' environment, sources and builds in it."""

    folder: Path
    prefix: Path

    @property
    def tools(self) -> Path:
        return self.folder / "tools"

    @property
    def environment(self) -> dict[str, str]:
        """For children: the generators' environment is found first, and nothing of the one that we run in."""
        kept = without_bootstrap(os.environ)
        path = f"{self.tools / 'bin'}{os.pathsep}{kept.get('PATH', os.defpath)}"
        return kept | {"PATH": path, "AMENT_PREFIX_PATH": str(self.tools), "CMAKE_PREFIX_PATH": str(self.tools)}

    def furnish(self) -> None:
        """Install the generators, in the versions of the wheels that are here."""
        logger.info("installing ROS's generators into %s", self.tools)
        versions = _ros_versions()
        pins = self.folder / "pins.txt"
        pins.write_text("".join(f"{name}=={version}\n" for name, version in versions.items()), encoding="utf-8")
        self.run("environment", sys.executable, "-m", "venv", str(self.tools))
        pip = ("-m", "pip", "install", "-q", "--disable-pip-version-check", "-c", str(pins), "-r", str(GENERATORS))
        self.run("generators", self.python, *pip)
        self._correct_cmake_files()

    @property
    def python(self) -> str:
        return str(self.tools / "bin" / "python")

    def make(self, name: str) -> None:
        """Generate, compile and install one package."""
        logger.info("building %s", name)
        source, build = self.folder / name, self.folder / f"build_{name}"
        write_package(name, source)
        flags = ("-DBUILD_TESTING=OFF", "-DCMAKE_CXX_FLAGS=-O0", "-DCMAKE_C_FLAGS=-O1")
        places = (f"-DCMAKE_INSTALL_PREFIX={self.prefix}", f"-DPython3_EXECUTABLE={self.python}")
        self.run(name, "cmake", "-S", str(source), "-B", str(build), "-G", "Ninja", *places, *flags)
        self.run(name, "ninja", "-C", str(build), "install")

    def run(self, what: str, *words: str) -> None:
        done = subprocess.run(words, env=self.environment, capture_output=True, text=True)
        if done.returncode:
            said = " | ".join((done.stdout + done.stderr).strip().splitlines()[-8:])
            raise BuildError(f"{what}: {Path(words[0]).name} ended with code {done.returncode}: {said}")

    def _correct_cmake_files(self) -> None:
        """The wheels' exports name Python's and numpy's headers as they lay on the machine that packed them."""
        headers = sysconfig.get_path("include")
        query = [self.python, "-c", "import numpy; print(numpy.get_include())"]
        numpy = subprocess.check_output(query, env=self.environment, text=True).strip()
        for path in (self.tools / "share").rglob("*.cmake"):
            text = path.read_text(encoding="utf-8")
            if "/opt/python/" in text:
                path.write_text(_FOREIGN_PYTHON.sub(headers, _FOREIGN_NUMPY.sub(numpy, text)), encoding="utf-8")


def without_bootstrap(environment: Mapping[str, str]) -> dict[str, str]:
    """The environment for a child that runs another interpreter: without what the wheels set for this one."""
    return {name: value for name, value in environment.items() if name not in (GUARD, "LD_LIBRARY_PATH", "PYTHONPATH")}


def write_package(name: str, folder: Path) -> None:
    """Write the sources of a package as ament wants them: definitions, package.xml, CMakeLists.txt."""
    shutil.copytree(DEFINITIONS / name, folder)
    (folder / "package.xml").write_text("\n".join(_package_xml(name)) + "\n", encoding="utf-8")
    (folder / "CMakeLists.txt").write_text("\n".join(_cmake_lists(name, folder)) + "\n", encoding="utf-8")


def _package_xml(name: str) -> Iterator[str]:
    yield f'<package format="3"><name>{name}</name><version>0.0.0</version><description>{name}</description>'
    yield '<maintainer email="developers@mem4nav.example.org">The Mem4Nav stack developers</maintainer>'
    yield "<license>Apache-2.0</license><buildtool_depend>ament_cmake</buildtool_depend>"
    yield "<buildtool_depend>rosidl_default_generators</buildtool_depend>"
    yield from (f"<depend>{other}</depend>" for other in PACKAGES[name])
    yield "<exec_depend>rosidl_default_runtime</exec_depend>"
    yield "<member_of_group>rosidl_interface_packages</member_of_group>"
    yield "<export><build_type>ament_cmake</build_type></export></package>"


def _cmake_lists(name: str, folder: Path) -> Iterator[str]:
    files = " ".join(f'"msg/{path.name}"' for path in sorted((folder / "msg").glob("*.msg")))
    yield f"cmake_minimum_required(VERSION 3.14)\nproject({name})"
    yield from (f"find_package({n} REQUIRED)" for n in ("ament_cmake", "rosidl_default_generators", *PACKAGES[name]))
    yield f"rosidl_generate_interfaces({name} {files} DEPENDENCIES {' '.join(PACKAGES[name])})"
    yield "ament_package()"


def _prove(names: Sequence[str], prefix: Path) -> None:
    """Serialise a message of each package, in a process that looks for its libraries anew."""
    message = {"tf2_msgs": "TFMessage", "vision_msgs": "Detection3DArray"}
    lines = [f"from {name}.msg import {message[name]} as M; serialize_message(M())" for name in names]
    script = "\n".join(["from rclpy.serialization import serialize_message", *lines])
    python = str(prefix / "bin" / "python")
    done = subprocess.run([python, "-c", script], env=without_bootstrap(os.environ), capture_output=True, text=True)
    if done.returncode:
        raise BuildError(f"{', '.join(names)} were built, but cannot be used: {done.stderr.strip()[-400:]}")
