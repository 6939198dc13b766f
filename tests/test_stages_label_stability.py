"""`igdd shedding`: tables in, released fraction and decision out; every refusal of the docs."""

from __future__ import annotations

import json
import math
from pathlib import Path

import numpy as np
import pytest
from numpy.testing import assert_allclose
from typer.testing import CliRunner

import igdd.cli_label  # noqa: F401  (its commands join the application)
from igdd.cli import app
from igdd.errors import FitError, InputError, UnitsError
from igdd.flags import FLAGS
from igdd.stages.label_stability import LEAST_ANGLE, shedding
from igdd.stages.label_summary import text

HEADER = "subject,time_h,place,activity [%],sd"
TIMES = np.array([0.5, 1.0, 2.0, 4.0, 8.0, 24.0, 48.0])
RATE, SHARE = 0.9, 70.0  # free label into urine: 1/h, % of it


def table(folder: Path, rows, header=HEADER, name="table.csv") -> Path:
    path = folder / name
    path.write_text("\n".join([header, *(",".join(map(str, row)) for row in rows)]) + "\n")
    return path


def free(t) -> np.ndarray:
    return SHARE * -np.expm1(-RATE * np.asarray(t, float))


def shed(t, fraction: float = 0.6, rate: float = 0.1) -> np.ndarray:
    t = np.asarray(t, float)
    return (
        fraction
        * SHARE
        * (1 + (rate * np.exp(-RATE * t) - RATE * np.exp(-rate * t)) / (RATE - rate))
    )


def rows(values, place="urine", sd=0.05, subjects=("a",), times=TIMES, factor=0.02):
    """Rows of subjects whose amounts differ a little."""
    middle = (len(subjects) - 1) / 2
    return [
        (subject, t, place, round(float(v) * (1 + factor * (n - middle)), 6), sd)
        for n, subject in enumerate(subjects)
        for t, v in zip(times, values, strict=True)
    ]


@pytest.fixture
def control(tmp_path) -> Path:
    return table(tmp_path, rows(free(TIMES), subjects="pqr"), name="control.csv")


@pytest.fixture
def study(tmp_path) -> Path:
    return table(tmp_path, rows(shed(TIMES)))


def test_the_released_fraction_comes_out(study, control):
    (found,) = shedding(study, control)["subjects"]
    truth = 0.6 * -np.expm1(-0.1 * TIMES)
    values = [row["value"] for row in found["released"]]
    assert_allclose(values, truth, atol=0.05)
    assert_allclose([row["time_h"] for row in found["released"]], TIMES)
    for row, true in zip(found["released"], truth, strict=True):
        assert row["low"] - 0.01 <= true <= row["high"] + 0.01
    assert found["decision"] == "released"
    assert found["flags"] == []


def test_without_a_control_it_refuses(study, tmp_path):
    with pytest.raises(InputError, match="no control with free label"):
        shedding(study, None)
    other = table(tmp_path, rows(free(TIMES), place="thyroid", subjects="pq"), name="other.csv")
    with pytest.raises(InputError, match="no control with free label in urine"):
        shedding(study, other)
    done = CliRunner().invoke(app, ["shedding", str(study)])
    assert isinstance(done.exception, InputError)  # which main turns into exit 2


@pytest.mark.parametrize("factor", [0.5, 1.0, 3.0])
def test_collinear_responses_are_refused(tmp_path, factor):
    liver = 25 * -np.expm1(-0.5 * TIMES) * np.exp(-0.01 * TIMES)
    study = table(tmp_path, rows(liver * factor, place="liver"))
    free_path = table(tmp_path, rows(liver, place="liver", subjects="pqr"), name="free.csv")
    stays = table(tmp_path, rows(factor * liver, place="liver", subjects="stu"), name="stays.csv")
    with pytest.raises(FitError, match="collinear"):
        shedding(study, free_path, carrier=stays)


