"""The page of occupancies over doses: points, curve, parameters, cautions; hostile names."""

from __future__ import annotations

import json

import numpy as np

from igdd.report.dose_occupancy import content
from igdd.report.html import page
from igdd.stages.dose_occupancy import dose_occupancy

DOSES = np.array([0.0, 1.0, 3.0, 10.0, 30.0])


def found(**more):
    values = 100 * DOSES / (5 + DOSES)
    return dose_occupancy({"dose [mg]": DOSES, "occupancy [%]": values, **more})


def test_the_page_holds_points_and_the_curve_through_them():
    chart, table = content(found(subject=list("abcde"))).sections[0].blocks
    curve, dots = (layer["data"]["values"] for layer in chart.spec["layer"])
    assert len(dots) == 4  # a logarithmic axis has no dose 0
    assert dots[0]["subject"] == "b"
    for point in curve:
        assert abs(point["occupancy"] - 100 * point["x"] / (5 + point["x"])) < 1e-6
    assert table.columns[1:4] == ("Emax", "ED50", "Hill")
    json.dumps(chart.spec, allow_nan=False)


def test_what_is_doubtful_is_explained():
    made = dose_occupancy({"dose [mg]": DOSES, "occupancy [%]": DOSES / 2})
    assert "at_bound: " in content(made).sections[1].blocks[0].text


def test_names_from_the_table_are_text():
    written = page(content(found(region=["<script>alert(1)</script>"] * 5)))
    assert "<script>alert(1)" not in written
