"""One session: the stages in order, in a worker process."""

from __future__ import annotations

import os
import tempfile
import threading
import time
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from igdd import catalog
from igdd.declare import Modality
from igdd.errors import StudyError
from igdd.io import stored
from igdd.io.box import crop
from igdd.io.stored import StoredSession
from igdd.stages.plan import ScanPlan, SessionPlan, described
from igdd.types import Beside, Image, Series, Session

if TYPE_CHECKING:
    from igdd.stages.kinetics import Kinetics
    from igdd.stages.signal_facts import OwnT1


def compute(plan: SessionPlan, store: Path, key: str, inputs: Mapping[str, str]) -> float:
    """Compute one session and put its result into the folder `store`; the seconds it took."""
    started = time.monotonic()
    with tempfile.TemporaryDirectory(prefix=f".{plan.folder}.", dir=store) as scratch:
        stored.store(
            store / plan.folder, key, replace(measured(plan, Path(scratch)), inputs=inputs)
        )
    return time.monotonic() - started


def measured(plan: SessionPlan, scratch: Path | None = None) -> StoredSession:
    """Rows, pictures, fits, maps, methods sentences and region kinds of one session.

    `scratch` is a folder for the maps, which `stored.store` moves away; without it none are made.
    """
    from igdd.stages.lesion_panels import lesion_panels
    from igdd.stages.measure import measure
    from igdd.stages.panels import panels

    modality = catalog.find("modalities", plan.scan.entry.modality)
    if modality.gives == "values":
        return _counted(plan, modality)
    session, image = sampled(plan)
    requests = [
        (catalog.find("metrics", asked["metric"]), _options(asked)) for asked in plan.measure
    ]
    asked = frozenset(metric.name for metric, _ in requests)
    methods = [image.source, f"Regions were drawn from {_kind_of_source(plan)}."]
    methods += [curves.source for curves in (session.curves, session.recovered) if curves]
    anatomy = _anatomy(plan, image)
    folder = None if scratch is None else scratch / "maps"
    kinetics = _kinetics(plan, session, anatomy, folder)
    return StoredSession(
        measurements=measure(session, requests, kinetics.values),
        panels=(*panels(session, anatomy), *lesion_panels(session, asked), *kinetics.panels),
        methods=tuple(text for text in (*methods, *kinetics.methods) if text),
        kinds=dict(zip(session.curves.names, session.curves.kinds, strict=True)),
        inputs={},
        fits=kinetics.curves,
        maps=folder if folder is not None and folder.is_dir() else None,
    )


def _kinetics(
    plan: SessionPlan, session: Session, anatomy: Image | None, folder: Path | None
) -> Kinetics:
    """Fits and maps; a study that asks for none imports nothing for them."""
    from igdd.stages import kinetics
    from igdd.stages.session_inputs import blood_shift, session_inputs

    if not (plan.fit or plan.map):
        return kinetics.Kinetics()
    shift = blood_shift(plan, session.curves.frames)
    inputs = {} if plan.inputs is None else session_inputs(session, plan.inputs, shift)
    fitted = kinetics.fitted(session, plan, inputs)
    if folder is None:
        return fitted
    panels, methods = kinetics.mapped(session, plan, inputs, folder, anatomy)
    return replace(fitted, panels=panels, methods=(*fitted.methods, *methods))


def _counted(plan: SessionPlan, modality: Modality) -> StoredSession:
    """Rows of counted samples, such as organs in a gamma counter; there is nothing to show."""
    from igdd.stages.measure import table_of

    table = catalog.read_table(plan.scan.path, modality.name)
    values = modality.calibrate(table, plan.subject, plan.agent)
    values = tuple(one for one in values if one.region not in plan.excluded)
    subject, arm = plan.subject.id, plan.subject.arm
    derived = [
        value
        for asked in plan.measure
        if (metric := catalog.find("metrics", asked["metric"])).counted is not None
        for value in metric.counted(values, plan.subject, plan.collected, **_options(asked))
    ]
    kinds = {}
    for one in values:
        entry = described(plan.regions, one.region)
        kinds[one.region] = "organ" if entry is None else entry.kind
    return StoredSession(
        measurements=table_of([one.row(subject, plan.name, arm) for one in (*values, *derived)]),
        panels=(),
        methods=tuple(dict.fromkeys(one.method for one in values if one.metric == "percent_id")),
        kinds=kinds,
        inputs={},
    )


