"""The ledger: what was given, where it is, and what is unaccounted for."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import sparse

from igdd.errors import StudyError
from igdd.facts import Collected, Given, Scanner, Subject
from igdd.metrics.ledger import ledger, ledger_of_samples
from igdd.results import Value
from igdd.stages.sample import sample
from igdd.types import Decay, Frames, Grid, Image, Modes, Regions, Zero
from igdd.uncertainty import Estimate
from test_metrics_uptake import DOSE, SUBJECT, curves, session

IN_IMAGE = (4000 * 1500 + 20000 * 10 + 100 * 70000) / DOSE * 100


def rows(one) -> dict[str, Value]:
    found = list(ledger(one))
    assert {value.metric for value in found} == {"ledger_percent_id"}
    assert {value.unit for value in found} == {"%"}
    table = {value.region: value for value in found}
    assert len(table) == len(found)
    return table


def urine(share: float, until: float = 3600.0, sd: float = 0.0) -> Collected:
    activity = Estimate(value=share / 100 * DOSE, sd=sd / 100 * DOSE)
    return Collected(place="urine", time=until, activity=activity)


def test_places_add_up_to_the_total_and_the_rest_is_unaccounted():
    found = rows(session(collected=(urine(3.0), urine(2.0, 80000.0))))
    assert found["urine"].estimate.value == pytest.approx(5.0)
    assert found["total"].estimate.value == pytest.approx(IN_IMAGE + 5.0)
    assert found["unaccounted"].estimate.value == pytest.approx(95.0 - IN_IMAGE)
    parts = [found[place].estimate.value for place in ("liver", "lesion_1", "remainder", "urine")]
    assert sum(parts) == pytest.approx(found["total"].estimate.value)


def test_what_was_collected_after_the_scan_is_not_in_its_balance():
    found = rows(session(collected=(urine(3.0), urine(2.0, 90000.0))))
    assert found["urine"].estimate.value == pytest.approx(3.0)
    assert "urine" not in rows(session(collected=(urine(2.0, 90000.0),)))


def test_the_calibration_scales_all_of_the_image_together_and_the_dose_everything():
    still = curves(covariance=np.zeros((1, 3, 3)), volume_sd=np.zeros(3))
    found = rows(session(curves=still, collected=(urine(40.0, sd=1.0),)))
    total = IN_IMAGE + 40.0
    shared = np.hypot(0.03 * IN_IMAGE, 0.01 * total)
    for place in ("total", "unaccounted"):
        assert found[place].estimate.sd_shared == pytest.approx(shared)
        assert found[place].estimate.sd == pytest.approx(np.hypot(shared, 1.0))
    assert found["urine"].estimate.sd_shared == pytest.approx(0.4)


def test_what_one_region_takes_from_another_is_not_in_the_total():
    still = curves(covariance=np.zeros((1, 3, 3)), scale_cv=0.0)
    # The lesion grows by 1 mL of the liver, each keeping its mean but for the exchange.
    moved = Modes(values=np.array([[[0.0], [-1600.0], [0.0]]]), volume=np.array([[-1.0, 1.0, 0.0]]))
    exact = (Given(at=None, activity=Estimate(value=DOSE, sd=0.0)),)
    subject = replace(SUBJECT, given=exact)
    found = rows(session(curves=replace(still, modes=moved), subject=subject))
    assert found["lesion_1"].estimate.sd == pytest.approx(4000 / DOSE * 100)
    assert found["liver"].estimate.sd == pytest.approx(4000 / DOSE * 100)
    assert found["total"].estimate.sd == pytest.approx(0, abs=1e-9)


def test_a_balance_of_unknown_uncertainty_is_not_said_to_be_open():
    still = curves(covariance=np.zeros((1, 3, 3)), volume_sd=np.zeros(3), scale_cv=0.0)
    unknown = (Given(at=None, activity=Estimate(value=DOSE)),)
    found = rows(session(curves=still, subject=replace(SUBJECT, given=unknown)))
    assert found["unaccounted"].estimate.sd == 0
    assert set(found["unaccounted"].flags) == {"calibration_sd_unknown", "dose_sd_unknown"}


def test_an_empty_region_leaves_the_others_uncertainty_known():
    modes = Modes(values=np.array([[[0.0], [0.0], [0.0]]]), volume=np.array([[2.0, 0.0, -2.0]]))
    gone = curves(
        values=np.array([[4000.0], [np.nan], [100.0]]), volume=np.array([1500.0, 0.0, 70000.0]),
        modes=modes,
    )  # fmt: skip
    found = rows(session(curves=gone))
    assert all(found[place].estimate.sd > 0 for place in ("liver", "remainder", "total"))
    assert np.isnan(found["lesion_1"].estimate.value)


def test_a_balance_that_does_not_close_is_flagged():
    assert "unaccounted" in rows(session())["unaccounted"].flags
    closing = urine(100 - IN_IMAGE + 0.5)
    closed = rows(session(collected=(closing,)))
    assert "unaccounted" not in closed["unaccounted"].flags
    assert "unaccounted" not in rows(session())["total"].flags


def test_corrected_values_are_never_mixed_with_uncorrected():
    found = rows(session(recovered=curves(1.1)))
    assert found["total"].estimate.value == pytest.approx(1.1 * IN_IMAGE)
    assert found["liver"].estimate.value == pytest.approx(1.1 * 100 * 4000 * 1500 / DOSE)


def test_an_empty_region_does_not_spoil_the_balance():
    empty = curves(
        values=np.array([[4000.0], [np.nan], [100.0]]), volume=np.array([1500.0, 0.0, 70000.0])
    )
    found = rows(session(curves=empty))
    assert np.isnan(found["lesion_1"].estimate.value)
    assert found["total"].estimate.value == pytest.approx(100 * (6e6 + 7e6) / DOSE)


def test_a_region_that_could_not_be_told_leaves_no_total():
    lost = curves(values=np.array([[4000.0], [np.nan], [100.0]]))
    found = rows(session(curves=lost))
    assert np.isnan(found["total"].estimate.value)
    assert np.isfinite(found["liver"].estimate.value)


def test_a_ledger_without_a_dose_is_an_error():
    with pytest.raises(StudyError, match=r"subject\.given\.activity"):
        list(ledger(session(subject=Subject(id="01"))))


GRID = Grid(shape=(20, 18, 16), affine=np.diag([3.0, 3.0, 3.0, 1.0]))


def imaged(masks: dict[str, np.ndarray], values: np.ndarray, scanner: Scanner):
    frames = Frames(start=np.zeros(1), duration=np.ones(1), zero=Zero(kind="administration"))
    image = Image(
        values=values[..., np.newaxis],
        grid=GRID,
        quantity="activity_concentration",
        unit="Bq/mL",
        analyte="carrier",
        frames=frames,
        decay=Decay(nuclide="Zr-89", half_life=282276.0, corrected_to=0.0),
    )
    weights = sparse.csr_matrix(np.stack([mask.ravel() for mask in masks.values()]))
    regions = Regions(weights=weights, names=tuple(masks), kinds=("organ",) * len(masks), grid=GRID)
    one, two = sample(image, regions, scanner)
    whole = {"curves": one, "recovered": two, "image": image, "regions": regions}
    dose = Estimate(value=float(values.sum()) * GRID.voxel_volume, sd=0.0)
    subject = Subject(id="01", given=(Given(at=None, activity=dose),))
    return replace(session(), **whole, subject=subject)


@settings(max_examples=20, deadline=None)
@given(
    boxes=st.lists(
        st.tuples(*[st.integers(0, 12)] * 3, *[st.integers(1, 8)] * 3), min_size=1, max_size=4
    ),
    psf=st.one_of(st.none(), st.just(5.0)),
    seed=st.integers(0, 100),
)
def test_overlapping_regions_are_counted_once(boxes, psf, seed):
    masks = {}
    for n, (i, j, k, a, b, c) in enumerate(boxes):
        masks[f"r{n}"] = np.zeros(GRID.shape)
        masks[f"r{n}"][i : i + a, j : j + b, k : k + c] = 1
    values = np.random.default_rng(seed).uniform(0, 10, GRID.shape)
    found = rows(imaged(masks, values, Scanner(psf=psf)))
    assert found["total"].estimate.value == pytest.approx(100.0, rel=1e-6)


def test_a_lesion_inside_an_organ_is_taken_out_of_the_organ():
    organ, lesion = np.zeros(GRID.shape), np.zeros(GRID.shape)
    organ[3:15, 3:15, 3:13], lesion[6:10, 6:10, 6:10] = 1, 1
    values = 1.0 + 3 * organ + 10 * lesion
    one = imaged({"organ": organ, "lesion": lesion}, values, Scanner())
    found = rows(one)
    percent = 100 / values.sum()
    assert found["lesion"].estimate.value == pytest.approx(percent * 14 * lesion.sum())
    assert found["organ"].estimate.value == pytest.approx(percent * 4 * (organ - lesion).sum())
    assert found["total"].estimate.value == pytest.approx(100.0)
    assert "overlap_counted_once" in found["organ"].flags
    assert "overlap_counted_once" not in found["lesion"].flags


def sample_of(region: str, percent: float, hours: float = 1.0, **changes) -> Value:
    return Value(
        region=region,
        metric="percent_id",
        estimate=changes.pop("estimate", Estimate(value=percent, sd=1.0, sd_shared=0.6)),
        unit="%",
        time=hours * 3600,
        analyte="label",
        **changes,
    )


def of_samples(values, **options) -> dict[tuple[str, float], Value]:
    found = ledger_of_samples(
        values, replace(SUBJECT, id="m1"), options.pop("urine", ()), **options
    )
    return {(one.region, one.time / 3600): one for one in found}


def test_counted_samples_add_up_with_their_shared_part_in_common():
    found = of_samples([sample_of("liver", 30.0), sample_of("carcass", 60.0)])
    total = found["total", 1.0].estimate
    assert total.value == pytest.approx(90.0)
    assert total.sd_shared == pytest.approx(1.2)  # 0.6 twice, in step
    assert total.sd == pytest.approx(np.hypot(1.2, np.sqrt(2) * 0.8))
    assert found["unaccounted", 1.0].estimate.value == pytest.approx(10.0)
    assert "unaccounted" in found["unaccounted", 1.0].flags


def test_each_time_of_a_table_has_a_ledger_of_its_own():
    found = of_samples([sample_of("liver", 30.0), sample_of("liver", 20.0, 24.0)])
    assert found["total", 1.0].estimate.value == 30.0
    assert found["total", 24.0].estimate.value == 20.0


def test_urine_joins_the_ledger_of_samples():
    found = of_samples([sample_of("liver", 30.0)], urine=(urine(5.0, 3600.0),))
    assert found["total", 1.0].estimate.value == pytest.approx(35.0)


def test_all_blood_counts_only_where_no_region_holds_it():
    values = [sample_of("liver", 30.0), sample_of("blood", 40.0)]
    assert of_samples(values, blood="blood", blood_elsewhere=0.5)[
        "total", 1.0
    ].estimate.value == pytest.approx(50.0)
    twice = of_samples(values, blood="blood")
    assert "blood_counted_twice" in twice["blood", 1.0].flags
    with pytest.raises(StudyError, match=r"without measure\.blood"):
        of_samples(values, blood_elsewhere=0.5)
    with pytest.raises(StudyError, match="blood_elsewhere is 2"):
        of_samples(values, blood="blood", blood_elsewhere=2.0)


def test_a_sample_of_unknown_uncertainty_says_so():
    found = of_samples([sample_of("liver", 30.0, estimate=Estimate(value=30.0))])
    assert "noise_unknown" in found["total", 1.0].flags
