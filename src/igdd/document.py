"""The study document: its tables (`igdd.entries`) and what the catalogue declares.

The options of a metric, model or comparison come from its declaration, so a new one needs no change
here.
"""

from __future__ import annotations

from collections.abc import Mapping
from types import GenericAlias
from typing import Annotated, Any, Literal

from pydantic import BeforeValidator, Field, create_model, model_validator
from pydantic.json_schema import models_json_schema

from igdd import catalog
from igdd.declare import REQUIRED, Comparison, Metric, Model, Option
from igdd.entries import (
    AgentEntry,
    Entry,
    ExcludeEntry,
    FitEntry,
    InputsEntry,
    RegionEntry,
    ReleaseEntry,
    ScanEntry,
    ScannerEntry,
    Select,
    SubjectEntry,
    Unit,
)

_OPTION_TYPES: dict[str, Any] = {
    "1": float,
    "integer": int,
    "text": str,
    "metric": str,
    "texts": tuple[str, ...],
    "arms": tuple[str, ...],
    "flag": bool,
    "region": str,
    "regions": Select,
    "of image": str,
    # Read once the curves say of what they hold a concentration.
    "{amount}": str,
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


def options_model(declaration: Metric | Comparison | Model, key: str) -> type[Entry]:
    """The table that asks for a metric, comparison or model: its name under `key`, its options."""
    fields: dict[str, Any] = {
        key: (Literal[declaration.name], ...),
        "version": (Literal[declaration.version], declaration.version),
    }
    fields |= {option.name: _option_field(option) for option in declaration.options}
    base = FitEntry if isinstance(declaration, Model) else Entry
    return create_model(f"{key}_{declaration.name}", __base__=base, **fields)


def _asked(kind: str, key: str, *, voxelwise: bool = False) -> Any:
    """All tables of `[[measure]]`, `[[fit]]` ..., told apart by the name under `key`."""

    def check(entry: Any) -> Any:
        if not isinstance(entry, Mapping) or not isinstance(entry.get(key), str):
            raise ValueError(f"{key} is missing; expected one of {', '.join(known)}")
        if entry[key] not in known:
            fault = "makes no maps" if entry[key] in catalog.declarations(kind) else "is unknown"
            raise ValueError(f"{key} = {entry[key]!r} {fault}; expected {', '.join(known)}")
        return known[entry[key]].model_validate(entry)

    known = {
        name: options_model(declaration, key)
        for name, declaration in catalog.declarations(kind).items()
        if not voxelwise or declaration.voxelwise
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
    inputs: tuple[InputsEntry, ...] = ()
    map: tuple[Any, ...] = ()
    fit: tuple[Any, ...] = ()
    measure: tuple[Any, ...] = ()
    compare: tuple[Any, ...] = ()
    release: tuple[ReleaseEntry, ...] = ()

    @model_validator(mode="after")
    def _asks_for_something(self) -> Document:
        if not (self.measure or self.fit or self.map):
            raise ValueError("nothing is asked for; expected a [[measure]], [[fit]] or [[map]]")
        return self

    @model_validator(mode="after")
    def _names_fit(self) -> Document:
        ids = [subject.id for subject in self.subject]
        for one in ids:
            if ids.count(one) > 1:
                raise ValueError(f"subject {one!r} stands twice; expected one [[subject]] each")
        named = [("scan", scan.subject) for scan in self.scan]
        named += [("exclude", out.subject) for out in self.exclude]
        named += [("inputs", one.subject) for one in self.inputs if one.subject is not None]
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
        "map": (_asked("models", "model", voxelwise=True), ()),
        "fit": (_asked("models", "model"), ()),
        "measure": (_asked("metrics", "metric"), ()),
        "compare": (_asked("comparisons", "method"), ()),
    }
    return create_model("Study", __base__=Document, **fields)


def json_schema() -> dict[str, Any]:
    """JSON Schema of the study file, for editors."""
    schema = document_model().model_json_schema(by_alias=True)
    for field, kind, key in (
        ("map", "models", "model"),
        ("fit", "models", "model"),
        ("measure", "metrics", "metric"),
        ("compare", "comparisons", "method"),
    ):
        models = [
            options_model(one, key)
            for one in catalog.declarations(kind).values()
            if field != "map" or one.voxelwise
        ]
        _, defined = models_json_schema([(model, "validation") for model in models])
        schema["$defs"] |= defined.get("$defs", {})
        schema["properties"][field]["items"] = {
            "oneOf": [{"$ref": f"#/$defs/{model.__name__}"} for model in models]
        }
    return schema
