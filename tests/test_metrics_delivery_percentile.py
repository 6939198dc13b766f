"""Delivery percentile of a mouse's lesions: its figure, its uncertainty, and whom it refuses."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest
from numpy.testing import assert_allclose

from igdd.errors import InputError, StudyError
from igdd.facts import Agent, Subject
from igdd.metrics.delivery_percentile import course_figure, delivery_percentile
from igdd.metrics.delivery_place import Figure, place
from igdd.metrics.delivery_prior import Formulation
from igdd.results import COLUMNS, Course

HOURS = np.array([1.0, 4.0, 24.0, 48.0])
SHARE = np.array([0.4, 0.9, 2.0, 1.6])


def course(
    species: str = "mouse", carrier: str = "PEG-liposome", sd: float = 0.05, shared: float = 0.03
) -> Course:
    rows = [
        {
            "subject": "01", "session": f"{hour:g}h", "arm": "", "time": hour * 3600,
            "analyte": "carrier", "region": region, "metric": metric, "value": value,
            "sd": np.hypot(sd, shared) * value, "sd_shared": shared * value, "low": np.nan,
            "high": np.nan, "unit": unit, "flags": "", "method": "",
        }
        for region, factor in (("lesion_1", 1.0), ("liver", 10.0))
        for metric, unit, values in (
            ("percent_id", "%", SHARE * factor), ("volume", "mL", np.full(4, 0.3)),
        )
        for hour, value in zip(HOURS, values, strict=True)
    ]  # fmt: skip
    return Course(
        subject=Subject(id="01", species=species, weight=25.0),
        agent=Agent(carrier=carrier, nuclide="Zr-89"),
        kinds={"lesion_1": "lesion", "liver": "organ"},
        measurements=pd.DataFrame(rows, columns=list(COLUMNS)),
    )


def found(values) -> dict:
    return {one.metric: one for one in values}


def average() -> float:
    return float(np.trapezoid(np.r_[0, SHARE], np.r_[0, HOURS]) / 48)


def test_lesions_only_and_their_time_average():
    rows = list(delivery_percentile(course(), density=1.0))
    assert {one.region for one in rows} == {"lesion_1"}
    value = found(rows)["time_averaged_percent_id"]
    assert_allclose(value.estimate.value, average())
    assert value.time == 48 * 3600
    assert value.unit == "%"


def test_the_percentiles_are_those_of_the_prior_in_the_same_window():
    rows = found(delivery_percentile(course(), size=100.0, density=1.0))
    sd = rows["time_averaged_percent_id"].estimate.sd
    placed = place(
        Figure(metric="time_averaged_percent_id", value=average(), sd=sd, until=48.0),
        Formulation(carrier="organic", size=100.0, tumour_weight=0.3),
    )
    assert_allclose(rows["delivery_percentile"].estimate.value, placed.adjusted.percentile)
    assert_allclose(rows["delivery_percentile_all"].estimate.value, placed.all_studies.percentile)
    low, high = rows["delivery_percentile"].interval
    assert 0 < low < placed.adjusted.percentile < high < 100
    assert "0 to 48 h" in rows["delivery_percentile"].method


def test_own_noise_averages_out_and_shared_noise_does_not():
    own = found(delivery_percentile(course(sd=0.1, shared=0.0)))["time_averaged_percent_id"]
    shared = found(delivery_percentile(course(sd=0.0, shared=0.1)))["time_averaged_percent_id"]
    assert own.estimate.sd < 0.1 * average()
    assert_allclose(shared.estimate.sd, 0.1 * average())


def test_the_sd_of_the_figure_is_that_of_a_simulation():
    rng = np.random.default_rng(3)
    own, common = 0.08, 0.05
    noisy = SHARE * (1 + own * rng.normal(size=(40_000, 4)) + common * rng.normal(size=(40_000, 1)))
    time, zero = np.r_[0, HOURS], np.zeros((40_000, 1))
    simulated = np.trapezoid(np.hstack([zero, noisy]), time, axis=1) / 48
    figure = course_figure(
        "time_averaged_percent_id", HOURS, SHARE, np.hypot(own, common) * SHARE, common * SHARE
    )
    assert_allclose(figure.sd, simulated.std(), rtol=0.02)  # 40,000 draws: 0.35 %, six of them


@pytest.mark.parametrize("species", ["human", "rat"])
def test_other_species_are_refused(species):
    with pytest.raises(InputError, match="mice only"):
        list(delivery_percentile(course(species)))


def test_a_species_that_is_not_stated_is_an_error_of_the_study():
    with pytest.raises(StudyError, match=r"subject\.species"):
        list(delivery_percentile(course("")))


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"size": 0.0}, "size is 0 nm"),
        ({"size": -5.0}, "size is -5 nm"),
        ({"size": 1e12}, "size is 1e"),
        ({"tumour_weight": 0.0}, "tumour_weight is 0 g"),
        ({"tumour_weight": -1.0}, "tumour_weight is -1 g"),
        ({"density": -1.0}, "density is -1 g/mL"),
        ({"cancer": " "}, "cancer is empty"),
    ],
)
def test_what_no_particle_or_tumour_can_be_is_refused(options, message):
    with pytest.raises(StudyError, match=message):
        list(delivery_percentile(course(), **options))


def test_a_course_beyond_the_prior_is_named_with_its_subject_and_region():
    late = course()
    late.measurements["time"] += 400 * 3600
    with pytest.raises(StudyError, match="subject 01, percent_id of lesion_1: no study"):
        list(delivery_percentile(late))


def test_a_point_at_administration_is_where_every_course_begins():
    early = course()
    first = early.measurements["time"] == 3600.0
    early.measurements.loc[first, "time"] = 0.0
    value = found(delivery_percentile(early))["time_averaged_percent_id"]
    expected = float(np.trapezoid(np.r_[0, SHARE[1:]], np.r_[0, HOURS[1:]]) / 48)
    assert_allclose(value.estimate.value, expected)


def test_a_carrier_must_be_stated_somewhere():
    with pytest.raises(StudyError, match=r"agent\.carrier"):
        list(delivery_percentile(course(carrier="")))
    assert found(delivery_percentile(course(carrier=""), carrier="gold"))


def test_without_weight_or_density_it_is_not_adjusted_for_weight_and_says_so():
    bare = found(delivery_percentile(course()))["delivery_percentile"]
    weighed = found(delivery_percentile(course(), tumour_weight=0.3))["delivery_percentile"]
    assert "tumour_weight_unknown" in bare.flags
    assert "tumour_weight_unknown" not in weighed.flags
    assert "ln tumour_weight" in weighed.method
    assert "carrier_type_only" in weighed.flags


@pytest.mark.parametrize("time", [[], [0.0, 1.0], [-1.0, 2.0], [1.0, 1.0], [2.0, 1.0]])
def test_times_that_are_no_course_are_refused(time):
    values = np.ones(len(time))
    with pytest.raises(InputError, match="above zero and ascending"):
        course_figure("max_percent_id", np.array(time), values, values, values)


def test_the_maximum_has_the_sd_of_its_sample():
    figure = course_figure("max_percent_id", HOURS, SHARE, 0.1 * SHARE, 0 * SHARE)
    assert (figure.value, figure.until) == (2.0, 48.0)
    assert_allclose(figure.sd, 0.2)


def test_an_unknown_sd_is_not_zero_but_said():
    figure = course_figure("max_percent_id", HOURS, SHARE, np.full(4, np.nan), 0 * SHARE)
    assert "value_sd_unknown" in place(figure, Formulation()).flags


def test_the_study_states_sizes_and_weights_with_their_units():
    from igdd import catalog
    from igdd.document import options_model

    model = options_model(catalog.find("metrics", "delivery_percentile"), "metric")
    asked = model.model_validate(
        {
            "metric": "delivery_percentile", "size": "0.1 um", "density": "1.05 g/mL",
            "tumour_weight": "300 mg", "site": "orthotopic",
        }
    )  # fmt: skip
    assert (asked.size, asked.density, asked.tumour_weight) == (100.0, 1.05, 0.3)
