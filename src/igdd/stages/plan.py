"""Plan: from the study document to one self-contained, picklable task per session.

A session is what one subject's scanner visit gave. Its plan holds everything that computing it
needs and nothing else, so that equal plans over equal files give equal results.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from fnmatch import fnmatchcase
from pathlib import Path
from typing import Any

import numpy as np

from igdd import catalog, decay
from igdd.document import Document
from igdd.entries import CollectedEntry, InputsEntry, Label, RegionEntry, ScanEntry, SubjectEntry
from igdd.errors import StudyError
from igdd.facts import Agent, Collected, Declared, Given, Scanner, Subject
from igdd.results import COURSE
from igdd.stages import release_study
from igdd.study import Study, canonical
from igdd.uncertainty import Estimate

# What an imaging modality images; the others lend their anatomy to the pictures.
ANATOMY = ("ct", "mr")


@dataclass(frozen=True, kw_only=True)
class ScanPlan:
    """One scan with its paths resolved."""

    entry: ScanEntry
    path: Path
    regions: tuple[Path, ...]
    declared: Declared
    t1_map: Path | None = None
    b1_map: Path | None = None

    @property
    def paths(self) -> tuple[Path, ...]:
        """The series and what it is read by."""
        return tuple(path for path in (self.path, self.t1_map, self.b1_map) if path is not None)


@dataclass(frozen=True, kw_only=True)
class InputsPlan:
    """What a session's tissue sees, with the paths of its blood tables resolved."""

    entry: InputsEntry
    blood: tuple[Path, ...]


@dataclass(frozen=True, kw_only=True)
class SessionPlan:
    """All that one session needs; `scan` is the one measured, `anatomy` the one shown beneath,
    `others` those that metrics hold the measured one against, by their name."""

    subject: Subject
    name: str
    agent: Agent
    scanner: Scanner
    scan: ScanPlan
    anatomy: ScanPlan | None
    regions: tuple[RegionEntry, ...]
    excluded: tuple[str, ...]
    collected: tuple[Collected, ...]
    measure: tuple[Mapping[str, Any], ...]
    inputs: InputsPlan | None = None
    fit: tuple[Mapping[str, Any], ...] = ()
    map: tuple[Mapping[str, Any], ...] = ()
    others: tuple[ScanPlan, ...] = ()
    document: str

    @property
    def folder(self) -> str:
        """Name of the session's folder among the results."""
        return f"{self.subject.id}_{self.name}"

    @property
    def paths(self) -> tuple[Path, ...]:
        """Every file and folder that the session reads."""
        anatomy = () if self.anatomy is None else self.anatomy.paths
        blood = () if self.inputs is None else self.inputs.blood
        others = tuple(path for one in self.others for path in one.paths)
        return (*self.scan.paths, *self.scan.regions, *anatomy, *blood, *others)


def plan(study: Study) -> tuple[SessionPlan, ...]:
    """One plan for each session that is not excluded, ordered by subject and session."""
    _check_names(study)
    release_study.paths(study)
    document = study.document
    entries = {entry.id: entry for entry in document.subject}
    visits: dict[tuple[str, str], list[ScanEntry]] = {}
    for scan in document.scan:
        visits.setdefault((scan.subject, scan.session), []).append(scan)
    plans = [
        _plan_session(study, entries[subject], session, scans)
        for (subject, session), scans in sorted(visits.items())
        if not any(
            out.subject == subject and out.session in (None, session) and out.region is None
            for out in document.exclude
        )
    ]
    if not plans:
        raise StudyError(f"{study.path}: every scan is excluded; nothing is left to compute")
    return tuple(plans)


def _check_names(study: Study) -> None:
    """Refuse an exclusion of a session, or a comparison of an arm, that the study does not have,
    and a session named as what follows a subject over all of them."""
    document = study.document
    if any(scan.session == COURSE for scan in document.scan):
        raise StudyError(
            f"{study.path}: a scan's session is named {COURSE!r}, where the table holds what "
            "follows a subject over all sessions; expected another name"
        )
    for out in document.exclude:
        sessions = sorted({scan.session for scan in document.scan if scan.subject == out.subject})
        if out.session not in (None, *sessions):
            raise StudyError(
                f"{study.path}: exclude names session {out.session!r} of subject {out.subject}; "
                f"expected one of {', '.join(sessions) or 'none: it has no scan'}"
            )
    arms = sorted({subject.arm for subject in document.subject} - {""})
    for asked in document.compare:
        for option in catalog.find("comparisons", asked.method).options:
            named = getattr(asked, option.name) if option.unit == "arms" else ()
            unknown = sorted(set(named) - set(arms))
            if unknown:
                raise StudyError(
                    f"{study.path}: compare.{option.name} names arm {unknown[0]!r}; expected one "
                    f"of {', '.join(arms) or 'none: no [[subject]] has an arm'}"
                )


