"""The pure parts of the benchmarks: ratios in pairs, goals, the page, the chart, the check."""

from __future__ import annotations

import xml.etree.ElementTree as ET
from pathlib import Path

import pytest

from benchmarks.blocks import BY_NAME
from benchmarks.chart import Scale, draw
from benchmarks.figures import Comparison, Run, Spread, load_all, steady_rate
from benchmarks.frames import (
    Expected,
    IncompleteError,
    frames_of,
    make_png,
    write_export,
    write_pool,
)
from benchmarks.goals import GOALS, Verdict, judge
from benchmarks.report import page, spread_text
from mirror.store import check_png


def a_run(wall: float = 1.0, cpu: float = 1.0, *, frames: int = 100, steady: float = 0.0) -> Run:
    return Run(frames, wall, cpu, server_cpu=0.5, steady=steady, memory=50_000_000, largest=1)


def compare(
    *rounds: tuple[Run, Run], block: str = "S-plain", peer: str = "curl", in_flight: int = 64
) -> Comparison:
    """Rounds of (ours, theirs)."""
    found = [{"mirror": ours, peer: theirs} for ours, theirs in rounds]
    return Comparison(
        block, peer, ["mirror"], found, in_flight={"mirror": in_flight}, when="2026-01-02T"
    )


def test_ratios_are_taken_within_a_round() -> None:
    """Where the whole machine was ten times slower in one round, no ratio is."""
    slow = (a_run(10, cpu=10), a_run(20, cpu=40))
    comparison = compare((a_run(1, cpu=1), a_run(2, cpu=4)), slow)
    assert comparison.speedup("mirror") == [2.0, 2.0]
    assert comparison.cpu_ratio("mirror") == [0.25, 0.25]


def test_a_peer_that_fetches_fewer_frames_is_compared_by_the_frame() -> None:
    comparison = compare((a_run(1, cpu=1, frames=100), a_run(1, cpu=1, frames=10)))
    assert comparison.speedup("mirror") == [10.0]
    assert comparison.cpu_ratio("mirror") == [pytest.approx(0.1)]


def test_a_round_without_a_variant_counts_for_the_others() -> None:
    assert compare((a_run(), a_run())).speedup("mirror-p2") == []


def test_spread_is_the_median_and_the_ends() -> None:
    assert Spread.of([3.0, 1.0, 9.0]) == Spread(3.0, 1.0, 9.0)
    assert spread_text(Spread(1234.5, 12.34, 0.5)) == "1,234 (12.3 to 0.50)"


def test_a_saved_comparison_comes_back(tmp_path: Path) -> None:
    comparison = compare((a_run(), a_run(3)))
    comparison.ceiling = {"download": 5.0}
    comparison.save(tmp_path)
    comparison.save(tmp_path)
    assert load_all(tmp_path) == [comparison]


def test_the_steady_rate_leaves_out_the_first_and_the_last_tenth() -> None:
    """A hundred a second, with a long pause after the first file and before the last."""
    middle = [10 + number / 100 for number in range(100)]
    assert steady_rate([0.0, *reversed(middle), 99.0]) == pytest.approx(100)
    assert steady_rate([1.0, 2.0]) == 0.0
    assert steady_rate([1.0] * 100) == 0.0


def test_the_median_decides_a_goal() -> None:
    """One process against curl: 0.7 of its throughput, at most 2.5 of its CPU a frame."""
    good = compare((a_run(1.25), a_run()), (a_run(9), a_run()), (a_run(1.25), a_run()))
    bad = compare((a_run(2, cpu=3), a_run()))
    for comparison, verdict in ((good, Verdict.MET), (bad, Verdict.MISSED)):
        outcomes = [
            each
            for each in judge([comparison])
            if (each.goal.peer, each.goal.block, each.goal.variant) == ("curl", "S-plain", "mirror")
        ]
        assert [each.verdict for each in outcomes] == [verdict, verdict]
    assert {each.verdict for each in judge([])} == {Verdict.UNKNOWN}
    assert len(judge([])) == len(GOALS)


