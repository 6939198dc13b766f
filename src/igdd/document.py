"""The tables of the study document: what each may hold, in which unit, and what it means.

Unknown keys are refused and units stand in the text ("37 MBq"). The options of a metric or
comparison come from its declaration, so a new one needs no change here.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from types import GenericAlias
from typing import Annotated, Any, Literal

from pydantic import (
    BaseModel,
    BeforeValidator,
    ConfigDict,
    Field,
    GetCoreSchemaHandler,
    GetJsonSchemaHandler,
    create_model,
    model_validator,
)
from pydantic.json_schema import models_json_schema
from pydantic_core import core_schema

from igdd import catalog, decay, units
from igdd.declare import REQUIRED, Comparison, Metric, Option
from igdd.errors import InputError, UnitsError


@dataclass(frozen=True)
class Unit:
    """A number that the document spells with its unit; the model holds it in `unit`."""

    unit: str
    above: float | None = None

    def read(self, text: Any) -> float:
        """The number in this unit; ValueError says what was found and expected."""
        if not isinstance(text, str):
            raise ValueError(f"found {text!r}; expected text with a unit, such as '1 {self.unit}'")
        try:
            value = units.read(text, self.unit)
        except UnitsError as error:
            raise ValueError(f"found {error}") from error
        if self.above is not None and not value > self.above:
            raise ValueError(f"found {text!r}; expected more than {self.above:g} {self.unit}")
        return value

    def __get_pydantic_core_schema__(
        self, source: Any, handler: GetCoreSchemaHandler
    ) -> core_schema.CoreSchema:
        return core_schema.no_info_plain_validator_function(self.read)

    def __get_pydantic_json_schema__(
        self, schema: core_schema.CoreSchema, handler: GetJsonSchemaHandler
    ) -> dict[str, Any]:
        return {"type": "string", "description": f"a quantity that converts to {self.unit}"}


Time = Annotated[float, Unit("s")]
Duration = Annotated[float, Unit("s", above=0.0)]
Length = Annotated[float, Unit("mm")]
Size = Annotated[float, Unit("mm", above=0.0)]
Mass = Annotated[float, Unit("g", above=0.0)]
Activity = Annotated[float, Unit("Bq")]
DrawnUp = Annotated[float, Unit("Bq", above=0.0)]
Density = Annotated[float, Unit("g/mL", above=0.0)]
Point = Annotated[tuple[float, float, float], Field(description="x, y, z in mm, RAS+")]


class Entry(BaseModel):
    """A table of the document: unknown keys are refused, values never change after reading."""

    model_config = ConfigDict(extra="forbid", frozen=True, populate_by_name=True, strict=False)


class Label(Entry):
    """The radioactive (or other) label, and the analyte that it sits on."""

    nuclide: str
    on: Literal["carrier", "drug", "label"]
    half_life: Duration | None = None

    @model_validator(mode="after")
    def _known(self) -> Label:
        if self.half_life is None:
            try:
                decay.nuclide(self.nuclide)
            except InputError as error:
                raise ValueError(f"found {error}; or give half_life") from error
        return self


class AgentEntry(Entry):
    """What was given."""

    carrier: str = ""
    drug: str = ""
    label: Label | None = None


class CrossCalibration(Entry):
    """Factor from scanner to dose calibrator, and its standard deviation."""

    factor: float = Field(default=1.0, gt=0)
    sd: float = Field(default=0.0, ge=0)


class Noise(Entry):
    """A uniform region whose voxel scatter gives the noise, and the noise's correlation FWHM."""

    region: str
    correlation: Size


class ScannerEntry(Entry):
    """What is known of the scanner."""

    cross_calibration: CrossCalibration = CrossCalibration()
    psf: Size | None = None
    psf_sd: Length = 0.0
    noise: Noise | None = None
    boundary_sd: Length = 0.0


class GivenEntry(Entry):
    """One administration; `activity`, `residual` and `extravasated` are at the time `at`.

    `drug_dose` is the mass that went with the net activity.
    """

    at: datetime | None = None
    activity: DrawnUp | None = None
    activity_sd: Activity | None = None
    residual: Activity = 0.0
    extravasated: Activity = 0.0
    drug_dose: Mass | None = None


