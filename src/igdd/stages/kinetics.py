"""Kinetics of one session of a study: its inputs, the models fitted to its regions, its maps."""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping
from dataclasses import dataclass, replace
from fnmatch import fnmatchcase
from pathlib import Path
from typing import Any

import numpy as np

from igdd import catalog
from igdd.declare import Model
from igdd.entries import FitEntry, Select
from igdd.errors import StudyError
from igdd.kinetics import Fit, InputCurve
from igdd.results import FittedCurves, Panel, Value
from igdd.stages.fit_text import notes_text
from igdd.stages.panels import map_panel
from igdd.stages.plan import SessionPlan
from igdd.stages.protocol import arranged, held_values, si_factor
from igdd.types import Curves, Image, Session
from igdd.uncertainty import NORMAL_95, Estimate

# Keys of a [[fit]] or [[map]] that are no options of the model.
COMMON = frozenset({"model", "version", *FitEntry.model_fields})
KNOTS_SHOWN = 200


@dataclass(frozen=True, kw_only=True, eq=False)
class Kinetics:
    """What fits and maps of a session leave: rows, curves and pictures to show, sentences."""

    values: tuple[Value, ...] = ()
    curves: tuple[FittedCurves, ...] = ()
    panels: tuple[Panel, ...] = ()
    methods: tuple[str, ...] = ()


def fitted(session: Session, plan: SessionPlan, inputs: Mapping[str, InputCurve]) -> Kinetics:
    """Every model that the study asks for, fitted to the session's regions.

    The curves are those corrected for partial volume where there are such.
    """
    from igdd.stages.fit import fit

    every = session.recovered or session.curves
    values: list[Value] = []
    shown, methods = [], []
    for asked in plan.fit:
        model: Model = catalog.find("models", asked["model"])
        curves = _chosen(every, asked["regions"], _serving(model, every, plan))
        words = _words(asked)
        found = fit(model, curves, inputs, **words)
        calibration = _of_calibration(found, model, curves, inputs, words)
        own = {key: words.get(key) for key in (option.name for option in model.options)}
        settled, _ = arranged(model, curves.unit, own)
        held = held_values(settled, asked["hold"], asked["free"])
        values += rows(found, calibration, curves, held)
        visit = (session.subject.id, session.name)
        shown.append(to_show(found, curves, visit, inputs, held))
        methods.append(_sentence(model, inputs))
    methods += _sources(inputs)
    return Kinetics(values=tuple(values), curves=tuple(shown), methods=tuple(methods))


def mapped(
    session: Session,
    plan: SessionPlan,
    inputs: Mapping[str, InputCurve],
    folder: Path,
    anatomy: Image | None,
) -> tuple[tuple[Panel, ...], tuple[str, ...]]:
    """Every map that the study asks for, written below `folder`; pictures of them, sentences."""
    from igdd.stages.map import map_image

    shown: list[Panel] = []
    methods = []
    if session.image is None or session.regions is None:
        return (), ()
    for asked in plan.map:
        within = None
        if asked["regions"] is not None:
            chosen = _chosen(session.curves, asked["regions"]).names
            within = np.max([session.regions.mask(name) for name in chosen], axis=0)
        model: Model = catalog.find("models", asked["model"])
        found = map_image(
            model, session.image, inputs, out=folder / model.name, mask=within, workers=1,
            **_words(asked),
        )  # fmt: skip
        for name, path in found.maps.items():
            unit = found.units[name]
            shown += map_panel(session, path, f"{found.model.replace('_', ' ')} {name}", unit,
                               anatomy)  # fmt: skip
        flagged = sum(found.counts.values())
        methods.append(
            f"Model {found.model} was fitted to {found.fitted} of {found.voxels} voxels, one by "
            f"one ({flagged} flags)."
        )
    return tuple(shown), tuple(methods)


def _serving(model: Model, curves: Curves, plan: SessionPlan) -> frozenset[str]:
    """Regions that are no tissue to a model: those that serve as its input, and blood.

    A model without an input, such as one of clearance, may well be of blood.
    """
    if not model.needs:
        return frozenset()
    found = {name for name, kind in zip(curves.names, curves.kinds, strict=True) if kind == "blood"}
    if plan.inputs is not None:
        entry = plan.inputs.entry
        reference = entry.reference if "reference" in model.needs else None
        found |= {name for name in (entry.region, entry.portal, reference) if name is not None}
    return frozenset(found)


def _chosen(
    curves: Curves,
    regions: Mapping[str, Any] | Select | None,
    serving: Collection[str] = (),
) -> Curves:
    """The curves of the regions asked for; without a choice all but the remainder and `serving`."""
    select = regions if isinstance(regions, Select) else Select(**(regions or {}))
    rows = [
        row
        for row, (name, kind) in enumerate(zip(curves.names, curves.kinds, strict=True))
        if (select.kind in (None, kind))
        and (select.kind is not None or kind != "remainder")
        and (regions is not None or name not in serving)
        and (select.name is None or any(fnmatchcase(name, one) for one in select.name))
    ]
    if not rows:
        raise StudyError(
            f"fit.regions chooses none of {', '.join(curves.names)}; expected a kind or names of "
            "regions that are drawn"
        )
    return curves.of(rows)


