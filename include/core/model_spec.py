"""model.yaml, typed: what a model is trained on, how, and what it must achieve to be released.

How it works: pydantic models that forbid unknown keys; every problem of a file is reported in one SpecError that names
file, key, rule, value and remedy.

What it does not do: look at the data, or at the other files of the model's folder.
"""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any, Literal

import yaml
from pydantic import (
    AfterValidator,
    BaseModel,
    ConfigDict,
    Field,
    PositiveInt,
    TypeAdapter,
    ValidationError,
    ValidationInfo,
    field_validator,
    model_validator,
)

from include.core.errors import SpecError

Objective = Literal["binary_classification", "regression"]

MODELS_FOLDER = Path(__file__).resolve().parent.parent / "models"


def _must_be_unique(names: list[str]) -> list[str]:
    twice = sorted({name for name in names if names.count(name) > 1})
    if twice:
        message = f"a name appears once; {', '.join(twice)} appears more often"
        raise ValueError(message)
    return names


Name = Annotated[str, Field(pattern=r"^[a-z][a-z0-9_]{0,30}$")]
Columns = Annotated[list[Name], AfterValidator(_must_be_unique)]


class _Strict(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid")


class Features(_Strict):
    """The columns of features.sql that the model sees."""

    numeric: Columns
    categorical: Columns = []

    @property
    def names(self) -> list[str]:
        """All features: the numeric ones, then the categorical ones."""
        return [*self.numeric, *self.categorical]

    @model_validator(mode="after")
    def _disjoint(self) -> Features:
        both = sorted(set(self.numeric) & set(self.categorical))
        if both:
            message = f"a feature is numeric or categorical; {', '.join(both)} is both"
            raise ValueError(message)
        if not self.names:
            message = "a model has at least one feature"
            raise ValueError(message)
        return self


class FrameworkImage(_Strict):
    """One of AWS's framework images; ``make requests`` resolves its address by the SageMaker SDK.

    Args:
        framework: The framework by the SDK's name: xgboost, sklearn, pytorch, tensorflow.
        version: The framework's version as AWS writes it, in quotes where YAML would read a number.
        region: The region that the jobs run in; an image lies in each region.
        py_version: The image's Python (py311), for frameworks that come with several.
    """

    framework: Annotated[str, Field(pattern=r"^[a-z][a-z0-9-]*$")]
    version: Annotated[str, Field(pattern=r"^[A-Za-z0-9.-]+$")]
    region: Annotated[str, Field(pattern=r"^[a-z]{2}(-[a-z]+)+-\d$")]
    py_version: Annotated[str, Field(pattern=r"^py\d+$")] | None = None


class Instances(_Strict):
    """The machines of one cloud job: type, volume in GB, time limit in seconds."""

    instance_type: Annotated[str, Field(pattern=r"^ml\.[a-z0-9-]+\.[a-z0-9]+$")]
    volume_gb: PositiveInt = 10
    max_runtime_seconds: Annotated[int, Field(ge=60, le=5 * 24 * 3600)] = 3600


class TrainingWindow(_Strict):
    """How many labelled months before the holdout a candidate is trained on: as many as there are, within bounds."""

    min_months: PositiveInt
    max_months: PositiveInt

    @model_validator(mode="after")
    def _ordered(self) -> TrainingWindow:
        if self.min_months > self.max_months:
            message = f"min_months ({self.min_months}) is at most max_months ({self.max_months})"
            raise ValueError(message)
        return self


class Training(Instances):
    """The training job."""

    window: TrainingWindow
    seed: int
    hyperparameters: dict[str, str | int | float] = {}
    metric_definitions: dict[str, str] = {}


class ClassificationGate(_Strict):
    """What a candidate has to reach on the holdout, and by how much it has to beat the champion's ROC AUC there."""

    min_roc_auc: Annotated[float, Field(ge=0.5, lt=1)]
    min_skill: Annotated[float, Field(ge=0, lt=1)] = 0.0
    min_gain: Annotated[float, Field(ge=0, lt=0.5)] = 0.0


class RegressionGate(_Strict):
    """What a candidate has to reach on the holdout, and by how much it has to beat the champion's skill there."""

    min_skill: Annotated[float, Field(ge=0, lt=1)] = 0.0
    min_gain: Annotated[float, Field(ge=0, lt=1)] = 0.0


Gate = ClassificationGate | RegressionGate
_IMAGE_ADDRESS: TypeAdapter[str] = TypeAdapter(
    Annotated[str, Field(pattern=r"^\d{12}\.dkr\.ecr\.[a-z0-9-]+\.amazonaws\.com/[^:]+:.+$")]
)
_GATES: dict[Objective, type[Gate]] = {"binary_classification": ClassificationGate, "regression": RegressionGate}


class Monitoring(_Strict):
    """How far the champion's performance on a newer month may fall below that on its holdout before it is retrained.

    ROC AUC counts for a classification (``max_auc_drop``), skill for a regression (``max_skill_drop``); for both, skill
    below ``min_skill`` (0: no better than knowing the month's mean) is too little by itself. Drift of the inputs is
    reported and never decides.
    """

    max_auc_drop: Annotated[float, Field(ge=0, lt=0.5)] = 0.02
    max_skill_drop: Annotated[float, Field(ge=0, lt=1)] = 0.1
    min_skill: Annotated[float, Field(ge=-1, lt=1)] = 0.0


class ModelSpec(_Strict):
    """A model, as its model.yaml describes it.

    ``image`` is the address of an image of one's own, or one of AWS's by framework and version.
    """

    name: Name
    source: Name
    objective: Objective
    platforms: Annotated[list[Literal["sagemaker"]], Field(min_length=1)]
    image: str | FrameworkImage
    label_delay_months: Annotated[int, Field(ge=0, le=24)]
    features: Features
    training: Training
    evaluation: Instances
    scoring: Instances
    gate: Gate
    monitoring: Monitoring = Monitoring()

    @field_validator("image", mode="before")
    @classmethod
    def _address_or_framework(cls, value: Any) -> str | FrameworkImage:
        # chosen here and not by pydantic, so that a mistake is told of the form that was meant
        if isinstance(value, str):
            return _IMAGE_ADDRESS.validate_python(value)
        return FrameworkImage.model_validate(value)

    @field_validator("gate", mode="plain")
    @classmethod
    def _gate_of_the_objective(cls, value: Any, info: ValidationInfo) -> Any:
        objective: Objective | None = info.data.get("objective")
        # an unknown objective is a problem of its own, and says nothing about the gate
        return value if objective is None else _GATES[objective].model_validate(value)


def load_model_spec(folder: Path) -> ModelSpec:
    """Read ``model.yaml`` of a model's folder.

    Raises:
        SpecError: the file is missing, is not YAML, or breaks a rule; the message lists every problem.
    """
    path = folder / "model.yaml"
    where = f"{folder.name}/model.yaml"
    try:
        content = yaml.safe_load(path.read_text(encoding="utf-8"))
    except FileNotFoundError as error:
        raise SpecError(
            where,
            "there is no such file",
            rule="each folder below include/models describes its model in model.yaml",
            remedy="copy the one of flight_delay and adapt it",
        ) from error
    except yaml.YAMLError as error:
        raise SpecError(
            where, str(error).replace("\n", " "), rule="the file is YAML", remedy="correct it at that line"
        ) from error
    if not isinstance(content, dict):
        raise SpecError(
            where,
            f"it holds a {type(content).__name__}",
            rule="the file is a mapping of keys to values",
            remedy="compare it with the one of flight_delay",
        )
    try:
        spec = ModelSpec.model_validate(content)
    except ValidationError as error:
        problems = [_problem(dict(each), content) for each in error.errors()]
        raise SpecError(
            where,
            "; ".join(what for what, _ in problems),
            rule="; ".join(dict.fromkeys(rule for _, rule in problems)),
            remedy=f"correct {', '.join(dict.fromkeys(what.partition(' = ')[0] for what, _ in problems))}",
        ) from error
    if spec.name != folder.name:
        raise SpecError(
            where,
            f"name = {spec.name!r} in the folder {folder.name!r}",
            rule="a model is named as its folder",
            remedy="rename one of them",
        )
    return spec


def load_model(name: str) -> ModelSpec:
    """Return the model of that name.

    Raises:
        SpecError: its model.yaml is missing or breaks a rule.
    """
    return load_model_spec(MODELS_FOLDER / name)


def load_models() -> list[ModelSpec]:
    """Return the models of this project, by name: the folders of include/models that hold a model.yaml.

    Raises:
        SpecError: one of them breaks a rule.
    """
    return [load_model_spec(path.parent) for path in sorted(MODELS_FOLDER.glob("*/model.yaml"))]


def _problem(error: dict[str, Any], content: dict[str, Any]) -> tuple[str, str]:
    """Turn one of pydantic's errors into what was found (``key = value``) and the rule it breaks."""
    key = ".".join(str(part) for part in error["loc"]) or "(the file)"
    if error["type"] == "extra_forbidden":
        return f"{key} = {error['input']!r} (unknown key)", _known_keys(error["loc"][:-1], content)
    if error["type"] == "missing":
        return f"{key} = (missing)", "a key without a default is given"
    return f"{key} = {error['input']!r}", error["msg"][:1].lower() + error["msg"][1:]


def _known_keys(location: tuple[str | int, ...], content: dict[str, Any]) -> str:
    if location == ("gate",):
        objective: Objective = content["objective"]
        return f"the keys of a gate for {objective} are {', '.join(_GATES[objective].model_fields)}"
    if location == ("image",):
        return f"the keys of an image are {', '.join(FrameworkImage.model_fields)}"
    model: Any = ModelSpec
    for part in location:
        model = model.model_fields[part].annotation
    return f"the keys here are {', '.join(model.model_fields)}"
