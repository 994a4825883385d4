# SPDX-FileCopyrightText: The Mem4Nav stack developers
# SPDX-License-Identifier: Apache-2.0
"""Training a detector: where its samples come from, how it goes, what is left behind."""

from __future__ import annotations

import shlex
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from detection.config import TrainConfig
from detection.datasets import Dataset
from detection.errors import DatasetError
from detection.sample import Sample
from detection.training import DETECTOR, Row, SampleSource, read_curves, train
from mem4nav.cli.console import Terminal
from mem4nav.cli.detect import Train
from mem4nav.cli.detect_city import TRAIN_SEEDS, city_samples, training_scenes
from mem4nav.cli.detect_samples import open_joined
from mem4nav.cli.metrics_file import peak_rss_mb, versions, write_metrics
from slam.config import dump, load

LANES = 4
"""Towns open at a time."""


def train_detector(asked: Train, terminal: Terminal) -> None:
    """Train, and leave the detector, its curves and the resolved configuration in --out.

    Raises:
        DetectionError, ConfigError: see ``detection.training.train``.
    """
    config = _config(asked)
    source = _source(asked, config)
    dump(config, asked.out / "config.yaml")
    began = time.monotonic()
    with terminal.progress() as shown:
        task = shown.add_task("learning", total=config.steps)

        def progress(row: Row) -> None:
            shown.update(task, completed=row["step"], description=f"learning, loss {row['total']:.2f}")

        detector = train(
            config, source, asked.out, resume=asked.resume, minutes=asked.minutes, progress=progress
        )  # fmt: skip
    curves = read_curves(asked.out)
    save_curves(asked.out / "curves.png", curves)
    repeat = command_of(asked)
    write_metrics(asked.out, {
        "checkpoint": str(asked.out / DETECTOR),
        "command": repeat,
        "training_data": [str(path) for path in asked.data] or "city, towns of seeds 1000 and up",
        "steps": len(curves),
        "loss": float(np.mean([row["total"] for row in curves[-50:]])),
        "seconds_per_step": float(np.median([row["seconds"] for row in curves])),
        "waited_s_per_step": float(np.median([row["waited_s"] for row in curves])),
        "parameters": sum(p.numel() for p in detector.model.parameters()),
        "statistics": detector.statistics.to_json() if detector.statistics else None,
        "seconds": time.monotonic() - began,
        "peak_rss_mb": peak_rss_mb(),
        "versions": versions(),
    })  # fmt: skip
    terminal.say(f"{asked.out / DETECTOR}: {len(curves)} steps in {time.monotonic() - began:.0f} s")
    terminal.say(f"to repeat this: {repeat}")
    terminal.say(f"to judge it: mem4nav detect eval --checkpoint {asked.out / DETECTOR} --out {asked.out / 'eval'}")


def command_of(asked: Train) -> str:
    """The command line that does the same again."""
    words = ["mem4nav", "detect", "train", "--out", str(asked.out)]
    words += ["--data", *map(str, asked.data)] if asked.data else []
    for name in ("config", "steps", "seed", "minutes"):
        value = getattr(asked, name)
        words += [f"--{name}", str(value)] if value is not None else []
    words += ["--workers", str(asked.workers)] if asked.workers else []
    return shlex.join(words)


def save_curves(path: Path, curves: Sequence[Row]) -> None:
    """A picture of the loss terms over the steps, each smoothed over a fiftieth of them."""
    from matplotlib.figure import Figure

    figure = Figure(figsize=(9.0, 5.0), layout="constrained")
    axes = figure.subplots()
    width = max(1, len(curves) // 50)
    for name in curves[-1] if curves else ():
        if name not in ("step", "rate", "seconds", "waited_s", "gradient"):
            rows = [(row["step"], row[name]) for row in curves if name in row]
            smooth = np.convolve([value for _, value in rows], np.ones(width) / width, mode="valid")
            axes.plot([step for step, _ in rows][width - 1 :], smooth, label=name, lw=2 if name == "total" else 1)
    axes.set(xlabel="step", ylabel="loss", yscale="log")
    axes.legend(frameon=False, fontsize="small", ncols=2)
    figure.savefig(path)


@dataclass(frozen=True, slots=True)
class CitySource:
    """Samples of the city's training towns; a process takes every so-many-th town.

    Attributes:
        classes: names in the order of the labels.
        workers: processes that make scenes ahead.
    """

    classes: tuple[str, ...]
    workers: int

    def __call__(self, first: int, rank: int, count: int) -> Iterator[Sample]:
        """See ``detection.training.SampleSource``."""
        config, seeds = training_scenes(), TRAIN_SEEDS[rank::count]
        # Towns that have been used up whole are not built again.
        rounds, skipped = divmod(first, LANES * config.frames)
        while True:
            left = seeds[(LANES * rounds) % len(seeds) :]
            for sample in city_samples(config, left, self.classes, lanes=LANES, workers=self.workers):
                if skipped:
                    skipped -= 1
                else:
                    yield sample
            rounds = 0


@dataclass(frozen=True, slots=True)
class DatasetSource:
    """Samples of a dataset that have boxes, shuffled anew each time through.

    Attributes:
        dataset: what is read.
        seed: of the orders.
        workers: processes that read ahead.
    """

    dataset: Dataset
    seed: int
    workers: int

    def __call__(self, first: int, rank: int, count: int) -> Iterator[Sample]:
        """See ``detection.training.SampleSource``."""
        from torch.utils.data import DataLoader

        numbers = self._numbers(first, rank, count)
        yield from DataLoader(
            self.dataset, sampler=numbers, batch_size=None, num_workers=self.workers, collate_fn=_as_it_is
        )  # fmt: skip

    def _numbers(self, first: int, rank: int, count: int) -> Iterator[int]:
        number = first * count + rank
        while True:
            epoch, place = divmod(number, len(self.dataset))
            yield int(np.random.default_rng((self.seed, epoch)).permutation(len(self.dataset))[place])
            number += count


def _as_it_is(sample: Sample) -> Sample:
    return sample


def _config(asked: Train) -> TrainConfig:
    given = {name: getattr(asked, name) for name in ("steps", "seed") if getattr(asked, name) is not None}
    return load(TrainConfig, asked.config, given)


def _source(asked: Train, config: TrainConfig) -> SampleSource:
    if not asked.data:
        return CitySource(config.model.classes, asked.workers)
    dataset = open_joined(asked.data, config.model.classes)
    if not len(dataset):
        raise DatasetError(f"no frame in {', '.join(map(str, asked.data))}: there is nothing to learn from")
    return DatasetSource(dataset, config.seed, asked.workers)
