# SPDX-FileCopyrightText: The Mem4Nav stack developers
# SPDX-License-Identifier: Apache-2.0
"""``mem4nav view``: a map and the way through it in a browser, or as one HTML file."""

from __future__ import annotations

import threading
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import tyro

from mem4nav.cli.console import Terminal
from mem4nav.errors import UsageError

if TYPE_CHECKING:
    from mem4nav.cli.map_scene import Scene


def view(
    folder: Annotated[Path, tyro.conf.Positional, tyro.conf.arg(metavar="DIR")],
    *,
    html: Annotated[Path | None, tyro.conf.arg(metavar="FILE")] = None,
    port: int = 8080,
    most: int = 250_000,
    quiet: bool = False,
) -> None:
    """A map and the way through it in a browser, on this machine alone; or as one HTML file.

    Args:
        folder: the results of a replay, or a map.
        html: write this file instead, which any browser with WebGL 2 opens without a network.
        port: of http://127.0.0.1 where the map is shown until Ctrl-C.
        most: Gaussians to show; of more, those that cover most.
        quiet: say nothing but errors.
    """
    if not 0 < port < 65536 or most < 1:
        raise UsageError(f"--port {port} must lie within 1 to 65535, --most {most} must be 1 or more")
    # Imported here, so that --help and a mistyped option answer at once.
    from mem4nav.cli.map_scene import Scene

    terminal = Terminal(quiet)
    if html is None:
        import viser  # noqa: F401 (said to be missing before the map is read)
    elif html.is_dir():
        raise UsageError(f"--html {html} is a folder: name the file")
    scene = Scene.of(folder)
    if not scene.gaussians.size and not scene.planes.size and not len(scene.way):
        raise UsageError(f"{folder}: the map is empty, there is nothing to see")
    if scene.note:
        terminal.say(f"note: {scene.note}")
    if html is None:
        _show(scene, port, most, terminal)
        return
    from mem4nav.cli.view_html import page
    from slam.files import write_text

    write_text(html, page(scene, most))
    terminal.say(f"{html}: {html.stat().st_size / 1e6:.1f} MB, opens in any browser with WebGL 2")


def _show(scene: Scene, port: int, most: int, terminal: Terminal) -> None:
    from mem4nav.cli.view_server import serve

    server = serve(scene, port, most)
    terminal.say(f"{scene.title}: http://{server.get_host()}:{server.get_port()}, Ctrl-C ends it")
    try:
        threading.Event().wait()
    except KeyboardInterrupt:
        server.stop()