def _plan_session(
    study: Study, entry: SubjectEntry, session: str, scans: list[ScanEntry]
) -> SessionPlan:
    others = _named(study, [scan for scan in scans if scan.name is not None])
    scans = [scan for scan in scans if scan.name is None]
    imaged = [scan for scan in scans if scan.modality not in ANATOMY]
    anatomy = [scan for scan in scans if scan.modality in ANATOMY]
    if len(imaged) != 1 or len(anatomy) > 1:
        raise StudyError(
            f"{study.path}: subject {entry.id}, session {session} has {len(imaged)} measured scans "
            f"and {len(anatomy)} of anatomy; expected one and at most one; "
            "give each measured scan a session of its own, or a name to hold it against another"
        )
    document = study.document
    agent = agent_of(document, imaged[0].label)
    regions = tuple(
        region
        for region in document.region
        if region.subject in (None, entry.id) and region.session in (None, session)
    )
    excluded = tuple(
        out.region
        for out in document.exclude
        if out.region is not None and out.subject == entry.id and out.session in (None, session)
    )
    raw = {key: study.raw[key] for key in ("schema", "agent", "scanner") if key in study.raw}
    raw |= {
        "subject": next(one for one in study.raw["subject"] if one["id"] == entry.id),
        "scan": [
            one
            for one in study.raw["scan"]
            if (one["subject"], one["session"]) == (entry.id, session)
        ],
        "region": [region.model_dump(mode="json") for region in regions],
        "excluded": list(excluded),
        "measure": [one for one in study.raw.get("measure", []) if _of_session(one["metric"])],
    }
    raw |= {key: study.raw[key] for key in ("inputs", "fit", "map") if key in study.raw}
    return SessionPlan(
        subject=subject_of(entry, agent.nuclide, session),
        name=session,
        agent=agent,
        scanner=_scanner(study, imaged[0]),
        scan=_plan_scan(study, imaged[0]),
        anatomy=_plan_scan(study, anatomy[0]) if anatomy else None,
        others=tuple(_plan_scan(study, one) for one in others),
        regions=regions,
        excluded=excluded,
        collected=tuple(_collected(one, entry.id, agent) for one in entry.collected),
        measure=tuple(
            asked.model_dump() for asked in document.measure if _of_session(asked.metric)
        ),
        inputs=_plan_inputs(study, entry.id, session),
        fit=tuple(asked.model_dump() for asked in document.fit),
        map=tuple(asked.model_dump() for asked in document.map),
        document=canonical(raw),
    )


def _named(study: Study, scans: list[ScanEntry]) -> list[ScanEntry]:
    """The scans of a session that have a name, each its own."""
    names = [str(scan.name) for scan in scans]
    for name in names:
        if names.count(name) > 1:
            raise StudyError(
                f"{study.path}: subject {scans[0].subject}, session {scans[0].session} has two "
                f"scans of the name {name!r}; expected one"
            )
    return scans


def _collected(entry: CollectedEntry, subject: str, agent: Agent) -> Collected:
    """What was collected, corrected for decay from when it was counted to administration."""
    factor = 1.0
    if entry.counted_at is not None:
        half_life = agent.label_half_life
        if not np.isfinite(half_life):
            raise StudyError(
                f"subject {subject}: what was collected as {entry.place} has a time of counting, "
                "but the label's half-life is not known; give agent.label.nuclide"
            )
        factor = float(decay.decay_factor(half_life, entry.counted_at, 0.0))
    activity = Estimate(value=entry.activity * factor, sd=entry.sd * factor)
    return Collected(place=entry.place, time=entry.until, activity=activity)


def _of_session(metric: str) -> bool:
    """Whether a metric is measured in each session, not over all sessions of a subject."""
    return str(catalog.find("metrics", metric).level) != "subject"


