"""Pages of delivery models: every chart is sound, and cautions are explained."""

from __future__ import annotations

import numpy as np

from igdd.flags import FLAGS
from igdd.report.chart import Chart
from igdd.report.content import Text
from igdd.report.delivery_models import five_state_content, interstitium_content, pbpk_content
from igdd.stages.pbpk import Found


def blocks(content, kind):
    return [one for section in content.sections for one in section.blocks if isinstance(one, kind)]


def elasticities(key, outcomes):
    return [
        {"outcome": outcome, key: f"p{n}", "elasticity": 1.0 - n / 10, "error": 0.0}
        for outcome in outcomes for n in range(20)
    ]  # fmt: skip


def test_the_page_of_many_studies_draws_some_and_says_how_many_more():
    studies = [
        {"study": f"<b>{n}</b>", "tumour": {"unit": "%", "values": [1.0]},
         "peak": {"value": 1.0, "unit": "%", "time": 3.0}}
        for n in range(12)
    ]  # fmt: skip
    facts = {
        "model": "m", "variant": {"name": "flow_consistent", "means": "all"}, "convention": "c",
        "mass_error": 1e-12, "times": {"unit": "h", "values": [24.0]}, "studies": studies,
        "elasticities": elasticities("parameter", ("at 24 h", "area")),
    }  # fmt: skip
    found = Found(
        facts=facts, curve_times=np.array([1.0, 2.0]), curves=np.ones((12, 2)), observed={}
    )
    page = pbpk_content(found)
    charts = blocks(page, Chart)
    assert "4 studies more" in charts[0].caption
    assert len(charts) == 3
    bars = charts[1].spec["data"]["values"]
    assert [bar["what"] for bar in bars] == [f"p{n}" for n in range(15)]  # the largest, sorted
    assert any("flow_consistent" in one.text for one in blocks(page, Text))


def test_flags_are_explained_and_unknown_amounts_left_out():
    facts = {
        "model": "m", "times": {"unit": "h", "values": [1.0, 2.0]},
        "predicted": {"target": [1.0, 2.0], "excreted": [0.0, 1.0]},
        "observed": {"target": [1.0, float("nan")], "excreted": [float("nan")] * 2},
        "fit": {"amounts": 8, "rates": 3, "aafe": 1.2, "rms_log10": 0.1},
        "rates": [{"rate": "kAC", "value": 1.0, "held": False, "low": 0.0, "high": 2.0,
                   "flags": ["poorly_identified"]}],
        "elasticities": elasticities("rate", ("ever inside",)),
    }  # fmt: skip
    page = five_state_content(facts)
    assert any(FLAGS["poorly_identified"] in one.text for one in blocks(page, Text))
    lines, points = (layer["data"]["values"] for layer in blocks(page, Chart)[0].spec["layer"])
    assert len(points) == 1
    assert len(lines) == 3  # a logarithmic axis has no zero


def test_the_page_of_a_tumour_has_a_curve_for_each_time():
    facts = {
        "model": "m", "times": {"unit": "h", "values": [1.0, 24.0]},
        "profile": {"place": {"values": [0.5, 1.5]}, "pressure": {"values": [9.0, 1.0]},
                    "concentration": [[0.1, 0.2], [0.3, 0.1]]},
        "penetration": [{"time": time, "mean": 1.0, "centre": 1.0, "rim": 1.0, "cv": 0.1}
                        for time in (1.0, 24.0)],
        "elasticities": elasticities("parameter", ("mean",)),
    }  # fmt: skip
    charts = blocks(interstitium_content(facts), Chart)
    assert {row["what"] for row in charts[0].spec["data"]["values"]} == {"1 h", "24 h"}
    assert len(charts) == 3
