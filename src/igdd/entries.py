"""The tables of the study document: what each may hold, in which unit, and what it means.

Unknown keys are refused and units stand in the text ("37 MBq").
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from typing import Annotated, Any, Literal

from pydantic import (
    BaseModel,
    ConfigDict,
    Field,
    GetCoreSchemaHandler,
    GetJsonSchemaHandler,
    model_validator,
)
from pydantic_core import core_schema

from igdd import decay, units
from igdd.errors import InputError, UnitsError
from igdd.modalities.contrast import QUANTITIES
from igdd.modalities.pet_conversion import DECLARED_UNITS


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
Angle = Annotated[float, Unit("deg", above=0.0)]
Relaxivity = Annotated[float, Unit("mL/(mol.s)", above=0.0)]
Density = Annotated[float, Unit("g/mL", above=0.0)]
AgentDose = Annotated[float, Unit("mol/g", above=0.0)]
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
    nuclide: str | None = Field(
        default=None, description="of which label, where carrier and drug have one each"
    )
    session: str | None = Field(
        default=None, description="of which session, where each has an injection of its own"
    )


class CollectedEntry(Entry):
    """What left the body, complete at `until` after administration.

    `activity` and `sd` are corrected for decay to administration; with `counted_at`, they are as
    they were at that time after administration, and are corrected here.
    """

    place: str
    until: Time
    activity: Activity
    sd: Activity
    counted_at: Time | None = None


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

    unit: str | None = Field(default=None, description="of the stored values, such as kBq/mL, HU")
    corrected_to: Literal["administration", "scan_start", "none"] | None = None
    start: datetime | None = None
    duration: Duration | None = None
    attenuation_corrected: bool | None = None
    branching_applied: bool | None = None
    repetition_time: Duration | None = None
    flip_angle: Angle | None = None
    interval: Duration | None = Field(default=None, description="from volume to volume")
    t1: Duration | None = Field(default=None, description="before contrast, of all voxels")
    relaxivity: Relaxivity | None = None
    baseline: str | None = Field(
        default=None,
        coerce_numbers_to_str=True,
        description="frames before the agent came: 5, '2-5', or until '30 s'",
    )


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
    label: Label | None = Field(
        default=None,
        description="the label that this scan sees, where carrier and drug have one each; its rows "
        "are then of the carrier or the drug",
    )
    declared: DeclaredEntry = DeclaredEntry()
    name: str | None = Field(
        default=None,
        pattern=r"^[a-z][a-z0-9_]*$",
        max_length=32,
        description="what metrics call a second image of the visit, such as target; the measured "
        "one and its anatomy have none",
    )
    t1_map: str | None = Field(
        default=None, description="T1 before contrast of each voxel, an image on the series' grid"
    )
    b1_map: str | None = Field(
        default=None, description="share of the flip angle that was reached, an image on that grid"
    )
    psf: Size | None = Field(
        default=None, description="FWHM of this image's point spread, where not the scanner's"
    )
    psf_sd: Length | None = None

    @property
    def region_paths(self) -> tuple[str, ...]:
        """The region files as a tuple, also where the document gives one string."""
        return (self.regions,) if isinstance(self.regions, str) else self.regions

    @model_validator(mode="after")
    def _unit_of_modality(self) -> ScanEntry:
        found = self.declared.unit
        if found is None or (self.modality == "pet" and found in DECLARED_UNITS):
            return self
        if self.modality == "contrast" and any(units.converts(found, one) for one in QUANTITIES):
            return self
        raise ValueError(
            f"declared.unit: found {found!r} with modality {self.modality!r}; expected "
            f"{', '.join(DECLARED_UNITS)} with pet, a unit such as mmol/L, 1/s, HU or a.u. with "
            "contrast, and none with others"
        )

    @model_validator(mode="after")
    def _signals_only(self) -> ScanEntry:
        stated = [key for key in ("t1_map", "b1_map") if getattr(self, key) is not None]
        stated += [
            f"declared.{key}"
            for key in ("t1", "relaxivity", "baseline", "repetition_time", "flip_angle")
            if getattr(self.declared, key) is not None
        ]
        if stated and self.modality != "mr_dce":
            raise ValueError(
                f"found {stated[0]} with modality {self.modality!r}, which does not read it; "
                "expected it with mr_dce, signals of dynamic MR; leave it out"
            )
        return self

    @model_validator(mode="after")
    def _one_t1(self) -> ScanEntry:
        if self.t1_map is not None and self.declared.t1 is not None:
            raise ValueError("found t1_map and declared.t1; expected one of them")
        return self


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
    t1: Duration | None = Field(
        default=None, description="before contrast, of its voxels, in place of the mr_dce scan's"
    )
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


class InputsEntry(Entry):
    """What the tissue of a session sees: blood tables, a region of the image (with manual samples
    as `blood`), a population's curve, a reference tissue. Without subject and session it holds for
    every session; the most particular entry counts.

    `zero` says what the blood's clock counts from; a PET-BIDS scan says it itself (TimeZero).
    """

    subject: str | None = None
    session: str | None = None
    blood: str | tuple[str, ...] = ()
    region: str | None = Field(default=None, description="vessel whose curve is the blood's")
    recovery: float = Field(default=1.0, gt=0, le=2)
    background: str | None = Field(default=None, description="region that spills into the vessel")
    blood_scaling: bool = False
    portal: str | None = Field(default=None, description="region of the portal vein")
    population: str | None = None
    reference: str | None = Field(default=None, description="region of the reference tissue")
    dose: AgentDose | None = Field(default=None, description="of a population, per body weight")
    zero: Literal["scan_start", "administration"] | None = None
    unit: str | None = Field(default=None, description="of blood tables that do not say")
    time_unit: str | None = None
    compartment: Literal["plasma", "blood", "portal"] | None = None
    substance: Literal["parent", "total", "carrier", "contrast"] | None = None
    parent_fraction: str = "interpolate"
    plasma_to_blood: str | float = "interpolate"
    model: str = "interpolate"
    infusion: Duration | None = None
    haematocrit: float | None = Field(default=None, gt=0, lt=1)
    delay: Time = 0.0
    dispersion: Duration | None = None
    decay_corrected: bool | None = Field(
        default=None, description="whether blood is corrected to the instant of the stored image"
    )

    @property
    def blood_paths(self) -> tuple[str, ...]:
        """The blood tables as a tuple, also where the document gives one string."""
        return (self.blood,) if isinstance(self.blood, str) else self.blood

    @model_validator(mode="after")
    def _one_source(self) -> InputsEntry:
        said = [name for name in ("blood", "region", "population") if getattr(self, name)]
        if not (said or self.reference) or ("population" in said and len(said) > 1):
            raise ValueError(
                f"found {' and '.join(said) or 'none'}; expected blood, region (with or without "
                "blood), population, or reference"
            )
        if self.portal is not None and self.region is None:
            raise ValueError("portal stands beside region, the artery; region is missing")
        return self


class FitEntry(Entry):
    """What can be said of any model: which regions and frames, what is held and what is freed."""

    regions: Select | None = None
    start: Time | None = Field(default=None, description="first frame used starts here or later")
    end: Time | None = None
    hold: dict[str, str] = Field(default={}, description='parameter to value, { Vb = "0.05" }')
    free: tuple[str, ...] = Field(default=(), description="parameters else held, such as delay")
    integration: Literal["exact", "instant", "trapezium"] | None = None
    sd: Literal["counts", "equal", "noise", "relative", "root"] | tuple[float, ...] | None = Field(
        default=None,
        description="how uncertain frames are: a word, or one number for each frame; without it by "
        "the known noise of a region's curve, and all alike in a map",
    )


class ReleaseEntry(Entry):
    """A table of release in vitro: which models are fitted to it, and which of its formulations the
    others are compared with."""

    path: str
    models: tuple[str, ...] = Field(default=(), description="release models; none: all of them")
    reference: str | None = Field(default=None, description="formulation for f1 and f2")
    time_unit: str | None = Field(default=None, description="of a table that does not say")
    released_unit: str | None = Field(
        default=None, description="percent or fraction, of a table that does not say"
    )
    free: tuple[str, ...] = Field(default=(), description="parameters else held, such as Tlag")
    hold: dict[str, str] = Field(default={}, description='parameter to value, { n = "1" }')
    weights: Literal["equal", "sd"] = "equal"
    up_to: float = Field(
        default=60.0, gt=0, le=200, description="% to which Korsmeyer-Peppas is fitted"
    )
    rule: Literal["either", "both", "all"] = Field(
        default="either", description="times that count in f2"
    )
