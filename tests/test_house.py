# SPDX-FileCopyrightText: The Mem4Nav stack developers
# SPDX-License-Identifier: Apache-2.0
"""Rules of the house, held by reading the source: which room may import which, and how the code is kept readable."""

from __future__ import annotations

import ast
import statistics
from collections.abc import Iterator
from functools import cache
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[1]
ROOMS = ("slam", "detection", "mem4nav", "sim_envs", "nodes")
MAY_IMPORT = {
    "slam": set(),
    "detection": {"slam"},
    "mem4nav": {"slam", "detection"},
    "sim_envs": {"slam", "mem4nav"},
    "nodes": {"slam", "detection", "mem4nav", "sim_envs", "mem4nav.cli"},
    "mem4nav.cli": {"slam", "detection", "mem4nav", "sim_envs"},
}
ORACLES = {"evo", "kiss_icp", "rko_lio", "small_gicp", "gsplat", "nuscenes"}
UNSAFE = {"pickle", "cPickle", "dill", "shelve", "marshal", "joblib", "cloudpickle"}
HEADER = ("SPDX-FileCopyrightText: The Mem4Nav stack developers", "SPDX-License-Identifier: Apache-2.0")
LONGEST = 60


def sources(*folders: str) -> list[Path]:
    return sorted(path for folder in folders for path in (ROOT / folder).rglob("*.py"))


@cache
def tree_of(path: Path) -> ast.Module:
    return ast.parse(path.read_text(encoding="utf-8"), str(path))


def room_of(module: str) -> str | None:
    first = module.split(".")[0]
    if module == "mem4nav.cli" or module.startswith("mem4nav.cli."):
        return "mem4nav.cli"
    return first if first in ROOMS else None


def module_of(path: Path) -> str:
    return ".".join(path.relative_to(ROOT).with_suffix("").parts)


def imports_of(path: Path) -> Iterator[tuple[int, str, str | None]]:
    """Line, module, and the name taken from it (None for a plain import)."""
    for node in ast.walk(tree_of(path)):
        if isinstance(node, ast.Import):
            yield from ((node.lineno, alias.name, None) for alias in node.names)
        elif isinstance(node, ast.ImportFrom) and node.level == 0:
            yield from ((node.lineno, node.module or "", alias.name) for alias in node.names)


def functions_of(path: Path) -> Iterator[tuple[str, int]]:
    """Name and number of lines, docstring apart, of each function."""
    for node in ast.walk(tree_of(path)):
        if isinstance(node, (ast.FunctionDef, ast.AsyncFunctionDef)):
            docstring = node.body[0] if ast.get_docstring(node, clean=False) is not None else None
            documented = docstring.end_lineno - docstring.lineno + 1 if docstring else 0
            yield f"{path.relative_to(ROOT)}:{node.lineno} {node.name}", node.end_lineno - node.lineno + 1 - documented


def complaints(found: Iterator[str] | list[str]) -> None:
    found = list(found)
    assert not found, "\n" + "\n".join(found)


def test_imports_point_one_way():
    def wrong() -> Iterator[str]:
        for path in sources(*ROOMS):
            own = room_of(module_of(path))
            for line, module, name in imports_of(path):
                theirs = room_of(f"{module}.{name}" if name else module) or room_of(module)
                if theirs and theirs != own and theirs not in MAY_IMPORT[own]:
                    yield f"{path.relative_to(ROOT)}:{line} imports {module}: {own} may import {MAY_IMPORT[own] or '-'}"

    complaints(wrong())


def test_relative_imports_are_not_used():
    def wrong() -> Iterator[str]:
        for path in sources(*ROOMS):
            for node in ast.walk(tree_of(path)):
                if isinstance(node, ast.ImportFrom) and node.level:
                    yield f"{path.relative_to(ROOT)}:{node.lineno}"

    complaints(wrong())


