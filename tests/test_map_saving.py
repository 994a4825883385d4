# SPDX-FileCopyrightText: The Mem4Nav stack developers
# SPDX-License-Identifier: Apache-2.0
"""Planes, Gaussians and regions are saved as one: all of them or none, whatever happens meanwhile."""

import hashlib
import json
import multiprocessing
import os
import sqlite3
import sys
import time
from contextlib import closing
from pathlib import Path

import numpy as np
import pytest
from safetensors.numpy import load, save

from plane_worlds import mapped, room
from slam import map_record, map_store
from slam.errors import MapError
from slam.gaussian_map.regions import RegionStore
from slam.map_record import read_record, writing
from slam.map_store import RECORD, StoredRegions, damage, load_gaussian_map, load_map, save_map
from slam.map_tensors import of_gaussians, of_planes
from slam.octree import SPLIT, STATE
from stored_maps import FewGaussians, numbered_map, numbered_planes, numbered_region

needs_fork = pytest.mark.skipif(sys.platform == "win32", reason="needs fork")


def loaded(folder):
    """The versions of planes, Gaussians and regions in a stored map."""
    found = load_gaussian_map(folder)
    regions = [found.regions.get(key)["means"][0, 0] for key in found.regions.keys()]  # noqa: SIM118
    return len(found.plane_map), found.version, *map(int, regions)


@pytest.fixture(autouse=True)
def few_gaussians(monkeypatch):
    """What is stored of Gaussians is their map's affair: here it is little."""
    monkeypatch.setattr(map_store, "GaussianMap", FewGaussians)


def part(folder, name):
    return folder / read_record(folder).parts[name].file


def test_planes_gaussians_and_regions_come_back_together(tmp_path):
    save_map(tmp_path / "map", *numbered_map(7, tmp_path / "spool"))
    assert loaded(tmp_path / "map") == (7, 7, 7, 7)
    assert StoredRegions(tmp_path / "map").keys() == [(-1, 2, -3), (0, 0, 0)]
    assert damage(tmp_path / "map") == []


def test_a_map_without_gaussians_gives_none_and_replaces_one_with_them(tmp_path):
    save_map(tmp_path / "map", *numbered_map(3, tmp_path / "spool"))
    save_map(tmp_path / "map", numbered_planes(4))
    assert load_gaussian_map(tmp_path / "map") is None
    assert len(load_map(tmp_path / "map")) == 4
    assert {path.name for path in (tmp_path / "map").iterdir()} == {RECORD, part(tmp_path / "map", "planes").name}


def test_only_the_files_of_the_last_save_remain(tmp_path):
    for version in (1, 2, 3):
        save_map(tmp_path / "map", *numbered_map(version, tmp_path / "spool"))
    assert len(list((tmp_path / "map").glob("*.safetensors"))) == 4
    (tmp_path / "map" / "mine.safetensors").touch()
    save_map(tmp_path / "map", numbered_planes(1))
    assert (tmp_path / "map" / "mine.safetensors").exists()


def test_regions_cost_no_second_copy_on_the_disk_and_outlive_changes_of_the_spool(tmp_path):
    planes, gaussians = numbered_map(5, tmp_path / "spool")
    save_map(tmp_path / "map", planes, gaussians)
    stored = part(tmp_path / "map", "region 0 0 0")
    assert stored.stat().st_nlink == 2
    gaussians.regions.put((0, 0, 0), numbered_region(6))
    gaussians.regions.remove((-1, 2, -3))
    assert loaded(tmp_path / "map") == (5, 5, 5, 5)


def test_a_drive_goes_on_with_the_regions_of_the_map_alone(tmp_path):
    save_map(tmp_path / "map", *numbered_map(5, tmp_path / "spool"))
    spool = RegionStore(tmp_path / "next")
    spool.put((9, 9, 9), numbered_region(1))
    continued = load_gaussian_map(tmp_path / "map", spool)
    assert continued.regions is spool and spool.keys() == [(-1, 2, -3), (0, 0, 0)]
    spool.put((4, 4, 4), numbered_region(5))
    save_map(tmp_path / "map", numbered_planes(5), continued)
    assert loaded(tmp_path / "map") == (5, 5, 5, 5, 5)


def test_a_map_that_is_looked_at_is_saved_over_itself(tmp_path):
    save_map(tmp_path, *numbered_map(5, tmp_path / "spool"))
    seen = load_gaussian_map(tmp_path)
    save_map(tmp_path, numbered_planes(5), seen)
    assert loaded(tmp_path) == (5, 5, 5, 5)
    with pytest.raises(MapError, match="save_map"):
        seen.regions.put((0, 0, 0), {})


