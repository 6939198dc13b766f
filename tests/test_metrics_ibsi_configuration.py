"""Configurations: named, hashed, and refused where they say what nobody can do."""

from __future__ import annotations

import pytest

from igdd.errors import InputError
from igdd.metrics.ibsi_configuration import configuration, names, parse

GOOD = """
aggregations = ["3D_avg", "2_5D_comb"]
round = true
[interpolate]
spacing_mm = [2.0, 2.0, 2.0]
image = "cubic"
[resegment]
range = [0, inf]
[discretise]
method = "fixed_size"
width = 0.25
anchor = 0
[volume_histogram]
method = "direct"
"""


def test_the_settings_of_the_standard_ship():
    assert {f"ibsi_{letter}" for letter in "abcde"} | {"ibsi_digital_phantom"} <= set(names())
    for name in names():
        assert configuration(name).name == name


@pytest.mark.parametrize("name", ["C", "c", "config_C", "ibsi_c", "IBSI C", "configuration-C"])
def test_a_setting_is_found_however_it_is_written(name):
    assert configuration(name).name == "ibsi_c"


def test_an_unknown_name_lists_the_known_ones():
    with pytest.raises(InputError, match=r"expected one of .*ibsi_a"):
        configuration("ibsi_z")


def test_the_hash_follows_the_settings_and_not_their_name():
    one, other = parse(GOOD, "one"), parse(GOOD, "other")
    assert one.hash == other.hash
    assert parse(GOOD.replace("0.25", "0.5"), "one").hash != one.hash
    assert len({configuration(name).hash for name in names()}) == len(names())


def test_dimensions_follow_the_aggregations():
    assert parse(GOOD, "x").dimensions == ("3D", "2_5D")


@pytest.mark.parametrize(
    ("old", "new", "says"),
    [
        ("anchor = 0", "", "discretise.anchor is missing"),
        ("width = 0.25", "width = 0.0", "discretise.width is 0"),
        ("width = 0.25", "width = nan", "finite number"),
        ("width = 0.25", "width = -1", "above 0"),
        ("width = 0.25", "wdth = 0.25", "discretise.wdth is not known"),
        ('method = "fixed_size"', 'method = "fixed"', "expected one of levels"),
        ('method = "fixed_size"', 'method = "levels"', "means nothing"),
        ('method = "direct"', 'method = "direct"\nnumber = 3', "means nothing"),
        ('method = "direct"', 'method = "fixed_number"\nnumber = 1', "above 1"),
        ('method = "direct"', 'method = "fixed_number"\nnumber = 2.5', "whole number"),
        ('"3D_avg"', '"4D"', "aggregations is '4D'"),
        ('"3D_avg"', '"2_5D_comb"', "twice"),
        ('["3D_avg", "2_5D_comb"]', "3", "expected a list"),
        ('["3D_avg", "2_5D_comb"]', "[]", "expected a list"),
        ("[2.0, 2.0, 2.0]", "[2.0]", "three positive"),
        ("[2.0, 2.0, 2.0]", "[2.0, 2.0, 0.0]", "three positive"),
        ("[2.0, 2.0, 2.0]", "['2 mm', 2, 2]", "expected numbers"),
        ("[2.0, 2.0, 2.0]", "[inf, 2, 2]", "three positive"),
        ('image = "cubic"', 'image = "quintic"', "interpolate.image"),
        ('image = "cubic"', "", "interpolate.image is missing"),
        ("[0, inf]", "[5, 0]", "lower and its upper"),
        ("[0, inf]", "[nan, 0]", "expected numbers"),
        ("[0, inf]", "[0, 1]\nsigma = -1", "resegment.sigma"),
        ("[0, inf]", "[0, 1]\nsigma = true", "resegment.sigma"),
        ("round = true", "round = 1", "expected true or false"),
        ("round = true", "rounds = true", "rounds is not known"),
        ("[resegment]", "[[resegment]]", "expected a table"),
        ("[discretise]", "[discretize]", "not known"),
        ("[discretise]", "[discretise", "is not TOML"),
    ],
)
def test_a_setting_that_cannot_be_meant_is_refused(old, new, says):
    assert old in GOOD
    with pytest.raises(InputError, match=says):
        parse(GOOD.replace(old, new, 1), "x")


def test_a_missing_section_is_named():
    with pytest.raises(InputError, match=r"\[volume_histogram\] is missing"):
        parse(GOOD[: GOOD.index("[volume")], "x")


def test_a_file_is_read_and_named_in_the_error(tmp_path):
    path = tmp_path / "mine.toml"
    path.write_text(GOOD)
    assert configuration(path).hash == parse(GOOD, "x").hash
    path.write_bytes(b"\xff\xfe\x00")
    with pytest.raises(InputError, match=r"mine\.toml"):
        configuration(path)
    path.write_text("a = " + "[" * 3000)
    with pytest.raises(InputError, match=r"mine\.toml"):
        configuration(path)
    path.write_bytes(b"#" * 70_000)
    with pytest.raises(InputError, match="larger"):
        configuration(path)
    with pytest.raises(InputError, match="cannot be read"):
        configuration(tmp_path / "none.toml")
    (tmp_path / "folder.toml").mkdir()
    with pytest.raises(InputError, match="cannot be read"):
        configuration(tmp_path / "folder.toml")
