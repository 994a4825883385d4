# SPDX-FileCopyrightText: The Mem4Nav stack developers
# SPDX-License-Identifier: Apache-2.0
"""``python -m bench [TOPIC ...]``: run the topics, each in a process of its own, and write docs/benchmarks.md.

Without topics: all but the longest. Sections of topics that did not run stay as the page has them; ``page`` alone
writes it anew from all that runs on this machine have left.
"""

from __future__ import annotations

import argparse
import os
import signal
import subprocess
import sys
import time

from bench.page import write_page
from bench.places import OUT, PAGE, ROOT
from bench.rows import commit, write_json
from bench.topics import TOPICS, Topic

THREAD_VARIABLES = (
    "OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS", "NUMBA_NUM_THREADS", "TBB_NUM_THREADS",
)  # fmt: skip


def main() -> int:
    names = [topic.name for topic in TOPICS]
    parser = argparse.ArgumentParser(prog="python -m bench", description=__doc__)
    parser.add_argument("topics", nargs="*", metavar="TOPIC", help=f"of {', '.join(names)}, all, page")
    wanted = parser.parse_args().topics
    unknown = sorted(set(wanted) - {*names, "all", "page"})
    if unknown:
        parser.error(f"no such topic: {', '.join(unknown)}; there are {', '.join(names)}, all, page")
    chosen = [topic for topic in TOPICS if topic.name in wanted or "all" in wanted or (not wanted and topic.usual)]
    failed = [topic.name for topic in chosen if not run(topic)]
    verdicts = write_page(topic.name for topic in (TOPICS if "page" in wanted else chosen))
    print(f"{PAGE.relative_to(ROOT)}: {verdicts['pass']} pass, {verdicts['miss']} miss, {verdicts['skipped']} skipped")
    if failed:
        print(f"did not finish: {', '.join(failed)} (see out/bench/<topic>.log)")
    return 1 if failed else 0


def run(topic: Topic) -> bool:
    """Run a topic with its time limit; what it prints goes into its log, a failure into its JSON."""
    OUT.mkdir(parents=True, exist_ok=True)
    print(f"{topic.name}: {topic.title} ...", end=" ", flush=True)
    began = time.monotonic()
    environment = {**os.environ, "MPLBACKEND": "Agg"}
    if topic.threads:
        environment |= dict.fromkeys(THREAD_VARIABLES, str(topic.threads))
    with (OUT / f"{topic.name}.log").open("w", encoding="utf-8") as log:
        command = [sys.executable, "-m", f"bench.{topic.name}"]
        problem = _wait(
            subprocess.Popen(
                command, cwd=ROOT, env=environment, stdout=log, stderr=subprocess.STDOUT, start_new_session=True
            ),
            topic.limit_s,
        )
    if problem:
        write_json(topic.name, {"topic": topic.name, "failed": problem, "commit": commit()})
    print(f"{time.monotonic() - began:.0f} s" + (f", {problem}" if problem else ""), flush=True)
    return problem is None


def _wait(process: subprocess.Popen[bytes], limit_s: int) -> str | None:
    """What went wrong, if anything; its workers end with it when its time is up or the user stops us."""
    try:
        code = process.wait(limit_s)
    except (subprocess.TimeoutExpired, KeyboardInterrupt) as stop:
        os.killpg(process.pid, signal.SIGKILL)
        process.wait()
        if isinstance(stop, KeyboardInterrupt):
            raise
        return f"stopped after its limit of {limit_s} s"
    return f"exit code {code}" if code else None


if __name__ == "__main__":
    raise SystemExit(main())
