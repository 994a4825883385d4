# SPDX-FileCopyrightText: The Mem4Nav stack developers
# SPDX-License-Identifier: Apache-2.0
"""Scenes made ahead by other processes, in an order that does not depend on how many they are."""

from __future__ import annotations

import multiprocessing
import queue
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import TypeVar

from sim_envs.city.scenes.config import SceneConfig
from sim_envs.city.scenes.scene import Scene
from sim_envs.errors import SimError

Item = TypeVar("Item")
Maker = Callable[[SceneConfig, Iterable[int]], Iterator[Scene]]
"""Makes the scenes of one lane from its towns' seeds; a function of a module, which another process can import."""

_AHEAD = 12
_POLL_S = 2.0


@dataclass(frozen=True, slots=True)
class _Failure:
    """What went wrong in a process, in its own words."""

    text: str


def in_turn(streams: Sequence[Iterator[Item]]) -> Iterator[Item]:
    """One item of each stream, again and again; those that end drop out."""
    left = list(streams)
    while left:
        for stream in tuple(left):
            for item in stream:
                yield item
                break
            else:
                left.remove(stream)


def made_ahead(make: Maker, config: SceneConfig, shares: Sequence[tuple[int, ...]], workers: int) -> Iterator[Scene]:
    """The lanes in turn, lane i made by process i modulo ``workers``; each is at most a dozen scenes ahead.

    A process gives the scenes of its lanes in the order in which they are taken here, so one queue each will do.

    Raises:
        SimError: a process failed or was killed.
    """
    context = multiprocessing.get_context("spawn")
    queues = [context.Queue(_AHEAD) for _ in range(workers)]
    processes = [
        context.Process(target=_work, args=(make, config, shares[number::workers], queues[number]), daemon=True)
        for number in range(workers)
    ]
    for process in processes:
        process.start()
    try:
        yield from in_turn([_taken(queues[i % workers], processes[i % workers]) for i in range(len(shares))])
    finally:
        for process in processes:
            process.terminate()
        for process in processes:
            process.join()


def _taken(source, process) -> Iterator[Scene]:
    """Scenes of one lane from its process's queue, until None says that the lane is done."""
    while True:
        try:
            item = source.get(timeout=_POLL_S)
        except queue.Empty:
            if not process.is_alive():
                raise SimError(
                    f"a process that makes scenes ended with code {process.exitcode}: was it killed?"
                ) from None
            continue
        if isinstance(item, _Failure):
            raise SimError(f"a process that makes scenes failed: {item.text}")
        if item is None:
            return
        yield item


def _work(make: Maker, config: SceneConfig, shares: Sequence[tuple[int, ...]], goal) -> None:
    """In the other process: put each lane's scenes and then None, the lanes in turn, as long as the parent lives."""
    try:
        for item in in_turn([_ended(make(config, share)) for share in shares]):
            if not _put(goal, item):
                goal.cancel_join_thread()
                return
    except Exception as error:  # whatever it is, the parent is to hear of it
        _put(goal, _Failure(f"{type(error).__name__}: {error}"))


def _ended(scenes: Iterator[Scene]) -> Iterator[Scene | None]:
    yield from scenes
    yield None


def _put(goal, item: Scene | _Failure | None) -> bool:
    """Wait for room; False once the parent is gone."""
    parent = multiprocessing.parent_process()
    while parent is not None and parent.is_alive():
        try:
            goal.put(item, timeout=_POLL_S)
        except queue.Full:
            continue
        return True
    return False
