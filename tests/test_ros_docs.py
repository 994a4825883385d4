# SPDX-FileCopyrightText: The Mem4Nav stack developers
# SPDX-License-Identifier: Apache-2.0
"""The page on the nodes names all that they take; read from the source, so that ROS is not needed."""

from __future__ import annotations

import ast
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[1]
PAGE = (ROOT / "docs" / "ros2.md").read_text(encoding="utf-8")
NODES = sorted(path.stem for path in (ROOT / "nodes").glob("*.py") if "def main(" in path.read_text(encoding="utf-8"))


def parameters_of(node: str) -> list[str]:
    tree = ast.parse((ROOT / "nodes" / f"{node}.py").read_text(encoding="utf-8"))
    calls = [one for one in ast.walk(tree) if isinstance(one, ast.Call) and getattr(one.func, "id", "") == "Parameter"]
    return [ast.literal_eval(call.args[0]) for call in calls]


@pytest.mark.parametrize("node", NODES)
def test_the_page_has_a_section_on_each_node_with_all_its_parameters(node):
    section = PAGE.split(f"### {node}\n")[1].split("\n### ")[0].split("\n## ")[0]
    assert parameters_of(node) and not [name for name in parameters_of(node) if f"`{name}`" not in section]