def test_collinear_up_to_noise_is_refused_too(tmp_path):
    generator = np.random.default_rng(1)
    liver = 25 * -np.expm1(-0.5 * TIMES)
    paths = []
    for name, subjects in (("free", "pqrs"), ("stays", "tuvw")):
        noisy = [
            (s, t, "liver", round(v * (1 + 0.1 * generator.standard_normal()), 5), 0.1 * v)
            for s in subjects
            for t, v in zip(TIMES, liver, strict=True)
        ]
        paths.append(table(tmp_path, noisy, name=f"{name}.csv"))
    study = table(tmp_path, rows(liver, place="liver", sd=1.0))
    with pytest.raises(FitError, match="collinear"):
        shedding(study, paths[0], carrier=paths[1])


def test_one_time_cannot_tell_two_courses_apart(tmp_path):
    bone = table(tmp_path, rows([8.0], place="bone", times=[24.0]))
    free_path = table(tmp_path, rows(15 * -np.expm1(-TIMES), "bone", subjects="pqr"), name="f.csv")
    stays = table(tmp_path, rows(2 * np.exp(-0.02 * TIMES), "bone", subjects="stu"), name="s.csv")
    with pytest.raises(FitError, match="collinear"):
        shedding(bone, free_path, carrier=stays)


def test_courses_apart_are_used(tmp_path):
    carried, bone = 3 * np.exp(-0.05 * TIMES), 15 * -np.expm1(-TIMES)
    rate, fraction = 0.05, 0.4
    shape = 1 + (rate * np.exp(-TIMES) - np.exp(-rate * TIMES)) / (1 - rate)
    left = 1 - fraction * -np.expm1(-rate * TIMES)
    study = table(tmp_path, rows(15 * fraction * shape + carried * left, "bone"))
    free_path = table(tmp_path, rows(bone, "bone", subjects="pqr"), name="f.csv")
    stays = table(tmp_path, rows(carried, "bone", subjects="stu"), name="s.csv")
    found = shedding(study, free_path, carrier=stays)
    assert_allclose(found["subjects"][0]["released"][-1]["value"],
                    fraction * -np.expm1(-rate * 48), atol=0.03)  # fmt: skip
    assert found["control"]["bone"]["carrier"] == "measured"
    with pytest.raises(InputError, match="what label on its carrier does there"):
        shedding(study, free_path)
    shedding(study, free_path, carrier="none")


def test_a_place_that_free_label_does_not_go_to_is_refused(tmp_path):
    nothing = [(s, t, "urine", 0.01 * (-1) ** n, 0.05) for s in "pqr" for n, t in enumerate(TIMES)]
    study = table(tmp_path, rows(shed(TIMES)))
    with pytest.raises(FitError, match="does not show there"):
        shedding(study, table(tmp_path, nothing, name="control.csv"))


def bladder_and_voids(values, voids, times, subject="a", collected=True):
    """Rows of a bladder emptied at `voids` (h) and of what came, from a course in urine."""
    found, since = [], 0.0
    for t in sorted({*voids, *times}):
        if t in times:
            found.append((subject, t, "bladder", float(values(t) - since), 0.05))
        if t in voids:
            content = float(values(t) - since) if collected else ""
            found.append((subject, t, "void", content, 0.05 if collected else ""))
            since = values(t)
    return found


@pytest.mark.parametrize("collected", [True, False])
def test_bladders_and_voids_say_the_same_as_all_urine(tmp_path, study, control, collected):
    times, voids = [float(t) for t in TIMES], [3.0, 12.0, 30.0]
    emptied = table(
        tmp_path, bladder_and_voids(shed, voids, times, collected=collected), name="bladder.csv"
    )
    (found,) = shedding(emptied, control, at=["8 h", "48 h"])["subjects"]
    truth = 0.6 * -np.expm1(-0.1 * np.array([8.0, 48.0]))
    # without what came at the voids, urine formed between scan and void is not seen: interpolated
    tolerance = 0.05 if collected else 0.15
    assert_allclose([row["value"] for row in found["released"]], truth, atol=tolerance)


