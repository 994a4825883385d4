# SPDX-FileCopyrightText: The Mem4Nav stack developers
# SPDX-License-Identifier: Apache-2.0
"""What a drive leaves behind waits on the disk, and comes back as it was put or not at all."""

import errno
import os

import numpy as np
import pytest

from slam.errors import MapError
from slam.gaussian_map.regions import RegionStore

KEYS = [(0, 0, 0), (-1, 5, 123456), (7, -9, -1)]


def tensors(seed):
    rng = np.random.default_rng(seed)
    return {
        "means": rng.normal(size=(20, 3)).astype(np.float32),
        "keys": rng.integers(0, 1 << 63, 20, dtype=np.uint64),
        "level": np.arange(20, dtype=np.uint8),
        "nothing": np.zeros((0, 4), np.float32),
        "number": np.array(3.5),
    }


def assert_same(found, put):
    assert found.keys() == put.keys()
    for name in put:
        assert found[name].dtype == put[name].dtype and found[name].shape == put[name].shape
        assert np.array_equal(found[name], put[name])


def test_regions_come_back_in_another_process_as_they_were_put(tmp_path):
    store = RegionStore(tmp_path)
    for seed, key in enumerate(KEYS):
        store.put(key, tensors(seed))
    again = RegionStore(tmp_path)
    assert again.keys() == sorted(KEYS)
    for seed, key in enumerate(KEYS):
        assert_same(again.get(key), tensors(seed))
    assert again.get((1, 1, 1)) is None


def test_random_puts_and_removes_do_what_a_dict_does(tmp_path):
    store, model, rng = RegionStore(tmp_path), {}, np.random.default_rng(0)
    for step in range(150):
        key = tuple(int(k) for k in rng.integers(-2, 2, 3))
        if rng.random() < 0.4:
            store.remove(key)
            model.pop(key, None)
        else:
            model[key] = {"means": np.full((2, 3), step, np.float32)}
            store.put(key, model[key])
        assert store.keys() == sorted(model)
    for key, put in model.items():
        assert_same(store.get(key), put)
    store.clear()
    assert store.keys() == []


def test_arrays_that_are_views_are_stored_as_they_look(tmp_path):
    store, whole = RegionStore(tmp_path), np.arange(24.0).reshape(4, 6)
    store.put((0, 0, 0), {"part": whole[::2, 1::2], "turned": whole.T})
    assert_same(store.get((0, 0, 0)), {"part": whole[::2, 1::2], "turned": whole.T})


def test_any_flipped_bit_or_missing_end_is_refused(tmp_path):
    store, rng = RegionStore(tmp_path), np.random.default_rng(1)
    store.put((1, 2, 3), tensors(0))
    path, put = store.path((1, 2, 3)), tensors(0)
    data, refused = path.read_bytes(), 0
    for where in rng.choice(len(data), 300):
        harmed = bytearray(data)
        harmed[where] ^= 1 << int(rng.integers(8))
        path.write_bytes(harmed)
        try:
            assert_same(store.get((1, 2, 3)), put)  # a bit of the padding
        except MapError as error:
            assert path.name in str(error)
            refused += 1
    assert refused > 280
    for size in (0, 7, 8, 100, len(data) - 1):
        path.write_bytes(data[:size])
        with pytest.raises(MapError, match=f"{size} bytes"):
            store.get((1, 2, 3))


def test_a_region_under_the_name_of_another_is_refused(tmp_path):
    store = RegionStore(tmp_path)
    store.put((1, 2, 3), tensors(0))
    os.rename(store.path((1, 2, 3)), store.path((1, 2, 4)))
    with pytest.raises(MapError, match="checksum"):
        store.get((1, 2, 4))


def test_what_a_dying_process_left_half_written_is_cleared(tmp_path):
    store = RegionStore(tmp_path)
    store.put((0, 0, 0), tensors(0))
    (tmp_path / ".region-0_0_0.safetensors.4242.part").write_bytes(b"half")
    assert RegionStore(tmp_path).keys() == [(0, 0, 0)]
    assert [path.name for path in tmp_path.iterdir()] == ["region-0_0_0.safetensors"]


@pytest.mark.parametrize("links", [True, False], ids=["hard links", "no links"])
def test_a_region_of_another_store_is_adopted(tmp_path, links, monkeypatch):
    if not links:

        def refuse(*_):
            raise OSError(errno.EXDEV, "Invalid cross-device link")

        monkeypatch.setattr(os, "link", refuse)
    first, second = RegionStore(tmp_path / "a"), RegionStore(tmp_path / "b")
    first.put((0, 0, 0), tensors(0))
    for _ in range(2):
        second.adopt((0, 0, 0), first.path((0, 0, 0)))
    assert (second.path((0, 0, 0)).stat().st_nlink == 2) == links
    first.put((0, 0, 0), tensors(1))
    assert_same(second.get((0, 0, 0)), tensors(0))
    assert len(list((tmp_path / "b").iterdir())) == 1