def test_a_room_never_takes_underscore_names_of_another():
    def wrong() -> Iterator[str]:
        for path in sources(*ROOMS):
            own = module_of(path).split(".")[0]
            for line, module, name in imports_of(path):
                private = [part for part in (*module.split("."), name or "") if part.startswith("_")]
                if room_of(module) and module.split(".")[0] != own and private and private != ["__version__"]:
                    yield f"{path.relative_to(ROOT)}:{line} takes {private[-1]} from {module}"

    complaints(wrong())


def test_what_all_trainings_share_knows_no_network():
    known = {"detection.errors", "slam.files"}
    complaints(
        f"{path.relative_to(ROOT)}:{line} imports {module}"
        for path in sources("detection/learning")
        for line, module, _ in imports_of(path)
        if room_of(module) and module not in known and not module.startswith("detection.learning")
    )


@pytest.mark.parametrize(
    ("names", "folders"),
    [
        ({"rclpy", "rclcpp", "launch", "launch_ros"}, ("slam", "detection", "mem4nav", "sim_envs")),
        (ORACLES, ROOMS),
        (UNSAFE, (*ROOMS, "launch", "bench", "tests")),
    ],
    ids=["ROS in nodes and launch alone", "oracles in tests and benchmarks alone", "nothing that unpickles, anywhere"],
)
def test_what_is_imported_where(names, folders):
    complaints(
        f"{path.relative_to(ROOT)}:{line} imports {module}"
        for path in sources(*folders)
        for line, module, _ in imports_of(path)
        if module.split(".")[0] in names
    )


def test_files_are_loaded_safely():
    def wrong() -> Iterator[str]:
        for path in sources(*ROOMS, "launch", "bench"):
            for node in ast.walk(tree_of(path)):
                if not isinstance(node, ast.Call):
                    continue
                call = ast.unparse(node.func)
                pickles = any(k.arg == "allow_pickle" and ast.unparse(k.value) != "False" for k in node.keywords)
                if call in ("yaml.load", "yaml.unsafe_load", "torch.load", "eval", "exec") or pickles:
                    yield f"{path.relative_to(ROOT)}:{node.lineno} calls {call}"

    complaints(wrong())


def test_libraries_log_and_do_not_print():
    complaints(
        f"{path.relative_to(ROOT)}:{node.lineno}"
        for path in sources("slam", "detection", "mem4nav", "sim_envs")
        if not module_of(path).startswith("mem4nav.cli")
        for node in ast.walk(tree_of(path))
        if isinstance(node, ast.Call) and ast.unparse(node.func) == "print"
    )


def test_no_function_is_longer_than_a_screen_and_most_are_short():
    lengths = [length for path in sources(*ROOMS) for _, length in functions_of(path)]
    complaints(
        f"{name}: {length} lines"
        for path in sources(*ROOMS, "bench", "tests", "launch")
        for name, length in functions_of(path)
        if length > LONGEST
    )
    assert statistics.quantiles(lengths, n=10)[-1] <= 30
    assert statistics.median(lengths) <= 10


def test_every_source_file_names_its_licence():
    def wrong() -> Iterator[str]:
        for path in (*sources(*ROOMS, "launch", "bench", "tests"), ROOT / "setup.py", *(ROOT / "cuda").glob("*.cu")):
            text = path.read_text(encoding="utf-8")
            lines = [line for line in text.splitlines() if not line.startswith("#!")][:2]
            if text.strip() and not all(part in line for part, line in zip(HEADER, lines, strict=False)):
                yield str(path.relative_to(ROOT))

    complaints(wrong())


def test_kernels_and_launch_files_do_not_shadow_packages_of_others():
    assert not (ROOT / "cuda" / "__init__.py").exists(), "cuda is NVIDIA's namespace"
    assert not (ROOT / "launch" / "__init__.py").exists(), "launch is ROS's package"


def test_files_are_named_after_what_they_hold():
    vague = {"utils.py", "util.py", "helpers.py", "common.py", "misc.py"}
    complaints(str(path.relative_to(ROOT)) for path in sources(*ROOMS) if path.name in vague)
