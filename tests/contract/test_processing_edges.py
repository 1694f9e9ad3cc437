"""Processing jobs whose program, data or surroundings are not as they should be."""

from typing import Any

import pytest
from botocore.exceptions import ClientError

from tests.contract.local_cloud import LocalCloud

OUT = "/opt/ml/processing/out"
LINKS = f"""
import os
os.symlink("/etc/hostname", "{OUT}/outside.txt")
os.symlink("/etc", "{OUT}/etc")
os.symlink("/opt/ml/config/resourceconfig.json", "{OUT}/inside.json")
with open("{OUT}/real.txt", "w") as file:
    file.write("real")
"""


def outputs(prefix: str, mode: str = "EndOfJob", **output: Any) -> dict[str, Any]:
    """Return an output configuration."""
    place = {"S3Uri": f"s3://data/{prefix}", "LocalPath": OUT, "S3UploadMode": mode}
    return {"Outputs": [{"OutputName": "out", "S3Output": place, **output}]}


@pytest.mark.executes("CreateProcessingJob")
@pytest.mark.parametrize("mode", ["EndOfJob", "Continuous"])
def test_links_in_an_output(cloud: LocalCloud, mode: str) -> None:
    """A link to a file of the job is uploaded as that file; one that leads out of /opt/ml is not followed."""
    name = f"links-{mode.lower()}"
    cloud.process_data(name, LINKS, ProcessingOutputConfig=outputs(name, mode))
    assert cloud.finished("Processing", name)["ProcessingJobStatus"] == "Completed"
    assert cloud.keys(f"{name}/") == [f"{name}/inside.json", f"{name}/real.txt"]
    assert b"current_host" in cloud.get(f"{name}/inside.json")


@pytest.mark.executes("CreateProcessingJob")
def test_what_the_program_manages_itself(cloud: LocalCloud) -> None:
    """An AppManaged input is not fetched and an AppManaged output not uploaded, and neither needs a place."""
    source = {"S3Uri": "s3://data/not/there", "S3DataType": "S3Prefix"}
    script = f"import os\nos.makedirs('{OUT}')\nopen('{OUT}/own.txt', 'w').close()\n"
    cloud.process_data(
        "app-managed",
        script,
        ProcessingInputs=[{"InputName": "own", "AppManaged": True, "S3Input": source}],
        ProcessingOutputConfig=outputs("app-managed", AppManaged=True),
    )
    job = cloud.finished("Processing", "app-managed")
    assert (job["ProcessingJobStatus"], job.get("FailureReason")) == ("Completed", None)
    assert cloud.keys("app-managed/") == []


@pytest.mark.executes("DescribeProcessingJob")
def test_an_exit_message_that_is_none(cloud: LocalCloud) -> None:
    """A link to a file of the machine in the place of the exit message tells nothing; a long one is cut."""
    cloud.process_data("message-link", "import os\nos.symlink('/etc/passwd', '/opt/ml/output/message')\n")
    assert "ExitMessage" not in cloud.finished("Processing", "message-link")
    cloud.process_data("message-long", "open('/opt/ml/output/message', 'w').write('m' * 5000)\n")
    assert cloud.finished("Processing", "message-long")["ExitMessage"] == "m" * 1024


@pytest.mark.executes("CreateProcessingJob")
def test_a_processing_job_without_network(cloud: LocalCloud) -> None:
    """With network isolation a processing job reaches nothing, and its data is fetched and stored all the same."""
    script = f"""
import os, socket
port = int("{cloud.endpoint}".rpartition(":")[2])
with open("{OUT}/result.txt", "w") as file:
    file.write(str(socket.socket().connect_ex(("127.0.0.1", port)) != 0 and "AWS_SECRET_ACCESS_KEY" not in os.environ))
"""
    network = {"EnableNetworkIsolation": True}
    cloud.process_data("offline", script, NetworkConfig=network, ProcessingOutputConfig=outputs("offline"))
    assert cloud.finished("Processing", "offline")["NetworkConfig"] == network
    assert cloud.get("offline/result.txt") == b"True"


@pytest.mark.refuses("CreateProcessingJob")
def test_outputs_of_one_name(cloud: LocalCloud) -> None:
    """Two outputs of one name are refused when the job is created."""
    twice = {"Outputs": outputs("twice")["Outputs"] * 2}
    with pytest.raises(ClientError, match="OutputName must be unique within a job; 'out' is given more than once"):
        cloud.process_data("output-twice", "pass", ProcessingOutputConfig=twice)


@pytest.mark.executes("CreateProcessingJob")
def test_a_path_of_its_own(cloud: LocalCloud) -> None:
    """A PATH among the job's variables is the program's, and only the program's."""
    command = {"ContainerEntrypoint": ["/bin/sh", "-c", "echo $PATH"]}
    cloud.process_data("own-path", "pass", Environment={"PATH": "/nowhere"}, AppSpecification=command)
    assert cloud.finished("Processing", "own-path")["ProcessingJobStatus"] == "Completed"
    assert cloud.log("Processing", "own-path") == ["/nowhere"]
