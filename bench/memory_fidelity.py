# SPDX-FileCopyrightText: The Mem4Nav stack developers
# SPDX-License-Identifier: Apache-2.0
"""What a reversible token holds: v of k writes ago from theta alone, and how exactly a chain of writes is undone."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray

from bench.places import ROOT
from bench.rows import Report
from mem4nav.memory.reversible import Reversible, ReversibleConfig, Written, fixed, floating, turned
from mem4nav.memory.training import Reader, TrainingConfig, cycle_loss, tokens, train

AGES = (1, 2, 3, 4, 6, 8, 12, 16, 24, 32, 48, 64)
"""k: 1 is the last write."""
DIMENSION, DEPTH = 64, 3
CLUSTERS = 256
SPREAD = 0.5
FITTED_ON, JUDGED_ON, RIDGE = 6000, 1000, 1e-2
CHAIN, LAST, PLACES = 1000, 100, 8
PLOT = ROOT / "docs" / "memory_fidelity.png"


@dataclass(frozen=True, slots=True)
class Fidelity:
    """Of one network and one reader, for each age: mean cosine and median rank (1 is best) of what is read."""

    name: str
    cosine: NDArray[np.float64]
    rank: NDArray[np.float64]


def main() -> None:
    torch.set_num_threads(1)
    report = Report("memory_fidelity")
    found, unrolled = [_linear_reservoir()], []
    for name, config, frozen in _networks():
        fidelities, cosines = _judged(report, name, config, frozen)
        found += fidelities
        unrolled.append([name, *(f"{c:.2f}" for c in cosines)])
    report.table(
        f"v of k writes ago from theta alone, {DIMENSION} numbers: cosine (median rank among {JUDGED_ON:,})",
        ["network, reader", *(f"k = {k}" for k in AGES), "sum of squares"],
        [
            [f.name, *(f"{c:.2f} ({r:.0f})" for c, r in zip(f.cosine, f.rank, strict=True)), f"{_capacity(f):.2f}"]
            for f in found
        ],
    )
    report.table(
        "The same by running R backwards k times from theta, with r guessed from theta each time: cosine",
        ["network", *(f"k = {k}" for k in AGES)],
        unrolled,
    )
    _plot(found)
    _undone(report)
    report.save()


def _networks() -> list[tuple[str, TrainingConfig, bool]]:
    """Name, training, and whether it is of the reader alone."""
    return [
        ("untrained R", TrainingConfig(), True),
        ("R trained to be read", TrainingConfig(), False),
        ("R trained with the cycle too", TrainingConfig(cycle=0.1), False),
    ]


def sampler(seed: int) -> Callable[[int, int], torch.Tensor]:
    """Clustered unit vectors; the clusters are the same for every seed."""
    centres = torch.nn.functional.normalize(
        torch.randn(CLUSTERS, DIMENSION, generator=torch.Generator().manual_seed(1)), dim=1
    )
    rng = torch.Generator().manual_seed(seed)

    def sample(places: int, writes: int) -> torch.Tensor:
        chosen = centres[torch.randint(CLUSTERS, (places, writes), generator=rng)]
        noise = torch.randn(places, writes, DIMENSION, generator=rng) * (SPREAD / DIMENSION**0.5)
        return torch.nn.functional.normalize(chosen + noise, dim=-1)

    return sample


def _judged(
    report: Report, name: str, config: TrainingConfig, frozen: bool
) -> tuple[list[Fidelity], NDArray[np.float64]]:
    """By a linear reader for each age, and by the reader that was trained; and R run backwards."""
    network = Reversible(ReversibleConfig(DIMENSION, DEPTH), seed=0).requires_grad_(not frozen)
    began = time.process_time()
    reader = train(network, sampler(7), config)
    seconds = time.process_time() - began
    with torch.no_grad():
        sequences = _judging()
        theta = tokens(network, sequences)
        cycle = float(cycle_loss(network, reader, theta[FITTED_ON:, -8:], sequences[FITTED_ON:, -8:]))
        last = theta[FITTED_ON:, -1]
        ages = [torch.full((JUDGED_ON,), k) for k in AGES]
        read = [_likeness(reader(last, k).numpy(), sequences[FITTED_ON:, -int(k[0])].numpy()) for k in ages]
        back = _unrolled(network, reader, theta, sequences)
    measured = f"largest number of theta {theta.abs().max():.1f}, bound {16 * network.config.depth}"
    report.row(name, "", f"{measured}; trained in {seconds:.0f} s of CPU time; cycle loss {cycle:.3f}")
    return [_fitted(f"{name}, linear", theta[:, -1], sequences), _collected(f"{name}, trained", read)], back


def _judging() -> torch.Tensor:
    return sampler(11)(FITTED_ON + JUDGED_ON, AGES[-1] + 8)


def _linear_reservoir() -> Fidelity:
    """For comparison: theta = 3/4 of theta, turned, plus Q v with Q orthogonal; what a linear memory can do."""
    sequences = _judging()
    Q, _ = torch.linalg.qr(torch.randn(DIMENSION, DIMENSION, generator=torch.Generator().manual_seed(2)))
    theta = torch.zeros_like(sequences[:, 0])
    for v in sequences.unbind(1):
        theta = 0.75 * turned(theta, 1) + v @ Q
    return _fitted("linear reservoir, linear", theta, sequences)


def _fitted(name: str, theta: torch.Tensor, sequences: torch.Tensor) -> Fidelity:
    """By one ridge regression for each age."""
    last = theta.numpy().astype(np.float64)
    return _collected(name, [_read(last, sequences[:, -k].numpy()) for k in AGES])


def _collected(name: str, judged: list[tuple[float, float]]) -> Fidelity:
    cosine, rank = zip(*judged, strict=True)
    return Fidelity(name, np.array(cosine), np.array(rank))


def _read(theta: NDArray[np.float64], v: NDArray[np.float32]) -> tuple[float, float]:
    """A ridge regression from theta, fitted on some places and judged on others: the same reader for all networks."""
    X = np.concatenate([theta, np.ones((len(theta), 1))], axis=1)
    X[:, :-1] = (X[:, :-1] - X[:FITTED_ON, :-1].mean(0)) / (X[:FITTED_ON, :-1].std(0) + 1e-9)
    A, B = X[:FITTED_ON], v[:FITTED_ON]
    W = np.linalg.solve(A.T @ A + RIDGE * len(A) * np.eye(A.shape[1]), A.T @ B)
    return _likeness(X[FITTED_ON:] @ W, v[FITTED_ON:])


def _likeness(read: NDArray[np.floating], true: NDArray[np.float32]) -> tuple[float, float]:
    """Mean cosine of what is read with what was written, and the median of its rank among all that were."""
    cosines = (read / np.linalg.norm(read, axis=1, keepdims=True)) @ true.T
    own = np.diag(cosines)
    return float(own.mean()), float(np.median((cosines >= own[:, None]).sum(axis=1)))


def _unrolled(network: Reversible, reader: Reader, theta: torch.Tensor, sequences: torch.Tensor) -> NDArray[np.float64]:
    now, cosines = theta[FITTED_ON:, -1], []
    for k in range(1, AGES[-1] + 1):
        now, v = network.inverse(now, reader.residual(now))
        now = now.clamp(-16.0 * network.config.depth, 16.0 * network.config.depth)
        if k in AGES:
            cosines.append(float(torch.nn.functional.cosine_similarity(v, sequences[FITTED_ON:, -k], dim=-1).mean()))
    return np.array(cosines)


def _capacity(f: Fidelity) -> float:
    """Sum over k = 1 to 64 of the squared cosine, ages between those measured interpolated."""
    return float((np.interp(np.arange(1, AGES[-1] + 1), AGES, f.cosine) ** 2).sum())


def _plot(found: list[Fidelity]) -> None:
    import matplotlib.pyplot as plt

    figure, (left, right) = plt.subplots(1, 2, figsize=(10, 3.8), constrained_layout=True)
    for f in found:
        left.plot(AGES, f.cosine, marker="o", label=f.name)
        right.plot(AGES, f.rank, marker="o", label=f.name)
    left.set(xscale="log", xlabel="k, writes ago", ylabel="cosine with what was written", ylim=(-0.05, 1.05))
    right.set(xscale="log", yscale="log", xlabel="k, writes ago", ylabel=f"median rank among {JUDGED_ON:,} (1 is best)")
    right.axhline(JUDGED_ON / 2, color="grey", linestyle=":", label="chance")
    for axes in (left, right):
        axes.set_xticks(AGES, [str(k) for k in AGES])
        axes.minorticks_off()
        axes.legend(fontsize=8)
    figure.suptitle("Read from theta alone (no journal), by readers fitted or trained elsewhere", fontsize=10)
    figure.savefig(PLOT, dpi=110)


def _undone(report: Report) -> None:
    """A chain of writes in fixed point, undone with the same and with other batch sizes and threads."""
    network = Reversible(ReversibleConfig(DIMENSION), seed=3)
    v = fixed(sampler(5)(PLACES, CHAIN).numpy())
    theta, written = network.blank(PLACES), []
    for k in range(CHAIN):
        written.append(network.write(theta, v[:, k]))
        theta = written[-1].theta
    report.row(f"{CHAIN:,} writes undone exactly, same batch and threads", "all", *_verdict(_back(network, written), v))
    cases = [(f"one place at a time instead of {PLACES}", 1, 1), ("two threads", PLACES, 2), ("both", 1, 2)]
    for name, batch, threads in cases:
        torch.set_num_threads(threads)
        measured, _ = _verdict(_back(network, written[-LAST:], batch), v[:, -LAST:])
        report.row(f"the last {LAST} of them, {name}", "", measured)
    torch.set_num_threads(1)
    apart = np.abs(floating(v) - sampler(5)(PLACES, CHAIN).numpy()).max()
    report.row("largest difference that the fixed point makes to an embedding", "", f"{apart:.1e}")


def _back(network: Reversible, written: list[Written], batch: int = PLACES) -> torch.Tensor:
    """Observations by undoing all writes from the last token alone, so many places at a time."""
    places = []
    for first in range(0, PLACES, batch):
        some = slice(first, first + batch)
        theta, found = written[-1].theta[some], []
        for step in reversed(written):
            theta, v = network.unwrite(Written(theta, step.r[some], step.remainder[some]))
            found.append(v)
        places.append(torch.stack(found[::-1], 1))
    return torch.cat(places)


def _verdict(found: torch.Tensor, v: torch.Tensor) -> tuple[str, bool]:
    right = (found == v).all(-1)
    share = right.double().mean().item()
    return f"{100 * share:.2f} % of {right.numel():,} observations", bool(right.all())


if __name__ == "__main__":
    main()
