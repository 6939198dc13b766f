"""Delineate: every rule of the study draws the region that it says."""

from __future__ import annotations

import tomllib
from pathlib import Path

import numpy as np
import pytest

from igdd.errors import StudyError
from igdd.io.bids import write_label_map
from igdd.stages.delineate import delineate, densities
from igdd.stages.plan import plan
from igdd.study import check_study
from igdd.types import Frames, Grid, Image, Zero

GRID = Grid(shape=(40, 40, 40), affine=np.diag([2.0, 2.0, 2.0, 1.0]))
CENTRE = (40.0, 40.0, 40.0)
BALL = 4 / 3 * np.pi * 10.0**3 / 1000  # mL of a sphere of 20 mm


def image() -> Image:
    """A hot ball of 20 mm at the centre of a cold box, and a hot voxel far away."""
    place = GRID.world(np.moveaxis(np.indices(GRID.shape), 0, -1).astype(float))
    values = np.where(((place - CENTRE) ** 2).sum(axis=-1) <= 100.0, 8000.0, 1000.0)
    values[2, 2, 2] = 9000.0
    return Image(
        values=values[..., None], grid=GRID, quantity="activity_concentration", unit="Bq/mL",
        analyte="label",
        frames=Frames(start=np.zeros(1), duration=np.ones(1), zero=Zero(kind="scan_start")),
    )  # fmt: skip


def drawn(folder: Path, rules: str, regions: tuple[str, ...] = ()):
    text = f"""
schema = 1
title = "rules"
[[subject]]
id = "01"
[[scan]]
subject = "01"
session = "a"
modality = "pet"
path = "."
regions = {list(regions)}
[[measure]]
metric = "uptake"
{rules}
"""
    study = check_study(tomllib.loads(text), folder / "study.toml")
    (one,) = plan(study)
    return delineate(image(), one), one


def rule(name: str, source: str) -> str:
    return f'[[region]]\nname = "{name}"\nfrom = {source}\n'


def volume(regions, name: str) -> float:
    return float(regions.volume[regions.names.index(name)])


def test_a_sphere_has_its_volume(tmp_path):
    found, _ = drawn(tmp_path, rule("ball", '{ sphere = [40, 40, 40], diameter = "20 mm" }'))
    assert volume(found, "ball") == pytest.approx(BALL, rel=1e-3)  # of the kernel, 10 voxels across


def test_a_sphere_is_moved_to_the_highest_mean(tmp_path):
    source = '{ sphere = [43, 38, 41], diameter = "20 mm", refine = "5 mm" }'
    found, _ = drawn(tmp_path, rule("ball", source))
    weights = found.mask("ball")
    centre = GRID.world(
        (np.argwhere(weights > 0) * weights[weights > 0, None]).sum(0) / weights.sum()
    )
    np.testing.assert_allclose(centre, CENTRE, atol=0.6)  # the ball is drawn in steps of 2 mm


def test_a_fixed_value_and_a_seed_take_one_component(tmp_path):
    rules = rule("hot", '{ above = "5 kBq/mL" }')
    rules += rule("ball", '{ above = "5 kBq/mL", seed = [40, 40, 40] }')
    found, _ = drawn(tmp_path, rules)
    assert volume(found, "hot") == pytest.approx(volume(found, "ball") + 0.008)


def test_a_share_of_the_maximum_within_another_region(tmp_path):
    rules = rule("box", "{ box = [[20, 20, 20], [60, 60, 60]] }")
    rules += rule("half", '{ above_percent = 50, within = "box" }')
    found, _ = drawn(tmp_path, rules)
    assert volume(found, "box") == pytest.approx(64.0)
    assert volume(found, "half") == pytest.approx(BALL, rel=0.03)  # whole voxels of 2 mm


def test_union_difference_and_shell(tmp_path):
    rules = rule("ball", '{ sphere = [40, 40, 40], diameter = "20 mm" }')
    rules += rule("other", '{ sphere = [40, 40, 66], diameter = "20 mm" }')
    rules += rule("both", '{ union = ["ball", "other"] }')
    rules += rule("rest", '{ difference = ["both", "other"] }')
    rules += rule("rim", '{ shell = "ball", inner = "0 mm", outer = "6 mm" }')
    found, _ = drawn(tmp_path, rules)
    assert volume(found, "both") == pytest.approx(2 * BALL, rel=2e-3)
    assert volume(found, "rest") == pytest.approx(volume(found, "ball"), rel=1e-6)
    # A shell's faces are right to 4 % of a voxel step, 0.08 mm of 6 mm on either side.
    assert volume(found, "rim") == pytest.approx(BALL * (1.6**3 - 1), rel=0.05)


def test_a_rule_on_a_region_that_is_not_drawn_is_refused(tmp_path):
    with pytest.raises(StudyError, match="builds on 'nowhere', which is not drawn"):
        drawn(tmp_path, rule("rim", '{ shell = "nowhere", outer = "3 mm" }'))


def label_map(folder: Path, names: dict[int, str]) -> str:
    labels = np.zeros(GRID.shape, dtype=np.uint8)
    labels[5:10, 5:10, 5:10], labels[20:30, 20:30, 20:30] = 1, 7
    path = folder / "a_dseg.nii.gz"
    write_label_map(path, labels, GRID, {1: "unnamed", 7: "unnamed_too", **names})
    table = folder / "a_dseg.tsv"
    lines = [line for line in table.read_text().splitlines() if "unnamed" not in line]
    table.write_text("\n".join(lines) + "\n")
    return path.name


def test_patterns_give_kinds_and_densities(tmp_path):
    name = label_map(tmp_path, {1: "liver", 7: "lesion_1"})
    rules = '[[region]]\nname = "lesion_*"\nkind = "lesion"\ndensity = "1.04 g/mL"\n'
    found, one = drawn(tmp_path, rules, (name,))
    assert dict(zip(found.names, found.kinds, strict=True)) == {
        "lesion_1": "lesion",
        "liver": "organ",
    }
    assert densities(one, found.names) == {"": 1.0, "lesion_1": 1.04}


def test_a_label_without_a_name_is_named_by_the_study(tmp_path):
    name = label_map(tmp_path, {1: "liver"})
    found, _ = drawn(tmp_path, rule("lesion_1", "{ label = 7 }"), (name,))
    assert found.names == ("lesion_1", "liver")


def test_a_label_that_is_not_there_is_refused(tmp_path):
    name = label_map(tmp_path, {1: "liver"})
    with pytest.raises(StudyError, match="label_9 is not there; found liver, label_7"):
        drawn(tmp_path, rule("lesion_1", "{ label = 9 }"), (name,))


def test_an_excluded_region_is_left_out(tmp_path):
    name = label_map(tmp_path, {1: "liver", 7: "lesion_1"})
    rules = '[[exclude]]\nsubject = "01"\nregion = "lesion_1"\nreason = "necrotic"\n'
    found, _ = drawn(tmp_path, rules, (name,))
    assert found.names == ("liver",)


def test_an_exclusion_of_a_region_that_is_not_drawn_is_refused(tmp_path):
    name = label_map(tmp_path, {1: "liver", 7: "lesion_1"})
    rules = '[[exclude]]\nsubject = "01"\nregion = "leison_1"\nreason = "necrotic"\n'
    with pytest.raises(StudyError, match=r"'leison_1', which is not drawn .* lesion_1, liver"):
        drawn(tmp_path, rules, (name,))


def test_no_region_at_all_is_refused(tmp_path):
    with pytest.raises(StudyError, match="no region is drawn"):
        drawn(tmp_path, "")