class CollectedEntry(Entry):
    """What left the body, complete at `until` after administration, corrected to administration."""

    place: str
    until: Time
    activity: Activity
    sd: Activity


class SubjectEntry(Entry):
    """A patient or an animal."""

    id: str = Field(pattern=r"^[A-Za-z0-9][A-Za-z0-9._-]*$", max_length=64)
    arm: str = ""
    weight: Mass | None = None
    height: Size | None = None
    sex: Literal["M", "F", "O"] | None = None
    species: str = ""
    given: tuple[GivenEntry, ...] = ()
    collected: tuple[CollectedEntry, ...] = ()


class DeclaredEntry(Entry):
    """Facts of a scan that its files do not state, or state wrongly."""

    unit: Literal["Bq/mL", "kBq/mL", "MBq/mL"] | None = None
    corrected_to: Literal["administration", "scan_start", "none"] | None = None
    start: datetime | None = None
    duration: Duration | None = None
    attenuation_corrected: bool | None = None
    branching_applied: bool | None = None


class ScanEntry(Entry):
    """One series of one subject, and where its regions are drawn."""

    subject: str
    session: str = Field(pattern=r"^[A-Za-z0-9][A-Za-z0-9._-]*$", max_length=64)
    modality: str
    path: str
    regions: str | tuple[str, ...] = ()
    series: str | None = Field(
        default=None, description="text in the series' description, where a folder holds several"
    )
    box: tuple[Point, Point] | None = Field(
        default=None, description="two opposite corners of one animal in a shared field of view"
    )
    declared: DeclaredEntry = DeclaredEntry()

    @property
    def region_paths(self) -> tuple[str, ...]:
        """The region files as a tuple, also where the document gives one string."""
        return (self.regions,) if isinstance(self.regions, str) else self.regions


class Source(Entry):
    """Where a region comes from: exactly one of label, sphere, box, above, above_percent, union,
    difference or shell; the other keys refine it. Points are x, y, z in mm, RAS+."""

    label: int | None = None
    sphere: Point | None = None
    diameter: Size | None = None
    refine: Length = 0.0
    box: tuple[Point, Point] | None = None
    above: str | None = Field(default=None, description='a concentration, such as "5 kBq/mL"')
    above_percent: float | None = Field(default=None, gt=0, lt=100)
    within: str | None = None
    seed: Point | None = None
    union: tuple[str, ...] | None = None
    difference: tuple[str, str] | None = None
    shell: str | None = None
    inner: Length = 0.0
    outer: Length = 0.0

    @property
    def rule(self) -> str:
        """The one key that says what kind of source this is."""
        rules = ("label", "sphere", "box", "above", "above_percent", "union", "difference", "shell")
        return next(name for name in rules if getattr(self, name) is not None)

    @model_validator(mode="after")
    def _one_rule(self) -> Source:
        rules = ("label", "sphere", "box", "above", "above_percent", "union", "difference", "shell")
        said = [name for name in rules if getattr(self, name) is not None]
        if len(said) != 1:
            raise ValueError(f"found {said or 'none'}; expected exactly one of {', '.join(rules)}")
        if said == ["sphere"] and self.diameter is None:
            raise ValueError("a sphere needs its diameter, such as diameter = '37 mm'")
        if said == ["shell"] and not self.outer > self.inner:
            raise ValueError("a shell needs outer > inner (mm from the border, outside positive)")
        return self


class RegionEntry(Entry):
    """A region's kind and density by name or pattern, or the rule that draws it."""

    name: str
    kind: Literal["organ", "lesion", "blood", "reference"] = "organ"
    density: Density | None = None
    source: Source | None = Field(default=None, alias="from")
    subject: str | None = None
    session: str | None = None


class ExcludeEntry(Entry):
    """What is left out, and why; it stands in the report."""

    subject: str
    session: str | None = None
    region: str | None = None
    reason: str = Field(min_length=3)


class Select(Entry):
    """Which regions a comparison looks at."""

    kind: Literal["organ", "lesion", "blood", "reference", "remainder"] | None = None
    name: tuple[str, ...] | None = None


