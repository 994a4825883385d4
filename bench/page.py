# SPDX-FileCopyrightText: The Mem4Nav stack developers
# SPDX-License-Identifier: Apache-2.0
"""Writes docs/benchmarks.md from what the topics left."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterable
from typing import Any

from bench.machine import versions
from bench.places import PAGE
from bench.rows import read_json
from bench.topics import TOPICS, Topic

VERDICT = re.compile(r"\| (pass|miss|skipped) \|$", re.MULTILINE)
INTRODUCTION = (
    "Written by `make bench` (or `python -m bench`; `python -m bench TOPIC...` for some of it): do not edit. Machines "
    "are shared and noisy: a speed is a ratio of CPU times against a peer that ran in the same process, scan by scan "
    "in turn. ATE is the root mean square position error after SE(3) alignment. A bar that is missed, or that a peer "
    "does better on, is said so. `+` after a commit: with changes not committed."
)


def write_page(measured: Iterable[str]) -> Counter[str]:
    """Write the page anew; returns how many rows passed, missed and were skipped.

    Args:
        measured: topics whose sections are made from what they left in out/bench. Those of others stay as the page has
            them, so that what another machine has measured is not lost here.
    """
    kept, fresh = sections(PAGE.read_text(encoding="utf-8") if PAGE.is_file() else ""), set(measured)
    parts = []
    for topic in TOPICS:
        content = read_json(topic.name) if topic.name in fresh or topic.title not in kept else None
        section = _section(topic, content) if content else kept.get(topic.title)
        parts += [section] if section else []
    verdicts = Counter(verdict for part in parts for verdict in VERDICT.findall(part))
    count = ", ".join(f"{verdicts[name]} {name}" for name in ("pass", "miss", "skipped"))
    head = ["# Benchmarks", INTRODUCTION, versions(), f"Rows with a bar: {count}."]
    PAGE.write_text("\n\n".join([*head, *parts]) + "\n", encoding="utf-8")
    return verdicts


def sections(page: str) -> dict[str, str]:
    """Title and text of each section of a page, its heading included."""
    found = ("## " + part.strip() for part in page.split("\n## ")[1:])
    return {text.split("\n", 1)[0].removeprefix("## "): text for text in found}


def _section(topic: Topic, content: dict[str, Any]) -> str:
    parts = [f"## {topic.title}"]
    measured = f"`python -m bench {topic.name}`"
    if "failed" in content:
        return "\n\n".join([*parts, f"{measured} did not finish: {content['failed']}."])
    where = f"at commit {content['commit'] or 'unknown'}, on {content['machine']}"
    parts.append(f"{measured}, {content['seconds']:.0f} s, {where}.")
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
