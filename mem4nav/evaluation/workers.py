# SPDX-FileCopyrightText: The Mem4Nav stack developers
# SPDX-License-Identifier: Apache-2.0
"""Many jobs spread over processes, or over the machines of a Ray cluster.

What travels is a description of the work (paths, modes, seeds), never a live object; each worker builds from it once.
As every job begins with nothing remembered, the results do not depend on who did which.
"""

from __future__ import annotations

import functools
import logging
import multiprocessing
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ProcessPoolExecutor
from concurrent.futures.process import BrokenProcessPool
from typing import Any, Protocol, TypeVar

from mem4nav.errors import EvaluationError

MOST_IN_A_CHUNK, CHUNKS = 8, 64
LOCAL = "local"

Job = TypeVar("Job")
Result = TypeVar("Result")
JobIn = TypeVar("JobIn", contravariant=True)
ResultOut = TypeVar("ResultOut", covariant=True)


class Recipe(Protocol[JobIn, ResultOut]):
    """How a worker gets ready; hashable and made of plain values."""

    def build(self) -> Callable[[JobIn], ResultOut]:
        """What does the jobs. Called once in every worker."""
        ...


def spread(
    recipe: Recipe[Job, Result],
    jobs: Sequence[Job],
    *,
    workers: int = 1,
    ray: str | None = None,
    advance: Callable[[], None] = lambda: None,
) -> list[Result]:
    """The results of all jobs, in their order.

    Args:
        recipe: how a worker gets ready.
        jobs: plain values.
        workers: processes; one works in this process.
        ray: address of a Ray cluster ("auto" for the one of this machine's environment), whose machines have this
            package and the files that the recipe names; "local" starts one here with ``workers`` processors.
        advance: called after each job.

    Raises:
        EvaluationError: where a worker dies or the cluster cannot be reached; what a recipe or job raises comes
            through.
    """
    if ray is not None:
        chunks = _on_ray(recipe, jobs, ray, workers)
    elif workers > 1 and len(jobs) > 1:
        chunks = _on_processes(recipe, jobs, workers)
    else:
        work = recipe.build()
        chunks = ([work(job)] for job in jobs)
    results: list[Result] = []
    for chunk in chunks:
        results += chunk
        for _ in chunk:
            advance()
    return results


@functools.lru_cache(maxsize=1)
def _built(recipe: Recipe[Job, Result]) -> Callable[[Job], Result]:
    return recipe.build()


def _work(recipe: Recipe[Job, Result], jobs: Sequence[Job]) -> list[Result]:
    work = _built(recipe)
    return [work(job) for job in jobs]


def _on_processes(recipe: Recipe[Job, Result], jobs: Sequence[Job], workers: int) -> Iterator[list[Result]]:
    # Spawned, not forked: a fork of a process whose libraries run threads may hang.
    with ProcessPoolExecutor(workers, multiprocessing.get_context("spawn")) as pool:
        try:
            yield from pool.map(functools.partial(_work, recipe), _chunks(jobs))
        except BrokenProcessPool:
            raise EvaluationError(f"one of {workers} workers died, most likely for want of memory: try fewer") from None


def _on_ray(recipe: Recipe[Job, Result], jobs: Sequence[Job], address: str, workers: int) -> Iterator[list[Result]]:
    import ray
    from ray.exceptions import RayError, RayTaskError

    where: dict[str, Any] = {"address": address}
    if address == LOCAL:
        where = {"num_cpus": workers, "include_dashboard": False}
    started = not ray.is_initialized()
    try:
        if started:
            ray.init(**where, logging_level=logging.WARNING, log_to_driver=False)
        task = ray.remote(_work)
        for reference in [task.remote(recipe, chunk) for chunk in _chunks(jobs)]:
            yield ray.get(reference)
    except RayTaskError as error:
        raise error.cause from None
    except (RayError, ConnectionError, TimeoutError) as error:
        raise EvaluationError(f"the Ray cluster at {address!r}: {error}") from None
    finally:
        if started:
            ray.shutdown()


def _chunks(jobs: Sequence[Job]) -> list[Sequence[Job]]:
    """Short jobs go several at a time; long ones, of which there are few, alone."""
    size = min(MOST_IN_A_CHUNK, max(1, len(jobs) // CHUNKS))
    return [jobs[first : first + size] for first in range(0, len(jobs), size)]
