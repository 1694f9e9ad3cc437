"""The operations of pipeline executions."""

import time
from collections.abc import Mapping
from typing import Any

from moto.core.responses import ActionResult
from moto.sagemaker.exceptions import ResourceNotFound, ValidationError

from localcloud.aws.sagemaker.jobs.checks import unsupported
from localcloud.aws.sagemaker.pages import listed
from localcloud.aws.sagemaker.pipelines.api import Pipelines, listing_request, present
from localcloud.aws.sagemaker.pipelines.definition import Definition, read_definition
from localcloud.aws.sagemaker.pipelines.expressions import Scope
from localcloud.aws.sagemaker.pipelines.records import ExecutionRecord
from localcloud.aws.sagemaker.pipelines.run import PipelineRun
from localcloud.engine.engine import ONE_HOST

_NOT_COVERED = ("SelectiveExecutionConfig", "PipelineVersionId", "MlflowExperimentName")
# clients ask for all steps at once, and do not look for a next page
_STEPS_PAGE = 100


class PipelineExecutions(Pipelines):
    """Start, stop, retry, describe, list."""

    def start_pipeline_execution(self) -> ActionResult:
        """Start an execution; the same ClientRequestToken starts it once."""
        request = self.request_body()
        for field in _NOT_COVERED:
            if request.get(field):
                unsupported(f"pipeline executions with {field}")
        with self.running.creating:
            pipeline, token = self.known_pipeline(), request.get("ClientRequestToken")
            for arn, known in pipeline.pipeline_executions.items():
                if token is not None and known.client_request_token == token:
                    return ActionResult({"PipelineExecutionArn": arn})
            definition = read_definition(pipeline.pipeline_definition)
            parameters = _parameters(definition, request.get("PipelineParameters") or [])
            backend: Any = self.sagemaker_backend  # whose types do not say what may be left out
            arn = backend.start_pipeline_execution(
                pipeline.pipeline_name,
                request.get("PipelineExecutionDisplayName") or f"execution-{time.time_ns() // 1_000_000}",
                request.get("PipelineParameters") or [],
                request.get("PipelineExecutionDescription"),
                request.get("ParallelismConfiguration"),
                token,
            )["PipelineExecutionArn"]
            execution = pipeline.pipeline_executions[arn]
            ExecutionRecord(execution).begin()
            execution.experiment_config = _experiment(definition, pipeline.pipeline_name, arn.rpartition("/")[2])
            self._launch(pipeline, execution, definition, parameters)
        return ActionResult({"PipelineExecutionArn": arn})

    def stop_pipeline_execution(self) -> ActionResult:
        """Stop an execution and the jobs of its steps (absent from moto)."""
        execution, _ = self._known_execution()
        record = ExecutionRecord(execution)
        if not record.begin_stopping():
            message = (
                f"Pipeline execution with ARN {execution.arn} is in status '{record.status}'. Only pipelines with "
                "'Executing' status can be stopped."
            )
            raise ValidationError(message)
        self.running.ask_to_stop(execution.arn)
        return ActionResult({"PipelineExecutionArn": execution.arn})

    def describe_pipeline_execution(self) -> ActionResult:
        """Describe an execution."""
        execution, pipeline = self._known_execution()
        return ActionResult(
            present(
                PipelineArn=pipeline.arn,
                PipelineExecutionArn=execution.arn,
                PipelineExecutionDisplayName=execution.pipeline_execution_display_name,
                PipelineExecutionStatus=execution.pipeline_execution_status,
                PipelineExecutionDescription=execution.pipeline_execution_description,
                PipelineExperimentConfig=execution.experiment_config,
                FailureReason=execution.pipeline_execution_failure_reason,
                CreationTime=execution.creation_time,
                LastModifiedTime=execution.last_modified_time,
                ParallelismConfiguration=execution.parallelism_configuration,
            )
        )

    def update_pipeline_execution(self) -> ActionResult:
        """Change an execution's name and description (absent from moto)."""
        execution, _ = self._known_execution()
        request = self.request_body()
        if request.get("ParallelismConfiguration"):
            unsupported("a change of an execution's ParallelismConfiguration")
        record = ExecutionRecord(execution)
        if "PipelineExecutionDisplayName" in request:
            record.set(pipeline_execution_display_name=request["PipelineExecutionDisplayName"])
        if "PipelineExecutionDescription" in request:
            record.set(pipeline_execution_description=request["PipelineExecutionDescription"])
        return ActionResult({"PipelineExecutionArn": execution.arn})

    def retry_pipeline_execution(self) -> ActionResult:
        """Begin again with the steps of an execution that have not succeeded (absent from moto)."""
        execution, pipeline = self._known_execution()
        request = self.request_body()
        token = request.get("ClientRequestToken")
        with self.running.creating:
            if token is not None and getattr(execution, "retry_token", None) == token:
                return ActionResult({"PipelineExecutionArn": execution.arn})
            record = ExecutionRecord(execution)
            if not record.begin_again():
                message = (
                    f"Pipeline execution with ARN {execution.arn} is in status '{record.status}'. Only pipelines with "
                    "'Failed' or 'Stopped' status can be retried."
                )
                raise ValidationError(message)
            execution.retry_token = token
            if request.get("ParallelismConfiguration"):
                execution.parallelism_configuration = request["ParallelismConfiguration"]
            definition = read_definition(execution.pipeline_definition_for_execution)
            self._launch(pipeline, execution, definition, _parameters(definition, execution.pipeline_parameters))
        return ActionResult({"PipelineExecutionArn": execution.arn})

    def describe_pipeline_definition_for_execution(self) -> ActionResult:
        """Return the definition that an execution was started with."""
        execution, _ = self._known_execution()
        return ActionResult(
            {"PipelineDefinition": execution.pipeline_definition_for_execution, "CreationTime": execution.creation_time}
        )

    def list_pipeline_executions(self) -> ActionResult:
        """List a pipeline's executions, the newest first (moto knows neither filter, nor order, nor pages)."""
        found, token = listed(
            self.known_pipeline().pipeline_executions.values(),
            listing_request(self.request_body()),
            lambda execution: str(execution.arn),
            orders={"PipelineExecutionArn": lambda execution: execution.arn},
        )
        summaries = [
            present(
                PipelineExecutionArn=execution.arn,
                StartTime=execution.start_time,
                PipelineExecutionStatus=execution.pipeline_execution_status,
                PipelineExecutionDescription=execution.pipeline_execution_description,
                PipelineExecutionDisplayName=execution.pipeline_execution_display_name,
                PipelineExecutionFailureReason=execution.pipeline_execution_failure_reason,
            )
            for execution in found
        ]
        return ActionResult({"PipelineExecutionSummaries": summaries, "NextToken": token})

    def list_pipeline_execution_steps(self) -> ActionResult:
        """List the steps that have begun, the newest first (absent from moto)."""
        execution, _ = self._known_execution()
        steps = list(execution.step_records)
        found, token = listed(
            steps,
            {"MaxResults": _STEPS_PAGE, **self.request_body(), "SortBy": "Begin"},
            lambda step: str(step["StepName"]),
            orders={"Begin": steps.index},
        )
        return ActionResult({"PipelineExecutionSteps": found, "NextToken": token})

    def list_pipeline_parameters_for_execution(self) -> ActionResult:
        """List the parameters that an execution was started with."""
        execution, _ = self._known_execution()
        found, token = listed(
            execution.pipeline_parameters,
            {"MaxResults": _STEPS_PAGE, **self.request_body(), "SortBy": "Name", "SortOrder": "Ascending"},
            lambda parameter: str(parameter["Name"]),
        )
        return ActionResult({"PipelineParameters": found, "NextToken": token})

    def _launch(self, pipeline: Any, execution: Any, definition: Definition, parameters: Mapping[str, Any]) -> None:
        run = PipelineRun(
            self.surroundings(),
            self.running,
            self.sagemaker_backend,
            pipeline,
            execution,
            definition,
            parameters,
        )
        identity = execution.arn.rpartition("/")[2]
        self.running.start("pipeline", identity, ExecutionRecord(execution), run, ONE_HOST, needs_slot=False)

    def _known_execution(self) -> tuple[Any, Any]:
        """Return the execution that the request names, and its pipeline; refuse an unknown one."""
        arn = self._get_param("PipelineExecutionArn")
        for pipeline in self.sagemaker_backend.pipelines.values():
            if arn in pipeline.pipeline_executions:
                return pipeline.pipeline_executions[arn], pipeline
        message = f"Pipeline execution '{arn}' does not exist."
        raise ResourceNotFound(message)