def write_version_1(folder, plane_map):
    tensors, settings = of_planes(plane_map)
    settings = json.loads(settings["map"])
    data = save(tensors | {"config": np.array([settings[name] for name in sorted(settings)], np.float64)})
    digest = hashlib.sha256(data).hexdigest()
    (folder / f"planes-{digest[:16]}.safetensors").write_bytes(data)
    with closing(sqlite3.connect(folder / RECORD)) as record, record:
        record.execute("CREATE TABLE map (id INTEGER PRIMARY KEY CHECK (id = 1), version INT, file TEXT, sha256 TEXT)")
        record.execute("INSERT INTO map VALUES (1, 1, ?, ?)", (f"planes-{digest[:16]}.safetensors", digest))


def test_a_store_of_version_1_is_read_and_replaced(tmp_path):
    write_version_1(tmp_path, numbered_planes(6))
    assert len(load_map(tmp_path)) == 6 and load_map(tmp_path).config.voxel_m == 1.0
    assert load_gaussian_map(tmp_path) is None
    assert damage(tmp_path) == []
    save_map(tmp_path, *numbered_map(8, tmp_path / "spool"))
    assert loaded(tmp_path) == (8, 8, 8, 8)
    assert len(list(tmp_path.glob("planes-*"))) == 1


# damage


@pytest.mark.parametrize("name", ["planes", "gaussians", "region 0 0 0"])
@pytest.mark.parametrize("harm", ["cut", "flip", "remove"])
def test_each_part_is_checked(tmp_path, name, harm):
    save_map(tmp_path, *numbered_map(5, tmp_path / "spool"))
    path = part(tmp_path, name)
    data = bytearray(path.read_bytes())
    path.unlink()
    if harm != "remove":
        data[-2] ^= 4
        path.write_bytes(data[: -1 if harm == "cut" else None])
    with pytest.raises(MapError, match=path.name):
        loaded(tmp_path)
    with pytest.raises(MapError, match=path.name):
        load_gaussian_map(tmp_path, RegionStore(tmp_path / "next"))
    (said,) = damage(tmp_path)
    assert path.name in said


def test_no_flipped_bit_of_the_record_gives_another_map(tmp_path):
    save_map(tmp_path, *numbered_map(5, tmp_path / "spool"))
    path, rng = tmp_path / RECORD, np.random.default_rng(0)
    data, refused = path.read_bytes(), 0
    used = np.flatnonzero(np.frombuffer(data, np.uint8))
    for where in (*range(100), *rng.choice(used, 300, replace=False)):
        harmed = bytearray(data)
        harmed[where] ^= 1 << int(rng.integers(8))
        path.write_bytes(harmed)
        try:
            assert loaded(tmp_path) == (5, 5, 5, 5)
        except MapError:
            refused += 1
    assert refused > 200


def rewrite(folder, name, change):
    """Change the tensors of a part as a faulty program would: with a record that fits."""
    record = read_record(folder)
    tensors = load((folder / record.parts[name].file).read_bytes())
    change(tensors)
    settings = of_planes(load_map(folder))[1] | of_gaussians(FewGaussians())[1]
    data = save(tensors, settings)
    new = record.parts[name]._replace(sha256=hashlib.sha256(data).hexdigest(), bytes=len(data))
    (folder / new.file).write_bytes(data)
    with writing(folder) as open_record:
        map_record.replace_parts(open_record, list((record.parts | {name: new}).values()))


def with_nan(array):
    array = array.copy()
    array.flat[0] = np.nan
    return array


@pytest.mark.parametrize(
    ("name", "tensor", "change", "said"),
    [
        ("planes", "moments", None, "lacks moments"),
        ("planes", "meta", lambda t: t.astype(np.int64), "meta is int64"),
        ("planes", "children", lambda t: t[:, :7].copy(), r"children is int32 \(\d+, 7\)"),
        ("planes", "planes", with_nan, "not finite"),
        ("planes", "slots", lambda t: t + 1000, "slots names nodes from"),
        ("planes", "children", lambda t: t - 5, "children names nodes from"),
        ("planes", "children", lambda t: t[:-1].copy(), "differ in length"),
        ("planes", "meta", lambda t: t + np.array([0, 1, 0, 0], np.int32), "one level below"),
        ("planes", "meta", lambda t: t + np.array([9, 0, 0, 0], np.int32), "states up to 9"),
        ("gaussians", "steps", None, "lacks steps"),
        ("gaussians", "means", lambda t: t[:, :2].copy(), r"means is float32 \(5, 2\)"),
        ("gaussians", "steps", lambda t: t[:-1].copy(), "differ in length"),
        ("gaussians", "means", with_nan, "1 values that are not finite"),
    ],
)
def test_tensors_that_no_map_has_are_refused_though_the_checksum_fits(tmp_path, name, tensor, change, said):
    save_map(tmp_path, *numbered_map(5, tmp_path / "spool"))

    def apply(tensors):
        value = tensors.pop(tensor)
        if change is not None:
            tensors[tensor] = change(value)

    rewrite(tmp_path, name, apply)
    with pytest.raises(MapError, match=said):
        loaded(tmp_path)