def _plan_inputs(study: Study, subject: str, session: str) -> InputsPlan | None:
    """The `[[inputs]]` that fits a session best: of its own, of its subject, of every session."""
    document = study.document
    fitting = [
        one
        for one in document.inputs
        if one.subject in (None, subject) and one.session in (None, session)
    ]
    if not fitting:
        wanting = [one.model for one in (*document.fit, *document.map) if _needs(one.model)]
        if wanting:
            raise StudyError(
                f"{study.path}: model {wanting[0]} needs an input, but no [[inputs]] fits subject "
                f"{subject}, session {session}; expected one with blood, region, population or "
                "reference"
            )
        return None
    best = max(fitting, key=lambda one: (one.subject is not None) + (one.session is not None))
    return InputsPlan(
        entry=best,
        blood=tuple(study.resolve(path, "inputs.blood") for path in best.blood_paths),
    )


def _needs(model: str) -> tuple[str, ...]:
    needs: tuple[str, ...] = catalog.find("models", model).needs
    return needs


def _plan_scan(study: Study, scan: ScanEntry) -> ScanPlan:
    declared = scan.declared
    return ScanPlan(
        entry=scan,
        path=study.resolve(scan.path, "scan.path"),
        regions=tuple(study.resolve(path, "scan.regions") for path in scan.region_paths),
        declared=Declared(**declared.model_dump()),
        t1_map=None if scan.t1_map is None else study.resolve(scan.t1_map, "scan.t1_map"),
        b1_map=None if scan.b1_map is None else study.resolve(scan.b1_map, "scan.b1_map"),
    )


def subject_of(entry: SubjectEntry, nuclide: str, session: str | None = None) -> Subject:
    """A subject of the study, with the net activity of each administration of a label's nuclide.

    session  leaves out what belongs to other sessions
    """
    given = []
    named = {one.nuclide for one in entry.given}
    if nuclide and named and not named & {None, nuclide}:
        raise StudyError(
            f"subject {entry.id}: no administration is of {nuclide}; expected one, but there is "
            f"{', '.join(sorted(str(one) for one in named))}; correct subject.given.nuclide"
        )
    for one in entry.given:
        if nuclide and one.nuclide not in (None, nuclide):
            continue
        if session is not None and one.session not in (None, session):
            continue
        net = None
        if one.activity is not None:
            value = one.activity - one.residual - one.extravasated
            if not value > 0:
                raise StudyError(
                    f"subject {entry.id}: residual and extravasated activity leave {value:g} Bq; "
                    "expected less than what was drawn up"
                )
            sd = np.nan if one.activity_sd is None else one.activity_sd
            net = Estimate(value=value, sd=sd, sd_shared=sd)
        given.append(Given(at=one.at, activity=net, drug_dose=one.drug_dose))
    return Subject(
        id=entry.id,
        arm=entry.arm,
        weight=entry.weight,
        height=entry.height,
        sex=entry.sex,
        species=entry.species,
        given=tuple(given),
    )


def agent_of(document: Document, seen: Label | None = None) -> Agent:
    """The agent of a study, with NaN for a half-life that the study does not state.

    seen  the label of a scan, where the study has several: its rows are of what it is on
    """
    entry = document.agent
    label = seen if seen is not None else entry.label
    if label is None:
        return Agent(carrier=entry.carrier, drug=entry.drug)
    return Agent(
        carrier=entry.carrier,
        drug=entry.drug,
        nuclide=label.nuclide,
        label_on=label.on,
        half_life=np.nan if label.half_life is None else label.half_life,
        analyte="label" if seen is None else seen.on,
    )


def _scanner(study: Study, scan: ScanEntry) -> Scanner:
    """What is known of the scanner, and of this scan where it says otherwise."""
    entry = study.document.scanner
    own = scan.psf is not None
    return Scanner(
        cross_calibration=Estimate(
            value=entry.cross_calibration.factor, sd=entry.cross_calibration.sd
        ),
        psf=scan.psf if own else entry.psf,
        psf_sd=(scan.psf_sd or 0.0) if own else entry.psf_sd,
        noise_region=entry.noise.region if entry.noise else None,
        noise_correlation=entry.noise.correlation if entry.noise else None,
        boundary_sd=entry.boundary_sd,
    )


def described(entries: tuple[RegionEntry, ...], name: str) -> RegionEntry | None:
    """The last entry whose name or pattern fits a region."""
    fitting = [entry for entry in entries if fnmatchcase(name, entry.name)]
    return fitting[-1] if fitting else None
