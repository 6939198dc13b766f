"""`igdd delivery`: values and courses in, percentiles out, and what it refuses."""

from __future__ import annotations

import json

import numpy as np
import pytest
from numpy.testing import assert_allclose

from igdd.cli_app import plain
from igdd.errors import InputError, UnitsError
from igdd.metrics.delivery_prior import UNITS
from igdd.stages.delivery import delivery, text

STATED = {"carrier": "liposome", "size": "100 nm", "tumour_weight": "0.3 g", "species": "mouse"}
COURSE = "time [h],percent_id,sd\n1,0.4,0.05\n4,0.9,0.1\n24,2.0,0.2\n48,1.6,0.2\n"


@pytest.fixture
def table(tmp_path):
    path = tmp_path / "course.csv"
    path.write_text(COURSE, encoding="utf-8")
    return path


def test_a_value_gets_its_place_with_an_interval():
    found = delivery(value="1.3 %", sd="0.2 %", until="24 h", **STATED)
    facts = found.facts
    for key in ("adjusted", "all_studies", "comparable"):
        assert 0 <= facts[key]["low"] < facts[key]["percentile"] < facts[key]["high"] <= 100
        assert facts[key]["studies"] > 20
    assert facts["adjusted"]["residual_sd_of_ln"] > 1  # such studies scatter widely
    assert facts["flags"] == ["carrier_type_only"]
    assert "percentile" in text(found)
    json.dumps(plain(facts))


def test_a_larger_value_stands_higher():
    places = [
        delivery(value=f"{value} %", until="24 h", **STATED).facts["adjusted"]["percentile"]
        for value in (0.05, 0.5, 5.0, 50.0)
    ]
    assert places == sorted(places)
    assert places[0] < 10
    assert places[-1] > 95


def test_units_change_nothing():
    one = delivery(value="1.3 %", until="48 h", **STATED).facts
    stated = STATED | {"size": "0.1 um", "tumour_weight": "300 mg"}
    other = delivery(value="1.3 %ID", until="2 d", **stated).facts
    assert one["adjusted"] == other["adjusted"]


@pytest.mark.parametrize(
    ("metric", "value", "more"),
    [
        ("time_averaged_percent_id", "1 %", {}),
        ("percent_id_24h", "1 %", {}),
        ("percent_id_168h", "1 %", {}),
        ("percent_id_at", "1 %", {"at": "48 h"}),
        ("max_percent_id", "1 %", {"until": "24 h"}),
        ("max_percent_id_per_g", "5 %ID/g", {}),
        ("auc_percent_id", "20 %.h", {}),
    ],
)
def test_every_metric_has_a_place(metric, value, more):
    facts = delivery(value=value, metric=metric, **more, carrier="organic").facts
    assert facts["unit"] == UNITS[metric]
    assert 0 < facts["all_studies"]["percentile"] < 100


def test_a_table_is_compared_in_its_own_window(table):
    facts = delivery(table, **STATED).facts
    assert facts["until_h"] == 48.0
    expected = np.trapezoid([0, 0.4, 0.9, 2.0, 1.6], [0, 1, 4, 24, 48]) / 48
    assert_allclose(facts["value"], expected)
    assert facts["sd"] > 0
    assert "window_not_stated" not in facts["flags"]
    by_value = delivery(
        value=f"{facts['value']!r} %", sd=f"{facts['sd']!r} %", until="48 h", **STATED
    ).facts
    assert_allclose(by_value["adjusted"]["percentile"], facts["adjusted"]["percentile"])


def test_a_table_in_other_units_and_order_is_the_same(table, tmp_path):
    turned = tmp_path / "turned.csv"
    turned.write_text(
        "time [min],%ID\n2880,1.6\n60,0.4\n1440,2.0\n240,0.9\n", encoding="utf-8"
    )  # fmt: skip
    one, other = (delivery(path, **STATED).facts for path in (table, turned))
    assert_allclose(other["value"], one["value"])
    assert "value_sd_unknown" in other["flags"]


def test_the_tumour_model_in_words():
    facts = delivery(value="1 %", tumour_model="Orthotopic xenograft").facts
    assert facts["stated"] == {"site": "orthotopic", "graft": "xenograft"}
    assert delivery(value="1 %", tumour_model="allograft").facts["stated"] == {"graft": "allograft"}


def test_what_nobody_stated_is_flagged():
    flags = delivery(value="1 %").facts["flags"]
    assert flags == [
        "species_assumed", "tumour_weight_unknown", "value_sd_unknown", "window_not_stated",
    ]  # fmt: skip


