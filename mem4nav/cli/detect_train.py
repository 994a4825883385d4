# SPDX-FileCopyrightText: The Mem4Nav stack developers
# SPDX-License-Identifier: Apache-2.0
"""Training a detector: where its samples come from, how it goes, what is left behind."""

from __future__ import annotations

import itertools
import shlex
import time
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from detection.calibration import ScoreCalibration, fit_calibration
from detection.config import TrainConfig
from detection.datasets import Dataset, Part
from detection.errors import DatasetError, DetectionError
from detection.inference import Detector
from detection.learning.processes import is_first_process
from detection.sample import Boxes, Sample
from detection.training import DETECTOR, Row, SampleSource, read_curves, train
from mem4nav.cli.console import Terminal
from mem4nav.cli.detect import Train
from mem4nav.cli.detect_city import CALIBRATION_SEEDS, TRAIN_SEEDS, city_samples, training_scenes
from mem4nav.cli.detect_samples import open_joined
from mem4nav.cli.metrics_file import peak_rss_mb, versions, write_metrics
from slam.config import dump, load

LANES = 4
"""Towns open at a time."""
_HELD_BACK = 10
"""Of a dataset, every so-many-th frame is not learned from."""


def train_detector(asked: Train, terminal: Terminal) -> None:
    """Train, and leave the detector, its curves and the resolved configuration in --out.

    Raises:
        DetectionError, ConfigError: see ``detection.training.train``.
    """
    config = _config(asked)
    source, held = _sources(asked, config)
    dump(config, asked.out / "config.yaml")
    began = time.monotonic()
    with terminal.progress() as shown:
        task = shown.add_task("learning", total=config.steps)

        def progress(row: Row) -> None:
            shown.update(task, completed=row["step"], description=f"learning, loss {row['total']:.2f}")

        detector = train(
            config, source, asked.out, resume=asked.resume, minutes=asked.minutes, progress=progress
        )  # fmt: skip
    if not is_first_process():
        return
    detector.calibration = calibrated(detector, held, asked.calibrate, terminal)
    detector.save(asked.out / DETECTOR)
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
        "calibration": detector.calibration.to_json() if detector.calibration else None,
        "seconds": time.monotonic() - began,
        "peak_rss_mb": peak_rss_mb(),
        "versions": versions(),
    })  # fmt: skip
    terminal.say(f"{asked.out / DETECTOR}: {len(curves)} steps in {time.monotonic() - began:.0f} s")
    terminal.say(f"to repeat this: {repeat}")
    terminal.say(f"to judge it: mem4nav detect eval --checkpoint {asked.out / DETECTOR} --out {asked.out / 'eval'}")


def calibrated(detector: Detector, held: Iterable[Sample], frames: int, terminal: Terminal) -> ScoreCalibration | None:
    """What the scores are worth on the first ``frames`` samples held back; None where that cannot be told."""
    truths: list[Boxes] = []
    found: list[Boxes] = []
    with terminal.task("calibrating", frames) as advance:
        for sample in itertools.islice(held, frames):
            assert sample.boxes is not None
            truths.append(sample.boxes)
            found.append(detector.detect([sample])[0]["fused"])
            advance()
    try:
        return fit_calibration(truths, found, detector.config.classes) if truths else None
    except DetectionError as error:
        terminal.say(f"scores are left as they are: {error}")
        return None


def command_of(asked: Train) -> str:
    """The command line that does the same again."""
    words = ["mem4nav", "detect", "train", "--out", str(asked.out)]
    words += ["--data", *map(str, asked.data)] if asked.data else []
    for name in ("config", "steps", "seed", "minutes"):
        value = getattr(asked, name)
        words += [f"--{name}", str(value)] if value is not None else []
    words += ["--workers", str(asked.workers)] if asked.workers else []
    words += ["--calibrate", str(asked.calibrate)] if asked.calibrate != Train.calibrate else []
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


def _sources(asked: Train, config: TrainConfig) -> tuple[SampleSource, Iterable[Sample]]:
    """Samples to learn from, and others to calibrate with."""
    classes = config.model.classes
    if not asked.data:
        held = city_samples(training_scenes(), CALIBRATION_SEEDS, classes, lanes=LANES)
        return CitySource(classes, asked.workers), held
    dataset = open_joined(asked.data, classes)
    if not len(dataset):
        raise DatasetError(f"no frame in {', '.join(map(str, asked.data))}: there is nothing to learn from")
    numbers = np.arange(len(dataset))
    back = (numbers % _HELD_BACK == _HELD_BACK - 1) & (asked.calibrate > 0)
    return DatasetSource(Part(dataset, numbers[~back].tolist()), config.seed, asked.workers), Part(
        dataset, numbers[back].tolist()
    )
