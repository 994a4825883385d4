# SPDX-FileCopyrightText: The Mem4Nav stack developers
# SPDX-License-Identifier: Apache-2.0
"""A script on several processes of one group, as torchrun starts them."""

from __future__ import annotations

import os
import socket
import subprocess
import sys
from pathlib import Path

HERE = Path(__file__).parent


def run_in_group(script: str, *arguments: list[str], patience_s: float = 240.0) -> None:
    """Run the script once for each list of arguments, all at the same time; it may import what tests may.

    Fails where one process fails, or has not ended in time; none is left running.
    """
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    shared = os.environ | {
        "PYTHONPATH": os.pathsep.join([str(HERE), str(HERE.parent)]), "MASTER_ADDR": "127.0.0.1",
        "MASTER_PORT": str(port), "WORLD_SIZE": str(len(arguments)),
    }  # fmt: skip
    script = f"import torch; torch.set_num_threads(1)\n{script}"
    running = [
        subprocess.Popen(
            [sys.executable, "-c", script, *own], env={**shared, "RANK": str(rank), "LOCAL_RANK": str(rank)}
        )
        for rank, own in enumerate(arguments)
    ]
    try:
        assert [process.wait(timeout=patience_s) for process in running] == [0] * len(running)
    finally:
        for process in running:
            process.kill()