@pytest.mark.parametrize(
    ("call", "message"),
    [
        ({"value": "1 %", "species": "human"}, "mice only"),
        ({"value": "1 %", "species": "rat"}, "mice only"),
        ({"value": "1 %", "tissue": "liver"}, "tumours only"),
        ({}, "neither a value nor a table"),
        ({"value": "1 %", "metric": "suv"}, "expected time_averaged"),
        ({"value": "101 %"}, "all of the dose"),
        ({"value": "1 %", "sd": "-1 %"}, "sd '-1"),
        ({"value": "1 %", "size": "0 nm"}, "size is"),
        ({"value": "1 %", "size": "100"}, "size: '100'"),
        ({"value": "1 %", "until": "24"}, "until: '24'"),
        ({"value": "1 %", "size": "-100 nm"}, "size is"),
        ({"value": "1 %", "tumour_weight": "1e9 g"}, "tumour weight"),
        ({"value": "1 %", "targeting": "both"}, "expected one of active"),
        ({"value": "1 %", "tumour_model": "spontaneous"}, "expected one of orthotopic"),
        ({"value": "1 %", "tumour_model": "xenograft allograft"}, "two of a kind"),
        ({"value": "1 %", "carrier": "antibody"}, "expected organic"),
        ({"value": "1 %", "until": "0 h"}, "above zero"),
        ({"value": "1 %", "until": "900 h"}, "no study"),
        ({"value": "1 %", "metric": "percent_id_at"}, "without a time"),
    ],
)
def test_what_makes_no_sense_is_refused(call, message):
    with pytest.raises((InputError, UnitsError), match=message):
        delivery(**call)


@pytest.mark.parametrize(
    "call",
    [{"value": "1.3"}, {"value": "1.3 g"}, {"value": "1 %", "size": "100"},
     {"value": "nan %"}, {"value": "1,3 %"}, {"value": "%" * 9000},
     {"value": "1 %/g"}, {"value": "1 %", "metric": "max_percent_id_per_g"}],
)  # fmt: skip
def test_values_without_their_unit_are_refused(call):
    with pytest.raises(UnitsError):
        delivery(**call)


@pytest.mark.parametrize(
    ("content", "message"),
    [
        ("", "empty"),
        ("time [h],percent_id\n", "ascending"),
        ("time,percent_id\n1,2\n", "which unit time is"),
        ("time [g],percent_id\n1,2\n", "bad.csv: column 'time .g.'.*convert"),
        ("time [h],percent_id [mg]\n1,2\n", "bad.csv: column 'percent_id .mg.'.*convert"),
        ("time [h]\n1\n", "percent_id is missing"),
        ("time [h],percent_id,dose\n1,2,3\n", "unknown"),
        ("time [h],percent_id,%ID\n1,2,3\n", "there twice"),
        ("time [h],percent_id\n0,2\n4,3\n", "above zero"),
        ("time [h],percent_id\n-1,2\n4,3\n", "above zero"),
        ("time [h],percent_id\n4,2\n4,3\n", "each once"),
        ("time [h],percent_id\n4,\n5,3\n", "lacks"),
        ("time [h],percent_id\n4,high\n", "expected a number"),
        ("time [h],percent_id\n4,140\n", "at most 100"),
        ("time [h],percent_id,sd\n4,1,-1\n", "at least 0"),
        ("time [h],percent_id\n4,1,5\n", "cells"),
    ],
)
def test_tables_that_are_no_course_are_refused(tmp_path, content, message):
    path = tmp_path / "bad.csv"
    path.write_text(content, encoding="utf-8")
    with pytest.raises((InputError, UnitsError), match=message):
        delivery(path, **STATED)


@pytest.mark.parametrize("more", [{"sd": "1 %"}, {"until": "3 h"}, {"at": "3 h"}])
def test_a_table_takes_no_window_of_the_call(table, more):
    with pytest.raises(InputError, match="brings its own"):
        delivery(table, **more)


def test_a_value_and_a_table_are_one_too_many(table):
    with pytest.raises(InputError, match="both a value and a table"):
        delivery(table, value="1 %")


def test_two_units_of_time_are_refused(table):
    with pytest.raises(UnitsError, match="mixed units"):
        delivery(table, time_unit="min")


def test_binary_rubbish_is_refused(tmp_path):
    path = tmp_path / "x.csv"
    path.write_bytes(bytes(range(256)) * 50)
    with pytest.raises(InputError):
        delivery(path)
