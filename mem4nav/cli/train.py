# SPDX-FileCopyrightText: The Mem4Nav stack developers
# SPDX-License-Identifier: Apache-2.0
"""``mem4nav train``: an agent learns from annotated routes."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, ClassVar

import tyro

from mem4nav.cli.console import Terminal
from mem4nav.cli.eval import Backbone, Mode
from mem4nav.errors import UsageError


@dataclass(frozen=True, kw_only=True)
class LearnerOptions:
    """Which agent learns, and how."""

    out: Annotated[Path, tyro.conf.arg(metavar="DIR")]
    """Gets the checkpoint and metrics.json; llm and mllm go on there where they were broken off."""
    backbone: Backbone = "modular"
    """What learns."""
    memory: Mode = "full"
    """The memory that it learns with."""
    model: Annotated[Path | None, tyro.conf.arg(metavar="DIR")] = None
    """A local folder of transformers: that llm tunes (LoRA), or that mllm is built around (else a new small one)."""
    epochs: Annotated[int | None, tyro.conf.arg(metavar="N")] = None
    """For llm and mllm: times that every route is seen; else as the backbone has it."""
    no_length_prior: bool = False
    """For modular: it does not learn how long routes usually are."""
    seed: int = 0
    """Of what is random."""
    quiet: bool = False
    """Say nothing but errors."""


@dataclass(frozen=True, kw_only=True)
class StreetLessons(LearnerOptions):
    """Routes on real streets."""

    benchmark: ClassVar[str]
    data: Annotated[Path, tyro.conf.arg(metavar="DIR")]
    """Holds touchdown/ (nodes.txt, links.txt) and map2seq/osm/."""
    split: Annotated[tuple[Path, ...], tyro.conf.arg(metavar="FILE [FILE ...]")]
    """Annotated routes, one JSON object a line."""
    times: Annotated[tuple[int, ...], tyro.conf.arg(metavar="N [N ...]")] = ()
    """For modular: how often the routes of each split count; else once."""


@dataclass(frozen=True, kw_only=True)
class Touchdown(StreetLessons):
    """An agent for Touchdown's routes."""

    benchmark: ClassVar[str] = "touchdown"


@dataclass(frozen=True, kw_only=True)
class Map2seq(StreetLessons):
    """An agent for Map2Seq's routes."""

    benchmark: ClassVar[str] = "map2seq"


@dataclass(frozen=True, kw_only=True)
class City(LearnerOptions):
    """An agent for tasks in procedural towns that need memory."""

    benchmark: ClassVar[str] = "city"
    episodes: Annotated[int, tyro.conf.arg(metavar="N")] = 300
    """Tasks of the split for training, of several errands each."""
    town_seed: int = 0
    """Which towns of the split."""


def train(
    benchmark: Annotated[
        Annotated[Touchdown, tyro.conf.subcommand("touchdown")]
        | Annotated[Map2seq, tyro.conf.subcommand("map2seq")]
        | Annotated[City, tyro.conf.subcommand("city")],
        tyro.conf.arg(name=""),
    ],
) -> None:
    """An agent learns from annotated routes.

    `mem4nav train map2seq --help` shows the options of map2seq, and so on; all take --quiet.
    """
    if benchmark.backbone == "llm" and benchmark.model is None:
        raise UsageError("--backbone llm needs --model: the local folder of transformers that is tuned")
    if benchmark.backbone == "modular" and (benchmark.model is not None or benchmark.epochs is not None):
        raise UsageError("--model and --epochs are for llm and mllm")
    if benchmark.epochs is not None and benchmark.epochs < 1:
        raise UsageError(f"--epochs {benchmark.epochs}: at least one is needed")
    if isinstance(benchmark, StreetLessons) and benchmark.times:
        _check_times(benchmark)
    # Imported here, so that --help and a mistyped option answer at once.
    from mem4nav.cli.train_backbones import train_agent

    train_agent(benchmark, Terminal(benchmark.quiet))


def _check_times(options: StreetLessons) -> None:
    if options.backbone != "modular":
        raise UsageError("--times is for modular")
    if len(options.times) != len(options.split) or min(options.times) < 1:
        raise UsageError(f"--times {options.times}: a number from 1 on for each of {len(options.split)} splits")
