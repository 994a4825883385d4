# SPDX-FileCopyrightText: The Mem4Nav stack developers
# SPDX-License-Identifier: Apache-2.0
"""The page of benchmarks: measured elsewhere stays, measured anew is replaced, and verdicts are counted."""

from __future__ import annotations

from pathlib import Path

import pytest

from bench import page, rows
from bench.rows import Report


@pytest.fixture(autouse=True)
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The page and what topics leave in a folder of the test's own."""
    monkeypatch.setattr(page, "PAGE", tmp_path / "benchmarks.md")
    monkeypatch.setattr(rows, "OUT", tmp_path / "bench")
    return tmp_path


def measured(topic: str, value: float) -> None:
    report = Report(topic)
    report.at_most("error", value, 1.0)
    report.save()


def test_a_topic_measured_anew_replaces_its_section_alone(folder: Path) -> None:
    measured("city", 0.5)
    measured("faults", 2.0)
    page.write_page(["city", "faults"])
    for left in (folder / "bench").iterdir():
        left.unlink()  # another machine has the page alone
    measured("city", 0.25)
    verdicts = page.write_page(["city"])
    text = page.PAGE.read_text()
    assert "0.250 m" in text and "0.500 m" not in text and "2.000 m" in text
    assert (verdicts["pass"], verdicts["miss"]) == (1, 1)
    assert "Rows with a bar: 1 pass, 1 miss, 0 skipped." in text


def test_an_older_run_here_does_not_replace_what_the_page_has(folder: Path) -> None:
    measured("city", 0.5)
    page.write_page(["city"])
    measured("city", 0.125)
    page.write_page([])
    assert "0.500 m" in page.PAGE.read_text()


def test_a_page_written_twice_is_the_same(folder: Path) -> None:
    measured("faults", 2.0)
    measured("city", 0.5)
    page.write_page(["city", "faults"])
    first = page.PAGE.read_text()
    page.write_page([])
    assert page.PAGE.read_text() == first
