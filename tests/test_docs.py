"""The site: what can be tested without building it (``make docs`` does that)."""

import ast
import importlib
import re
from pathlib import Path

import pytest
from test_api import SUBMODULES

import skae

ROOT = Path(__file__).parents[1]
EXAMPLES = sorted((ROOT / "examples").glob("plot_*.py"))


def names_of_the_reference():
    """Return every name that the reference lists, with its module."""
    module, found = None, set()
    for line in (ROOT / "docs" / "api.rst").read_text().splitlines():
        if line.startswith(".. currentmodule::"):
            module = line.split()[-1]
        elif re.fullmatch(r"   \w+", line):
            found.add(f"{module}.{line.strip()}")
    return found


def test_the_reference_has_every_public_name():
    names = {f"skae.{name}" for name in skae.__all__}
    for module, listed in SUBMODULES.items():
        names |= {f"{module}.{name}" for name in listed.split()}
    found = {name for name in names_of_the_reference() if not name.startswith("skae.onnx.")}
    assert found == names


def test_the_reference_has_skae_onnx():
    onnx = pytest.importorskip("skae.onnx", exc_type=ImportError)
    found = {name for name in names_of_the_reference() if name.startswith("skae.onnx.")}
    assert found == {f"skae.onnx.{name}" for name in onnx.__all__}


def test_every_name_of_the_reference_is_there():
    for name in names_of_the_reference():
        module, _, item = name.rpartition(".")
        if module != "skae.onnx":
            assert hasattr(importlib.import_module(module), item), name


PRIVATE = re.compile(r"\b(floors?|holes?|told|odd case|rows to order)\b", re.IGNORECASE)


@pytest.mark.parametrize(
    "where",
    [
        "README.md",
        "CONTRIBUTING.md",
        "CHANGELOG.md",
        "docs/*.md",
        "docs/guide/*.md",
        "examples/*.py",
    ],
)
def test_pages_have_no_words_of_our_own(where):
    for path in ROOT.glob(where):
        for number, line in enumerate(path.read_text().splitlines(), 1):
            assert not PRIVATE.search(line), f"{path.name}:{number}: {line}"


def test_docstrings_have_no_words_of_our_own():
    for name in names_of_the_reference():
        module, _, item = name.rpartition(".")
        if module == "skae.onnx":
            continue
        thing = getattr(importlib.import_module(module), item)
        texts = (
            [thing.__doc__, *(getattr(part, "__doc__", "") for part in vars(thing).values())]
            if isinstance(thing, type)
            else [thing.__doc__]
        )
        for text in texts:
            assert not PRIVATE.search(text or ""), name


def test_there_are_enough_examples():
    assert len(EXAMPLES) >= 15


@pytest.mark.parametrize("path", EXAMPLES, ids=lambda path: path.stem)
def test_examples_ask_a_question_draw_and_say_where_they_lose(path):
    text = path.read_text()
    tree = ast.parse(text)
    title = ast.get_docstring(tree).splitlines()[0]
    assert "?" in title, f"{title!r} asks nothing"
    assert "# **Where it loses.**" in text
    imported = {alias.name for node in ast.walk(tree) if isinstance(node, ast.ImportFrom)
                and node.module.startswith("skae") for alias in node.names}  # fmt: skip
    assert imported, "shows nothing of skae"
    assert re.search(r"Display\.from_|plt\.subplots|\.plot\(", text), "ends without a picture"
    assert not re.search(r"fetch_\w+|urlopen|requests\.", text), "downloads"
