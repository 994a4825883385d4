# SPDX-FileCopyrightText: The Mem4Nav stack developers
# SPDX-License-Identifier: Apache-2.0
"""The detector learns: AdamW, a cosine with warm-up, clipped gradients, averaged weights; resumable; on many GPUs.

Samples come from an iterator that is handed in, so that training needs neither a simulator nor a dataset. Started by
torchrun (WORLD_SIZE above 1), each process learns from samples of its own, and gradients are averaged.
"""

from __future__ import annotations

import copy
import json
import logging
import math
import time
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Any, Protocol

import numpy as np
import torch
from torch import Tensor, distributed, nn

from detection.augment import augment
from detection.batch import Batch, collate
from detection.config import TrainConfig
from detection.errors import DetectionConfigError, DetectionError
from detection.inference import Detector
from detection.learning.processes import Processes, processes
from detection.learning.steps import rate_at, seeded, set_rate
from detection.losses import losses
from detection.model import SparseFusion
from detection.sample import Sample
from detection.statistics import MOST_SAMPLES, InputStatistics, inputs_of
from detection.training_checkpoint import Average, Progress, load_checkpoint, save_checkpoint
from slam.files import write_text

logger = logging.getLogger(__name__)

TRAINING, DETECTOR, CURVES = "training.safetensors", "detector.safetensors", "curves.jsonl"

Row = dict[str, float]
"""What is kept of a step: ``step`` from 1, ``rate``, ``seconds``, ``waited_s`` for samples, and every loss term."""


class SampleSource(Protocol):
    """Gives samples without end, the same ones each time."""

    def __call__(self, first: int, rank: int, count: int) -> Iterator[Sample]:
        """The samples of process ``rank`` of ``count``, from its ``first``-th on, counted from 0."""
        ...


def train(
    config: TrainConfig,
    samples: SampleSource,
    folder: Path,
    *,
    resume: bool = False,
    minutes: float | None = None,
    device: str | None = None,
    progress: Callable[[Row], None] | None = None,
    validate: Callable[[Detector], Mapping[str, float]] | None = None,
) -> Detector:
    """Train a detector and leave it in ``folder`` as detector.safetensors, with curves.jsonl, a line a step.

    Args:
        config: network, losses, augmentation, steps.
        samples: all with truth, its labels indices into ``config.model.classes``.
        folder: also gets training.safetensors, which a training that was broken off goes on from.
        resume: go on from there; otherwise what is there is overwritten.
        minutes: end after so long; the learning rate then falls with the time, where that runs out before the steps,
            and the run cannot be repeated to the bit.
        device: "cpu" or "cuda"; None: a GPU where there is one.
        progress: called after each step, in the first process.
        validate: called there with the averaged weights at each checkpoint; its numbers join the step's line.

    Returns:
        the detector of averaged weights. A training that was broken off and resumed ends with the same weights, bit
        for bit, as one that was not, on the same machine with one thread.

    Raises:
        DetectionError: a loss that is no number, samples that end or have no truth.
        CheckpointError: nothing to resume from, or that is of another training.
    """
    if minutes is not None and minutes <= 0.0:
        raise DetectionConfigError(f"{minutes:g} minutes are no time to learn in")
    with processes(device) as at:
        return _Training(config, Path(folder), at, minutes).run(samples, resume, progress, validate)


