"""What keeps the package small and light: counted, not felt."""

import ast
import re
import subprocess
import sys
from pathlib import Path

import pytest

import skae
from skae._estimators.base import BaseAutoencoder

PACKAGE = Path(skae.__file__).parent
MODULES = sorted(PACKAGE.rglob("*.py"))
TREES = {path: ast.parse(path.read_text()) for path in MODULES}
FUNCTIONS = (ast.FunctionDef, ast.AsyncFunctionDef)


def test_importing_skae_imports_neither_torch_nor_what_needs_it():
    heavy = {"torch", "skorch", "safetensors"}
    script = f"import sys, skae; print({heavy} & set(sys.modules))"
    command = [sys.executable, "-W", "ignore", "-c", script]
    out = subprocess.run(command, capture_output=True, text=True, check=True)
    assert out.stdout == "set()\n"


class Annotated:
    """A class with an annotation, and nothing else."""

    name: str


def test_names_on_the_base_classes():
    own = [kind for kind in BaseAutoencoder.__mro__ if kind.__module__.startswith("skae")]
    names = {name for kind in own for name in vars(kind)}
    names -= vars(Annotated).keys()  # what Python gives every class
    assert len(names) <= 45


def test_most_imports_are_at_the_top():
    inside = [
        f"{path.relative_to(PACKAGE)}:{node.lineno}"
        for path, tree in TREES.items()
        for function in ast.walk(tree)
        if isinstance(function, FUNCTIONS)
        for node in ast.walk(function)
        if isinstance(node, ast.Import | ast.ImportFrom)
    ]
    assert len(set(inside)) <= 25, inside


def test_training_sees_no_estimator():
    said = [
        f"{path.name}: {line}"
        for path in MODULES
        if path.parent.name == "_training"
        for line in path.read_text().splitlines()
        if re.search(r"\bestimator\.", line)
    ]
    assert said == []


def n_lines(function):
    """Return the lines of a function without its docstring."""
    body = function.body[1:] if ast.get_docstring(function) else function.body
    return (function.end_lineno - function.lineno + 1) - (
        body[0].lineno - function.body[0].lineno if body else 0
    )


def test_no_function_is_long():
    long = {
        f"{path.relative_to(PACKAGE)}:{node.name}": n_lines(node)
        for path, tree in TREES.items()
        for node in ast.walk(tree)
        if isinstance(node, FUNCTIONS) and n_lines(node) > 50
    }
    assert long == {}


@pytest.mark.xfail(
    strict=True,
    reason="33,500 lines, 9,000 of them docstrings: tables, ONNX, streams, clusters, pictures came",
)
def test_the_package_stays_small():
    assert sum(len(path.read_text().splitlines()) for path in MODULES) <= 14_000
