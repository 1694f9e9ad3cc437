"""The local Vertex AI's parts without a server: filters, pages, names, machines, rows, measurements, traffic."""

import json
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from localcloud.gcp.objects import split_uri
from localcloud.gcp.vertex.batch_prediction.instances import InstanceError, read_instances
from localcloud.gcp.vertex.datasets.splits import write_splits
from localcloud.gcp.vertex.endpoints.traffic import check_split, choose
from localcloud.gcp.vertex.errors import InvalidArgumentError, NotFoundError, VertexError, refuse
from localcloud.gcp.vertex.jobs.access import for_jobs
from localcloud.gcp.vertex.jobs.gcsfolder import mentioned
from localcloud.gcp.vertex.jobs.joblog import MESSAGE_LIMIT, JobLog
from localcloud.gcp.vertex.jobs.machines import find_machine
from localcloud.gcp.vertex.listing.filters import compile_filter
from localcloud.gcp.vertex.listing.pages import Listed, list_page
from localcloud.gcp.vertex.messages import pb, types
from localcloud.gcp.vertex.names import check_parent
from localcloud.gcp.vertex.resources import Resources
from localcloud.gcp.vertex.tuning.measurements import final_measurement, read_measurements
from localcloud.gcp.vertex.tuning.space import check_parameters, read_space, trial_parameters

RUNNING = types.JobState.JOB_STATE_RUNNING
TEXTS = st.text(st.characters(codec="utf-8", exclude_categories=["Cs", "Cc"]), max_size=20)


def job(name: str = "a", **fields: Any) -> Any:
    """Return a custom job."""
    return pb.CustomJob(name=name, **fields)


@pytest.mark.parametrize(
    ("text", "passes"),
    [
        ("", True),
        ('display_name="train"', True),
        ("displayName=train", True),
        ('display_name="tr*n"', True),
        ('display_name!="train"', False),
        ("state=JOB_STATE_RUNNING", True),
        ('state="JOB_STATE_FAILED" OR state="JOB_STATE_RUNNING"', True),
        ("labels.team=a AND labels.team:*", True),
        ("labels.other:*", False),
        ("labels:team", True),
        ("NOT labels.team=b", True),
        ("-labels.team=a", False),
        ('(display_name="x" OR display_name="train") AND labels.team="a"', True),
        # OR binds tighter than AND
        ("display_name=train OR display_name=x AND labels.team=b", False),
        ('display_name="train" labels.team="b"', False),
        ('create_time>"2026-01-01T00:00:00Z"', True),
        ('create_time<"2026-01-01T00:00:00Z"', False),
        ("job_spec.scheduling.timeout:*", False),
        ("error.code>=3", True),
        ("error.code<3", False),
        ('display_name:"x","train"', True),
    ],
)
def test_filters(text: str, passes: bool) -> None:  # noqa: FBT001 - parametrized
    """A filter tells whether a message passes."""
    message = job(display_name="train", state=RUNNING, labels={"team": "a"}, error={"code": 3})
    message.create_time.FromJsonString("2026-06-01T00:00:00Z")
    assert passes is compile_filter(text)(message)


@pytest.mark.parametrize(
    "text",
    [
        "colour=red",
        "display_name=",
        "display_name",
        "(display_name=x",
        "display_name=x)",
        '"display_name"=x',
        "error.code=many",
        "create_time>yesterday",
        "display_name.more=x",
        'in_context("x")',
        "=x",
    ],
)
def test_filters_that_cannot_be_understood(text: str) -> None:
    """What is no filter is refused, and the message quotes it."""
    with pytest.raises(InvalidArgumentError) as refused:
        compile_filter(text)(job(display_name="x"))
    assert repr(text) in str(refused.value)


def test_a_filter_by_id() -> None:
    """A resource is found by the last part of its name."""
    model = pb.Model(name="projects/p/locations/l/models/7")
    assert [True, False, True] == [compile_filter(text)(model) for text in ('model="7"', "model=8", "model!=8")]


@given(TEXTS.filter(lambda text: "*" not in text))
def test_a_quoted_value_is_compared_as_it_is(text: str) -> None:
    """Any text can be asked for between quotes, with backslashes before quotes and backslashes."""
    quoted = text.replace("\\", "\\\\").replace('"', '\\"')
    assert compile_filter(f'display_name="{quoted}"')(job(display_name=text))
    assert not compile_filter(f'display_name="{quoted}"')(job(display_name=f"{text}x"))


