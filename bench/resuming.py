# SPDX-FileCopyrightText: The Mem4Nav stack developers
# SPDX-License-Identifier: Apache-2.0
"""Long measurements in parts: what a part left is taken as it is, as long as nothing that it depends on has changed."""

from __future__ import annotations

import ast
import hashlib
import json
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Any

from bench.places import ROOT
from slam.files import write_text


def digest_of(patterns: Iterable[str], *more: object) -> str:
    """Of Python sources, by patterns from the root, and of other things that a number depends on.

    Comments and layout do not count: what took hours is not measured again for them.
    """
    digest = hashlib.sha256(repr(more).encode())
    for path in sorted({path for pattern in patterns for path in ROOT.glob(pattern)}):
        tree = ast.parse(path.read_text(encoding="utf-8"))
        digest.update(f"{path.relative_to(ROOT)} {ast.dump(tree)}".encode())
    return digest.hexdigest()


def measured(path: Path, key: str, measure: Callable[[], Any]) -> Any:
    """What was kept in the file under the same key, else what ``measure`` gives (plain data), which is kept there."""
    content = json.loads(path.read_text(encoding="utf-8")) if path.is_file() else {}
    if content.get("key") != key:
        content = {"key": key, "found": measure()}
        write_text(path, json.dumps(content) + "\n")
    return content["found"]
