# SPDX-FileCopyrightText: The Mem4Nav stack developers
# SPDX-License-Identifier: Apache-2.0
"""One thread a library, set before numpy and numba are imported: two threads on two busy cores are slower than one.

And what tests of nodes, of language models and of Habitat share; imported when it is asked for, so that nothing here
needs any of them.
"""

import os
from dataclasses import replace
from pathlib import Path

import pytest

for variable in ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS", "NUMBA_NUM_THREADS"):
    os.environ.setdefault(variable, "1")
os.environ.setdefault("MPLBACKEND", "Agg")


def pytest_configure() -> None:
    """Let tests ask for open3d by its name on systems without libusb."""
    from sim_envs.city.raycast import load_libusb

    load_libusb()


@pytest.fixture
def company(tmp_path: Path):
    """Nodes as processes, and a node in this process that hears and talks to them."""
    from ros_processes import Company

    with Company(tmp_path) as started:
        yield started


@pytest.fixture(scope="session")
def endpoint():
    """URL of a language model that says "forward", whatever it is asked."""
    from one_word import serving

    with serving() as url:
        yield url


@pytest.fixture(scope="session")
def town_bag(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Four seconds of the small town: LiDAR, IMU, tf and truth."""
    from city_worlds import SHORT, small_town
    from sim_envs.city import simulate_drive
    from sim_envs.city.bag import write_bag

    path = tmp_path_factory.mktemp("bags") / "town"
    write_bag(simulate_drive(small_town(), replace(SHORT, duration_s=4.0)), path)
    return path


@pytest.fixture(scope="session")
def habitat_towns(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder for towns, where habitat-sim is here: each is made once for all tests."""
    from sim_envs.habitat.errors import HabitatError
    from sim_envs.habitat.interpreter import find_interpreter

    try:
        find_interpreter()
    except HabitatError as error:
        pytest.skip(str(error))
    return tmp_path_factory.getbasetemp() / "habitat-towns"
