# SPDX-FileCopyrightText: The Mem4Nav stack developers
# SPDX-License-Identifier: Apache-2.0
"""Configuration files say what they mean, or are refused with a sentence that helps."""

from __future__ import annotations

from dataclasses import dataclass, field
from enum import Enum
from pathlib import Path
from typing import Literal

import pytest

from slam.config import dump, dump_yaml, load, to_dict
from slam.errors import ConfigError


class Pattern(str, Enum):
    SPINNING = "spinning"
    SOLID = "solid"


@dataclass(frozen=True, slots=True)
class MapPart:
    voxel_m: float = 1.0
    max_depth: int = 2
    pattern: Pattern = Pattern.SPINNING

    def __post_init__(self) -> None:
        if self.voxel_m <= 0:
            raise ValueError(f"voxel_m must be positive, got {self.voxel_m}")


@dataclass(frozen=True, slots=True)
class Whole:
    map: MapPart = field(default_factory=MapPart)
    deskew: bool = True
    unit: Literal["s", "ms"] = "s"
    gravity: tuple[float, float, float] = (0.0, 0.0, -9.81)
    topics: tuple[str, ...] = ()
    start_s: float | None = None
    folder: Path = Path("out")
    rates: dict[str, float] = field(default_factory=dict)


def yaml_file(folder: Path, text: str) -> Path:
    path = folder / "config.yaml"
    path.write_text(text)
    return path


def test_defaults_hold_where_nothing_is_given(tmp_path):
    assert load(Whole) == Whole()
    assert load(Whole, yaml_file(tmp_path, "")) == Whole()


def test_the_file_changes_defaults_and_overrides_change_the_file(tmp_path):
    path = yaml_file(tmp_path, "map: {voxel_m: 0.5, max_depth: 3}\ntopics: [a, b]\nstart_s: 2\n")
    config = load(Whole, path, {"map.voxel_m": 0.25, "deskew": False})
    assert config.map == MapPart(voxel_m=0.25, max_depth=3)
    assert config.topics == ("a", "b")
    assert config.start_s == 2.0 and isinstance(config.start_s, float)
    assert config.deskew is False


def test_what_is_dumped_loads_to_the_same_configuration(tmp_path):
    config = Whole(map=MapPart(pattern=Pattern.SOLID), topics=("x",), rates={"imu": 200.0}, unit="ms")
    dump(config, tmp_path / "deep" / "resolved.yaml")
    assert load(Whole, tmp_path / "deep" / "resolved.yaml") == config
    assert to_dict(config)["map"]["pattern"] == "solid"
    assert "voxel_m: 1.0" in dump_yaml(config)


def test_an_unknown_key_names_its_path_and_the_nearest_known_key(tmp_path):
    path = yaml_file(tmp_path, "map: {voxle_m: 0.5}\n")
    with pytest.raises(
        ConfigError, match=r"unknown configuration key 'map.voxle_m': did you mean 'voxel_m'\? in .*config.yaml"
    ):
        load(Whole, path)


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("map: {max_depth: deep}", "map.max_depth must be a whole number, got 'deep'"),
        ("map: {max_depth: true}", "map.max_depth must be a whole number, got True"),
        ("map: 3", "map must be a mapping"),
        ("deskew: 1", "deskew must be true or false, got 1"),
        ("unit: us", "unit must be one of 's', 'ms', got 'us'"),
        ("map: {pattern: round}", "map.pattern must be one of 'spinning', 'solid', got 'round'"),
        ("gravity: [0, 0]", "gravity must be a list of 3"),
        ("gravity: [0, 0, down]", r"gravity\[2\] must be a number, got 'down'"),
        ("start_s: .nan", "start_s must be a number"),
        ("map: {voxel_m: -1}", "map: voxel_m must be positive, got -1"),
        ("rates: {imu: fast}", "rates.imu must be a number"),
        ("[1, 2]", "must hold a mapping"),
        ("map: {voxel_m: 1", "is not YAML"),
    ],
)
def test_a_wrong_value_is_refused_with_its_path_and_what_was_given(tmp_path, text, says):
    with pytest.raises(ConfigError, match=says):
        load(Whole, yaml_file(tmp_path, text))


def test_a_missing_file_is_a_configuration_error(tmp_path):
    with pytest.raises(ConfigError, match="cannot read the configuration"):
        load(Whole, tmp_path / "absent.yaml")


def test_powers_of_ten_without_a_dot_are_numbers(tmp_path):
    assert load(Whole, yaml_file(tmp_path, "map: {voxel_m: 5e-1}")).map.voxel_m == 0.5
