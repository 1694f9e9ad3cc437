"""Resource Manager v3, as far as Google's SDKs ask it by themselves: which project has which number.

The Vertex AI SDK asks at its start, unless it is given a project, and would go on asking for a minute if nobody
answered. A project exists as soon as somebody names it, as in the rest of the local cloud; all have the same number,
which stands for the local project when it is asked for.

Source: https://cloud.google.com/resource-manager/reference/rpc/google.cloud.resourcemanager.v3
"""

import re
from typing import Any

import grpc

from localcloud.gcp.clients import PROJECT_ID, PROJECT_NUMBER

METHOD = "/google.cloud.resourcemanager.v3.Projects/GetProject"
_PROJECT = re.compile(r"projects/(?P<number>\d+)|projects/(?P<identity>[a-z][a-z0-9:.-]{4,}[a-z0-9])")


class ResourceManager(grpc.GenericRpcHandler):
    """The one method."""

    def service(self, handler_call_details: grpc.HandlerCallDetails) -> "grpc.RpcMethodHandler[Any, Any] | None":
        """Return what handles the method; None for any other."""
        if handler_call_details.method != METHOD:
            return None
        from google.cloud.resourcemanager_v3 import types  # noqa: PLC0415 - 10 MB that few ever need

        def answer(request: types.GetProjectRequest, context: grpc.ServicerContext) -> types.Project:
            found = _PROJECT.fullmatch(request.name)
            if found is None or found["number"] not in {None, PROJECT_NUMBER}:
                message = (
                    f"Project '{request.name}' not found: localcloud's projects all have the number {PROJECT_NUMBER}."
                )
                context.abort(grpc.StatusCode.NOT_FOUND, message)
            identity = PROJECT_ID if found is None or found["number"] else found["identity"]
            active = types.Project.State.ACTIVE
            return types.Project(name=f"projects/{PROJECT_NUMBER}", project_id=identity, state=active)

        return grpc.unary_unary_rpc_method_handler(
            answer,
            request_deserializer=types.GetProjectRequest.deserialize,
            response_serializer=types.Project.serialize,
        )
