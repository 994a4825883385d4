# SPDX-FileCopyrightText: The Mem4Nav stack developers
# SPDX-License-Identifier: Apache-2.0
"""Tokens of places: theta of a leaf or a node, folded from its journal when it is asked for (``reversible``)."""

from __future__ import annotations

import hashlib
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from mem4nav.errors import MemoryInputError
from mem4nav.memory.vectors import Vectors

if TYPE_CHECKING:
    from mem4nav.memory.reversible import Reversible

_NETWORK = "network"
_THETA, _ENTRIES = ": theta", ": entries"


class PlaceTokens:
    """Kept with the entries that they were folded from: later entries are added, any other change starts anew."""

    def __init__(self, dimension: int) -> None:
        self._dimension = dimension
        self._network: Reversible | None = None
        self._made_by = b""
        self._folded: dict[str, tuple[NDArray[np.int64], NDArray[np.int64]]] = {}

    def use(self, network: Reversible) -> None:
        """Fold with this network from now on; to be called again when it was trained further."""
        digest = hashlib.sha256()
        for name, weights in network.state_dict().items():
            digest.update(name.encode() + weights.cpu().numpy().tobytes())
        if digest.digest() != self._made_by:
            self.clear()
        self._network, self._made_by = network, digest.digest()

    def clear(self) -> None:
        """Let go of what was folded."""
        self._folded.clear()

    def of(self, place: str, entries: NDArray[np.int64], vectors: Vectors) -> NDArray[np.float32]:
        """(D,) theta after writing the embeddings of (N,) entries, oldest first. Needs torch.

        Raises:
            MemoryInputError: where the length of the embeddings makes no token.
        """
        import torch

        from mem4nav.memory.reversible import fixed, floating

        network = self._network or self._untrained()
        theta, done = self._folded.get(place, (network.blank(1).numpy(), entries[:0]))
        if not np.array_equal(done, entries[: len(done)]):
            theta, done = network.blank(1).numpy(), entries[:0]
        now = torch.from_numpy(theta)
        for entry in entries[len(done) :]:
            now = network.write(now, fixed(vectors.get(np.array([entry])))).theta
        self._folded[place] = (now.numpy(), entries)
        return floating(now)[0]

    def _untrained(self) -> Reversible:
        from mem4nav.memory.reversible import Reversible, ReversibleConfig

        try:
            network = Reversible(ReversibleConfig(self._dimension))
        except ValueError as error:
            raise MemoryInputError(f"embeddings of {self._dimension} numbers make no token: {error}") from None
        self.use(network)
        return network

    def packed(self) -> bytes:
        """All of them in safetensors; nothing where there are none."""
        from safetensors.numpy import save

        if not self._folded:
            return b""
        tensors = {_NETWORK: np.frombuffer(self._made_by, np.uint8)}
        for place, (theta, entries) in self._folded.items():
            tensors |= {place + _THETA: theta, place + _ENTRIES: entries}
        return save(tensors)

    def unpack(self, data: bytes) -> None:
        """Take in what ``packed`` gave; it is used if the network is the same."""
        from safetensors.numpy import load

        tensors = load(data)
        self._made_by = tensors.pop(_NETWORK).tobytes()
        places = [name.removesuffix(_THETA) for name in tensors if name.endswith(_THETA)]
        self._folded = {place: (tensors[place + _THETA], tensors[place + _ENTRIES]) for place in places}
