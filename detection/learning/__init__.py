# SPDX-FileCopyrightText: The Mem4Nav stack developers
# SPDX-License-Identifier: Apache-2.0
"""What every training loop needs, of the detector and of the agents' backbones alike: PyTorch, and no network of ours.

``processes``: which of how many this is; ``steps``: the learning rate and the randomness of a step; ``checkpoint``:
AdamW's moments and a training's state in one file.
"""
