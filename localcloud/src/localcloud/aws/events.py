"""EventBridge: what a service tells of itself, brought to the targets of the rules that match.

How it works: moto's rules match and deliver, called in this process: on AWS nobody may put events of a source `aws.*`
through the API. One thread delivers, so that events arrive in the order in which they were published and a slow target
holds nothing up.

What it does not do: targets that moto cannot deliver to, which is said on stderr (it can to SQS, CloudWatch Logs, event
buses and archives). A target's constant Input and its InputPath.
"""

import copy
import json
import queue
import sys
import threading
import time
import uuid
from collections.abc import Mapping, Sequence
from typing import Any

from moto.events.models import Rule, events_backends

_BUS = "default"
_SOURCE = "aws.sagemaker"


def publish(arn: str, detail_type: str, detail: Mapping[str, Any], resources: Sequence[str] = ()) -> None:
    """Put an event on the default bus of a resource's account and region.

    Args:
        arn: The resource that the event is about.
        detail_type: What kind of event it is, as rules name it.
        detail: JSON; it is copied, so that it may change afterwards.
        resources: The event's resources, when they are not just the resource itself.
    """
    _, _, _, region, account, _ = arn.split(":", 5)
    if not _rules(account, region):
        return
    event = {
        "version": "0",
        "id": str(uuid.uuid4()),
        "detail-type": detail_type,
        "source": _SOURCE,
        "account": account,
        # moto makes a date of it when it delivers
        "time": time.time(),
        "region": region,
        "resources": list(resources) or [arn],
        "detail": json.loads(json.dumps(detail)),
    }
    _DELIVERIES.put(event)


def _rules(account: str, region: str) -> list[Rule]:
    """Return the rules that events can match: not those that are disabled, nor schedules, which have no pattern."""
    rules = events_backends[account][region].describe_event_bus(_BUS).rules.values()
    return [rule for rule in list(rules) if rule.state == "ENABLED" and rule.event_pattern.get_pattern()]


def _deliver(event: Mapping[str, Any]) -> None:
    for rule in _rules(event["account"], event["region"]):
        for target in list(rule.targets):
            # one target at a time: moto gives up all others of a rule at the first that it cannot serve
            single = copy.copy(rule)
            single.targets = [target]
            transforms = bool(target.get("InputTransformer"))
            # moto's transformers want a field that only a replayed event has
            sent = {**copy.deepcopy(event), **({"ingestion-time": event["time"]} if transforms else {})}
            try:
                single.send_to_targets(sent, transform_input=transforms)  # type: ignore[arg-type] # plain JSON
            except Exception as error:  # noqa: BLE001 - whatever breaks one target must not keep the event from others
                sys.stderr.write(f"the event {event['detail-type']!r} did not reach {target['Arn']}: {error!r}\n")


class _Deliveries:
    """The queue and the thread that empties it."""

    def __init__(self) -> None:
        self._queue: queue.SimpleQueue[Mapping[str, Any]] = queue.SimpleQueue()
        self._lock = threading.Lock()
        self._started = False

    def put(self, event: Mapping[str, Any]) -> None:
        self._queue.put(event)
        with self._lock:
            if not self._started:
                self._started = True
                threading.Thread(target=self._deliver_for_ever, name="events", daemon=True).start()

    def _deliver_for_ever(self) -> None:
        while True:
            _deliver(self._queue.get())


_DELIVERIES = _Deliveries()