def sampled(plan: SessionPlan) -> tuple[Session, Image]:
    """Read, calibrate, delineate and sample one session; also its image."""
    from igdd.stages.delineate import delineate, densities
    from igdd.stages.sample import noise_variance, sample
    from igdd.stages.signal_facts import of_regions

    image = calibrated(plan, plan.scan)
    regions = delineate(image, plan)
    own = of_regions(plan, regions)
    if own is not None:
        again = calibrated(plan, plan.scan, own)
        image = replace(again, source=f"{image.source} {own.sentence}")
    image = noise_variance(image, regions, plan.scanner)
    curves, recovered = sample(image, regions, plan.scanner)
    session = Session(
        subject=plan.subject,
        name=plan.name,
        agent=plan.agent,
        curves=curves,
        recovered=recovered,
        image=image,
        regions=regions,
        densities=densities(plan, curves.names),
        collected=plan.collected,
        flags=image.flags,
        psf=plan.scanner.psf,
        psf_sd=plan.scanner.psf_sd,
        others={str(one.entry.name): _beside(plan, one) for one in plan.others},
    )
    return session, image


def _beside(plan: SessionPlan, scan: ScanPlan) -> Beside:
    """A further image of the visit; one of the measured one's modality has the scanner's psf."""
    same = scan.entry.modality == plan.scan.entry.modality
    psf = scan.entry.psf if scan.entry.psf is not None else plan.scanner.psf if same else None
    return Beside(image=calibrated(plan, scan), psf=psf)


def calibrated(plan: SessionPlan, scan: ScanPlan, own: OwnT1 | None = None) -> Image:
    """The calibrated image of one scan; `own` T1 of regions stands in place of the scan's."""
    modality = catalog.find("modalities", scan.entry.modality)
    series = _one_series(scan)
    if scan.entry.box is not None:
        series = crop(series, *np.sort(np.asarray(scan.entry.box, dtype=float), axis=0))
    declared = scan.declared
    if scan.t1_map or scan.b1_map or own:
        from igdd.stages.signal_facts import with_maps

        declared = with_maps(scan, series.grid, own)
    image: Image = modality.calibrate(series, plan.subject, plan.agent, plan.scanner, declared)
    return image


def _one_series(scan: ScanPlan) -> Series:
    wanted = scan.entry.series
    every = catalog.read_series(scan.path)
    fitting = [one for one in every if wanted is None or wanted in one.source]
    if len(every) > 1 and wanted is None:
        names = {"pet": ("PT",), "ct": ("CT",), "mr": ("MR",), "mr_dce": ("MR",)}.get(
            scan.entry.modality, ()
        )
        fitting = [one for one in every if one.modality in names]
    if len(fitting) != 1:
        raise StudyError(
            f"{scan.path}: {len(fitting)} of {len(every)} series fit modality "
            f"{scan.entry.modality!r}{f' and {wanted!r}' if wanted else ''}; expected one; "
            "say which with scan.series: " + "; ".join(one.source for one in every)
        )
    return fitting[0]


def _anatomy(plan: SessionPlan, image: Image) -> Image | None:
    if plan.anatomy is None:
        return None
    from igdd.stages.align import onto

    return onto(calibrated(plan, plan.anatomy), image.grid)


def _options(asked: Mapping[str, Any]) -> dict[str, Any]:
    return {name: value for name, value in asked.items() if name not in ("metric", "version")}


def _kind_of_source(plan: SessionPlan) -> str:
    files = {path.suffix.lower() for path in plan.scan.regions}
    words = ["DICOM structures or segmentations"] if ".dcm" in files else []
    words += ["label maps"] if files - {".dcm"} else []
    rules = sorted(
        {entry.source.rule for entry in plan.regions if entry.source is not None} - {"label"}
    )
    words += [f"rules ({', '.join(rules)})"] if rules else []
    return " and ".join(words) or "no file"


def follow_parent(parent: int) -> None:
    """End this worker when its parent is gone, so that a killed run leaves nothing running."""

    def watch() -> None:
        while os.getppid() == parent:
            time.sleep(0.5)
        os._exit(1)

    threading.Thread(target=watch, daemon=True).start()
