# SPDX-FileCopyrightText: The Mem4Nav stack developers
# SPDX-License-Identifier: Apache-2.0
"""A scene in the browser through viser, on this machine alone."""

from __future__ import annotations

import io
from contextlib import redirect_stdout
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray
from scipy.spatial.transform import Rotation

from mem4nav.cli.map_scene import Scene
from mem4nav.cli.view_html import middle, most_covering
from slam.splatting.gaussians import Gaussians

if TYPE_CHECKING:
    import viser

HOST = "127.0.0.1"
WAY_COLOUR = (214, 69, 45)


def serve(scene: Scene, port: int, most: int) -> viser.ViserServer:
    """Show ``scene`` on http://127.0.0.1:port/ until the server is stopped.

    Raises:
        ModuleNotFoundError: without viser (extra ``viz``).
    """
    import viser

    with redirect_stdout(io.StringIO()):  # it prints a banner, quiet or not
        server = viser.ViserServer(host=HOST, port=port, label=scene.title, verbose=False)
    server.gui.configure_theme(show_share_button=False)  # which would open a tunnel to the network
    server.scene.set_up_direction("+z")
    gaussians, planes = (most_covering(part, most) for part in (scene.gaussians, scene.planes))
    _add_splats(server, "/gaussians", gaussians, True)
    _add_splats(server, "/planes", planes, not gaussians.size)
    if len(scene.way) > 1:
        segments = np.stack([scene.way[:-1], scene.way[1:]], axis=1).astype(np.float32)
        server.scene.add_line_segments("/way", segments, WAY_COLOUR, thickness=3.0, thickness_units="screen")
    centre, distance_m = middle(gaussians if gaussians.size else planes, scene.way)
    server.initial_camera.look_at = tuple(centre)
    server.initial_camera.position = tuple(centre + distance_m * np.array([-0.45, -0.62, 0.64]))
    return server


def covariances(gaussians: Gaussians) -> NDArray[np.float32]:
    """(N, 3, 3) world frame, m^2."""
    if not gaussians.size:
        return np.zeros((0, 3, 3), np.float32)
    axes = Rotation.from_quat(gaussians.quats).as_matrix() * np.exp(gaussians.log_scales)[:, None, :]
    return (axes @ axes.transpose(0, 2, 1)).astype(np.float32)


def _add_splats(server: viser.ViserServer, name: str, gaussians: Gaussians, visible: bool) -> None:
    if not gaussians.size:
        return
    server.scene.add_gaussian_splats(
        name,
        centers=gaussians.means,
        covariances=covariances(gaussians),
        rgbs=gaussians.base_colours(),
        opacities=gaussians.opacities()[:, None],
        visible=visible,
    )
