# SPDX-FileCopyrightText: The Mem4Nav stack developers
# SPDX-License-Identifier: Apache-2.0
"""Writes docs/benchmarks.md from what the topics left."""

from __future__ import annotations

from collections import Counter
from typing import Any

from bench.machine import describe
from bench.places import PAGE
from bench.rows import read_json
from bench.topics import TOPICS, Topic

INTRODUCTION = (
    "Written by `make bench` (or `python -m bench`; `python -m bench TOPIC...` for some of it): do not edit. Machines "
    "are shared and noisy: a speed is a ratio of CPU times against a peer that ran in the same process, scan by scan "
    "in turn. ATE is the root mean square position error after SE(3) alignment. A bar that is missed, or that a peer "
    "does better on, is said so. `+` after a commit: with changes not committed."
)


def write_page() -> Counter[str]:
    """Write the page; returns how many rows passed, missed and were skipped."""
    found = [(topic, read_json(topic.name)) for topic in TOPICS]
    verdicts = Counter(row["verdict"] for _, content in found if content for row in content.get("rows", []))
    count = ", ".join(f"{verdicts[name]} {name}" for name in ("pass", "miss", "skipped"))
    parts = ["# Benchmarks", INTRODUCTION, *describe(), f"Rows with a bar: {count}."]
    parts += [_section(topic, content) for topic, content in found if content]
    PAGE.write_text("\n\n".join(parts) + "\n", encoding="utf-8")
    return verdicts


def _section(topic: Topic, content: dict[str, Any]) -> str:
    parts = [f"## {topic.title}"]
    measured = f"`python -m bench {topic.name}`"
    if "failed" in content:
        return "\n\n".join([*parts, f"{measured} did not finish: {content['failed']}."])
    parts.append(f"{measured}, {content['seconds']:.0f} s, at commit {content['commit'] or 'unknown'}.")
    rows = [[row["what"], row["bar"] or "-", row["measured"], row["verdict"]] for row in content["rows"]]
    if rows:
        parts.append(_table(["what", "bar", "measured", "verdict"], rows))
    for table in content["tables"]:
        parts += [f"{table['caption']}:", _table(table["columns"], table["rows"])]
    parts += content["notes"]
    return "\n\n".join(parts)


def _table(columns: list[str], rows: list[list[str]]) -> str:
    lines = [columns, ["---"] * len(columns), *rows]
    return "\n".join("| " + " | ".join(cell.replace("|", "/") for cell in line) + " |" for line in lines)
