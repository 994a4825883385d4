# SPDX-FileCopyrightText: The Mem4Nav stack developers
# SPDX-License-Identifier: Apache-2.0
"""Route metrics against numbers worked out by hand, and against slow and plain searches."""

from __future__ import annotations

import itertools
import math
from collections import deque

import numpy as np
import pytest

from mem4nav.errors import EvaluationError
from mem4nav.evaluation.uncertainty import mean_interval, paired_difference, roc_auc
from mem4nav.navigation_metrics import Hops, edit_distance, key_points, score_route, time_warp

# A street a-b-c-d-e with a side street c-x-y.
TOWN = {"a": "b", "b": "ac", "c": "bdx", "d": "ce", "e": "d", "x": "cy", "y": "x"}


@pytest.fixture
def hops() -> Hops:
    return Hops(TOWN)


def test_walking_the_reference_itself_is_perfect(hops):
    score = score_route("abcde", "abcde", hops)
    assert (score.tc, score.spd, score.sed, score.ndtw, score.sdtw, score.kpa) == (1, 0, 1, 1, 1, 1)


def test_one_hop_short_of_the_goal_completes_the_task_two_hops_do_not(hops):
    near, far = score_route("abcd", "abcde", hops), score_route("abc", "abcde", hops)
    assert (near.tc, near.spd) == (1, 1)
    assert (far.tc, far.spd, far.sed, far.sdtw) == (0, 2, 0, 0)


def test_edit_distance_and_time_warping_are_worked_out_by_hand(hops):
    score = score_route("abcd", "abcde", hops)
    assert score.sed == pytest.approx(1 - 1 / 5)
    # d is matched with d and e: one hop in all.
    assert score.ndtw == pytest.approx(math.exp(-1 / (2 * math.sqrt(5))))
    lost = score_route("abcx", "abcde", hops)
    # c is matched with c and d (1 hop), x with e (3 hops).
    assert lost.ndtw == pytest.approx(math.exp(-4 / (2 * math.sqrt(5))))
    assert lost.sdtw == 0


def test_turning_in_place_costs_nothing(hops):
    assert score_route(list("aabbbcdde"), "abcde", hops) == score_route("abcde", "abcde", hops)


def test_key_points_are_the_beginning_and_the_choice_at_each_junction(hops):
    assert key_points("abcde", hops) == {"a", "b", ("c", "d")}
    assert key_points("abcxy", hops) == {"a", "b", ("c", "x")}


def test_key_point_accuracy_counts_the_goal_as_one_point(hops):
    assert score_route("abcxy", "abcde", hops).kpa == pytest.approx(2 / 4)
    assert score_route("abcd", "abcde", hops).kpa == pytest.approx(4 / 4)
    assert score_route("a", "abcde", hops).kpa == pytest.approx(1 / 4)


def test_links_count_in_both_directions_and_ways_in_one():
    hops = Hops({"a": "b", "b": "", "c": "b"})
    assert hops.between("b", "ac").tolist() == [[1, 1]]
    assert hops.ways("b") == 0


def test_what_cannot_be_reached_is_infinitely_far():
    score = score_route("a", "z", Hops({"a": "", "z": ""}))
    assert (score.tc, score.spd, score.ndtw) == (0, math.inf, 0)


def test_an_unknown_place_or_an_empty_route_is_an_error_that_says_so(hops):
    with pytest.raises(EvaluationError, match="'q'"):
        score_route("aq", "abc", hops)
    with pytest.raises(EvaluationError, match="0 places"):
        score_route("", "abc", hops)


def test_hops_agree_with_a_plain_search_on_random_graphs():
    random = np.random.default_rng(3)
    names = [f"n{number}" for number in range(40)]
    links = {name: [names[end] for end in random.integers(40, size=random.integers(0, 3))] for name in names}
    found = Hops(links).between(names, names[::-1])
    assert found.tolist() == [[_plain_hops(links, one, other) for other in names[::-1]] for one in names]


def _plain_hops(links: dict[str, list[str]], start: str, goal: str) -> float:
    queue, seen = deque([(start, 0)]), {start}
    while queue:
        here, far = queue.popleft()
        if here == goal:
            return far
        beside = [*links[here], *(name for name, ends in links.items() if here in ends)]
        for name in beside:
            if name not in seen:
                seen.add(name)
                queue.append((name, far + 1))
    return math.inf


def test_time_warping_agrees_with_trying_every_path():
    random = np.random.default_rng(5)
    for rows, columns in itertools.product(range(1, 5), range(1, 5)):
        cost = random.integers(9, size=(rows, columns)).astype(float)
        assert time_warp(cost) == min(_all_warps(cost, 0, 0))


def _all_warps(cost, i, j):
    if (i, j) == (cost.shape[0] - 1, cost.shape[1] - 1):
        yield cost[i, j]
        return
    for k, m in ((i + 1, j), (i, j + 1), (i + 1, j + 1)):
        if k < cost.shape[0] and m < cost.shape[1]:
            yield from (cost[i, j] + rest for rest in _all_warps(cost, k, m))


@pytest.mark.parametrize(
    ("one", "other", "edits"),
    [("", "", 0), ("abc", "", 3), ("abcd", "abcd", 0), ("abcd", "abdc", 1), ("abcd", "axcd", 1), ("ca", "abc", 3)],
)
def test_edit_distance_swaps_neighbours_at_the_price_of_one(one, other, edits):
    assert edit_distance(one, other) == edits


def test_edit_distance_agrees_with_its_recursion():
    random = np.random.default_rng(7)
    for _ in range(60):
        one, other = ("".join(random.choice(list("abc"), size=random.integers(0, 6))) for _ in range(2))
        assert edit_distance(one, other) == _recursive(one, other)


def _recursive(one: str, other: str) -> int:
    if not one or not other:
        return len(one) + len(other)
    best = min(
        _recursive(one[:-1], other) + 1,
        _recursive(one, other[:-1]) + 1,
        _recursive(one[:-1], other[:-1]) + (one[-1] != other[-1]),
    )
    swapped = len(one) > 1 and len(other) > 1 and one[-2:] == other[-2:][::-1]
    return min(best, _recursive(one[:-2], other[:-2]) + 1) if swapped else best


def test_the_interval_of_a_mean_is_that_of_the_normal_law_and_repeats_with_its_seed():
    values = np.arange(400) % 2
    low, high = mean_interval(values, seed=1)
    assert (low, high) == mean_interval(values, seed=1)
    assert (low, high) == pytest.approx((0.5 - 1.96 * 0.025, 0.5 + 1.96 * 0.025), abs=0.006)


def test_a_paired_comparison_sees_what_separate_intervals_do_not():
    random = np.random.default_rng(0)
    hard = random.normal(size=200) * 10
    better = paired_difference(hard + 0.5 + random.normal(size=200) * 0.1, hard)
    assert better.interval[0] > 0.4 and better.p_value == 0
    same = paired_difference(hard, hard)
    assert (same.mean, same.p_value) == (0, 1)
    with pytest.raises(EvaluationError, match="3 values against 2"):
        paired_difference([1, 2, 3], [1, 2])


def test_the_area_under_the_curve_counts_ordered_pairs():
    assert roc_auc([0.9, 0.8, 0.3, 0.1], [1, 1, 0, 0]) == 1
    assert roc_auc([0.9, 0.2, 0.3, 0.1], [1, 1, 0, 0]) == 0.75
    assert roc_auc([0.5, 0.5], [1, 0]) == 0.5
    assert roc_auc([0.5, 0.6], [1, 1]) is None