def test_voids_may_stand_in_a_table_of_their_own(tmp_path, control):
    both = bladder_and_voids(shed, [3.0, 12.0], [float(t) for t in TIMES])
    bladder = table(tmp_path, [row for row in both if row[2] == "bladder"], name="bladder.csv")
    voids = table(tmp_path, [(s, t, v, sd) for s, t, place, v, sd in both if place == "void"],
                  "subject,time_h,activity [%],sd", "voids.csv")  # fmt: skip
    apart = shedding(bladder, control, voids=voids)
    together = shedding(table(tmp_path, both, name="both.csv"), control)
    assert apart["subjects"][0]["released"] == together["subjects"][0]["released"]
    with pytest.raises(InputError, match="bladder rows without voids"):
        shedding(bladder, control)
    never = table(tmp_path, rows(shed(TIMES), "bladder"), name="never.csv")
    found = shedding(never, control, voids="none")
    assert found["subjects"][0]["places"] == ["urine"]


def test_subjects_make_a_mean(tmp_path, control):
    study = table(tmp_path, rows(shed(TIMES), subjects="abc", factor=0.05))
    found = shedding(study, control)
    (group,) = found["groups"]
    assert group["subjects"] == ["a", "b", "c"]
    assert group["released"][-1]["n"] == 3
    assert_allclose(group["released"][-1]["value"], 0.595, atol=0.03)
    assert group["decision"] == "released"


def test_another_animal_at_each_time(tmp_path, control):
    sparse = [
        (f"m{n}{k}", t, "urine", round(float(v) * f, 5), 0.05, "plain")
        for n, (t, v) in enumerate(zip(TIMES, shed(TIMES), strict=True))
        for k, f in enumerate((0.95, 1.0, 1.05))
    ]
    path = table(tmp_path, sparse, HEADER + ",group")
    (found,) = shedding(path, control, sparse=True)["subjects"]
    assert_allclose(found["released"][-1]["value"], 0.595, atol=0.05)
    assert found["subject"] == "all of plain"
    bladder = table(tmp_path, [("a", 1, "bladder", 2, 1)], name="b.csv")
    with pytest.raises(InputError, match="sparse"):
        shedding(bladder, control, sparse=True)


def test_label_that_stays_on(tmp_path, control):
    study = table(tmp_path, rows(np.full(7, 0.02), sd=0.05))
    (found,) = shedding(study, control)["subjects"]
    assert found["decision"] == "on carrier"
    noisy = table(tmp_path, rows(np.full(7, 2.0), sd=5.0), name="noisy.csv")
    (found,) = shedding(noisy, control)["subjects"]
    assert found["decision"] == "undecided"


def test_what_no_release_can_explain_is_undecided(tmp_path, control):
    study = table(tmp_path, rows(np.linspace(40, 2, 7)))
    (found,) = shedding(study, control)["subjects"]
    assert found["flags"] == ["release_misfit"]
    assert found["decision"] == "undecided"


def test_cautions_of_the_control(tmp_path, study):
    short = TIMES[:-2]
    one = table(tmp_path, rows(free(short), times=short, subjects="p"), name="control.csv")
    (found,) = shedding(study, one)["subjects"]
    assert found["flags"] == ["control_ends_early", "control_scatter_unknown"]
    assert set(found["flags"]) <= FLAGS.keys()