_OPTION_TYPES: dict[str, Any] = {
    "1": float,
    "integer": int,
    "text": str,
    "texts": tuple[str, ...],
    "arms": tuple[str, ...],
    "flag": bool,
    "region": str,
    "regions": Select,
    "of image": str,
}


def _option_field(option: Option) -> tuple[Any, Any]:
    kind = _OPTION_TYPES.get(option.unit) or Annotated[float, Unit(option.unit)]
    if option.choices:
        kind = Literal[option.choices]
    if option.default is REQUIRED:
        return kind, Field(description=option.help)
    if option.default is None:
        kind = kind | None
    return kind, Field(default=option.default, description=option.help)


def options_model(declaration: Metric | Comparison, key: str) -> type[Entry]:
    """The table that asks for one metric or comparison: its name under `key`, and its options."""
    fields: dict[str, Any] = {
        key: (Literal[declaration.name], ...),
        "version": (Literal[declaration.version], declaration.version),
    }
    fields |= {option.name: _option_field(option) for option in declaration.options}
    return create_model(f"{key}_{declaration.name}", __base__=Entry, **fields)


def _asked(kind: str, key: str) -> Any:
    """All tables of `[[measure]]` or `[[compare]]`, told apart by the name under `key`."""

    def check(entry: Any) -> Any:
        if not isinstance(entry, Mapping) or not isinstance(entry.get(key), str):
            raise ValueError(f"{key} is missing; expected one of {', '.join(known)}")
        if entry[key] not in known:
            raise ValueError(f"{key} = {entry[key]!r} is unknown; expected {', '.join(known)}")
        return known[entry[key]].model_validate(entry)

    known = {
        name: options_model(declaration, key)
        for name, declaration in catalog.declarations(kind).items()
    }
    return GenericAlias(tuple, (Annotated[Any, BeforeValidator(check)], ...))


class Document(Entry):
    """The core of the document; `document_model` adds what the catalogue declares."""

    schema_number: Literal[1] = Field(alias="schema")
    title: str = Field(min_length=1, max_length=300)
    agent: AgentEntry = AgentEntry()
    scanner: ScannerEntry = ScannerEntry()
    subject: tuple[SubjectEntry, ...] = Field(min_length=1)
    scan: tuple[ScanEntry, ...] = Field(min_length=1)
    region: tuple[RegionEntry, ...] = ()
    exclude: tuple[ExcludeEntry, ...] = ()
    measure: tuple[Any, ...] = Field(min_length=1)
    compare: tuple[Any, ...] = ()

    @model_validator(mode="after")
    def _names_fit(self) -> Document:
        ids = [subject.id for subject in self.subject]
        for one in ids:
            if ids.count(one) > 1:
                raise ValueError(f"subject {one!r} stands twice; expected one [[subject]] each")
        named = [("scan", scan.subject) for scan in self.scan]
        named += [("exclude", out.subject) for out in self.exclude]
        for table, subject in named:
            if subject not in ids:
                raise ValueError(
                    f"{table} names subject {subject!r}; expected one of {', '.join(ids)}"
                )
        known = catalog.declarations("modalities")
        for number, scan in enumerate(self.scan, start=1):
            if scan.modality not in known:
                raise ValueError(
                    f"scan[{number}].modality: found {scan.modality!r}; expected one of "
                    f"{', '.join(known)}"
                )
        return self


def document_model() -> type[Document]:
    """The whole document, with the metrics and comparisons that are declared at this moment."""
    fields: dict[str, Any] = {
        "measure": (_asked("metrics", "metric"), Field(min_length=1)),
        "compare": (_asked("comparisons", "method"), ()),
    }
    return create_model("Study", __base__=Document, **fields)


def json_schema() -> dict[str, Any]:
    """JSON Schema of the study file, for editors."""
    schema = document_model().model_json_schema(by_alias=True)
    for field, kind, key in (
        ("measure", "metrics", "metric"),
        ("compare", "comparisons", "method"),
    ):
        models = [options_model(one, key) for one in catalog.declarations(kind).values()]
        _, defined = models_json_schema([(model, "validation") for model in models])
        schema["$defs"] |= defined.get("$defs", {})
        schema["properties"][field]["items"] = {
            "oneOf": [{"$ref": f"#/$defs/{model.__name__}"} for model in models]
        }
    return schema