@given(st.text(max_size=30))
def test_any_text_is_a_filter_or_refused(text: str) -> None:
    """No filter ends in another error than InvalidArgument."""
    try:
        compile_filter(text)(job(display_name="x"))
    except InvalidArgumentError:
        return


@given(st.integers(0, 30), st.integers(1, 12), st.sampled_from(["", "display_name", "display_name desc"]))
def test_pages_hold_everything_once(count: int, size: int, order: str) -> None:
    """Page by page every resource comes once, in the order asked for; newest first without one."""
    stored = [job(str(number), display_name=f"{number % 5}") for number in range(count)]
    found, token = [], ""
    while True:
        page = list_page(Listed(order_by=order, page_size=size, page_token=token), stored)
        assert len(page.items) <= size
        found += page.items
        token = page.next_token
        if not token:
            break
    newest_first = stored[::-1]
    expected = sorted(newest_first, key=lambda item: item.display_name, reverse=order.endswith("desc"))
    assert (expected if order else newest_first) == found


def test_a_page_after_a_change() -> None:
    """What is created between two pages does not make one come twice, nor does a deletion leave one out."""
    stored = [job(str(number)) for number in range(6)]
    first = list_page(Listed(page_size=2), stored)
    assert ["5", "4"] == [item.name for item in first.items]
    second = list_page(Listed(page_size=2, page_token=first.next_token), [*stored[:5], job("6"), job("7")])
    assert ["3", "2"] == [item.name for item in second.items]


def test_a_mask_of_a_list() -> None:
    """A list shows the fields of its mask alone."""
    (shown,) = list_page(Listed(paths=("name",)), [job("a", display_name="x")]).items
    assert job("a") == shown


@pytest.mark.parametrize(
    ("asked", "said"),
    [
        (Listed(order_by="colour"), "'colour'"),
        (Listed(order_by="name sideways"), "sideways"),
        (Listed(page_size=-1), "-1"),
        (Listed(page_token="x"), "page_token"),  # noqa: S106 - no secret
    ],
)
def test_lists_that_are_refused(asked: Listed, said: str) -> None:
    """An order, a size or a token that makes no sense is refused."""
    with pytest.raises(InvalidArgumentError, match=said):
        list_page(asked, [job("a"), job("b")])


def test_parents() -> None:
    """A parent is a location of Vertex AI; another location is not found, and what is no location is invalid."""
    check_parent("projects/p/locations/europe-west4")
    with pytest.raises(NotFoundError, match="moon-east1"):
        check_parent("projects/p/locations/moon-east1")
    with pytest.raises(InvalidArgumentError, match="projects/p"):
        check_parent("projects/p")


def test_the_words_of_a_refusal() -> None:
    """Fields that break rules are listed as Vertex lists them."""
    with pytest.raises(VertexError) as refused:
        refuse(("a.b", "Required field is not set."), ("c", "Wrong."))
    expected = "List of found errors:\t1.Field: a.b; Message: Required field is not set.\t2.Field: c; Message: Wrong.\t"
    assert (expected, 3) == (str(refused.value), refused.value.number)


@pytest.mark.parametrize(
    ("machine_type", "memory", "processors"),
    [("n1-standard-4", 15 << 30, 4), ("n1-highmem-2", 13 << 30, 2), ("e2-standard-8", 32 << 30, 8)],
)
def test_machines(machine_type: str, memory: int, processors: int) -> None:
    """A machine type says how much memory and how many processors there are."""
    found = find_machine(machine_type)
    assert found is not None
    assert (memory, processors) == (found.memory, found.processors)


@pytest.mark.parametrize("machine_type", ["", "n1", "n1-standard-0", "x9-standard-4", "ml.m5.large", "n1-standard-4 "])
def test_machines_that_there_are_not(machine_type: str) -> None:
    """What is no machine type is found to be none."""
    assert find_machine(machine_type) is None


def test_resources_survive_their_object(tmp_path: Path) -> None:
    """What is stored is found by another object over the same file; a change that breaks is not stored."""
    first = Resources(tmp_path / "state.db")
    first.add("parent", "customJobs", job("parent/customJobs/1", display_name="before"))

    def break_it() -> None:
        with first.change("parent/customJobs/1") as stored:
            stored.display_name = "broken"
            raise KeyError

    with pytest.raises(KeyError):
        break_it()
    with first.change("parent/customJobs/1") as stored:
        stored.display_name = "after"
    (found,) = Resources(tmp_path / "state.db").under("parent", "customJobs")
    assert "after" == found.display_name


