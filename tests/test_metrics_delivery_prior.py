"""The prior of delivery: its figures, where it comes from, and whether its percentiles are fair."""

from __future__ import annotations

import importlib.util
import sys
from dataclasses import replace
from importlib.resources import files
from pathlib import Path

import numpy as np
import pytest
from numpy.testing import assert_allclose
from scipy import stats

from igdd.errors import InputError
from igdd.kernels.pooled_regression import sample_rank
from igdd.metrics.delivery_place import Figure, place
from igdd.metrics.delivery_prior import Formulation, carrier_type, check_species, figures, studies

BUILDER = Path(__file__).resolve().parents[1] / "benchmarks" / "delivery_prior.py"
LIPOSOME = Formulation(carrier="organic", size=100.0, tumour_weight=0.3)
MIDDLING = Figure(metric="time_averaged_percent_id", value=0.8, sd=0.1, until=24.0)


def _builder():
    spec = importlib.util.spec_from_file_location("delivery_prior_builder", BUILDER)
    module = importlib.util.module_from_spec(spec)
    sys.modules[spec.name] = module
    spec.loader.exec_module(module)
    return module


@pytest.mark.reference
@pytest.mark.parametrize("name", ["delivery_studies.csv", "delivery_courses.csv"])
def test_the_tables_are_built_from_the_published_ones(reference, name):
    build = _builder()
    folder = reference("delivery/nano_tumor")
    if name == "delivery_studies.csv":
        text = build.written(build.studies(folder), build.STUDY_COLUMNS)
    else:
        columns = ("study", "time_h", "percent_id", "percent_id_per_g")
        text = build.written(build.courses(folder), columns)
    assert files("igdd.metrics").joinpath(name).read_text("utf-8") == text


def test_every_course_has_its_study():
    prior = studies()
    assert len(prior.carrier) == prior.courses.study.size == 378
    assert int(prior.courses.count.sum()) == 1722
    assert "CC0" in prior.source


def test_the_figures_of_the_prior():
    # As published facts print them: three digits each.
    averaged = figures("time_averaged_percent_id")
    assert_allclose(np.median(averaged), 0.747, atol=5e-4)
    assert_allclose(averaged.mean(), 2.20, atol=5e-3)
    assert_allclose(np.percentile(averaged, [25, 75]), [0.245, 1.851], atol=5e-4)
    assert_allclose(np.median(figures("max_percent_id")), 1.07, atol=5e-3)
    assert_allclose(np.median(figures("max_percent_id_per_g")), 4.80, atol=5e-3)


@pytest.mark.parametrize(
    ("metric", "column"),
    [
        ("time_averaged_percent_id", "time_averaged_percent_id"),
        ("percent_id_24h", "percent_id_24h"),
        ("percent_id_168h", "percent_id_168h"),
        ("max_percent_id", "max_percent_id"),
        ("max_percent_id_per_g", "max_percent_id_per_g"),
        ("auc_percent_id", "auc_percent_id_h"),
    ],
)
def test_the_figures_in_the_table_are_those_of_the_courses(metric, column):
    import csv

    text = files("igdd.metrics").joinpath("delivery_studies.csv").read_text("utf-8")
    rows = csv.DictReader(text.splitlines()[1:])
    stored = np.array([float(row[column] or "nan") for row in rows])
    assert_allclose(figures(metric), stored, rtol=1e-9)  # ten digits are stored


def test_a_window_leaves_out_the_studies_that_do_not_fill_it():
    last, first = studies().courses.last, studies().courses.first
    found = figures("time_averaged_percent_id", until=48.0)
    assert (np.isfinite(found) == ((last >= 0.95 * 48) & (first <= 1.05 * 48))).all()
    # An image taken a little after the hour is compared with the same studies.
    later = figures("time_averaged_percent_id", until=48.4)
    assert (np.isfinite(later) == np.isfinite(found)).all()
    assert np.isfinite(figures("percent_id_at", at=48.0)).sum() == np.isfinite(found).sum()


def test_the_middle_of_the_prior_is_its_middle():
    values = figures("time_averaged_percent_id", until=24.0)
    middle = float(np.median(values[np.isfinite(values)]))
    placed = place(replace(MIDDLING, value=middle), Formulation())
    assert_allclose(placed.all_studies.percentile, 50.0, atol=0.2)  # a study is 0.3 %
    assert placed.all_count == int(np.isfinite(values).sum())


def test_a_heavier_tumour_explains_a_larger_share():
    light, heavy = (
        place(MIDDLING, replace(LIPOSOME, tumour_weight=weight)) for weight in (0.05, 1.0)
    )
    assert light.adjusted.percentile > heavy.adjusted.percentile + 15
    assert light.all_studies == heavy.all_studies
    # %ID grows with the tumour by about the 0.7th power, %ID/g hardly: known of these studies
    assert np.log(20) * 0.5 < heavy.expected.mean - light.expected.mean < np.log(20) * 0.9


