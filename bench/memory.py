# SPDX-FileCopyrightText: The Mem4Nav stack developers
# SPDX-License-Identifier: Apache-2.0
"""The memory at a million entries: recall against faiss and the exact answer, writing, loading, size; while small."""

from __future__ import annotations

import multiprocessing
import shutil
import tempfile
import time
from collections.abc import Callable
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from bench.rows import Report
from mem4nav.memory import Memory, MemoryConfig, MemoryMode, load_memory, open_memory
from mem4nav.memory.confidence import SHIPPED, fitted
from mem4nav.memory.store import INDEX

ENTRIES, CLUSTERS, DIMENSION, BATCH = 1_000_000, 10_000, 256, 250
SPREAD, QUERY_SPREAD = 0.5, 0.3
QUERIES, TOP = 200, 10


def main() -> None:
    report = Report("memory")
    _small(report)
    _confidence(report)
    folder = Path(tempfile.mkdtemp(prefix="memory-bench-"))
    try:
        _large(report, folder)
    finally:
        shutil.rmtree(folder)
    report.save()


def _units(vectors: NDArray[np.float32]) -> NDArray[np.float32]:
    return (vectors / np.linalg.norm(vectors, axis=1, keepdims=True)).astype(np.float32)


def _centres() -> NDArray[np.float32]:
    return _units(np.random.default_rng(0).normal(size=(CLUSTERS, DIMENSION)))


def _near(rng: np.random.Generator, centres: NDArray[np.float32], spread: float) -> NDArray[np.float32]:
    """Unit vectors about (N, D) centres: noise of so much in norm."""
    noise = rng.standard_normal(centres.shape, np.float32) * np.float32(spread / DIMENSION**0.5)
    return _units(centres + noise)


def _pieces(centres: NDArray[np.float32]):
    """The million: (first entry, clusters, vectors) by 10,000."""
    rng = np.random.default_rng(1)
    for first in range(0, ENTRIES, 10_000):
        clusters = rng.integers(0, CLUSTERS, 10_000)
        yield first, clusters, _near(rng, centres[clusters], SPREAD)


def _microseconds(call: Callable[[int], object], times: int) -> float:
    taken = []
    for k in range(times):
        began = time.perf_counter()
        call(k)
        taken.append(time.perf_counter() - began)
    return 1e6 * float(np.median(taken))


# while it is small


def _small(report: Report) -> None:
    rng = np.random.default_rng(0)
    vectors = _units(rng.normal(size=(1000, DIMENSION)))
    pose, memory = np.eye(4), open_memory()
    memory.write_many(pose, vectors[:5], list("abcde"))

    def write(k: int) -> None:
        pose[:3, 3] = rng.uniform(-100.0, 100.0, 3)
        some = vectors[5 * k % 1000 :][:5]
        memory.write_many(pose, some, list("abcde"), rng.normal(size=(5, 3)))

    report.at_most("opening an empty memory in RAM", _microseconds(lambda _: open_memory(), 200), 200, "us", 0)
    report.at_most("a write of 5 entries in RAM", _microseconds(write, 99), 200, "us", 0)
    recall = _microseconds(lambda k: memory.recall(vectors[k], pose), 200)
    report.at_most(f"a recall among {len(memory)} entries", recall, 100, "us", 0)


def _confidence(report: Report) -> None:
    """Queries of all noise levels among 500 entries of 100 labels: how sure, and how often right."""
    rng = np.random.default_rng(4)
    samples = [np.concatenate([_asked(rng) for _ in range(8)]) for _ in range(2)]
    fresh = fitted(*samples[0][:, :2].T, samples[0][:, 2] > 0)
    report.row("confidence fitted here", "", f"{tuple(round(v, 2) for v in fresh)}, shipped {tuple(SHIPPED)}")
    cosines, leads, right = samples[1].T
    for name, confidence in (("shipped", SHIPPED), ("fitted here", fresh)):
        said = np.array([confidence(c, lead) for c, lead in zip(cosines, leads, strict=True)])
        bins = np.minimum((10 * said).astype(int), 9)
        error = sum(abs(said[bins == b].mean() - right[bins == b].mean()) * np.mean(bins == b) for b in np.unique(bins))
        report.row(f"expected calibration error of the {name} confidence, {len(said):,} queries", "", f"{error:.3f}")


def _asked(rng: np.random.Generator) -> NDArray[np.float64]:
    """(N, 3) cosine, lead and whether the first hit was right, in one world; a third asks for what was never seen."""
    things = _near(rng, _units(rng.normal(size=(20, DIMENSION)))[rng.integers(0, 20, 150)], 0.7)
    which = rng.integers(0, 100, 500)
    memory = open_memory(MemoryMode.CACHE)
    memory.write_many(np.eye(4), _near(rng, things[which], 0.4), [str(k) for k in which])
    rows = []
    for _ in range(500):
        wanted = int(rng.integers(0, 150))
        (query,) = _near(rng, things[wanted][None], float(rng.uniform(0.0, 6.0)))
        hits = memory.recall(query, top=TOP).hits
        rival = max((hit.cosine for hit in hits if hit.label != hits[0].label), default=hits[-1].cosine)
        rows.append((hits[0].cosine, hits[0].cosine - rival, hits[0].label == str(wanted)))
    return np.array(rows, np.float64)


# a million


