"""Each request of a model's jobs, assembled by the SageMaker SDK as a user of it would.

How it works: ModelTrainer, Processor, Transformer and Model get what model.yaml says, and a placeholder wherever the
value is known only at run time; the requests that they would send are recorded. The image is the user's own, or the one
that the SDK resolves for a framework, by the machine that the job runs on.

What it does not do: write files, fill placeholders.
"""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

from recorded import recorded, sdk_session
from sagemaker.core import image_uris
from sagemaker.core.processing import Processor
from sagemaker.core.resources import Model
from sagemaker.core.shapes import (
    ContainerDefinition,
    MetricDefinition,
    ProcessingInput,
    ProcessingOutput,
    ProcessingS3Input,
    ProcessingS3Output,
    S3DataSource,
    StoppingCondition,
)
from sagemaker.core.training.configs import Compute, InputData, OutputDataConfig
from sagemaker.core.transformer import Transformer
from sagemaker.train.model_trainer import ModelTrainer

from include.core.errors import SpecError
from include.jobs.compiled import PURPOSES, ingredients

if TYPE_CHECKING:
    from collections.abc import Mapping

    from sagemaker.core.helper.session_helper import Session

    from include.core.model_spec import ModelSpec
    from include.jobs.compiled import Purpose

_PROCESSING = "/opt/ml/processing"
# the SDK takes addresses of S3 and of roles only; what makes a placeholder look like one is taken off again
_S3 = "s3://"
_ROLE = "arn:aws:iam::000000000000:role/"
_ANY_REGION = "us-east-1"
_OTHER_MODEL = "${model}"


class Assembly:
    """The requests of one model.

    Args:
        spec: What model.yaml says.

    Raises:
        SpecError: a value of model.yaml looks like a placeholder.
    """

    def __init__(self, spec: ModelSpec) -> None:
        if any("${" in ingredients(spec, purpose) for purpose in PURPOSES):
            raise SpecError(
                f"{spec.name}/model.yaml",
                "one of its values holds '${'",
                rule="'${' begins a placeholder of a compiled request",
                remedy="write the value without it",
            )
        self._spec = spec
        self._region = _ANY_REGION if isinstance(spec.image, str) else spec.image.region
        self._session: Session = sdk_session(self._region)
        self._prefix = spec.name.replace("_", "-")

    def training(self) -> tuple[str, dict[str, Any]]:
        """Return the operation and the request of the training job."""
        training = self._spec.training
        trainer = ModelTrainer(
            sagemaker_session=self._session,
            base_job_name=f"{self._prefix}-train",
            role=_role(),
            training_image=self._image("training", training.instance_type),
            training_input_mode="File",
            compute=Compute(
                instance_type=training.instance_type, instance_count=1, volume_size_in_gb=training.volume_gb
            ),
            stopping_condition=StoppingCondition(max_runtime_in_seconds=training.max_runtime_seconds),
            output_data_config=OutputDataConfig(s3_output_path=_s3("output")),
            hyperparameters={
                **training.hyperparameters,
                "seed": training.seed,
                # script mode by the image's own toolkit
                "sagemaker_program": "train.py",
                "sagemaker_submit_directory": "${code_archive}",
            },
        )
        if training.metric_definitions:
            trainer.with_metric_definitions(
                [MetricDefinition(name=name, regex=regex) for name, regex in training.metric_definitions.items()]
            )
        channels = [
            InputData(
                channel_name=name,
                data_source=S3DataSource(
                    s3_data_type="ManifestFile", s3_uri=_s3(name), s3_data_distribution_type="FullyReplicated"
                ),
            )
            for name in ("features", "labels")
        ]
        operation, request = recorded(lambda: trainer.train(input_data_config=channels, wait=False, logs=False))
        # the SDK adds the time to it; a task makes the prefix unique in its own way
        request["TrainingJobName"] = f"{self._prefix}-train"
        return operation, _with_bare_placeholders(request)

    def evaluation(self) -> tuple[str, dict[str, Any]]:
        """Return the operation and the request of the job that evaluates a candidate alone."""
        return self._evaluation({}, [])

    def each_other_model(self) -> dict[str, Any]:
        """Return what each further model adds to the lists of the evaluation's request."""
        _, alone = self.evaluation()
        _, compared = self._evaluation(
            {_OTHER_MODEL: _prefix_of("artifact"), f"{_OTHER_MODEL}-code": _prefix_of("code")},
            _model_arguments(_OTHER_MODEL),
        )
        return _added(alone, compared)

    def plot(self) -> tuple[str, dict[str, Any]]:
        """Return the operation and the request of the job that draws measured months."""
        return self._processing(
            "plot",
            f"{_PROCESSING}/input/code/plot_months.py",
            {"reports": _manifest_of("reports"), "code": _prefix_of("code")},
            ["--reports", f"{_PROCESSING}/input/reports", "--output", f"{_PROCESSING}/output"],
        )

    def model(self) -> tuple[str, dict[str, Any]]:
        """Return the operation and the request of the model that serves an artifact."""
        container = ContainerDefinition(
            image=self._image("inference", self._spec.scoring.instance_type),
            model_data_url=_s3("artifact"),
            environment={"SAGEMAKER_PROGRAM": "serve.py", "SAGEMAKER_SUBMIT_DIRECTORY": "${code_archive}"},
        )
        operation, request = recorded(
            lambda: Model.create(
                model_name=f"{self._prefix}-model",
                primary_container=container,
                execution_role_arn=_role(),
                session=self._session.boto_session,
                region=self._region,
            )
        )
        return operation, _with_bare_placeholders(request)

    def transform(self) -> tuple[str, dict[str, Any]]:
        """Return the operation and the request of the batch transform job of one Parquet file, in one piece."""
        transformer = Transformer(
            model_name="${model}",
            instance_count=1,
            instance_type=self._spec.scoring.instance_type,
            assemble_with="None",
            output_path=_s3("output"),
            accept="text/csv",
            max_concurrent_transforms=1,
            max_payload=100,
            sagemaker_session=self._session,
        )
        operation, request = recorded(
            lambda: transformer.transform(
                _s3("features"),
                content_type="application/x-parquet",
                split_type="None",
                job_name=f"{self._prefix}-score",
                wait=False,
                logs=False,
            )
        )
        return operation, _with_bare_placeholders(request)

    def _evaluation(self, inputs: Mapping[str, ProcessingS3Input], arguments: list[str]) -> tuple[str, dict[str, Any]]:
        return self._processing(
            "evaluate",
            f"{_PROCESSING}/input/candidate-code/evaluate.py",
            {
                "features": _manifest_of("features"),
                "labels": _manifest_of("labels"),
                "candidate": _prefix_of("artifact"),
                "candidate-code": _prefix_of("code"),
                **inputs,
            },
            [
                *("--holdout-month", "${holdout_month}"),
                *("--objective", self._spec.objective),
                *("--features", f"{_PROCESSING}/input/features"),
                *("--labels", f"{_PROCESSING}/input/labels"),
                *("--output", f"{_PROCESSING}/output"),
                *_model_arguments("candidate"),
                *arguments,
            ],
        )

    def _processing(
        self, purpose: Purpose, program: str, inputs: Mapping[str, ProcessingS3Input], arguments: list[str]
    ) -> tuple[str, dict[str, Any]]:
        evaluation = self._spec.evaluation
        processor = Processor(
            role=_role(),
            image_uri=self._image("training", evaluation.instance_type),
            entrypoint=["python3", program],
            instance_count=1,
            instance_type=evaluation.instance_type,
            volume_size_in_gb=evaluation.volume_gb,
            max_runtime_in_seconds=evaluation.max_runtime_seconds,
            sagemaker_session=self._session,
        )
        for name, source in inputs.items():
            source.local_path = f"{_PROCESSING}/input/{name}"
        output = ProcessingS3Output(s3_uri=_s3("output"), local_path=f"{_PROCESSING}/output", s3_upload_mode="EndOfJob")
        operation, request = recorded(
            lambda: processor.run(
                job_name=f"{self._prefix}-{purpose}",
                inputs=[ProcessingInput(input_name=name, s3_input=source) for name, source in inputs.items()],
                outputs=[ProcessingOutput(output_name=purpose, s3_output=output)],
                arguments=arguments,
                wait=False,
                logs=False,
            )
        )
        return operation, _with_bare_placeholders(request)

    def _image(self, scope: str, instance_type: str) -> str:
        """Return the address of the image for training or inference on a machine."""
        image = self._spec.image
        if isinstance(image, str):
            return image
        try:
            address: str = image_uris.retrieve(
                framework=image.framework,
                region=image.region,
                version=image.version,
                py_version=image.py_version,
                instance_type=instance_type,
                image_scope=scope,
            )
        # an unknown framework is a file that the SDK does not find, an unknown region a key
        except (ValueError, OSError, KeyError) as error:
            raise SpecError(
                f"{self._spec.name}/model.yaml",
                f"image = {image.model_dump_json(exclude_none=True)}: {error}",
                rule=f"the SageMaker SDK knows the framework's image for {scope} on {instance_type} in the region",
                remedy="correct image, or give the address of an image as image",
            ) from error
        return address


