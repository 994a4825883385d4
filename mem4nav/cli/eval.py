# SPDX-FileCopyrightText: The Mem4Nav stack developers
# SPDX-License-Identifier: Apache-2.0
"""``mem4nav eval``: an agent follows the instructions of a benchmark, and is scored."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, ClassVar, Literal, Union

import tyro

from mem4nav.cli.console import Terminal
from mem4nav.errors import UsageError

Backbone = Literal["modular", "llm", "mllm"]
Mode = Literal["full", "none", "no-octree", "no-graph", "no-ltm", "no-stm", "cache"]
LANGUAGE: tuple[Backbone, ...] = ("llm", "mllm")
OneFile = Annotated[Union[Path, None], tyro.conf.arg(metavar="FILE")]  # noqa: UP007 (Python 3.10)


@dataclass(frozen=True, kw_only=True)
class RunOptions:
    """What is asked of every run."""

    out: Annotated[Path, tyro.conf.arg(metavar="DIR")]
    """Gets predictions.jsonl, scores.jsonl and metrics.json."""
    memory: Mode = "full"
    """The whole memory, none, the memory without one of its parts, or a plain nearest-neighbour cache in its place."""
    checkpoint: OneFile = None
    """Weights; else those that ship for this benchmark and memory. For llm: a LoRA adapter."""
    model: Annotated[str, tyro.conf.arg(metavar="DIR|URL")] = ""
    """For llm: a local folder of transformers, or the base URL of an OpenAI-compatible endpoint."""
    model_name: Annotated[str, tyro.conf.arg(metavar="NAME")] = ""
    """For llm at an endpoint: the model's name there. The key is taken from OPENAI_API_KEY."""
    seed: int = 0
    """Of what is random: the agent, where it is, and the bootstrap."""
    workers: Annotated[int, tyro.conf.arg(metavar="N")] = 1
    """Processes; the results do not depend on their number."""
    quiet: bool = False
    """Say nothing but errors."""


@dataclass(frozen=True, kw_only=True)
class AgentOptions(RunOptions):
    """Which agent, and how it is run."""

    backbone: Backbone = "modular"
    """What decides."""
    no_turn_around: bool = False
    """The agent never turns around."""
    no_length_prior: bool = False
    """For modular: the agent does not know how long routes of the benchmark usually are."""
    lost_below: Annotated[float, tyro.conf.arg(metavar="P")] = 0.0
    """Less sure than this of having stopped right, the agent says that it is lost."""
    ray: Annotated[str, tyro.conf.arg(metavar="ADDRESS")] = ""
    """Spread over the Ray cluster at this address instead; "local" starts one here with --workers processors."""


@dataclass(frozen=True, kw_only=True)
class StreetOptions(AgentOptions):
    """Routes on real streets."""

    benchmark: ClassVar[str]
    data: Annotated[Path, tyro.conf.arg(metavar="DIR")]
    """Holds touchdown/ (nodes.txt, links.txt) and map2seq/osm/."""
    split: Annotated[Path, tyro.conf.arg(metavar="FILE")]
    """Routes, one JSON object a line."""
    clip_scores: OneFile = None
    """Landmarks that CLIP found in the panoramas, instead of those of OpenStreetMap."""
    keep_memory: bool = False
    """What was seen on one route is remembered on the next: named in the result, and one process walks them all."""


@dataclass(frozen=True, kw_only=True)
class Touchdown(StreetOptions):
    """Touchdown's routes."""

    benchmark: ClassVar[str] = "touchdown"


@dataclass(frozen=True, kw_only=True)
class Map2seq(StreetOptions):
    """Map2Seq's routes, or those of a town made by `mem4nav streets`."""

    benchmark: ClassVar[str] = "map2seq"


@dataclass(frozen=True, kw_only=True)
class City(AgentOptions):
    """Tasks in procedural towns that need memory."""

    benchmark: ClassVar[str] = "city"
    split: Literal["train", "dev", "test"] = "dev"
    """No town is in two of them."""
    episodes: Annotated[int, tyro.conf.arg(metavar="N")] = 60
    """Tasks, of several errands each."""
    town_seed: int = 0
    """Which towns of the split."""