def test_percentiles_of_series_left_out_are_uniform():
    ranks = _builder().left_out("max_percent_id", every=6) / 100
    # Studies of a series go together: 31 series give uniform ranks to 0.24 (Kolmogorov, 5 %).
    assert stats.kstest(ranks, "uniform").statistic < 0.24
    # benchmarks/delivery_prior.py calibration: 93 % of all 342 studies
    assert 0.83 <= np.mean((ranks > 0.025) & (ranks < 0.975)) <= 1.0


def test_studies_of_one_series_are_not_worth_as_many():
    placed = place(MIDDLING, LIPOSOME)
    assert 0.6 < placed.correlation < 0.95
    assert 150 < placed.series < placed.all_count
    independent = sample_rank(0.8, 0.1, placed.values[np.isfinite(placed.values)])
    own = placed.all_studies
    assert own.high - own.low > 1.05 * (independent.high - independent.low)


def test_the_interval_widens_with_the_values_own_sd():
    sharp, wide = (place(replace(MIDDLING, sd=sd), LIPOSOME) for sd in (0.01, 0.4))
    for one, other in (
        (sharp.adjusted, wide.adjusted), (sharp.all_studies, wide.all_studies),
    ):  # fmt: skip
        assert other.low < one.low < one.percentile < one.high < other.high
        assert one.percentile == other.percentile


def test_more_that_is_stated_leaves_fewer_comparable_studies():
    broad = place(MIDDLING, Formulation(carrier="organic"))
    narrow = place(MIDDLING, replace(LIPOSOME, targeting="active", site="orthotopic"))
    assert broad.comparable.size > narrow.comparable.size > 0
    assert "few_comparable_studies" not in broad.flags
    assert narrow.count < broad.count


def test_an_unheard_of_cancer_is_uncertain_not_refused():
    known, unheard = (
        place(MIDDLING, replace(LIPOSOME, cancer=cancer)) for cancer in ("breast", "thymus")
    )
    assert unheard.comparable.size == 0
    assert "few_comparable_studies" in unheard.flags
    width = [one.adjusted.high - one.adjusted.low for one in (known, unheard)]
    assert width[1] > width[0]


def test_what_lies_beyond_the_prior_is_said():
    assert "outside_prior" in place(MIDDLING, replace(LIPOSOME, size=900.0)).flags
    assert "outside_prior" in place(MIDDLING, replace(LIPOSOME, tumour_weight=20.0)).flags
    assert "outside_prior" not in place(MIDDLING, LIPOSOME).flags


@pytest.mark.parametrize("value", [0.0, -0.1])
def test_a_value_at_or_below_zero_has_a_place_among_all_and_none_of_its_kind(value):
    placed = place(replace(MIDDLING, value=value), LIPOSOME)
    assert "estimate_not_positive" in placed.flags
    assert np.isnan(placed.adjusted.percentile)
    assert placed.all_studies.percentile == 0.0


def test_few_studies_are_not_regressed():
    placed = place(
        Figure(metric="percent_id_168h", value=1.0, sd=0.1), replace(LIPOSOME, site="orthotopic")
    )
    assert np.isnan(placed.adjusted.percentile)
    assert "few_comparable_studies" in placed.flags


@pytest.mark.parametrize("species", ["human", "Rat", "dog", "homo sapiens"])
def test_other_species_are_refused(species):
    with pytest.raises(InputError, match="tumours of mice only"):
        check_species(species, "subject 01")


def test_a_species_nobody_stated_is_said():
    assert check_species(None, "x") == check_species("", "x") == ("species_assumed",)
    assert check_species("Mus musculus", "x") == ()


@pytest.mark.parametrize(
    ("text", "kind"),
    [("PEG-liposome", "organic"), ("gold nanorod", "inorganic"), ("hybrid", "hybrid"),
     ("Iron_oxide", "inorganic"), ("polymeric micelles", "organic")],
)  # fmt: skip
def test_carriers_are_known_by_their_names(text, kind):
    assert carrier_type(text) == kind


@pytest.mark.parametrize("text", ["", "antibody", "gold liposome", "x" * 5000])
def test_a_carrier_that_is_not_known_or_is_two_is_refused(text):
    with pytest.raises(InputError, match="expected organic"):
        carrier_type(text)


@pytest.mark.parametrize(
    ("call", "message"),
    [
        ({"metric": "suv"}, "expected time_averaged"),
        ({"metric": "percent_id_at"}, "without a time"),
        ({"metric": "max_percent_id", "at": 3.0}, "with a time"),
        ({"metric": "percent_id_24h", "until": 3.0}, "expected no window"),
        ({"metric": "max_percent_id", "until": -1.0}, "above zero"),
        ({"metric": "percent_id_at", "at": float("nan")}, "above zero"),
    ],
)
def test_windows_that_make_no_sense_are_refused(call, message):
    with pytest.raises(InputError, match=message):
        figures(**call)


def test_a_window_that_no_study_fills_is_refused():
    with pytest.raises(InputError, match="no study"):
        place(replace(MIDDLING, until=5000.0), LIPOSOME)
