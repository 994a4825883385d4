# SPDX-FileCopyrightText: The Mem4Nav stack developers
# SPDX-License-Identifier: Apache-2.0
"""The steps: Debian packages unpacked beside the system, wheels, the stand-in for Magnum, and a launcher.

The one wheel of habitat-sim for Linux on PyPI asks for a newer libc than most systems have, for Python 3.13, and for
bindings that it does not bring. So it runs under Debian trixie's own loader, from a folder, without root.
"""

from __future__ import annotations

import getpass
import logging
import os
import shutil
import subprocess
import sys
from pathlib import Path

from sim_envs.habitat.errors import HabitatError

log = logging.getLogger(__name__)

HERE = Path(__file__).parent
READY = ".ready"
VERSION = "habitat-sim 0.2.2a2, set-up 1"
DEBS = ("base-files", "libc6", "libstdc++6", "zlib1g", "libegl1", "libgl1-mesa-dri", "libopengl0", "python3.13",
        "libpython3.13-dev")  # fmt: skip
BUILD = ("pip", "setuptools<80", "wheel", "pybind11==2.10.4")
SIM = ("habitat-sim-uv-wheels-experimental==0.2.2a2", "attrs==26.1.0", "numpy==2.5.5", "numpy-quaternion==2024.0.13",
       "numba==0.68.1", "llvmlite==0.50.0", "scipy==1.18.1", "imageio==2.38.1", "pillow==13.0.0",
       "tqdm==4.70.1")  # fmt: skip
LAB = ("habitat-lab==0.3.320260507", "gym==0.23.0", "gym-notices", "cloudpickle", "hydra-core==1.3.8", "omegaconf",
       "antlr4-python3-runtime==4.9.3", "opencv-python-headless<5", "pyyaml", "packaging", "setuptools<80")  # fmt: skip
_KEYRING = "/usr/share/keyrings/debian-archive-keyring.gpg"
_LAUNCHER = """#!/bin/sh
# Python 3.13 of Debian trixie, under trixie's own loader
export PYTHONHOME="{root}/usr" PYTHONPATH="${{HABITAT_PYTHONPATH:+$HABITAT_PYTHONPATH:}}{site}" PYTHONNOUSERSITE=1
export __EGL_VENDOR_LIBRARY_DIRS="{root}/usr/share/glvnd/egl_vendor.d" LIBGL_DRIVERS_PATH="{lib}/dri"
export GBM_BACKENDS_PATH="{lib}/gbm" LIBGL_ALWAYS_SOFTWARE=1 EGL_PLATFORM=surfaceless
unset LD_LIBRARY_PATH LD_PRELOAD
loader="{root}/usr/lib64/ld-linux-x86-64.so.2"
exec "$loader" --library-path "{lib}" --argv0 "{launcher}" "{root}/usr/bin/python3.13" "$@"
"""


def install(folder: Path, with_lab: bool = False) -> Path:
    """Set habitat-sim up in a folder, or find it there; the path of its Python.

    Args:
        folder: made where it is missing; takes about 1 GB.
        with_lab: habitat-lab too, against which measures are checked.

    Raises:
        HabitatError: a tool is missing here, or a step failed; a later call goes on from there.
    """
    folder = folder.resolve()
    launcher, ready = folder / "bin" / "hab-python", folder / READY
    wanted = VERSION + (" with habitat-lab" if with_lab else "")
    if ready.exists() and ready.read_text(encoding="utf-8").startswith(wanted):
        return launcher
    _check_tools()
    root = folder / "root"
    if not (root / ".unpacked").exists():
        _unpack_debian(folder / "apt", root)
    _write_launcher(launcher, root, folder / "site")
    _install_wheels(folder, launcher, SIM + (LAB if with_lab else ()))
    _compile_stand_in(folder, root)
    _run([str(launcher), "-c", "import magnum, habitat_sim; assert habitat_sim.built_with_bullet"])
    ready.write_text(wanted + "\n", encoding="utf-8")
    return launcher


def _check_tools() -> None:
    missing = [tool for tool in ("apt-get", "dpkg-deb", "g++") if shutil.which(tool) is None]
    missing += [] if Path(_KEYRING).exists() else [_KEYRING]
    if missing:
        raise HabitatError(
            f"missing here: {', '.join(missing)}: this set-up is for Debian; elsewhere, install habitat-sim with conda"
        )


