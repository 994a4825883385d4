# SPDX-FileCopyrightText: The Mem4Nav stack developers
# SPDX-License-Identifier: Apache-2.0
from pathlib import Path

import pytest

from slam.config import load
from slam.replay_config import ReplayConfig

FOLDER = Path(__file__).resolve().parents[1] / "config"


@pytest.mark.parametrize("path", sorted(FOLDER.glob("*.yaml")), ids=lambda path: path.name)
def test_a_shipped_configuration_loads_and_says_the_defaults(path):
    assert load(ReplayConfig, path) == ReplayConfig()