class _Training:
    def __init__(self, config: TrainConfig, folder: Path, at: Processes, minutes: float | None) -> None:
        self._config, self._folder, self._at = config, folder, at
        self._limit_s = math.inf if minutes is None else 60.0 * minutes
        with torch.random.fork_rng():
            torch.manual_seed(config.seed)
            self._model = SparseFusion(config.model).to(at.device).train()
        self._called = at.averaging(_Objective(self._model, config, at.device))
        self._optimiser = torch.optim.AdamW(self._model.parameters(), lr=config.rate, weight_decay=config.decay)
        self._average = Average(self._model, config.average)
        self._progress = Progress(0, 0.0, [])

    def run(
        self,
        source: SampleSource,
        resume: bool,
        progress: Callable[[Row], None] | None,
        validate: Callable[[Detector], Mapping[str, float]] | None,
    ) -> Detector:
        self._begin(resume)
        done, config = self._progress, self._config
        samples = source(done.step * config.batch, self._at.rank, self._at.count)
        while done.step < config.steps and done.seconds < self._limit_s:
            row = self._step(samples)
            last = done.step == config.steps or done.seconds >= self._limit_s
            due = last or done.step % config.keep_every == 0
            if self._at.rank == 0:
                self._store(row, due, validate)
                if progress is not None:
                    progress(row)
        return self._detector()

    def _begin(self, resume: bool) -> None:
        lines: list[str] = []
        if resume:
            stored = self._folder / TRAINING
            self._progress = load_checkpoint(stored, self._model, self._average, self._optimiser, self._config)
            lines = (self._folder / CURVES).read_text(encoding="utf-8").splitlines()[: self._progress.step]
            logger.info("%s: goes on after step %d of %d", stored, self._progress.step, self._config.steps)
        if self._at.rank == 0:
            write_text(self._folder / CURVES, "".join(f"{line}\n" for line in lines))

    def _step(self, samples: Iterator[Sample]) -> Row:
        began = time.monotonic()
        step, config = self._progress.step, self._config
        batch = collate(self._batch(samples, step), config.model).to(self._at.device)
        waited = time.monotonic() - began
        share = max((step + 0.5) / config.steps, self._progress.seconds / self._limit_s)
        rate = config.rate * rate_at(share, config.warm_up)
        set_rate(self._optimiser, rate)
        terms = self._fit(batch, step)
        self._average.update(self._model, step)
        seconds = self._agreed(time.monotonic() - began)
        self._progress.step, self._progress.seconds = step + 1, self._progress.seconds + seconds
        return {"step": step + 1, "rate": rate, "seconds": seconds, "waited_s": waited, **terms}

    def _fit(self, batch: Batch, step: int) -> Row:
        """One step of the optimiser; the loss terms before it."""
        self._optimiser.zero_grad(set_to_none=True)
        with seeded(self._config.seed, step, self._at.rank):
            found = self._called(batch)
        found["total"].backward()
        terms = {name: float(value.detach()) for name, value in found.items()}
        norm = float(nn.utils.clip_grad_norm_(self._model.parameters(), self._config.clip))
        if not (math.isfinite(terms["total"]) and math.isfinite(norm)):
            raise DetectionError(
                f"the loss is {terms['total']:g} and its gradient {norm:g} long at step {step + 1} of "
                f"{self._config.steps}: a learning rate of {self._config.rate:g} may be too high; terms: {terms}"
            )
        self._optimiser.step()
        return {**terms, "gradient": norm}

    def _batch(self, samples: Iterator[Sample], step: int) -> list[Sample]:
        """This process's samples of a step, varied; what they were like before goes into the statistics."""
        batch = []
        for number in range(step * self._config.batch, (step + 1) * self._config.batch):
            sample = next(samples, None)
            if sample is None:
                raise DetectionError(f"samples ended after {number}, at step {step + 1} of {self._config.steps}")
            if sample.boxes is None:
                raise DetectionError(f"sample {sample.name} has no boxes: there is nothing to learn from it")
            if len(self._progress.inputs) < MOST_SAMPLES:
                self._progress.inputs.append(inputs_of(sample))
            rng = np.random.default_rng((self._config.seed, self._at.rank, number))
            batch.append(augment(sample, rng, self._config.augment))
        return batch

    def _agreed(self, seconds: float) -> float:
        """The longest time of all processes, so that all end at the same step."""
        if self._at.count == 1:
            return seconds
        longest = torch.tensor(seconds, dtype=torch.float64, device=self._at.device)
        distributed.all_reduce(longest, distributed.ReduceOp.MAX)
        return float(longest)

    def _store(self, row: Row, due: bool, validate: Callable[[Detector], Mapping[str, float]] | None) -> None:
        """Keep the step's line, and where a checkpoint is due, that and the detector so far."""
        if due:
            detector = self._detector()
            if validate is not None:
                row.update(validate(detector))
        with open(self._folder / CURVES, "a", encoding="utf-8") as file:
            file.write(json.dumps(row) + "\n")
        if due:
            detector.save(self._folder / DETECTOR)
            arguments = (self._model, self._average, self._optimiser, self._config, self._progress)
            save_checkpoint(self._folder / TRAINING, *arguments)
            logger.info("step %d of %d: loss %.3f", self._progress.step, self._config.steps, row["total"])

    def _detector(self) -> Detector:
        model = copy.deepcopy(self._model)
        model.load_state_dict(self._average.tensors)
        return Detector(model.eval(), None, InputStatistics.of(self._progress.inputs))


class _Objective(nn.Module):
    """From a batch to its loss terms; one module, so that gradients of several processes can be averaged."""

    def __init__(self, model: SparseFusion, config: TrainConfig, device: torch.device) -> None:
        super().__init__()
        self.model, self._config, self._device = model, config, device

    def forward(self, batch: Batch) -> dict[str, Tensor]:
        half = self._config.precision == "bfloat16"
        with torch.autocast(self._device.type, torch.bfloat16, enabled=half):
            outputs = self.model(batch)
        found = losses(outputs, batch, self._config.model, self._config.loss)
        return {name: value if name == "total" else value.detach() for name, value in found.items()}


def read_curves(folder: Path) -> list[dict[str, Any]]:
    """The lines of a training's curves.jsonl, one a step."""
    lines = (Path(folder) / CURVES).read_text(encoding="utf-8").splitlines()
    return [json.loads(line) for line in lines]
