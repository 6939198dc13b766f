"""Peak, metabolic volume and diameters of a session: truths, thresholds, and what is refused."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from scipy import sparse

from igdd.errors import StudyError
from igdd.metrics.diameters import axial, diameters, plane_diameters
from igdd.metrics.metabolic_volume import metabolic_volume
from igdd.metrics.peak import peak
from igdd.types import Grid, Regions


def rows(values, metric):
    return {one.region: one for one in values if one.metric == metric}


def flat(session, value=1000.0, hot=None):
    """The session with a flat image, but for one region."""
    image = np.full(session.image.values.shape, value, np.float32)
    for name, number in (hot or {}).items():
        image[session.regions.mask(name) > 0] = number
    return replace(session, image=replace(session.image, values=image))


def with_region(session, mask, kind="lesion"):
    """The session with one region alone."""
    weights = sparse.csr_matrix(mask.reshape(1, -1).astype(float))
    regions = Regions(weights=weights, names=("one",), kinds=(kind,), grid=session.image.grid)
    return replace(session, regions=regions)


def test_a_flat_lesion_has_its_value_as_suvpeak(phantom_session):
    session = flat(phantom_session)
    found = list(peak(session))
    given = session.net_activity().value
    assert rows(found, "peak_global")["lesion_1"].estimate.value == pytest.approx(1000.0, rel=1e-6)
    suv = 1000.0 * session.subject.weight / given
    assert rows(found, "suvpeak")["lesion_1"].estimate.value == pytest.approx(suv, rel=1e-6)
    assert rows(found, "peak_global_volume")["lesion_1"].estimate.value == pytest.approx(1.0)


def test_sul_is_suv_times_the_lean_share_of_the_body(phantom_session):
    found = list(peak(phantom_session, lean="james128"))
    ratio = [rows(found, name)["lesion_1"].estimate.value for name in ("sulpeak", "suvpeak")]
    lean = 1.07 * 70 - 148 * (70 / 175) ** 2  # James, F, 70 kg, 175 cm
    assert ratio[0] / ratio[1] == pytest.approx(lean / 70, rel=1e-9)


def test_the_peak_lies_between_the_mean_and_the_maximum(phantom_session):
    values = phantom_session.image.values[..., 0][phantom_session.regions.mask("lesion_1") > 0]
    found = rows(peak(phantom_session), "peak_global")["lesion_1"].estimate.value
    assert values.mean() < found < values.max()


def test_the_noise_of_a_peak_is_that_of_correlated_replicates(phantom_session):
    from igdd.kernels.blur import correlation_root
    from igdd.kernels.sphere_peak import peak as kernel

    image, mask = phantom_session.image, phantom_session.regions.mask("lesion_1") > 0
    one = rows(peak(phantom_session), "peak_global")["lesion_1"].estimate
    found = kernel(image.values[..., 0], mask, image.grid.spacing)
    low = found.places.min(axis=0)
    shape = found.places.max(axis=0) - low + 1
    rng = np.random.default_rng(0)
    sd = np.sqrt(image.variance[(*found.places.T, 0)])
    roots = [correlation_root(n, 4.0, image.noise_correlation) for n in shape]
    drawn = []
    for _ in range(2000):
        field = rng.standard_normal(shape)
        for root in roots:
            field = np.tensordot(field, root, axes=(0, 0))
        drawn.append(found.weights @ (field[tuple((found.places - low).T)] * sd))
    assert one.sd_random == pytest.approx(np.std(drawn), rel=0.07)  # 2000 draws: 1.6 %, 4 sigma


def test_an_unknown_noise_is_said(phantom_session):
    session = replace(phantom_session, image=replace(phantom_session.image, variance=None))
    one = rows(peak(session), "peak_global")["lesion_1"]
    assert "noise_unknown" in one.flags
    assert one.estimate.sd == one.estimate.sd_shared


def test_a_lesion_of_one_voxel_at_the_edge_is_flagged(phantom_session):
    mask = np.zeros(phantom_session.image.grid.shape)
    mask[0, 0, 0] = 1
    one = rows(peak(with_region(phantom_session, mask)), "peak_local")["one"]
    assert {"peak_cut", "peak_beyond_region"} <= set(one.flags)
    assert np.isfinite(one.estimate.value)
    inner = rows(peak(with_region(phantom_session, mask), interior=True), "suvpeak")["one"]
    assert np.isnan(inner.estimate.value)
    assert "peak_undefined" in inner.flags


def test_a_lesion_without_values_is_flagged(phantom_session):
    session = flat(phantom_session, hot={"lesion_1": np.nan})
    one = rows(peak(session), "peak_local")["lesion_1"]
    assert np.isnan(one.estimate.value)
    assert "empty_region" in one.flags
    volumes = rows(metabolic_volume(session, "percent_of_maximum"), "mtv_percent_of_maximum")
    assert np.isnan(volumes["lesion_1"].estimate.value)
    assert "empty_region" in volumes["lesion_1"].flags


def test_metrics_of_voxels_need_voxels(phantom_session):
    session = replace(phantom_session, image=None)
    for metric in (lambda: peak(session), lambda: metabolic_volume(session, "fixed")):
        with pytest.raises(StudyError, match="needs the voxels"):
            list(metric())
    with pytest.raises(StudyError, match="needs the regions"):
        list(diameters(replace(phantom_session, regions=None)))


def two_levels(session):
    """A lesion of 1000 with a hot half of 3000 Bq/mL, without noise."""
    image = np.full(session.image.values.shape, 100.0, np.float32)
    mask = session.regions.mask("lesion_1") > 0
    image[mask] = 1000.0
    places = np.argwhere(mask)
    hot = places[places[:, 0] >= np.median(places[:, 0])]
    image[tuple(hot.T)] = 3000.0
    image = replace(session.image, values=image, variance=None)
    return replace(session, image=image), len(hot) * 0.064, len(places) * 0.064


@pytest.mark.parametrize(("percent", "both"), [(33.3, True), (33.4, False), (100.0, False)])
def test_the_volume_above_a_percentage_of_the_maximum(phantom_session, percent, both):
    session, hot, all_of_it = two_levels(phantom_session)
    found = list(metabolic_volume(session, "percent_of_maximum", percent=percent))
    volume = rows(found, "mtv_percent_of_maximum")["lesion_1"].estimate.value
    assert volume == pytest.approx(all_of_it if both else hot)


def test_glycolysis_is_mean_times_volume(phantom_session):
    session, hot, _ = two_levels(phantom_session)
    found = list(metabolic_volume(session, "fixed", suv=2000 * factor(session)))
    volume, mean, amount = (
        rows(found, f"{name}_fixed")["lesion_1"].estimate.value
        for name in ("mtv", "suvmean", "tlg")
    )
    assert volume == pytest.approx(hot)
    assert mean == pytest.approx(3000 * factor(session), rel=1e-6)
    assert amount == pytest.approx(mean * volume, rel=1e-9)


def factor(session):
    return session.subject.weight / session.net_activity().value


def test_percist_takes_the_liver_and_its_scatter(phantom_session):
    session = flat(phantom_session, value=10.0, hot={"liver": 1000.0, "lesion_1": 1600.0})
    found = rows(metabolic_volume(session, "percist", reference="liver"), "mtv_percist")
    full = phantom_session.regions.volume[list(session.regions.names).index("lesion_1")]
    assert found["lesion_1"].estimate.value == pytest.approx(full)
    colder = flat(phantom_session, value=10.0, hot={"liver": 1000.0, "lesion_1": 1499.0})
    found = rows(metabolic_volume(colder, "percist", reference="liver"), "mtv_percist")
    assert found["lesion_1"].estimate.value == 0


def test_a_threshold_within_the_noise_has_an_uncertain_volume(phantom_session):
    found = list(metabolic_volume(phantom_session, "percent_of_maximum"))
    one = rows(found, "mtv_percent_of_maximum")["lesion_1"].estimate
    assert 0 < one.sd < one.value
    glycolysis = rows(found, "tlg_percent_of_maximum")["lesion_1"].estimate
    assert glycolysis.sd_shared == pytest.approx(0.03 * glycolysis.value, rel=0.05)  # calibration


@pytest.mark.parametrize(
    ("options", "match"),
    [
        ({"rule": "fixed"}, "measure.suv"),
        ({"rule": "percist"}, "measure.reference"),
        ({"rule": "percist", "reference": "spleen"}, "spleen"),
        ({"rule": "percent_of_maximum", "percent": 0.0}, "above 0"),
        ({"rule": "percent_of_maximum", "percent": 101.0}, "up to 100"),
    ],
)
def test_a_threshold_that_is_not_declared_is_refused(phantom_session, options, match):
    with pytest.raises(StudyError, match=match):
        list(metabolic_volume(phantom_session, **options))


def test_without_a_dose_there_is_a_volume_but_no_suv(phantom_session):
    session = replace(phantom_session, subject=replace(phantom_session.subject, given=()))
    found = {one.metric for one in metabolic_volume(session, "percent_of_maximum")}
    assert found == {"mtv_percent_of_maximum"}
    assert "suvpeak" not in {one.metric for one in peak(session)}


def lesion_of(inside, spacing=(1.0, 1.0, 3.0), shape=(61, 61, 9)):
    grid = Grid(shape=shape, affine=np.diag([*spacing, 1.0]))
    place = [
        (n - (s - 1) / 2) * d for n, s, d in zip(np.indices(shape), shape, spacing, strict=True)
    ]
    weights = sparse.csr_matrix(inside(*place).reshape(1, -1).astype(float))
    return Regions(weights=weights, names=("one",), kinds=("lesion",), grid=grid)


def measured(session, regions):
    found = list(diameters(replace(session, regions=regions)))
    return [rows(found, name)["one"].estimate.value for name in ("longest_diameter", "short_axis")]


def test_an_ellipse_has_its_axes_as_diameters(phantom_session):
    angle = np.deg2rad(30)

    def inside(x, y, z):
        u = x * np.cos(angle) + y * np.sin(angle)
        v = y * np.cos(angle) - x * np.sin(angle)
        return ((u / 20) ** 2 + (v / 9) ** 2 <= 1) & (np.abs(z) <= 6)

    longest, short = measured(phantom_session, lesion_of(inside))
    assert longest == pytest.approx(40, abs=1.0)  # a voxel of 1 mm
    assert short == pytest.approx(18, abs=1.0)


def test_a_box_has_its_diagonal_and_the_chord_across_it(phantom_session):
    def inside(x, y, z):
        return (np.abs(x) <= 20) & (np.abs(y) <= 10) & (np.abs(z) <= 3)

    longest, short = measured(phantom_session, lesion_of(inside))
    assert longest == pytest.approx(np.hypot(41, 21), abs=1.0)
    assert short == pytest.approx(21 * np.hypot(41, 21) / 41, abs=1.0)  # chord at right angles


def test_the_longest_plane_counts(phantom_session):
    def inside(x, y, z):
        return np.hypot(x, y) <= np.where(z == 3, 15.0, 5.0) * (np.abs(z) <= 6)

    assert measured(phantom_session, lesion_of(inside))[0] == pytest.approx(31, abs=1.0)


def test_voxels_need_not_be_square(phantom_session):
    def inside(x, y, z):
        return (np.hypot(x, y) <= 12) & (np.abs(z) <= 6)

    regions = lesion_of(inside, spacing=(0.5, 2.0, 3.0), shape=(101, 31, 9))
    assert measured(phantom_session, regions)[0] == pytest.approx(24, abs=2.0)  # a voxel


def test_one_voxel_is_as_long_as_a_voxel():
    assert plane_diameters(np.array([[1.0]]), 3 * np.eye(3)[:, :2]) == pytest.approx((3.0, 3.0))


def test_an_empty_region_has_no_diameter(phantom_session):
    regions = lesion_of(lambda x, y, z: np.zeros(x.shape))
    found = list(diameters(replace(phantom_session, regions=regions)))
    assert all(np.isnan(one.estimate.value) and "empty_region" in one.flags for one in found)


def test_the_axial_plane_is_found_in_a_turned_image():
    affine = np.eye(4)[[2, 0, 1, 3]]
    assert axial(Grid(shape=(4, 4, 4), affine=affine)) == 1


def test_dose_and_uptake_time_stand_as_rows_of_the_scan(phantom_session):
    from igdd.comparisons import lesion_course
    from igdd.metrics.peak import SCAN

    found = {one.metric: one for one in peak(phantom_session) if one.region == SCAN}
    assert lesion_course.SCAN == SCAN  # layers do not import each other
    given = phantom_session.net_activity()
    assert found["administered_activity"].estimate.value == given.value
    start = float(phantom_session.image.frames.start[0])
    assert found["uptake_time"].estimate.value == pytest.approx(start / 60)


def test_two_administrations_leave_dose_and_uptake_time_unsaid(phantom_session):
    subject = phantom_session.subject
    twice = replace(phantom_session, subject=replace(subject, given=subject.given * 2))
    assert not [one for one in peak(twice) if one.region == "scan"]
