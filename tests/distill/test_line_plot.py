"""The line plot: its geometry, and its component."""

from __future__ import annotations

from typing import Any

import pytest
from django.template.loader import render_to_string

from distill.templatetags.nexa_charts import line_plot


def _labels(ticks: Any) -> list[str]:
    return [tick.label for tick in ticks]


def test_axes_have_round_numbers_around_all_points() -> None:
    plot = line_plot([("train", [(1, 4.21), (200, 1.13)]), ("held-out", [(100, 2.0)])])
    assert _labels(plot.y_ticks) == ["1", "2", "3", "4", "5"]
    assert _labels(plot.x_ticks) == ["0", "50", "100", "150", "200"]
    assert plot.y_ticks[0].place == "100.00%"
    assert plot.x_ticks[-1].place == "100.00%"


@pytest.mark.parametrize(
    ("values", "labels"),
    [
        ([0.0, 0.003], ["0.000", "0.001", "0.002", "0.003"]),
        ([2e-6, 1e-5], ["2e-06", "4e-06", "6e-06", "8e-06", "1e-05"]),
        ([5.0], ["2", "3", "4", "5", "6", "7", "8"]),
        ([0.0], ["0.0", "0.2", "0.4", "0.6", "0.8", "1.0"]),
        ([1_000, 4_000], ["1,000", "2,000", "3,000", "4,000"]),
    ],
)
def test_labels_have_as_many_figures_as_they_need(values: list[float], labels: list[str]) -> None:
    plot = line_plot([("x", list(enumerate(values, 1)))])
    assert _labels(plot.y_ticks) == labels


def test_a_line_goes_from_top_left_to_bottom_right_where_a_loss_falls() -> None:
    (line,) = line_plot([("train", [(0, 2.0), (10, 1.0)])]).lines
    assert line.points == "0.0,0.0 1000.0,1000.0"
    assert [(band.x, band.width) for band in line.bands] == [
        ("0.00%", "50.00%"),
        ("50.00%", "50.00%"),
    ]
    assert (line.last, line.lowest, line.highest) == (1.0, (10, 1.0), (0, 2.0))


def test_the_numbers_of_all_lines_stand_side_by_side() -> None:
    plot = line_plot([("a", [(1, 0.5), (2, 0.25)]), ("b", [(2, 0.75)])])
    assert plot.numbers == [(1, [0.5, None]), (2, [0.25, 0.75])]


def test_what_has_no_points_is_left_out() -> None:
    assert line_plot([]) is None
    assert line_plot([("a", [])]) is None
    assert [line.label for line in line_plot([("a", []), ("b", [(1, 1)])]).lines] == ["b"]
    assert "Nothing measured yet" in render_to_string(
        "components/line_plot.html", {"series": [("a", [])], "caption": "Loss", "noun": "step"}
    )


def test_the_component_says_in_words_what_it_draws() -> None:
    series = [("train", [(1, 4.0), (40, 1.5)]), ("held-out", [(20, 2.25)])]
    shown = render_to_string(
        "components/line_plot.html",
        {"series": series, "caption": "Loss", "noun": "step", "numbers": True},
    )
    assert "lowest 1.5 at step 40, highest 4 at 1" in shown
    assert "<title>Step 20: held-out 2.25</title>" in shown
    assert shown.count("<td") == 6, "the table beneath it: three steps, two lines"


def test_hostile_words_stay_words() -> None:
    hostile = "<script>alert(1)</script>\"'>"
    context = {"series": [(hostile, [(1, 2)])], "caption": hostile, "noun": hostile}
    shown = render_to_string("components/line_plot.html", context | {"numbers": True})
    assert "<script" not in shown
    assert "style=" not in shown
