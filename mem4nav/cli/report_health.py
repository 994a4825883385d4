# SPDX-FileCopyrightText: The Mem4Nav stack developers
# SPDX-License-Identifier: Apache-2.0
"""Health over time as a strip and as tables."""

from __future__ import annotations

from collections.abc import Sequence
from html import escape
from itertools import groupby
from typing import Any

from mem4nav.cli.replay_metrics import gist
from slam.results import ScanResult, State

COLORS = {State.OK: "#3f9470", State.DEGRADED: "#e0930f", State.LOST: "#c8372d"}
MAX_REASONS = 30


def strip(results: Sequence[ScanResult]) -> str:
    """A band from the first scan to the last, coloured by health, with the limits of segments as white gaps."""
    start, rects = 0, []
    for (state, segment), group in groupby(results, key=lambda scan: (scan.health.state, scan.segment)):
        count = len(list(group))
        title = f"<title>{state.value}, scans {start} to {start + count - 1}, segment {segment}</title>"
        rects.append(f'<rect x="{start}" width="{count}" height="1" fill="{COLORS[state]}">{title}</rect>')
        if start and segment != results[start - 1].segment:
            gap = max(1.0, len(results) / 400.0)
            rects.append(f'<rect x="{start - gap / 2:.2f}" width="{gap:.2f}" height="1" fill="white"></rect>')
        start += count
    seconds = (results[-1].stamp_ns - results[0].stamp_ns) / 1e9
    middle = " · ".join(f"{_dot(state)}{state.value}" for state in State)
    return (
        f'<svg class="strip" viewBox="0 0 {len(results)} 1" preserveAspectRatio="none" role="img">'
        f"{''.join(rects)}</svg>"
        f'<div class="axis"><span>0 s</span><span>{middle}</span><span>{seconds:.1f} s</span></div>'
    )


def reasons_table(results: Sequence[ScanResult]) -> str:
    """Reasons that differ in their numbers alone are one row, with the first one's text."""
    rows: dict[tuple[State, str], list[Any]] = {}
    for scan in results:
        for reason in scan.health.reasons:
            key = (scan.health.state, gist(reason))
            rows.setdefault(key, [reason, scan.stamp_ns, 0])[2] += 1
    if not rows:
        return ""
    first_ns = results[0].stamp_ns
    ordered = sorted(rows.items(), key=lambda item: -item[1][2])[:MAX_REASONS]
    cells = [
        (f"{_dot(state)}{state.value}", escape(text), f"{count:,}", f"{(stamp - first_ns) / 1e9:.1f} s")
        for (state, _), (text, stamp, count) in ordered
    ]
    return table(("state", "reason (as first said)", "scans", "first at"), cells, numbers=2)


def segments_table(rows: Sequence[dict[str, Any]]) -> str:
    """One row a segment; nothing where there is but one."""
    if len(rows) < 2:
        return ""
    first_ns = rows[0]["first_stamp_ns"]
    cells = [
        (
            f"segment {row['segment']}",
            f"{(row['first_stamp_ns'] - first_ns) / 1e9:.1f} s",
            f"{row['scans']:,}",
            f"{row['path_length_m']:.1f} m",
            f"{row['health']['degraded']:,}",
            f"{row['health']['lost']:,}",
        )
        for row in rows
    ]
    return table(("", "from", "scans", "way", "degraded", "lost"), cells, numbers=5)


def _dot(state: State) -> str:
    return f'<span class="state {state.value}"></span>'


def table(head: Sequence[str], rows: Sequence[Sequence[str]], numbers: int) -> str:
    """A table of HTML; the last ``numbers`` columns hold numbers."""

    def line(tag: str, cells: Sequence[str]) -> str:
        words = len(cells) - numbers
        kinds = ["" if i < words else ' class="number"' for i in range(len(cells))]
        return "<tr>" + "".join(f"<{tag}{k}>{c}</{tag}>" for k, c in zip(kinds, cells, strict=True)) + "</tr>"

    body = "".join(line("td", row) for row in rows)
    return f'<div class="scroll"><table>{line("th", head)}{body}</table></div>'
