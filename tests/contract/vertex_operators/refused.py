"""The operators of the provider's Vertex AI modules that the local cloud does not serve, each with its reason."""

from __future__ import annotations

_AUTOML = "AutoML does not run: CreateTrainingPipeline refuses another task than custom training"
_PIPELINE_JOBS = "PipelineJob (Kubeflow) is refused by name"
_NO_DATA = "a tabular dataset is an address: Vertex AI neither imports nor exports its data"
_FEATURE_STORE = "FeatureOnlineStoreService and FeatureOnlineStoreAdminService v1beta1 are not implemented"
_AGENTS = "ReasoningEngineService is not implemented, and its SDK speaks REST"
_GENERATIVE = "generative models are not served"
_RAY = "PersistentResourceService is not implemented, and its SDK needs Ray"

REASONS: dict[str, str] = {
    "CreateAutoMLForecastingTrainingJobOperator": _AUTOML,
    "CreateAutoMLImageTrainingJobOperator": _AUTOML,
    "CreateAutoMLTabularTrainingJobOperator": _AUTOML,
    "RunPipelineJobOperator": _PIPELINE_JOBS,
    "GetPipelineJobOperator": _PIPELINE_JOBS,
    "ListPipelineJobOperator": _PIPELINE_JOBS,
    "DeletePipelineJobOperator": _PIPELINE_JOBS,
    "ExportDataOperator": _NO_DATA,
    "ImportDataOperator": _NO_DATA,
    "SyncFeatureViewOperator": _FEATURE_STORE,
    "CreateFeatureOnlineStoreOperator": _FEATURE_STORE,
    "GetFeatureOnlineStoreOperator": _FEATURE_STORE,
    "CreateFeatureViewOperator": _FEATURE_STORE,
    "GetFeatureViewSyncOperator": _FEATURE_STORE,
    "FetchFeatureValuesOperator": _FEATURE_STORE,
    "DeleteFeatureOnlineStoreOperator": _FEATURE_STORE,
    "DeleteFeatureViewOperator": _FEATURE_STORE,
    "FeatureViewSyncSensor": _FEATURE_STORE,
    "CreateAgentEngineOperator": _AGENTS,
    "GetAgentEngineOperator": _AGENTS,
    "RunQueryJobOperator": _AGENTS,
    "UpdateAgentEngineOperator": _AGENTS,
    "DeleteAgentEngineOperator": _AGENTS,
    "RunEvaluationOperator": _GENERATIVE,
    "CreateRayClusterOperator": _RAY,
    "ListRayClustersOperator": _RAY,
    "GetRayClusterOperator": _RAY,
    "UpdateRayClusterOperator": _RAY,
    "DeleteRayClusterOperator": _RAY,
}
