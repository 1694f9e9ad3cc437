"""What of the provider these tests cover: every operator and sensor of its Vertex AI modules, or the reason why not."""

from __future__ import annotations

import ast
import importlib.util
from pathlib import Path

from tests.contract.vertex_operators.refused import REASONS

PROVIDER = "airflow.providers.google.cloud"
DAGS = Path(__file__).with_name("dags")


def modules() -> list[ast.Module]:
    """Return the provider's modules: read, because importing them costs seconds, and one needs Ray."""
    folders = []
    for kind in ("operators", "sensors"):
        package = importlib.util.find_spec(f"{PROVIDER}.{kind}.vertex_ai")
        assert package is not None
        folders += [Path(folder) for folder in package.submodule_search_locations or ()]
    return [ast.parse(path.read_text(encoding="utf-8")) for folder in folders for path in sorted(folder.glob("*.py"))]


def classes() -> dict[str, ast.ClassDef]:
    """Return the operators and sensors that the provider offers."""
    found = [node for module in modules() for node in module.body if isinstance(node, ast.ClassDef)]
    return {node.name: node for node in found if node.name.endswith(("Operator", "Sensor")) and "Base" not in node.name}


def used_in(*files: str) -> set[str]:
    """Return the names that DAG files import from the provider's Vertex AI modules."""
    trees = [ast.parse((DAGS / file).read_text(encoding="utf-8")) for file in files]
    imports = [node for tree in trees for node in tree.body if isinstance(node, ast.ImportFrom)]
    return {name.name for node in imports if "vertex_ai" in (node.module or "") for name in node.names}


def test_every_operator_is_covered_or_refused() -> None:
    """What the provider offers for Vertex AI is in a DAG of these tests or refused for a reason; a new one joins."""
    assert {*classes()} == used_in("jobs.py", "around.py") | {*REASONS}
    assert not used_in("jobs.py", "around.py") & {*REASONS}


def test_every_operator_that_can_defer_is_in_the_matrix() -> None:
    """An operator that takes `deferrable` runs in both ways."""
    can_defer = {
        name
        for name, node in classes().items()
        for method in node.body
        if isinstance(method, ast.FunctionDef) and method.name == "__init__"
        if "deferrable" in {argument.arg for argument in method.args.kwonlyargs}
    }
    assert can_defer - {*REASONS} == used_in("jobs.py")


def test_what_is_refused_is_tried() -> None:
    """One operator of each service that is refused over gRPC is run, to see how."""
    assert {REASONS[name] for name in used_in("refused.py")} == {
        reason for reason in REASONS.values() if "SDK" not in reason and "generative" not in reason
    }