def test_decay_is_put_right_once(tmp_path, study, control):
    left = 0.5 ** (TIMES / 6.0067)  # Tc-99m, h (ICRP 107: 6.015)
    raw = table(tmp_path, [(s, t, p, v * k, sd * k) for (s, t, p, v, sd), k in
                           zip(rows(shed(TIMES)), left, strict=True)], name="raw.csv")  # fmt: skip
    raw_control = table(
        tmp_path,
        [(s, t, p, v * k, sd * k) for (s, t, p, v, sd), k in
         zip(rows(free(TIMES), subjects="pqr"), np.tile(left, 3), strict=True)],
        name="raw_control.csv",
    )  # fmt: skip
    found = shedding(raw, raw_control, uncorrected="Tc-99m")["subjects"][0]["released"]
    expected = shedding(study, control)["subjects"][0]["released"]
    # half-lives of 6.0067 and 6.015 h differ by 0.8 % after 48 h
    assert_allclose([row["value"] for row in found], [row["value"] for row in expected], atol=0.02)


def test_rows_in_any_order_give_the_same(tmp_path, control):
    ordered = rows(shed(TIMES), subjects="ab")
    shuffled = [ordered[k] for k in np.random.default_rng(0).permutation(len(ordered))]
    one = shedding(table(tmp_path, ordered, name="o.csv"), control)
    other = shedding(table(tmp_path, shuffled, name="s.csv"), control)
    for first in one["subjects"]:
        (second,) = (s for s in other["subjects"] if s["subject"] == first["subject"])
        assert_allclose([r["value"] for r in first["released"]],
                        [r["value"] for r in second["released"]], rtol=1e-9)  # fmt: skip


@pytest.mark.parametrize(
    ("options", "error", "words"),
    [
        ({"at": ["100 h"]}, InputError, "last seen"),
        ({"at": ["24"]}, UnitsError, "unit"),
        ({"residual": 1.0}, InputError, "residual"),
        ({"margin": 2.0}, InputError, "margin"),
        ({"sampling_cv": -1.0}, InputError, "sampling_cv"),
        ({"uncorrected": "Unobtainium-1"}, InputError, "Unobtainium"),
        ({"carrier": "nowhere.csv"}, InputError, "nowhere"),
    ],
)
def test_a_wrong_call_is_refused(study, control, options, error, words):
    with pytest.raises(error, match=words):
        shedding(study, control, **options)


@pytest.mark.parametrize(
    ("extra", "words"),
    [
        ([("a", 1, "urine", 5, 1)], "measured twice"),
        ([("a", 1.5, "bladder", 5, 1), ("a", 2.5, "void", 5, 1)], "count twice"),
        ([("b", 0, "urine", 0, 1)], "urine at time 0"),
        ([("b", 0, "bladder", 0, 1), ("b", 1, "void", 3, 1)], "at time 0"),
        ([("b", 2, "void", 2, 1), ("b", 2, "void", 3, 1)], "twice at one time"),
        ([("b", 2, "brain", 2, 1)], "in no place that the control has"),
    ],
)
def test_rows_that_contradict_each_other_are_refused(tmp_path, control, extra, words):
    with pytest.raises(InputError, match=words):
        shedding(table(tmp_path, rows(shed(TIMES)) + extra), control)


def test_places_without_a_control_are_named(tmp_path, control):
    study = table(tmp_path, rows(shed(TIMES)) + rows(shed(TIMES), place="brain"))
    found = shedding(study, control)
    assert found["not_used"] == ["brain: no control with free label"]
    assert found["subjects"][0]["places"] == ["urine"]


def test_the_command_prints_json_and_text(study, control):
    words = ["shedding", str(study), "--control", str(control)]
    done = CliRunner().invoke(app, [*words, "--json"])
    assert done.exit_code == 0, done.output
    found = json.loads(done.stdout)
    assert found["subjects"][0]["decision"] == "released"
    assert all(math.isfinite(row["high"]) for row in found["subjects"][0]["released"])
    plain = CliRunner().invoke(app, words)
    assert "release of the drug only where" in plain.output
    assert text(found).splitlines()[0] == "a (urine): released"


def test_the_named_threshold_stands_in_the_docs():
    page = (Path(__file__).resolve().parents[1] / "docs/label_stability.md").read_text("utf-8")
    assert f"{LEAST_ANGLE:g} degrees" in page
