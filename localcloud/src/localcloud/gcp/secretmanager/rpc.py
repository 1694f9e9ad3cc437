"""Secret Manager's methods as a gRPC handler: bytes in, bytes out, refusals as status codes."""

import traceback
from typing import TYPE_CHECKING, Any

import grpc
from google.cloud.secretmanager_v1 import types

from localcloud.gcp.secretmanager.names import SecretManagerError
from localcloud.gcp.secretmanager.service import Secrets
from localcloud.gcp.secretmanager.store import Store
from localcloud.gcp.secretmanager.versions import Versions

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

SERVICE = "google.cloud.secretmanager.v1.SecretManagerService"


class SecretManager(grpc.GenericRpcHandler):
    """The service. A method of it that is not implemented is refused by name."""

    def __init__(self, store: Store) -> None:
        """Serve what a store keeps."""
        self.secrets = secrets = Secrets(store)
        self.versions = versions = Versions(secrets)
        self._methods: dict[str, tuple[Any, Callable[[Any], Any]]] = {
            "ListSecrets": (types.ListSecretsRequest, secrets.listed),
            "CreateSecret": (types.CreateSecretRequest, secrets.create),
            "GetSecret": (types.GetSecretRequest, secrets.get),
            "UpdateSecret": (types.UpdateSecretRequest, secrets.update),
            "DeleteSecret": (types.DeleteSecretRequest, secrets.delete),
            "AddSecretVersion": (types.AddSecretVersionRequest, versions.add),
            "ListSecretVersions": (types.ListSecretVersionsRequest, versions.listed),
            "GetSecretVersion": (types.GetSecretVersionRequest, versions.get),
            "AccessSecretVersion": (types.AccessSecretVersionRequest, versions.access),
            "DisableSecretVersion": (types.DisableSecretVersionRequest, versions.disable),
            "EnableSecretVersion": (types.EnableSecretVersionRequest, versions.enable),
            "DestroySecretVersion": (types.DestroySecretVersionRequest, versions.destroy),
        }

    @property
    def methods(self) -> "Mapping[str, Callable[[Any], Any]]":
        """What carries the methods out, by name."""
        return {name: carry_out for name, (_, carry_out) in self._methods.items()}

    def service(self, handler_call_details: grpc.HandlerCallDetails) -> "grpc.RpcMethodHandler[Any, Any] | None":
        """Return what handles a method; None when it belongs to another service."""
        _, service, method = handler_call_details.method.split("/")
        if service != SERVICE:
            return None
        request, carry_out = self._methods.get(method, (None, None))

        def answer(sent: Any, context: grpc.ServicerContext) -> Any:
            if carry_out is None:
                context.abort(grpc.StatusCode.UNIMPLEMENTED, f"localcloud does not implement {service}.{method}")
            try:
                return carry_out(sent)
            except SecretManagerError as error:
                context.abort(error.code, str(error))
            except Exception as error:  # noqa: BLE001 - the last barrier before the client
                traceback.print_exc()
                context.abort(grpc.StatusCode.INTERNAL, f"localcloud: {type(error).__name__}: {error}")

        return grpc.unary_unary_rpc_method_handler(
            answer,
            request_deserializer=request.deserialize if request is not None else bytes,
            response_serializer=_serialized,
        )


def _serialized(message: Any) -> bytes:
    raw = type(message).pb(message) if hasattr(type(message), "pb") else message
    data: bytes = raw.SerializeToString()
    return data
