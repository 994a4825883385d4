# SPDX-FileCopyrightText: The Mem4Nav stack developers
# SPDX-License-Identifier: Apache-2.0
"""``mem4nav eval``, ``train`` and ``explain`` on a town that the test draws: no data of others is needed."""

from __future__ import annotations

import itertools
import json

import pytest

from mem4nav.cli.main import main
from mem4nav.environment import Action
from osm_drawing import small_town
from sim_envs.touchdown import load_streets


@pytest.fixture(scope="module")
def town(tmp_path_factory):
    """A town's files, and a split of four routes: along Long Street, nowhere, without a word, with far too many."""
    folder = tmp_path_factory.mktemp("town")
    (folder / "town.osm").write_text(small_town().text(), encoding="utf-8")
    assert main(["streets", str(folder / "town.osm"), "--out", str(folder), "--quiet"]) == 0
    rows = [
        {"id": 1, "instruction": "Walk to the end of the street and stop.", "route": along(folder)},
        {"id": 2, "instruction": "Stop.", "route": ["no such place", "101"]},
        {"id": 3, "instruction": "", "route": ["101", "no such place"]},
        {"id": 4, "instruction": "left " * 20_000, "route": along(folder)},
    ]
    lines = [
        json.dumps(
            {
                "id": row["id"],
                "navigation_text": row["instruction"],
                "route_panoids": row["route"],
                "start_heading": 270,
            }
        )
        for row in rows
    ]
    (folder / "split.jsonl").write_text("".join(line + "\n" for line in lines))
    return folder


def along(folder) -> list[str]:
    """Long Street from its crossing to its western end."""
    graph = load_streets(folder / "touchdown")
    stand = graph.stand(graph.number("101"), 270.0)
    route = ["101"]
    while len(graph.ways[stand.number]) > 1:
        stand = graph.move(stand, Action.FORWARD)
        route.append(graph.places[stand.number])
    return route


def evaluated(town, out, *options: str) -> tuple[dict, list[dict]]:
    split = () if "--split" in options else ("--split", str(town / "split.jsonl"))
    assert main(["eval", "map2seq", "--data", str(town), *split, "--out", str(out), "--quiet", *options]) == 0
    predictions = [json.loads(line) for line in (out / "predictions.jsonl").read_text().splitlines()]
    return json.loads((out / "metrics.json").read_text()), predictions


def test_routes_are_walked_and_bad_rows_are_counted(town, endpoint, tmp_path):
    llm = ("--backbone", "llm", "--model", endpoint, "--model-name", "one-word")
    metrics, predictions = evaluated(town, tmp_path, *llm, "--memory", "no-graph")
    assert (metrics["episodes"], metrics["failed"]) == (4, 2)
    assert metrics["memory"] == "no-graph" and metrics["backbone"] == "llm" and not metrics["memory_across_routes"]
    assert "OpenStreetMap" in metrics["observations"]
    first = predictions[0]
    assert first["id"] == "1" and len(first["actions"]) == 55 and first["actions"][-1] == "stop"
    assert len(first["panos"]) == len(first["headings"]) == 56 and len(first["clauses"]) == 55
    assert "no such place" in predictions[1]["error"] and "no such place" in predictions[2]["error"]
    assert "error" not in predictions[3]
    scores = [json.loads(line) for line in (tmp_path / "scores.jsonl").read_text().splitlines()]
    assert [row["id"] for row in scores] == ["1", "2", "3", "4"] and scores[1]["spd"] is None


@pytest.fixture(scope="module")
def lessons(town):
    """Six routes round the crossing, and one that the town does not have."""
    graph = load_streets(town / "touchdown")
    ends = [place for place, ways in zip(graph.places, graph.ways, strict=True) if len(ways) == 1]
    rows = []
    for start, goal in itertools.permutations(ends, 2):
        route = way(graph, start, goal)
        heading = graph.headings_deg[graph.number(start)][0]
        rows.append((f"Go to the light and turn left. Stop at the end of the {goal} street.", route, heading))
    rows.append(("Fly away.", [ends[0], ends[1]], 0.0))
    keys = ("id", "navigation_text", "route_panoids", "start_heading")
    lines = [json.dumps(dict(zip(keys, (number, *row), strict=True))) for number, row in enumerate(rows)]
    (town / "lessons.jsonl").write_text("".join(line + "\n" for line in lines))
    return town / "lessons.jsonl"


