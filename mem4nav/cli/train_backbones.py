# SPDX-FileCopyrightText: The Mem4Nav stack developers
# SPDX-License-Identifier: Apache-2.0
"""From annotated routes to a checkpoint, for each backbone."""

from __future__ import annotations

import time
from collections.abc import Iterator, Sequence
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from mem4nav.cli.console import Terminal
from mem4nav.cli.eval_agents import DIMENSION, remembering
from mem4nav.cli.eval_streets import hops_of
from mem4nav.cli.metrics_file import peak_rss_mb, versions, write_metrics
from mem4nav.cli.train import City, LearnerOptions, StreetLessons
from mem4nav.cli.train_demonstrations import EXERCISES, city_lessons, street_lessons
from mem4nav.environment import Action, Episode
from mem4nav.errors import UsageError
from mem4nav.evaluation import follow
from mem4nav.memory import MemoryMode
from mem4nav.modular.lessons import Lesson
from mem4nav.navigation_metrics import score_route
from sim_envs.street_environment import MOST_ACTIONS, StreetEnvironment
from sim_envs.touchdown import OsmLandmarks, load_split, load_streets

if TYPE_CHECKING:
    from mem4nav.modular.agent import ModularAgent
    from mem4nav.modular.learning import Practise


def train_agent(options: LearnerOptions, terminal: Terminal) -> None:
    """Walk the annotated routes, learn from them, and leave a checkpoint and metrics.json.

    Raises:
        UsageError: where there is no route to learn from.
    """
    began = time.monotonic()
    with terminal.task("walking annotated routes", None) as advance:
        lessons = []
        for lesson in _lessons(options):
            lessons.append(lesson)
            advance()
    if not lessons:
        raise UsageError("there is no route to learn from: is the split empty, or of another street graph?")
    learn = {"modular": _modular, "llm": _llm, "mllm": _mllm}[options.backbone]
    with terminal.task(f"{options.backbone} learns from {len(lessons)} walks", None):
        checkpoint, learnt = learn(options, lessons)
    metrics = {
        "checkpoint": str(checkpoint),
        "backbone": options.backbone,
        "memory": options.memory,
        "training_data": training_data(options),
        "walks": len(lessons),
        "actions": sum(len(lesson.demonstration.actions) for lesson in lessons),
        "seed": options.seed,
        **learnt,
        "seconds": time.monotonic() - began,
        "peak_rss_mb": peak_rss_mb(),
        "versions": versions(),
    }
    write_metrics(options.out, metrics)
    terminal.say(f"{checkpoint}: learnt from {len(lessons)} walks in {metrics['seconds']:.0f} s")


def training_data(options: LearnerOptions) -> str:
    """What an agent learns from, in words that go with it."""
    if isinstance(options, City):
        more = f"and {EXERCISES} walks by directions in each of their towns"
        return f"city, {options.episodes} tasks of the split train {more}, towns of seed {options.town_seed}"
    assert isinstance(options, StreetLessons)
    pairs = zip(options.split, _times(options), strict=True)
    files = ", ".join(file.name + (f" ({times} times)" if times > 1 else "") for file, times in pairs)
    return f"{options.benchmark}: {files}; OpenStreetMap landmarks, no images"


def _lessons(options: LearnerOptions) -> Iterator[Lesson]:
    if isinstance(options, City):
        yield from city_lessons(options.town_seed, options.episodes)
    elif isinstance(options, StreetLessons):
        graph = load_streets(options.data / "touchdown")
        landmarks = OsmLandmarks(options.data / "map2seq" / "osm", graph)
        for file, times in zip(options.split, _times(options), strict=True):
            for lesson in street_lessons(load_split(file), graph, landmarks):
                yield replace(lesson, times=times)


def _times(options: StreetLessons) -> tuple[int, ...]:
    return options.times or (1,) * len(options.split)


Learnt = tuple[Path, dict[str, Any]]


def _modular(options: LearnerOptions, lessons: Sequence[Lesson]) -> Learnt:
    from mem4nav.modular.learning import learn
    from mem4nav.modular.model import Settings

    settings = Settings(
        memory=options.memory,
        length_prior=not options.no_length_prior,
        retrospect=not isinstance(options, City),
        seed=options.seed,
        trained_on=training_data(options),
    )
    practise = _practice(options) if isinstance(options, StreetLessons) else None
    model = learn(lessons, settings, practise)
    return model.save(options.out / "modular.safetensors"), {
        "length_prior": settings.length_prior,
        "halt_at": model.settings.halt_at,
    }


def _practice(options: StreetLessons) -> Practise:
    """Lets an agent walk the routes by itself."""
    graph = load_streets(options.data / "touchdown")
    environment = StreetEnvironment(graph, OsmLandmarks(options.data / "map2seq" / "osm", graph))
    hops = hops_of(graph)

    def practise(agent: ModularAgent, lesson: Lesson) -> bool:
        seen = lesson.demonstration.observations
        episode = Episode("practice", lesson.demonstration.instruction, seen[0].place, seen[0].heading_deg)
        walked = follow(environment, agent, episode, last=MOST_ACTIONS).panos
        route = list(dict.fromkeys(observation.place for observation in seen))
        return bool(walked) and score_route(walked, route, hops).tc > 0.0

    return practise


def _llm(options: LearnerOptions, lessons: Sequence[Lesson]) -> Learnt:
    from mem4nav.backbones.llm import PromptLimits
    from mem4nav.backbones.llm_training import fine_tune, transcripts
    from mem4nav.backbones.training import TrainingConfig

    assert options.model is not None
    config = TrainingConfig(seed=options.seed)
    config = replace(config, epochs=options.epochs or config.epochs)
    memory = remembering(MemoryMode(options.memory))
    written = transcripts([lesson.demonstration for lesson in lessons], memory, tuple(Action), PromptLimits())
    losses = fine_tune(options.model, written, options.out / "adapter", config)
    return options.out / "adapter", {"loss": losses[-1], "steps": len(losses), "model": str(options.model)}


def _mllm(options: LearnerOptions, lessons: Sequence[Lesson]) -> Learnt:
    from mem4nav.backbones.hashed_words import HashedWords
    from mem4nav.backbones.mllm import new_mllm
    from mem4nav.backbones.mllm_features import ObservationFeatures
    from mem4nav.backbones.mllm_language import LanguageSize, new_language_model
    from mem4nav.backbones.mllm_network import MllmConfig
    from mem4nav.backbones.mllm_training import MllmTraining, train_mllm
    from mem4nav.backbones.mllm_walks import walks_of

    walked = [lesson.demonstration for lesson in lessons]
    texts = [demonstration.instruction for demonstration in walked]
    language = options.model or new_language_model(options.out / "new_language", texts, LanguageSize(), options.seed)
    model = new_mllm(language, DIMENSION, MllmConfig(freeze_language=options.model is not None), options.seed)
    memory = remembering(MemoryMode(options.memory))
    features = ObservationFeatures(HashedWords(DIMENSION))
    walks = list(walks_of(walked, memory, features, model.tokenizer, model.most_tokens))
    training = MllmTraining()
    phases = {
        name: replace(
            getattr(training, name), seed=options.seed, epochs=options.epochs or getattr(training, name).epochs
        )
        for name in ("reconstruction", "cycle", "imitation")
    }
    losses = train_mllm(model, walks, replace(training, **phases), options.out / "mllm")
    return options.out / "mllm", {f"loss_{phase}": of[-1] for phase, of in losses.items()}
