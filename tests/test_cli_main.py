# SPDX-FileCopyrightText: The Mem4Nav stack developers
# SPDX-License-Identifier: Apache-2.0
"""The command as a whole: what it loads, how it ends, what it says when it cannot go on."""

from __future__ import annotations

import subprocess
import sys
from types import SimpleNamespace

import pytest

from mem4nav.cli import main as cli
from mem4nav.cli.main import BAD_INPUT, COMMANDS, DONE, INTERRUPTED, main
from sim_envs.errors import SimError
from slam.errors import ConfigError, SlamError

HEAVY = {"numpy", "scipy", "numba", "matplotlib", "open3d", "torch", "rosbags", "tyro"}


def loaded_by(code: str) -> set[str]:
    code += "; import sys; print('\\n' + ' '.join(sys.modules))"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    return {module.split(".")[0] for module in done.stdout.splitlines()[-1].split()}


@pytest.fixture
def ending_with(monkeypatch):
    """Makes the command ``evaluate`` end with a given exception."""

    def prepare(error: BaseException) -> None:
        def evaluate() -> None:
            raise error

        monkeypatch.setattr(cli.importlib, "import_module", lambda _: SimpleNamespace(evaluate=evaluate))

    return prepare


def test_help_lists_every_command_and_loads_no_library(capsys):
    assert main(["--help"]) == DONE
    shown = capsys.readouterr().out
    assert all(f"  {name} " in shown for name in COMMANDS)
    assert not loaded_by("from mem4nav.cli.main import main; main(['--help'])") & HEAVY


def test_the_help_of_a_command_loads_no_numeric_library():
    heavy = HEAVY - {"tyro"}
    for name in ("replay", "evaluate"):
        assert not loaded_by(f"from mem4nav.cli.main import main; main(['{name}', '--help'])") & heavy


@pytest.mark.parametrize("name", COMMANDS)
def test_every_command_explains_itself(name, capsys):
    assert main([name, "--help"]) == DONE
    shown = capsys.readouterr().out
    assert f"usage: mem4nav {name}" in shown and "--quiet" in shown


def test_without_a_command_the_help_is_shown_and_nothing_counts_as_done(capsys):
    assert main([]) == BAD_INPUT
    assert "commands:" in capsys.readouterr().out


def test_a_mistyped_command_is_answered_with_the_nearest(capsys):
    assert main(["replya"]) == BAD_INPUT
    assert capsys.readouterr().err == "mem4nav: unknown command 'replya': did you mean 'replay'?\n"


def test_an_unknown_option_ends_in_code_two(capsys):
    assert main(["evaluate", "a.tum", "b.tum", "--ouy", "x"]) == BAD_INPUT
    assert "Traceback" not in capsys.readouterr().err


@pytest.mark.parametrize(
    "error",
    [
        SlamError("the bag\nholds no points"),
        ConfigError("unknown configuration key 'voxle'"),
        SimError("no road"),
        FileNotFoundError(2, "No such file or directory", "somewhere"),
        ModuleNotFoundError("No module named 'open3d'", name="open3d"),
    ],
)
def test_bad_input_ends_in_one_line_and_code_two(ending_with, capsys, error):
    ending_with(error)
    assert main(["evaluate"]) == BAD_INPUT
    said = capsys.readouterr()
    assert said.out == ""
    assert said.err.startswith("mem4nav: ") and said.err.count("\n") == 1 and "Traceback" not in said.err


def test_a_missing_extra_is_named(ending_with, capsys):
    ending_with(ModuleNotFoundError("No module named 'open3d'", name="open3d"))
    main(["evaluate"])
    assert "pip install 'mem4nav[sim]'" in capsys.readouterr().err


def test_an_interruption_is_neither_done_nor_bad_input(ending_with):
    ending_with(KeyboardInterrupt())
    assert main(["evaluate"]) == INTERRUPTED


def test_a_mistake_of_ours_is_not_hidden(ending_with):
    ending_with(ZeroDivisionError())
    with pytest.raises(ZeroDivisionError):
        main(["evaluate"])