def _role() -> str:
    return f"{_ROLE}${{role}}"


def _s3(placeholder: str) -> str:
    return f"{_S3}${{{placeholder}}}"


def _manifest_of(placeholder: str) -> ProcessingS3Input:
    return _source("ManifestFile", placeholder)


def _prefix_of(placeholder: str) -> ProcessingS3Input:
    return _source("S3Prefix", placeholder)


def _source(data_type: str, placeholder: str) -> ProcessingS3Input:
    return ProcessingS3Input(
        s3_uri=_s3(placeholder),
        s3_data_type=data_type,
        s3_input_mode="File",
        s3_data_distribution_type="FullyReplicated",
    )


def _model_arguments(name: str) -> list[str]:
    return [
        *("--model", f"{name}={_PROCESSING}/input/{name}"),
        *("--code", f"{name}={_PROCESSING}/input/{name}-code"),
    ]


def _with_bare_placeholders(request: dict[str, Any]) -> dict[str, Any]:
    bare: dict[str, Any] = json.loads(json.dumps(request).replace(f"{_S3}${{", "${").replace(f"{_ROLE}${{", "${"))
    return bare


def _added(alone: dict[str, Any], compared: dict[str, Any]) -> dict[str, Any]:
    """Return the ends of the second request's lists that the first one's do not have, in the request's shape."""
    added: dict[str, Any] = {}
    for key, value in compared.items():
        if isinstance(value, list):
            added[key] = value[len(alone[key]) :]
        elif isinstance(value, dict):
            added[key] = _added(alone[key], value)
    return {key: value for key, value in added.items() if value}
