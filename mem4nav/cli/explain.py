# SPDX-FileCopyrightText: The Mem4Nav stack developers
# SPDX-License-Identifier: Apache-2.0
"""``mem4nav explain``: how an instruction is understood."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any

import tyro

from mem4nav.cli.console import Terminal
from mem4nav.cli.metrics_file import write_metrics


def explain(
    text: Annotated[str, tyro.conf.Positional, tyro.conf.arg(metavar="TEXT")],
    *,
    out: Annotated[Path | None, tyro.conf.arg(metavar="DIR")] = None,
    quiet: bool = False,
) -> None:
    """How an instruction is understood: where to turn, one after another, and where to stop.

    Args:
        text: the instruction.
        out: gets metrics.json.
        quiet: say nothing but errors.
    """
    goals = read_goals(text)
    terminal = Terminal(quiet)
    for number, goal in enumerate(goals, start=1):
        where = f", {goal['count']}" if goal["count"] else ""
        terminal.say(f"{number}. {goal['action']}{where}")
        if goal["landmarks"]:
            terminal.say(f"   landmarks: {', '.join(goal['landmarks'])}")
        terminal.say(f"   told by: {goal['clause'] or '-'}")
    if out is not None:
        write_metrics(out, {"instruction": text, "goals": goals})


def read_goals(text: str) -> list[dict[str, Any]]:
    """Each sub-goal of an instruction: what to do, at which light or crossing, which landmarks and words tell of it."""
    from mem4nav.modular.phrases import phrases_of
    from mem4nav.modular.subgoals import LEFT, RIGHT, read_instruction

    read = read_instruction(text)
    actions = {LEFT: "turn left", RIGHT: "turn right", 0: "stop"}
    landmarks = [(one.first, read.text[read.words[one.first].start : read.words[one.last - 1].end])
                 for one in phrases_of(text, read.words)]  # fmt: skip
    goals = []
    for number, goal in enumerate(read.goals):
        goals.append(
            {
                "action": actions[goal.side],
                "count": _counted([word.stem for word in read.words[goal.begin : goal.end]]),
                "landmarks": [name for first, name in landmarks if goal.begin <= first < goal.end],
                "clause": read.clause(number),
            }
        )
    return goals


def _counted(stems: list[str]) -> str:
    """Which light is spoken of; where none is, which crossing; "" where nothing is counted."""
    from mem4nav.modular.counts import CROSSINGS, LIGHTS, count_in

    for name, units in (("light", LIGHTS), ("crossing", CROSSINGS)):
        count = count_in(stems, units)
        if count.number:
            return f"{'after' if count.beyond else 'at'} {name} number {count.number}"
    return ""
