"""The WSGI application: moto's dispatcher with our SageMaker, the cloud's own status page, resets and the request log.

It patches moto's routing table: the root paths of SageMaker and IAM, and the paths of sagemaker-runtime.
"""

import json
import traceback
from collections.abc import Callable, Iterable
from http import HTTPStatus
from pathlib import Path
from typing import TYPE_CHECKING, Any
from xml.sax.saxutils import escape

from moto.iam import urls as iam_urls
from moto.sagemaker import urls as sagemaker_urls
from moto.sagemakerruntime import urls as runtime_urls

from localcloud.aws.dispatcher import Dispatcher
from localcloud.aws.faults import Faults
from localcloud.aws.iam import LocalIam
from localcloud.aws.persistence.requests import Saved
from localcloud.aws.persistence.state import State
from localcloud.aws.requestlog import RequestLog
from localcloud.aws.sagemaker.conditions import Conditions, ConditionsError
from localcloud.aws.sagemaker.endpoints.runtime import LocalSageMakerRuntime
from localcloud.aws.sagemaker.front import RunningJobs
from localcloud.aws.sagemaker.service import LocalSageMaker
from localcloud.aws.sagemaker.siblings import Siblings

if TYPE_CHECKING:
    from _typeshed.wsgi import StartResponse, WSGIApplication, WSGIEnvironment

STATUS_PATH = "/_localcloud/status"
CONDITIONS_PATH = "/_localcloud/conditions"
_RESET_PATH = "/moto-api/reset"


def build_application(
    running: RunningJobs, state: State, status: Callable[[], dict[str, Any]], request_log: Path
) -> "WSGIApplication":
    """Return the application that serves the cloud and keeps its state."""
    LocalSageMaker.running = running
    sagemaker_urls.url_paths["{0}/$"] = LocalSageMaker.dispatch
    iam_urls.url_paths["{0}/$"] = LocalIam.dispatch
    LocalSageMakerRuntime.running = running
    for path in runtime_urls.url_paths:
        runtime_urls.url_paths[path] = LocalSageMakerRuntime.dispatch
    # moto takes a stream of answers for an operation of SageMaker itself
    sagemaker_urls.url_paths["{0}/endpoints/(?P<name>[^/]+)/invocations-response-stream$"] = (
        LocalSageMakerRuntime.dispatch
    )
    moto = Dispatcher()
    logged = RequestLog(_Errors(Faults(Saved(Siblings(moto), state.around), running.conditions)), request_log)

    def application(environ: "WSGIEnvironment", start_response: "StartResponse") -> Iterable[bytes]:
        path = environ.get("PATH_INFO", "")
        if path == STATUS_PATH:
            return _json(start_response, HTTPStatus.OK, status())
        if path == CONDITIONS_PATH:
            return _change_conditions(running.conditions, environ, start_response)
        if path.startswith("/moto-api"):
            if path.rstrip("/") == _RESET_PATH:
                # what is created meanwhile would run on without a record
                with running.creating:
                    running.abandon()
                    return state.clear(lambda: list(moto(environ, start_response)))
            return moto(environ, start_response)  # type: ignore[no-any-return] # moto leaves its WSGI types open
        return logged(environ, start_response)

    return application


class _Errors:
    """Answers what moto does not implement with a 400, and a defect with a 500 in JSON, instead of pages of HTML."""

    def __init__(self, application: Callable[..., Any]) -> None:
        self._application = application

    def __call__(self, environ: "WSGIEnvironment", start_response: "StartResponse") -> Iterable[bytes]:
        try:
            answer: Iterable[bytes] = self._application(environ, start_response)
        except NotImplementedError as error:
            message = f"localcloud: not implemented: {error}"
            return _refuse(environ, start_response, HTTPStatus.BAD_REQUEST, "UnsupportedOperation", message)
        except ConnectionError:  # nobody is there to be told
            raise
        except Exception as error:  # noqa: BLE001 - the last barrier before the client
            traceback.print_exc()
            message = f"localcloud: {type(error).__name__}: {error}"
            return _refuse(environ, start_response, HTTPStatus.INTERNAL_SERVER_ERROR, "InternalFailure", message)
        return answer


def _change_conditions(
    conditions: Conditions, environ: "WSGIEnvironment", start_response: "StartResponse"
) -> Iterable[bytes]:
    method = environ["REQUEST_METHOD"]
    try:
        if method == "PUT":
            conditions.replace(json.loads(environ["wsgi.input"].read(int(environ.get("CONTENT_LENGTH") or 0))))
        elif method == "DELETE":
            conditions.clear()
        elif method != "GET":
            return _json(start_response, HTTPStatus.METHOD_NOT_ALLOWED, {"message": "GET, PUT or DELETE"})
    except (ConditionsError, ValueError) as error:
        return _json(start_response, HTTPStatus.BAD_REQUEST, {"message": str(error)})
    return _json(start_response, HTTPStatus.OK, conditions.shown())


def _refuse(
    environ: "WSGIEnvironment", start_response: "StartResponse", status: HTTPStatus, code: str, message: str
) -> Iterable[bytes]:
    """Answer with an error as the service's clients read it: XML to those that send forms, JSON to the others."""
    if not environ.get("CONTENT_TYPE", "").startswith("application/x-www-form-urlencoded"):
        return _json(start_response, status, {"__type": code, "message": message})
    around = (
        "<Response><Errors>{}</Errors></Response>"
        if environ["localcloud.request"]["service"] == "ec2"
        else ("<ErrorResponse>{}</ErrorResponse>")
    )
    body = around.format(f"<Error><Code>{code}</Code><Message>{escape(message)}</Message></Error>").encode()
    start_response(
        f"{status.value} {status.phrase}", [("Content-Type", "text/xml"), ("Content-Length", str(len(body)))]
    )
    return [body]


def _json(start_response: "StartResponse", status: HTTPStatus, content: dict[str, Any]) -> Iterable[bytes]:
    body = json.dumps(content).encode()
    headers = [("Content-Type", "application/json"), ("Content-Length", str(len(body)))]
    if "__type" in content:
        headers.append(("x-amzn-errortype", content["__type"]))
    start_response(f"{status.value} {status.phrase}", headers)
    return [body]
