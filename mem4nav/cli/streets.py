# SPDX-FileCopyrightText: The Mem4Nav stack developers
# SPDX-License-Identifier: Apache-2.0
"""``mem4nav streets``: anyone's town as a street graph with landmarks."""

from __future__ import annotations

import time
from pathlib import Path
from typing import Annotated

import tyro

from mem4nav.cli.console import Terminal
from mem4nav.cli.metrics_file import peak_rss_mb, versions, write_metrics
from mem4nav.errors import UsageError


def streets(
    extract: Annotated[Path, tyro.conf.Positional, tyro.conf.arg(metavar="TOWN.osm")],
    *,
    out: Annotated[Path, tyro.conf.arg(metavar="DIR")],
    spacing: Annotated[float, tyro.conf.arg(metavar="M")] = 10.0,
    reach: Annotated[float, tyro.conf.arg(metavar="M")] = 40.0,
    quiet: bool = False,
) -> None:
    """A street graph with landmarks from an OpenStreetMap extract of anyone's town.

    The files are those of Touchdown and Map2Seq: `mem4nav eval map2seq --data DIR --split FILE` walks them.

    Args:
        extract: from OpenStreetMap, as .osm, .osm.gz, .osm.bz2 or .osm.pbf.
        out: gets touchdown/ (nodes.txt, links.txt), map2seq/osm/ (nodes.txt, pois.txt, poi_links.txt), metrics.json.
        spacing: metres between places along a street, about.
        reach: metres to which landmarks are seen where no building stands between.
        quiet: say nothing but errors.
    """
    if not 1.0 <= spacing <= 1000.0 or not 0.0 <= reach <= 1000.0:
        raise UsageError(f"--spacing {spacing:g} --reach {reach:g}: 1 to 1000 m and 0 to 1000 m can be had")
    # Imported here, so that --help and a mistyped option answer at once.
    from sim_envs.touchdown.osm_extract_files import convert_extract

    terminal = Terminal(quiet)
    began = time.monotonic()
    with terminal.task("looking around", None) as advance:
        counts = convert_extract(extract, out, spacing, reach, advance)
    costs = {"seconds": time.monotonic() - began, "peak_rss_mb": peak_rss_mb()}
    write_metrics(out, {"extract": str(extract), **counts, **costs, "versions": versions()})
    shown = ("places", "links", "junctions", "landmarks", "sightings")
    terminal.table(f"{extract.name}, {counts['attribution']}", [(name, str(counts[name])) for name in shown])