def way(graph, start: str, goal: str) -> list[str]:
    """The places from one to another, by walking over each but once."""
    ways = [[graph.number(start)]]
    for walked in ways:
        if walked[-1] == graph.number(goal):
            return [graph.places[number] for number in walked]
        ways += [[*walked, after] for after in graph.neighbours(walked[-1]) if after not in walked]
    raise AssertionError(f"no way from {start} to {goal}")


def test_what_was_learnt_is_followed_by_one_process_as_by_two(town, lessons, tmp_path, capsys):
    pytest.importorskip("torch").set_num_threads(1)
    data = ["--data", str(town), "--split", str(lessons)]
    assert main(["train", "map2seq", *data, "--out", str(tmp_path / "learnt")]) == 0
    learnt = json.loads((tmp_path / "learnt" / "metrics.json").read_text())
    assert learnt["walks"] == 6 and "lessons.jsonl" in learnt["training_data"]
    assert "route 6" in capsys.readouterr().err
    options = ["--split", str(lessons), "--checkpoint", learnt["checkpoint"], "--memory", "full"]
    alone, walked = evaluated(town, tmp_path / "one", *options)
    together, walked_by_two = evaluated(town, tmp_path / "two", *options, "--workers", "2")
    assert walked == walked_by_two
    assert alone["tc"] == together["tc"] and alone["failed"] == 0
    assert alone["training_data"] == learnt["training_data"] and alone["trained_with_memory"] == "full"
    assert any(any(clause) for row in walked for clause in row["clauses"])


@pytest.mark.parametrize(
    ("options", "complaint"),
    [
        (["--workers", "0"], "--workers 0"),
        (["--backbone", "llm"], "--model"),
        (["--backbone", "mllm"], "--checkpoint"),
        (["--model", "gpt"], "--backbone llm"),
        (["--lost-below", "2"], "--lost-below 2"),
    ],
)
def test_options_that_do_not_fit_are_one_line(town, tmp_path, capsys, options, complaint):
    data = ["--data", str(town), "--split", str(town / "split.jsonl"), "--out", str(tmp_path)]
    assert main(["eval", "map2seq", *data, *options]) == 2
    error = capsys.readouterr().err.strip()
    assert complaint in error and "\n" not in error


def test_an_empty_split_or_one_that_fails_altogether_is_no_result(town, endpoint, tmp_path, capsys):
    (tmp_path / "empty.jsonl").write_text("")
    (tmp_path / "gone.jsonl").write_text(
        json.dumps({"id": 1, "navigation_text": "", "route_panoids": ["gone"], "start_heading": 0}) + "\n"
    )
    for name, complaint in (("empty", "no routes"), ("gone", "all 1 episodes failed")):
        data = ["--data", str(town), "--split", str(tmp_path / f"{name}.jsonl"), "--out", str(tmp_path / "out")]
        assert main(["eval", "map2seq", *data, "--backbone", "llm", "--model", endpoint]) == 2
        assert complaint in capsys.readouterr().err


def test_an_instruction_is_explained_goal_by_goal(tmp_path, capsys):
    text = "Go through two lights and turn left at the third. Stop just past the Blue Heron Cafe."
    assert main(["explain", text, "--out", str(tmp_path)]) == 0
    goals = json.loads((tmp_path / "metrics.json").read_text())["goals"]
    assert [goal["action"] for goal in goals] == ["turn left", "stop"]
    assert any("Blue Heron" in name for name in goals[1]["landmarks"])
    assert "1. turn left" in capsys.readouterr().out


@pytest.mark.parametrize("text", ["", "Immer geradeaus.", "left " * 20_000, "\x00\x1b[31m"])
def test_any_text_is_explained(text, capsys):
    assert main(["explain", text]) == 0
    assert "stop" in capsys.readouterr().out
