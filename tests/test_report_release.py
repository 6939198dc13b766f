"""The page of a release table."""

from __future__ import annotations

import numpy as np
import pytest

from igdd.report.html import page
from igdd.report.release import content
from igdd.stages.release import release

TIMES = np.array([0.0, 1, 2, 4, 8, 16, 24])


@pytest.fixture
def found(tmp_path):
    path = tmp_path / "t.csv"
    rows = ["formulation,vessel,time [h],released [%]"]
    for name, rate in (("plain <b>", 0.2), ("coated", 0.1)):
        for vessel, shift in enumerate((-1.0, 0.0, 1.0)):
            rows += [
                f"{name},{vessel},{t},{max(100 * (1 - np.exp(-rate * t)) + shift * (t > 0), 0):.4f}"
                for t in TIMES
            ]
    path.write_text("\n".join(rows) + "\n", encoding="utf-8")
    return release(path, models=["first_order", "weibull"], reference="plain <b>")


def test_the_page_shows_profiles_models_and_the_comparison(found):
    made = content(found, "Release: t.csv")
    assert [one.name for one in made.sections] == ["profiles", "alike", "models", "cautions"]
    html = page(made)
    assert "coated against plain &lt;b&gt;" in html
    assert "plain <b>" not in html.split("<script")[0]


def test_lines_follow_the_best_model_and_points_the_means(found):
    chart = content(found, "t").sections[0].blocks[0]
    bars, points, lines = chart.spec["layer"]
    values = points.get("data", chart.spec.get("data"))["values"]
    first = [row for row in values if row["formulation"] == "coated"]
    assert [row["time"] for row in first] == list(TIMES)
    drawn = [row for row in lines["data"]["values"] if row["formulation"] == "coated"]
    for row in drawn:
        expected = 100 * (1 - np.exp(-0.1 * row["time"]))
        assert row["released"] == pytest.approx(expected, abs=0.5)
    assert "y2" in bars["encoding"]


def test_a_formulation_without_a_model_has_points_and_no_line(tmp_path):
    path = tmp_path / "t.csv"
    path.write_text("formulation,time [h],released [%]\nA,1,0\nA,2,0\nA,3,0\n")
    made = content(release(path), "t")
    assert "not reached" in made.summary
    assert made.sections[0].blocks[0].spec["layer"][2]["data"]["values"] == []
