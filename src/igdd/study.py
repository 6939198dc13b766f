"""The study document: one strict TOML file that says what was given, scanned and asked.

Unknown keys are refused, units stand in the text ("37 MBq"), and `schema` counts the core keys.
Every option of a metric or comparison comes from its declaration.
"""

from __future__ import annotations

import copy
import json
import re
import tomllib
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from types import GenericAlias
from typing import Annotated, Any, Literal

from pydantic import (
    BaseModel,
    BeforeValidator,
    ConfigDict,
    Field,
    GetCoreSchemaHandler,
    GetJsonSchemaHandler,
    ValidationError,
    create_model,
    model_validator,
)
from pydantic.json_schema import models_json_schema
from pydantic_core import core_schema

from igdd import catalog, units
from igdd.declare import REQUIRED, Comparison, Metric, Option
from igdd.errors import InputError, StudyError, UnitsError
from igdd.io.bounded import resolve_inside

SCHEMA = 1
UNKNOWN_FACT = "# REQUIRED"  # how a drafted study marks a fact that nobody knows
LARGEST = 4_000_000  # bytes; a study is text that people read
DEEPEST = 20  # levels; the schema has six
DOTS = 64  # in a line outside of quotation marks: points and dotted keys
FAULTS_SHOWN = 100
_QUOTED = re.compile(r'"(?:[^"\\]|\\.)*"|\'[^\']*\'')

# Old schema number -> function that turns such a document into the next number's.
MIGRATIONS: dict[int, Callable[[dict[str, Any]], dict[str, Any]]] = {}


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
            raise ValueError(str(error)) from error
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
    """One administration; `activity`, `residual` and `extravasated` are at the time `at`."""

    at: datetime | None = None
    activity: DrawnUp | None = None
    activity_sd: Activity = 0.0
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
        for scan in self.scan:
            if scan.modality not in catalog.declarations("modalities"):
                known = ", ".join(catalog.declarations("modalities"))
                raise ValueError(f"modality {scan.modality!r} is unknown; expected one of {known}")
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


@dataclass(frozen=True, kw_only=True, eq=False)
class Study:
    """A checked document, as written (`raw`) and as read, with the folders it may read from."""

    document: Document
    raw: Mapping[str, Any]
    path: Path
    roots: tuple[Path, ...]

    def resolve(self, relative: str, key: str) -> Path:
        """A file or folder below the first granted root that has it; links are resolved first."""
        try:
            return resolve_inside(relative, self.roots)
        except InputError as error:
            raise StudyError(
                f"{self.path}: {key} = {relative!r}: {error}; looked below "
                f"{' and '.join(map(str, self.roots))}; grant another folder with --data DIR"
            ) from error


def load_study(path: str | Path, roots: tuple[str | Path, ...] = ()) -> Study:
    """Read and check a study; `roots` are folders that it may read beside its own."""
    path = Path(path)
    if path.is_dir():
        path = path / "study.toml"
    if not path.is_file():
        raise StudyError(f"{path}: there is no such study; `igdd new FOLDER` drafts one")
    if path.stat().st_size > LARGEST:
        raise StudyError(f"{path}: {path.stat().st_size} bytes; expected a study under {LARGEST}")
    try:
        text = path.read_text(encoding="utf-8")
        _check_keys(text, path)
        raw = tomllib.loads(text)
    except (OSError, ValueError, RecursionError) as error:  # ValueError: also a number too long
        raise StudyError(f"{path}: not a TOML document: {str(error)[:200]}") from error
    open_facts = [
        f"{path}, line {number}: {line.strip()}"
        for number, line in enumerate(text.splitlines(), start=1)
        if UNKNOWN_FACT in line
    ]
    if open_facts:
        raise StudyError(
            "\n".join(open_facts)
            + f"\nfound {len(open_facts)} facts that nobody has stated yet; give each its value, "
            "or remove its line where it does not apply"
        )
    return check_study(raw, path, tuple(Path(root).resolve() for root in roots))


def _check_keys(text: str, path: Path) -> None:
    """Refuse keys of hundreds of parts, for which the parser takes time and memory squared."""
    for number, line in enumerate(text.splitlines(), start=1):
        if line.count(".") <= DOTS or line.lstrip().startswith("#"):
            continue
        if _QUOTED.sub("", line).count(".") > DOTS:
            raise StudyError(
                f"{path}, line {number}: more than {DOTS} dots outside of quotation marks; "
                "expected keys of a few parts"
            )


def _check_depth(raw: Mapping[str, Any], path: Path) -> None:
    """Refuse tables and lists that nest deeper than any key of the schema."""
    waiting: list[tuple[Any, int]] = [(raw, 0)]
    while waiting:
        value, depth = waiting.pop()
        if depth > DEEPEST:
            raise StudyError(f"{path}: nested more than {DEEPEST} deep; expected a few levels")
        inner = value.values() if isinstance(value, Mapping) else value
        if isinstance(value, Mapping | list | tuple):
            waiting += [(member, depth + 1) for member in inner]


def check_study(raw: dict[str, Any], path: Path, roots: tuple[Path, ...] = ()) -> Study:
    """Validate a document that stands at `path`, migrating an old one."""
    _check_depth(raw, path)
    raw = _migrate(json_safe_copy(raw), path)
    try:
        document = document_model().model_validate(raw)
    except ValidationError as error:
        raise StudyError(_explain(error, path)) from error
    return Study(document=document, raw=raw, path=path, roots=(path.resolve().parent, *roots))


def json_safe_copy(raw: Mapping[str, Any]) -> dict[str, Any]:
    """A deep copy that later changes to the original do not reach."""
    return copy.deepcopy(dict(raw))


def canonical(raw: Any) -> str:
    """One text for equal documents: keys sorted, dates in ISO 8601."""
    return json.dumps(raw, sort_keys=True, default=lambda value: value.isoformat())


def _migrate(raw: dict[str, Any], path: Path) -> dict[str, Any]:
    number = raw.get("schema")
    if not isinstance(number, int) or isinstance(number, bool) or not 1 <= number <= SCHEMA:
        raise StudyError(f"{path}: schema is {number!r}; expected schema = {SCHEMA} (or an older)")
    while number < SCHEMA:
        raw = MIGRATIONS[number](raw)
        number += 1
    return raw


def _explain(error: ValidationError, path: Path) -> str:
    """Every fault of a document: the key, what was found, what was expected."""
    lines = []
    faults = error.errors(include_url=False)
    above = {fault["loc"][:length] for fault in faults for length in range(len(fault["loc"]))}
    # a list may count as too short only because its members are at fault
    told = [fault for fault in faults if fault["loc"] not in above]
    for fault in told[:FAULTS_SHOWN]:
        place = fault["loc"]
        key = "".join(
            f"[{part + 1}]" if isinstance(part, int) else f".{part}" for part in place
        ).lstrip(".")
        message = fault["msg"].removeprefix("Value error, ")
        if fault["type"] == "extra_forbidden":
            message = "is not a key of the study; remove it or correct its spelling"
        elif fault["type"] == "missing":
            message = "is missing; expected here"
        elif "found" not in message and not isinstance(fault["input"], dict | list | tuple):
            message = f"found {fault['input']!r:.100}; {message[0].lower()}{message[1:]}"
        lines.append(f"{path}: {key or 'document'}: {message}")
    if len(told) > FAULTS_SHOWN:
        lines.append(f"{path}: and {len(told) - FAULTS_SHOWN} more")
    return "\n".join(lines)