def _parameters(definition: Definition, given: list[dict[str, str]]) -> dict[str, Any]:
    """Return the values of all parameters of an execution."""
    texts = {item["Name"]: item["Value"] for item in given}
    unknown = sorted(set(texts) - set(definition.parameters))
    if unknown:
        message = f"Parameter [{unknown[0]}] is not defined in the pipeline definition."
        raise ValidationError(message)
    missing = [item.name for item in definition.parameters.values() if item.name not in texts and item.default is None]
    if missing:
        message = f"Parameter [{missing[0]}] has no default value; a value must be provided to start the execution."
        raise ValidationError(message)
    return {
        name: item.read(texts[name]) if name in texts else item.default for name, item in definition.parameters.items()
    }


def _experiment(definition: Definition, pipeline: str, execution: str) -> Mapping[str, Any] | None:
    """Return the names of the experiment and the trial that a definition asks for; AWS writes them in lower case."""
    if not definition.experiment:
        return None

    def no_file(*_: str) -> Any:
        unsupported("Std:JsonGet in PipelineExperimentConfig")

    variables = {"PipelineName": pipeline.lower(), "PipelineExecutionId": execution}
    names: Mapping[str, Any] = Scope({}, variables, no_file, no_file).resolve(dict(definition.experiment))
    return names