@dataclass(frozen=True, kw_only=True)
class Habitat(RunOptions):
    """Written directions walked in habitat-sim, in steps of 0.25 m and 15 degrees."""

    benchmark: ClassVar[str] = "habitat"
    out: Annotated[Path, tyro.conf.arg(metavar="DIR")]
    """Gets predictions.jsonl, scores.jsonl and metrics.json; episodes that it holds are not walked again."""
    agent: Literal["oracle", "random", "modular", "llm", "mllm"] = "modular"
    """Who walks: along the shortest way, anywhere, by the directions with LiDAR and the shipped detector, or as a
    language model says."""
    episodes: Annotated[int, tyro.conf.arg(metavar="N")] = 20
    """How many."""
    data: OneFile = None
    """Episodes of R2R, PointNav or ObjectNav (*.json.gz); else those of procedural towns, made once."""
    scenes: Annotated[Union[Path, None], tyro.conf.arg(metavar="DIR")] = None  # noqa: UP007 (Python 3.10)
    """Scenes that the episode file names, or where towns are kept (else in the cache)."""
    town: int = 0
    """Number of the first town."""
    errands: bool = False
    """For modular: in each of --episodes towns a tour is shown, then ways back to what it passed are asked for."""
    memory: Mode = "full"
    """For llm, mllm and --errands: the whole memory, none, it without one of its parts, or a plain cache."""
    checkpoint: OneFile = None
    """For mllm: its weights. For llm: a LoRA adapter."""
    pictures: bool = False
    """Each episode leaves a picture from above beside its file: the way asked for, the way gone, the goal."""
    workers: Annotated[int, tyro.conf.arg(metavar="N")] = 1
    """Processes, each with a Habitat of its own; the results do not depend on their number."""

    @property
    def backbone(self) -> str:
        """What decides: the agent itself."""
        return self.agent


def eval(
    benchmark: Annotated[
        Annotated[Touchdown, tyro.conf.subcommand("touchdown")]
        | Annotated[Map2seq, tyro.conf.subcommand("map2seq")]
        | Annotated[City, tyro.conf.subcommand("city")]
        | Annotated[Habitat, tyro.conf.subcommand("habitat")],
        tyro.conf.arg(name=""),
    ],
) -> None:
    """An agent follows the instructions of a benchmark, and is scored.

    `mem4nav eval map2seq --help` shows the options of map2seq, and so on; all take --quiet.
    """
    terminal = Terminal(benchmark.quiet)
    _check(benchmark)
    # Imported here, so that --help and a mistyped option answer at once.
    if isinstance(benchmark, Habitat):
        from mem4nav.cli.eval_habitat import evaluate_habitat

        evaluate_habitat(benchmark, terminal)
    elif isinstance(benchmark, City):
        from mem4nav.cli.eval_city import evaluate_city

        evaluate_city(benchmark, terminal)
    else:
        from mem4nav.cli.eval_streets import evaluate_streets

        evaluate_streets(benchmark, terminal)


def _check(options: AgentOptions | Habitat) -> None:
    if options.workers < 1:
        raise UsageError(f"--workers {options.workers}: at least one process is needed")
    if isinstance(options, AgentOptions) and not 0.0 <= options.lost_below <= 1.0:
        raise UsageError(f"--lost-below {options.lost_below:g}: it is a probability, from 0 to 1")
    flag, backbone = "--agent" if isinstance(options, Habitat) else "--backbone", options.backbone
    if backbone == "llm" and not options.model:
        raise UsageError(f"{flag} llm needs --model: a local folder of transformers, or an endpoint's URL")
    if backbone != "llm" and (options.model or options.model_name):
        raise UsageError(f"--model is for {flag} llm, not {backbone}")
    if backbone == "mllm" and options.checkpoint is None:
        raise UsageError(f"{flag} mllm needs --checkpoint: no weights of it ship")
    if isinstance(options, Habitat) and options.checkpoint is not None and backbone not in LANGUAGE:
        raise UsageError(f"--checkpoint is for --agent llm and mllm, not {backbone}")