def _unpack_debian(apt: Path, root: Path) -> None:
    """Signature-checked packages of Debian trixie, unpacked into ``root`` with lists of their own."""
    for name in ("lists/partial", "archives/partial", "etc"):
        (apt / name).mkdir(parents=True, exist_ok=True)
    root.mkdir(parents=True, exist_ok=True)
    source = f"Types: deb\nURIs: {_mirror()}\nSuites: trixie\nComponents: main\nSigned-By: {_KEYRING}\n"
    (apt / "etc" / "trixie.sources").write_text(source, encoding="utf-8")
    (apt / "status").write_text("", encoding="utf-8")
    settings = {
        "Dir::State": apt, "Dir::State::Lists": apt / "lists", "Dir::State::status": apt / "status",
        "Dir::Cache": apt, "Dir::Cache::archives": apt / "archives", "Dir::Etc::sourcelist": "/dev/null",
        "Dir::Etc::sourceparts": apt / "etc", "Dir::Etc::preferencesparts": "/dev/null", "APT::Architecture": "amd64",
        "APT::Architectures": "amd64", "Debug::NoLocking": 1, "APT::Sandbox::User": getpass.getuser(),
        "APT::Install-Recommends": "false",
    }  # fmt: skip
    command = ["apt-get", "-qq", *(part for key, value in settings.items() for part in ("-o", f"{key}={value}"))]
    _run([*command, "update"])
    _run([*command, "install", "--download-only", "-y", *DEBS])
    packages = sorted((apt / "archives").glob("*.deb"), key=lambda deb: not deb.name.startswith("base-files_"))
    log.info("%d Debian packages", len(packages))
    for package in packages:
        _run(["dpkg-deb", "-x", str(package), str(root)])
    (root / ".unpacked").touch()
    shutil.rmtree(apt)


def _mirror() -> str:
    """The mirror that this system itself uses."""
    lines = _run(["apt-get", "indextargets", "--format", "$(REPO_URI)", "Created-By: Packages"]).splitlines()
    mirrors = [line for line in lines if "security" not in line]
    if not mirrors:
        raise HabitatError("apt knows no mirror here: its sources are empty")
    return mirrors[0]


def _write_launcher(launcher: Path, root: Path, site: Path) -> None:
    launcher.parent.mkdir(parents=True, exist_ok=True)
    text = _LAUNCHER.format(root=root, site=site, lib=root / "usr/lib/x86_64-linux-gnu", launcher=launcher)
    launcher.write_text(text, encoding="utf-8")
    launcher.chmod(0o755)


def _install_wheels(folder: Path, launcher: Path, wheels: tuple[str, ...]) -> None:
    """pip runs under the new Python, so that the wheels are for it."""
    flags = ["install", "-q", "--disable-pip-version-check", "--no-warn-conflicts", "--no-deps", "--upgrade"]
    _run([sys.executable, "-m", "pip", *flags, "--target", str(folder / "build"), *BUILD])
    _run(
        [str(launcher), "-m", "pip", *flags, "--root-user-action=ignore", "--no-build-isolation", "--target",
         str(folder / "site"), *wheels],
        HABITAT_PYTHONPATH=str(folder / "build"),
    )  # fmt: skip


def _compile_stand_in(folder: Path, root: Path) -> None:
    """With the tags of the compiler that built the wheel, so that both share one registry of types."""
    site = folder / "site"
    _run([
        "g++", "-std=c++17", "-O1", "-fPIC", "-shared", "-fvisibility=hidden",
        f"-I{root}/usr/include/python3.13", "-idirafter", f"{root}/usr/include/x86_64-linux-gnu",
        "-idirafter", f"{root}/usr/include", f"-I{folder}/build/pybind11/include", "-DHS_R32UI=37", "-DHS_R32F=49",
        '-DPYBIND11_COMPILER_TYPE="_clang"', '-DPYBIND11_BUILD_ABI="_cxxabi1002"', str(HERE / "magnum_stand_in.cpp"),
        "-o", str(site / "_magnum_stand_in.cpython-313-x86_64-linux-gnu.so"),
    ])  # fmt: skip
    shutil.copytree(HERE / "magnum", site / "magnum", dirs_exist_ok=True)


def _run(command: list[str], **environment: str) -> str:
    done = subprocess.run(command, capture_output=True, text=True, check=False, env=dict(os.environ) | environment)
    if done.returncode != 0:
        last = (done.stderr.strip().splitlines() or ["it said nothing"])[-1]
        raise HabitatError(f"{Path(command[0]).name} ended with code {done.returncode}: {last}")
    return done.stdout