def _large(report: Report, folder: Path) -> None:
    centres = _centres()
    rng = np.random.default_rng(2)
    queries = _near(rng, centres[rng.integers(0, CLUSTERS, QUERIES)], SPREAD)
    queries = _near(rng, queries, QUERY_SPREAD)
    memory = open_memory(config=MemoryConfig(dimension=DIMENSION), folder=folder)
    seconds, cpu, exact = _fill(memory, centres, queries)
    rate = ENTRIES / seconds
    measured = f"{rate:,.0f} a second ({ENTRIES / cpu:,.0f} a second of CPU time), batches of {BATCH}, each on the disk"
    report.row(f"{ENTRIES:,} writes, index kept current", "at least 1,000 a second", measured, rate >= 1000)
    share = memory.store.journal_bytes() / (4.0 * DIMENSION * ENTRIES)
    report.at_most("journal against the raw observations", share, 1.1, "times")
    began = time.perf_counter()
    memory.close()
    report.row("storing the index", "", f"{time.perf_counter() - began:.1f} s")
    report.at_most("largest resident memory while it is filled", _peak_gb(), 2.0, "GB", 2)
    del memory
    with ProcessPoolExecutor(1, multiprocessing.get_context("spawn")) as fresh:
        _recalls(report, exact, fresh.submit(_answers, folder, queries).result())
    (folder / INDEX).unlink()
    began = time.perf_counter()
    load_memory(folder).close()
    report.row("loading without the index: it is built anew", "", f"{time.perf_counter() - began:.0f} s")


def _fill(memory: Memory, centres, queries) -> tuple[float, float, NDArray[np.int64]]:
    """Wall and CPU seconds of writing; and the exact answers: (Q, TOP) entries of highest cosine."""
    wall = cpu = 0.0
    best, answers = np.full((QUERIES, TOP), -2.0, np.float32), np.zeros((QUERIES, TOP), np.int64)
    for first, clusters, vectors in _pieces(centres):
        began, cpu_began = time.perf_counter(), time.process_time()
        for start in range(0, len(vectors), BATCH):
            some = slice(start, start + BATCH)
            pose = np.eye(4)
            pose[:3, 3] = (first + start) % 3000, (first + start) // 3000, 0.0
            offsets = np.stack([clusters[some] % 40, clusters[some] // 40 % 40, clusters[some] // 1600], 1) - 20.0
            labels = [f"thing {cluster}" for cluster in clusters[some]]
            memory.write_many(pose, vectors[some], labels, offsets, keyframe=(first + start) // 1000)
        wall += time.perf_counter() - began
        cpu += time.process_time() - cpu_began
        cosines = np.concatenate([best, queries @ vectors.T], axis=1)
        numbers = np.concatenate(
            [answers, np.broadcast_to(first + np.arange(len(vectors)), (QUERIES, len(vectors)))], 1
        )
        order = np.argpartition(-cosines, TOP, axis=1)[:, :TOP]
        best, answers = np.take_along_axis(cosines, order, 1), np.take_along_axis(numbers, order, 1)
    return wall, cpu, answers


@dataclass(frozen=True, slots=True)
class _Answers:
    """Of a fresh process: wall and CPU seconds of loading, (Q, 3) ms of bare faiss and both recalls, found, peak GB."""

    loading: float
    loading_cpu: float
    taken: NDArray[np.float64]
    found: list[set[int]]
    peak: float


def _answers(folder: Path, queries: NDArray[np.float32]) -> _Answers:
    """Load it, then ask bare faiss on the same index and the memory by turns."""
    began, cpu_began = time.perf_counter(), time.process_time()
    with load_memory(folder) as memory:
        loading, loading_cpu = time.perf_counter() - began, time.process_time() - cpu_began
        index = memory.observations.vectors.index  # type: ignore[union-attr]
        taken, found = [], []
        for query in queries:
            marks = [time.perf_counter()]
            index.search(query[None], TOP)
            marks.append(time.perf_counter())
            hits = memory.recall(query, top=TOP).hits
            marks.append(time.perf_counter())
            memory.recall(query, np.zeros(3), top=3)
            marks.append(time.perf_counter())
            taken.append(1e3 * np.diff(marks))
            found.append({hit.entry for hit in hits})
    return _Answers(loading, loading_cpu, np.array(taken), found, _peak_gb())


def _recalls(report: Report, exact: NDArray[np.int64], of: _Answers) -> None:
    bare, ours, posed = np.median(of.taken, axis=0)
    right = [len(found & set(truth)) / TOP for found, truth in zip(of.found, exact.tolist(), strict=True)]
    report.at_most("loading with a valid index, in a fresh process", of.loading, 10.0, "s", 1)
    report.row("the same in CPU time", "", f"{of.loading_cpu:.1f} s")
    report.at_most(f"recall of {TOP} among {ENTRIES:,}, p50", ours, 2.0, "ms")
    report.at_most("the same against bare faiss", ours / bare, 1.3, "times", 2)
    report.row("bare faiss, p50; recall of 3 from a pose, p50", "", f"{bare:.3f} ms; {posed:.3f} ms")
    measured = f"{np.mean(right):.3f} (worst query {np.min(right):.1f})"
    report.row("recall@10 of the exact answer", "at least 0.95", measured, bool(np.mean(right) >= 0.95))
    report.at_most("largest resident memory of that process", of.peak, 2.0, "GB", 2)


def _peak_gb() -> float:
    """Of this process since its program began; getrusage would count what its parent had."""
    (line,) = [line for line in Path("/proc/self/status").read_text().splitlines() if line.startswith("VmHWM")]
    return int(line.split()[1]) * 1024 / 1e9


if __name__ == "__main__":
    main()