def test_a_way_down_that_never_ends_is_refused(tmp_path):
    save_map(tmp_path, mapped(room(np.random.default_rng(1))))

    def tie(tensors):
        split = np.flatnonzero(tensors["meta"][:, STATE] == SPLIT)
        tensors["children"] = tensors["children"].copy()
        tensors["children"][split[0], 3] = split[0]

    rewrite(tmp_path, "planes", tie)
    with pytest.raises(MapError, match="one level below"):
        load_map(tmp_path)


# several processes


def test_a_second_saver_waits_and_then_gives_one_clear_error(tmp_path, monkeypatch):
    save_map(tmp_path, numbered_planes(3))
    monkeypatch.setattr(map_record, "WAIT_S", 0.05)
    with writing(tmp_path):
        with pytest.raises(MapError, match="is another process saving here"):
            save_map(tmp_path, numbered_planes(4))
        assert len(load_map(tmp_path)) == 3
    save_map(tmp_path, numbered_planes(4))
    assert len(load_map(tmp_path)) == 4


@pytest.mark.parametrize(("make", "said"), [(Path.mkdir, "cannot be saved here"), (Path.touch, None)])
def test_a_folder_that_takes_no_record_is_refused_and_an_empty_record_is_filled(tmp_path, make, said):
    make(tmp_path / RECORD)
    if said is None:
        assert len(load_map(save_map(tmp_path, numbered_planes(4)))) == 4
        return
    with pytest.raises(MapError, match=said):
        save_map(tmp_path, numbered_planes(4))


def test_a_record_that_is_damaged_is_not_written_over(tmp_path):
    (tmp_path / RECORD).write_bytes(b"not a database at all, but long enough to be looked at" * 40)
    with pytest.raises(MapError, match="damaged"):
        save_map(tmp_path, numbered_planes(4))


def test_an_exception_while_saving_leaves_the_map_as_it_was(tmp_path):
    save_map(tmp_path, *numbered_map(3, tmp_path / "spool"))
    planes, gaussians = numbered_map(4, tmp_path / "spool")
    gaussians.regions.path((0, 0, 0)).unlink()
    gaussians.regions.keys = lambda: [(0, 0, 0)]
    with pytest.raises(MapError, match="cannot be read"):
        save_map(tmp_path, planes, gaussians)
    assert loaded(tmp_path) == (3, 3, 3, 3)
    save_map(tmp_path, *numbered_map(5, tmp_path / "spool"))
    assert len(list(tmp_path.glob("*.safetensors"))) == 4


def _save_often(folder, spool, versions):
    for version in versions:
        save_map(folder, *numbered_map(version, spool))


@needs_fork
def test_two_savers_and_a_reader_at_once_never_see_a_mixture(tmp_path):
    fork = multiprocessing.get_context("fork")
    folder = tmp_path / "map"
    save_map(folder, *numbered_map(1, tmp_path / "0"))
    savers = [
        fork.Process(target=_save_often, args=(folder, tmp_path / str(k), range(10 * k, 10 * k + 8))) for k in (1, 2)
    ]
    for saver in savers:
        saver.start()
    reads = 0
    while any(saver.is_alive() for saver in savers):
        found = load_gaussian_map(folder)
        assert found.version == len(found.plane_map) in (1, *range(10, 18), *range(20, 28))
        reads += 1
    for saver in savers:
        saver.join()
    assert [saver.exitcode for saver in savers] == [0, 0] and reads
    assert loaded(folder) in [(k,) * 4 for k in (17, 27)]
    assert len(list(folder.glob("*.safetensors"))) == 4


def _save_for_ever(folder, spool, version, acknowledge):
    while True:
        version += 1
        save_map(folder, *numbered_map(version, spool))
        os.write(acknowledge, version.to_bytes(4, "little"))


@needs_fork
def test_a_kill_at_any_moment_leaves_the_last_map_that_was_acknowledged_or_the_next(tmp_path):
    folder, rng, version = tmp_path / "map", np.random.default_rng(0), 1
    begun = time.perf_counter()
    save_map(folder, *numbered_map(version, tmp_path / "spool"))
    took_s = time.perf_counter() - begun
    for _ in range(40):
        done, acknowledge = os.pipe()
        target = (folder, tmp_path / "spool", version, acknowledge)
        saver = multiprocessing.get_context("fork").Process(target=_save_for_ever, args=target)
        saver.start()
        first = os.read(done, 4)
        time.sleep(rng.uniform(0.0, 1.5 * took_s))
        saver.kill()
        saver.join()
        os.close(acknowledge)
        acknowledged = int(np.frombuffer(first + os.read(done, 1 << 16), np.uint32)[-1])
        os.close(done)
        found = loaded(folder)
        assert len(set(found)) == 1 and found[0] in (acknowledged, acknowledged + 1)
        version = found[0]
    assert version > 40
    save_map(folder, *numbered_map(version, tmp_path / "spool"))
    assert len(list(folder.glob("*.safetensors"))) == 4 and not list(folder.glob(".*.part"))
