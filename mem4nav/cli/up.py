# SPDX-FileCopyrightText: The Mem4Nav stack developers
# SPDX-License-Identifier: Apache-2.0
"""``mem4nav up``: the nodes of ROS 2 as processes, where ROS's launch is not installed."""

from __future__ import annotations

import importlib.util
import os
import shlex
import shutil
import signal
from typing import TYPE_CHECKING, Annotated, Literal

import tyro

from mem4nav.cli.console import Terminal
from mem4nav.errors import UsageError

if TYPE_CHECKING:
    from mem4nav.bringup.description import Bringup
    from mem4nav.bringup.processes import Company

_COLOURS = ("cyan", "green", "magenta", "yellow", "blue", "red")


def up(
    setup: Annotated[Literal["robot", "sim", "replay"], tyro.conf.Positional, tyro.conf.arg(metavar="SETUP")],
    given: Annotated[tuple[str, ...], tyro.conf.Positional, tyro.conf.arg(metavar="[NAME:=VALUE ...]")] = (),
    *,
    show_args: bool = False,
    show_commands: bool = False,
    quiet: bool = False,
) -> int | None:
    """The nodes of ROS 2 as processes: restarted when they crash, ended by one Ctrl-C.

    Args:
        setup: robot: beside the drivers of a robot. sim: in the procedural town. replay: on a bag.
        given: arguments as for `ros2 launch`, such as bag:=drive.mcap config:=ouster.
        show_args: list the arguments of the setup, and start nothing.
        show_commands: say what would be started, and start nothing.
        quiet: say nothing of what the nodes say.
    """
    from mem4nav.bringup.description import load_bringup
    from mem4nav.bringup.processes import company_of

    terminal, bringup = Terminal(quiet), load_bringup()
    if show_args:
        return _list_arguments(bringup, setup, terminal)
    company = company_of(bringup, setup, _pairs(given), os.environ)
    if show_commands:
        for node in company.nodes:
            terminal.say(shlex.join(node.command()))
        return None
    if importlib.util.find_spec("rclpy") is None:
        raise ModuleNotFoundError(name="rclpy")
    if company.viewer and shutil.which(company.viewer[0]) is None:
        raise UsageError(
            f"the viewer needs {company.viewer[0]}, which is not on the PATH: is ROS's setup.bash sourced?"
        )
    return _run(bringup, company, terminal)


def _list_arguments(bringup: Bringup, setup: str, terminal: Terminal) -> None:
    from rich.table import Table

    table = Table(box=None, padding=(0, 2, 0, 0), pad_edge=False)
    for column in ("argument", "default", "what"):
        table.add_column(column, header_style="bold", overflow="fold", style="dim" if column == "default" else "")
    for name, one in bringup.arguments_of(setup).items():
        choices = f": {', '.join(one.choices)}" if one.choices else ""
        table.add_row(f"{name}:=", one.written, f"{one.description}{choices}")
    terminal.say(f"{setup}: {bringup.setups[setup].description}")
    terminal.out.print(table)


def _pairs(given: tuple[str, ...]) -> dict[str, str]:
    pairs = {}
    for word in given:
        name, found, value = word.partition(":=")
        if not found:
            raise UsageError(f"{word!r} is not NAME:=VALUE, such as rate:=2.0")
        pairs[name] = value
    return pairs


def _run(bringup: Bringup, company: Company, terminal: Terminal) -> int:
    from rich.text import Text

    from mem4nav.bringup.supervisor import Supervisor, Task

    tasks = [Task(node.name, tuple(node.command()), tuple(node.spare_command()), node.once) for node in company.nodes]
    if company.viewer:
        tasks.append(Task("viewer", company.viewer, once=True))
    width = max(len(task.name) for task in tasks)
    colours = {task.name: _COLOURS[number % len(_COLOURS)] for number, task in enumerate(tasks)}

    def tell(name: str, line: str) -> None:
        terminal.out.print(Text.assemble((f"{name:<{width}} | ", colours[name]), line))

    supervisor = Supervisor(tasks, os.environ | company.environment, tell, bringup.restart)
    for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
        signal.signal(number, lambda *_: supervisor.stop())
    return supervisor.run()