def _words(asked: Mapping[str, Any]) -> dict[str, Any]:
    """The keyword arguments of `igdd.fit` or `igdd.map` from a table of the study."""
    common = {key: asked[key] for key in ("start", "end", "hold", "free", "integration", "sd")}
    return common | {key: value for key, value in asked.items() if key not in COMMON}


def _of_calibration(
    found: Fit,
    model: Model,
    curves: Curves,
    inputs: Mapping[str, InputCurve],
    words: Mapping[str, Any],
) -> np.ndarray:
    """Part of each parameter's sd (region, parameter) that calibration gives to all regions.

    The curves are made one standard deviation of the calibration larger, and fitted again; an input
    from the image grows with them, one from a blood counter does not.
    """
    from igdd.stages.fit import fit

    if not curves.scale_cv > 0:
        return np.zeros_like(found.values)
    factor = 1 + curves.scale_cv
    larger = replace(
        curves, values=curves.values * factor, covariance=curves.covariance * factor**2
    )
    grown = {
        role: replace(curve, values=curve.values * factor)
        if curve.source.startswith("image")
        else curve
        for role, curve in inputs.items()
    }
    again = fit(model, larger, grown, **words)
    return np.asarray(np.abs(again.values - found.values))


def rows(
    found: Fit, calibration: np.ndarray, curves: Curves, held: Collection[str] = ()
) -> Iterator[Value]:
    """One row for each region and parameter, in display units, at the middle of the window.

    calibration  part of each parameter's sd (region, parameter), in SI, that all regions share
    held         parameters without a row

    The interval is Student's t for what the curve's own residuals tell, with the calibration's part
    added in squares.
    """
    from scipy.special import stdtrit

    display = dict(zip(found.parameters, found.display, strict=True))
    for row, region in enumerate(found.names):
        used = np.isfinite(found.predicted[row])
        frames = np.flatnonzero(used) if used.any() else np.arange(used.size)
        time = float(curves.frames.start[frames[0]] + curves.frames.end[frames[-1]]) / 2
        reach = float(stdtrit(found.freedom[row], 0.975)) if found.freedom[row] > 0 else np.nan
        note = notes_text(found.notes[row], display)
        for column, (name, unit) in enumerate(zip(found.parameters, found.display, strict=True)):
            if name in held:
                continue
            factor = si_factor(unit)
            shared = float(calibration[row, column]) / factor
            # below 0 by rounding, where a derived variance is all but 0
            random = float(np.sqrt(max(found.covariance[row, column, column], 0.0))) / factor
            value = float(found.values[row, column]) / factor
            half = float(np.hypot(reach * random, NORMAL_95 * shared))
            yield Value(
                region=region,
                metric=f"{found.model}_{name}",
                estimate=Estimate(
                    value=value,
                    sd=float(np.hypot(random, shared)),
                    sd_shared=shared,
                ),
                interval=(value - half, value + half),
                unit=unit,
                time=time,
                analyte=curves.analyte,
                flags=found.flags[row],
                method=f"{found.model}{f' ({note})' if note else ''}",
            )


def to_show(
    found: Fit,
    curves: Curves,
    visit: tuple[str, str],
    inputs: Mapping[str, InputCurve],
    held: Collection[str] = (),
) -> FittedCurves:
    """Curves, model and input of a visit (subject, session), for the report."""
    seen = next((inputs[role] for role in ("plasma", "reference") if role in inputs), None)
    within = np.zeros(0, dtype=int)
    if seen is not None:
        inside = np.flatnonzero(seen.time <= curves.frames.end[-1])
        within = inside[:: max(1, inside.size // KNOTS_SHOWN)]
    return FittedCurves(
        subject=visit[0],
        session=visit[1],
        model=found.model,
        regions=found.names,
        parameters=tuple(name for name in found.parameters if name not in held),
        time=curves.frames.middle,
        values=curves.values,
        predicted=found.predicted,
        input_time=np.zeros(0) if seen is None else seen.time[within],
        input_values=np.zeros(0) if seen is None else seen.values[within],
        aicc=found.aicc,
        unit=curves.unit,
        quantity=curves.quantity,
        notes=found.notes,
    )


def _sentence(model: Model, inputs: Mapping[str, InputCurve]) -> str:
    seen = [role for role in model.needs if role in inputs]
    words = f"Model {model.name} was fitted to the region curves"
    return f"{words} ({' and '.join(seen)} input)." if seen else f"{words}."


def _sources(inputs: Mapping[str, InputCurve]) -> list[str]:
    """What the inputs were made from; what several share is said once."""
    roles: dict[str, list[str]] = {}
    for role, curve in inputs.items():
        roles.setdefault(curve.source, []).append(role)
    return [f"{' and '.join(of).capitalize()} input: {source}." for source, of in roles.items()]
