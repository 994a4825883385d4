# SPDX-FileCopyrightText: The Mem4Nav stack developers
# SPDX-License-Identifier: Apache-2.0
"""Datasets on disk as sequences of samples: nuScenes, KITTI, Argoverse 2, and a folder of the stack's own."""

from detection.datasets.dataset import Dataset, Part, remapped
from detection.datasets.folder import FolderDataset, FolderWriter
from detection.datasets.opening import open_dataset

__all__ = ["Dataset", "FolderDataset", "FolderWriter", "Part", "open_dataset", "remapped"]