def test_latency_is_held_against_what_is_in_flight() -> None:
    """64 in flight over two hops of 50 ms are 640 a second."""
    ours = a_run(steady=608.0)
    found = judge([compare((ours, a_run()), block="S-plain-50ms", peer="requests")])
    assert [
        each.spread.median for each in found if "latency" in each.goal.text and each.spread
    ] == [pytest.approx(0.95)]


def test_every_goal_is_of_a_comparison_that_is_made() -> None:
    assert all(goal.peer in BY_NAME[goal.block].peers for goal in GOALS)


def test_the_page_tells_ratios_goals_and_what_failed() -> None:
    failed = Comparison("L-plain", "aria2", ["mirror"], problem="aria2c ended with 3")
    text = page([compare((a_run(1), a_run(2)), (a_run(1), a_run(4))), failed])
    assert "| 3.00 (2.00 to 4.00) |" in text
    assert "- L-plain, aria2c -j64 (download only): aria2c ended with 3" in text
    assert "favours" in text
    assert "2026-01-02" in text
    widths = [line.count("|") for line in text.splitlines() if line.startswith("| curl --p")]
    heads = [line.count("|") for line in text.splitlines() if "nginx's" in line and "|" in line]
    assert set(widths) == set(heads)


def test_twice_and_half_as_fast_are_as_long_on_the_chart() -> None:
    scale = Scale.over([0.4, 7.0], left=10, width=600)
    assert (scale.low, scale.high) == (0.25, 8.0)
    assert scale.at(2) - scale.at(1) == pytest.approx(scale.at(1) - scale.at(0.5))
    assert scale.at(0.001) == 10


def test_the_chart_is_xml_with_a_bar_for_each_ratio() -> None:
    drawn = draw([compare((a_run(1), a_run(2))), compare((a_run(), a_run()), block="L-tls")])
    root = ET.fromstring(drawn)
    classes = [element.get("class") for element in root.iter("{http://www.w3.org/2000/svg}rect")]
    assert classes.count("v0") == 2 + 1  # and the legend
    assert "2.00\N{MULTIPLICATION SIGN}" in drawn


def test_a_frame_of_the_pool_is_a_whole_png() -> None:
    frame = make_png(88_000, 7)
    check_png([frame], len(frame))
    assert abs(len(frame) - 88_000) < 2_000
    assert make_png(5_000, 1) != make_png(5_000, 1)


@pytest.mark.parametrize("frames", [1, 7, 100])
def test_an_export_names_as_many_frames_as_it_was_to(tmp_path: Path, frames: int) -> None:
    write_export(tmp_path / "export.json", frames)
    assert len(set(frames_of(tmp_path / "export.json"))) == frames


@pytest.mark.parametrize("spoiled", ["missing", "short", "other"])
def test_frames_that_are_not_all_there_are_seen(tmp_path: Path, spoiled: str) -> None:
    write_pool(tmp_path / "pool", 3000)
    write_export(tmp_path / "export.json", 40)
    expected = Expected.of(tmp_path / "export.json", tmp_path / "pool")
    dest = tmp_path / "dest"
    dest.mkdir()
    for _, frame in frames_of(tmp_path / "export.json"):
        body = (tmp_path / "pool" / f"{frame[-2:]}.png").read_bytes()
        (dest / f"{frame}.png").write_bytes(body)
    expected.check(dest, whole=True)
    expected.check(dest, whole=False)
    one = next(dest.iterdir())
    if spoiled == "missing":
        one.unlink()
    else:
        one.write_bytes(one.read_bytes()[:-1] + b"?" * (spoiled == "other"))
    with pytest.raises(IncompleteError):
        expected.check(dest, whole=spoiled == "other")  # the others show without reading all