def test_mentions_of_cloud_storage() -> None:
    """Addresses and paths are found in arguments, variables and sources."""
    texts = [
        "--data=gs://bucket-1/raw/2013.parquet",
        'open("/gcs/bucket-2/models/")',
        "gs://bucket-3",
        "x/gcs/no",
        "gs://a*",
    ]
    assert {("bucket-1", "raw/2013.parquet"), ("bucket-2", "models"), ("bucket-3", "")} == mentioned(texts)


def test_a_jobs_way_to_its_package_indexes() -> None:
    """A job's pip goes past the door to the indexes of the server's user, and to nothing else."""
    given_environment = {"https_proxy": "http://door", "no_proxy": "127.0.0.1", "REQUESTS_CA_BUNDLE": "/ca.pem"}
    found = for_jobs(given_environment, {"index-url": "https://mirror.example/simple", "timeout": "9"})
    hosts = "127.0.0.1,pypi.org,files.pythonhosted.org,mirror.example"
    assert ("http://door", hosts) == (found["https_proxy"], found["no_proxy"])
    assert "REQUESTS_CA_BUNDLE" not in found


def test_the_end_of_a_log(tmp_path: Path) -> None:
    """The message of a log is its last traceback, cut at its beginning when it is long."""
    log = JobLog(tmp_path / "deep" / "log.txt")
    for line in ("before", "Traceback (most recent call last):", "  x", "ValueError: why" + "!" * MESSAGE_LIMIT):
        log(line)
    log.close()
    assert log.message.startswith("…")
    assert MESSAGE_LIMIT == len(log.message)
    assert ["before", "Traceback (most recent call last):"] == (tmp_path / "deep" / "log.txt").read_text().splitlines()[
        :2
    ]


ROWS = st.lists(st.dictionaries(st.sampled_from("abc"), st.integers(-9, 9), min_size=1), max_size=6)


@given(ROWS)
def test_json_lines_are_read_as_they_are(rows: list[dict[str, int]]) -> None:
    """Every line is an instance; blank lines are none."""
    text = "\n\n".join(json.dumps(row) for row in rows)
    found = list(read_instances(text, "jsonl", pb.BatchPredictionJob().instance_config))
    assert rows == [item.sent for item in found]
    assert rows == [item.given for item in found]


@pytest.mark.parametrize(
    ("config", "sent", "key"),
    [
        ({"instance_type": "object"}, {"id": "k", "x": 1, "y": 2.5}, None),
        ({"instance_type": "object", "key_field": "id"}, {"x": 1, "y": 2.5}, "k"),
        ({"instance_type": "object", "included_fields": ["x"]}, {"x": 1}, None),
        ({"instance_type": "object", "excluded_fields": ["x", "id"]}, {"y": 2.5}, None),
        ({}, ["k", 1, 2.5], None),
    ],
)
def test_what_becomes_of_a_row(config: dict[str, Any], sent: Any, key: Any) -> None:
    """A CSV row becomes an array or an object, without the fields that are not wanted."""
    (found,) = read_instances(
        'id,x,y\n"k",1,2.5\n', "csv", pb.BatchPredictionJob(instance_config=config).instance_config
    )
    assert (sent, key) == (found.sent, found.key)


@pytest.mark.parametrize(
    ("text", "form"), [("{", "jsonl"), ("a,b\n1\n", "csv"), ("a\nunquoted\n", "csv"), ('[1]\n{"x"', "jsonl")]
)
def test_rows_that_cannot_be_read(text: str, form: str) -> None:
    """A broken file is told as such."""
    with pytest.raises(InstanceError):
        list(read_instances(text, form, pb.BatchPredictionJob().instance_config))


def test_measurements() -> None:
    """Reports with all metrics and finite values are measurements; the last or the best one is final."""
    lines = ['{"loss": "2", "global_step": "1"}', "no JSON", '{"loss": "nan"}', '{"other": 1}', "[]", '{"loss": 1}']
    lines.append('{"loss": 1.5, "global_step": 7}')
    found = read_measurements("\n".join(lines), ["loss"])
    assert [(1, 2.0), (0, 1.0), (7, 1.5)] == [(item.step_count, item.metrics[0].value) for item in found]
    assert found[2] == final_measurement(found, best=False, maximize=False)
    assert found[1] == final_measurement(found, best=True, maximize=False)
    assert found[0] == final_measurement(found, best=True, maximize=True)
    assert final_measurement([], best=True, maximize=True) is None


