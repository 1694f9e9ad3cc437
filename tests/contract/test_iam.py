"""What of IAM the clients of SageMaker need."""

import json

import pytest
from botocore.exceptions import ClientError

from tests.contract.local_cloud import LocalCloud

TRUST = {
    "Version": "2012-10-17",
    "Statement": [{"Effect": "Allow", "Principal": {"Service": "sagemaker.amazonaws.com"}, "Action": "sts:AssumeRole"}],
}


def test_simulation_of_a_role(cloud: LocalCloud) -> None:
    """Every action on every resource is allowed to a role that exists, as the local cloud does not enforce policies."""
    iam = cloud.client("iam")
    arn = iam.create_role(RoleName="simulated", AssumeRolePolicyDocument=json.dumps(TRUST))["Role"]["Arn"]
    actions, resources = ["s3:PutObject", "sagemaker:CreateTrainingJob"], ["arn:aws:s3:::a/*", "arn:aws:s3:::b/*"]
    pages = iam.get_paginator("simulate_principal_policy").paginate(
        PolicySourceArn=arn, ActionNames=actions, ResourceArns=resources
    )
    results = [result for page in pages for result in page["EvaluationResults"]]
    assert [(action, resource, "allowed") for action in actions for resource in resources] == [
        (result["EvalActionName"], result["EvalResourceName"], result["EvalDecision"]) for result in results
    ]
    (alone,) = iam.simulate_principal_policy(PolicySourceArn=arn, ActionNames=["iam:PassRole"])["EvaluationResults"]
    assert ("iam:PassRole", "*") == (alone["EvalActionName"], alone["EvalResourceName"])


def test_simulation_of_nobody(cloud: LocalCloud) -> None:
    """A role that does not exist cannot be simulated."""
    with pytest.raises(ClientError) as refusal:
        cloud.client("iam").simulate_principal_policy(
            PolicySourceArn="arn:aws:iam::123456789012:role/nobody", ActionNames=["s3:GetObject"]
        )
    assert "NoSuchEntity" == refusal.value.response["Error"]["Code"]
