"""The page and the picture of a formulation's place."""

from __future__ import annotations

import json
import re

import pytest

from igdd.errors import InputError
from igdd.report.delivery import chart, content, write
from igdd.stages.delivery import delivery


@pytest.fixture(scope="module")
def placed():
    return delivery(
        value="1.3 %", sd="0.2 %", until="24 h", carrier="liposome", size="100 nm",
        tumour_weight="0.3 g", species="mouse",
    )  # fmt: skip


def test_the_histogram_holds_every_study(placed):
    spec = chart(placed).spec
    bars = spec["layer"][0]["data"]["values"]
    counts = {
        name: sum(one["studies"] for one in bars if one["among"] == name)
        for name in {one["among"] for one in bars}
    }
    assert counts["all studies"] == placed.facts["all_studies"]["studies"]
    assert counts["like it in all that was stated"] == placed.facts["comparable"]["studies"]
    json.dumps(spec)


def test_the_formulation_stands_in_the_chart(placed):
    layers = chart(placed).spec["layer"]
    rules = [one for one in layers if one["mark"]["type"] == "rule"]
    assert rules[0]["data"]["values"][0]["low"] == 1.3


def test_a_page_says_the_answer_and_every_caution(placed, tmp_path):
    path = tmp_path / "place.html"
    write(placed, path)
    page = path.read_text(encoding="utf-8")
    assert f"percentile {placed.facts['adjusted']['percentile']:.0f}" in page
    assert all(flag in page for flag in placed.facts["flags"])
    assert not re.search(r"https?://(?!www\.w3\.org|vega\.github\.io)", page.split("<script")[0])


def test_a_picture_is_a_png(placed, tmp_path):
    path = tmp_path / "place.png"
    write(placed, path)
    assert path.read_bytes().startswith(b"\x89PNG")


def test_other_endings_are_refused(placed, tmp_path):
    with pytest.raises(InputError, match=r"expected \.html or \.png"):
        write(placed, tmp_path / "place.exe")


def test_a_value_at_zero_is_shown_without_its_line():
    nothing = delivery(value="0 %", carrier="gold")
    assert len(content(nothing).sections) == 2


def test_a_figure_far_beyond_the_studies_stays_within_the_axis(tmp_path):
    # 1e-300 % +- 1 %: its own band ends beyond the range of numbers
    far = delivery(value="1e-300 %", sd="1 %", species="mouse")
    layers = chart(far).spec["layer"]
    json.dumps(layers, allow_nan=False)
    bars = layers[0]["data"]["values"]
    least, most = min(one["low"] for one in bars), max(one["high"] for one in bars)
    band = next(one for one in layers if one["mark"].get("opacity") == 0.15)["data"]["values"][0]
    rule = next(one for one in layers if one["mark"]["type"] == "rule")["data"]["values"][0]
    # a decade below the least study, at most
    assert least / 11 < rule["low"] < least
    assert rule["low"] == band["low"] < band["high"] <= most * 1.001
    write(far, tmp_path / "far.html")


def test_the_note_states_units(placed):
    note = content(placed).sections[0].blocks[1].note
    assert "size 100 nm" in note
    assert "tumour weight 0.3 g" in note