def parameter(**fields: Any) -> Any:
    """Return a parameter of a study."""
    return types.StudySpec.ParameterSpec.pb()(parameter_id="p", **fields)


@given(
    st.floats(0.001, 100),
    st.floats(0, 1000),
    st.sampled_from([1, 2, 3]),
    st.floats(0, 1),
)
def test_a_value_lies_in_its_range(low: float, width: float, scale: int, unit: float) -> None:
    """Every point of a range, however it is scaled, is a value between its ends, and is found again."""
    spec = parameter(double_value_spec={"min_value": low, "max_value": low + width}, scale_type=scale)
    (found,) = read_space([spec], grid=False).ranges
    value = float(found.value(unit))
    assert low <= value <= low + width
    assert unit == pytest.approx(found.coordinates(found.value(unit))[0], abs=1e-6) or width < 1e-3


def test_values_of_a_trial() -> None:
    """A trial tells numbers as numbers and choices as texts."""
    kinds = [parameter(integer_value_spec={"min_value": 1, "max_value": 3}), parameter()]
    kinds[1].parameter_id = "q"
    kinds[1].categorical_value_spec.values.extend(["a", "b"])
    number, text = trial_parameters(kinds, {"p": "2", "q": "b"})
    assert (2, "b") == (number.value.number_value, text.value.string_value)


@pytest.mark.parametrize(
    ("fields", "said"),
    [
        ({}, "One of the kinds of value is needed"),
        ({"double_value_spec": {"min_value": 2, "max_value": 1}}, "is larger than max_value"),
        ({"double_value_spec": {"min_value": 0, "max_value": 1}, "scale_type": 2}, "needs a min_value above 0"),
        ({"categorical_value_spec": {}}, "values"),
    ],
)
def test_parameters_that_are_refused(fields: dict[str, Any], said: str) -> None:
    """A parameter that cannot be searched is told with its field."""
    ((field, text),) = check_parameters([parameter(**fields)], "study", grid=False)
    assert field.startswith("study[0]")
    assert said in f"{field} {text}"


def test_traffic() -> None:
    """Shares add up to 100 and belong to deployed models; a request goes to one that has a share."""
    endpoint = pb.Endpoint(deployed_models=[{"id": "1"}, {"id": "2"}], traffic_split={"1": 0, "2": 100})
    assert {"2"} == {choose(endpoint).id for _ in range(20)}
    for split in ({"1": 99}, {"1": 101}, {"1": -1, "2": 101}, {"3": 100}):
        with pytest.raises(InvalidArgumentError):
            check_split(split, {"1", "2"})


class _Objects:
    """Cloud Storage in a dictionary."""

    def __init__(self, content: dict[str, bytes]) -> None:
        self.content = content

    def read(self, uri: str) -> bytes:
        return self.content[uri]

    def write(self, uri: str, body: bytes) -> None:
        self.content[uri] = body


@given(st.lists(st.integers(0, 10**6), unique=True, max_size=60))
def test_a_split_loses_no_row(numbers: list[int]) -> None:
    """Every row goes to one part, and always to the same one."""
    source = "".join(f"{line}\n" for line in ["x", *numbers])
    dataset = pb.Dataset()
    dataset.metadata.struct_value.update({"inputConfig": {"gcsSource": {"uri": ["gs://b/in.csv"]}}})
    config = pb.InputDataConfig(dataset_id="7")
    config.gcs_destination.output_uri_prefix = "gs://b/out/"
    written = []
    for _ in range(2):
        objects: Any = _Objects({"gs://b/in.csv": source.encode()})
        variables = write_splits(objects, dataset, config)
        written.append(objects.content)
    assert written[0] == written[1]
    parts = [body.decode().splitlines() for uri, body in written[0].items() if uri != "gs://b/in.csv"]
    assert [["x"]] * 3 == [part[:1] for part in parts]
    assert sorted(numbers) == sorted(int(row) for part in parts for row in part[1:])
    assert "gs://b/out/dataset-7-tables/training-*.csv" == variables["AIP_TRAINING_DATA_URI"]


def test_addresses() -> None:
    """An address of Cloud Storage has a bucket and an object."""
    assert ("b", "c/d") == split_uri("gs://b/c/d")
    for uri in ("s3://b/c", "gs:/b", "/gcs/b", "gs://"):
        with pytest.raises(Exception, match="is not an address of Cloud Storage"):
            split_uri(uri)
