"""How Sphinx builds the site: ``make docs``. Nothing is fetched while it runs, or when it is read."""

import importlib
import importlib.util
import os
import re
from pathlib import Path

from docutils import nodes
from sphinx import addnodes
from sphinx.transforms import SphinxTransform

import skae

os.environ.setdefault("OMP_NUM_THREADS", "1")

project, author = "skae", "The skae developers"
copyright = "The skae developers, BSD-3-Clause"
version = release = importlib.metadata.version("skae")

extensions = [
    "myst_parser",
    "numpydoc",
    "sphinx.ext.autodoc",
    "sphinx.ext.autosummary",
    "sphinx.ext.mathjax",
    "sphinx_copybutton",
    "sphinx_design",
    "sphinx_gallery.gen_gallery",
]
exclude_patterns = ["_build", "_templates", "gallery/**.ipynb", "gallery/**.py"]
templates_path = ["_templates"]
root_doc = "index"
default_role = "py:obj"
nitpicky = False

# Pages
myst_enable_extensions = ["attrs_block", "colon_fence", "deflist"]
myst_heading_anchors = 3
copybutton_prompt_text = r">>> |\.\.\. "
copybutton_prompt_is_regexp = True
trim_doctest_flags = True
suppress_warnings = ["config.cache"]  # the gallery's order is a class

# Reference
PUBLIC = "skae", "skae.metrics", "skae.inspection", "skae.onnx", "skae.nn", "skae.losses"
autosummary_generate = True
autodoc_typehints = "none"
toc_object_entries_show_parents = "hide"
numpydoc_show_class_members = False
numpydoc_attributes_as_param_list = True


def own_members(module, name):
    """Return the public methods that skae itself defines; those of scikit-learn are documented there."""
    members = vars(importlib.import_module(module))[name]
    found = []
    for member in dir(members):
        if member.startswith("_") or member.startswith("set_") or member == "add_module":
            continue
        value = getattr(members, member, None)
        where = getattr(value, "__module__", None) or ""
        if callable(value) and where.startswith("skae") and value.__doc__:
            found.append(member)
    return found


autosummary_context = {"own_members": own_members}

# Theme
html_theme = "pydata_sphinx_theme"
html_title = "skae"
html_static_path = ["_static"]
html_css_files = ["skae.css"]
html_favicon = "_static/skae.svg"
html_copy_source = html_show_sourcelink = False
html_sidebars = {key: [] for key in ["index", "install", "how-it-works", "glossary", "changelog"]}
html_theme_options = {
    "logo": {"text": "skae", "image_light": "_static/skae.svg", "image_dark": "_static/skae.svg"},
    "show_prev_next": False,
    "navigation_with_keys": False,
    "secondary_sidebar_items": ["page-toc"],
    "navbar_align": "left",
    "header_links_before_dropdown": 7,
    "footer_start": ["copyright"],
    "footer_end": [],
    "show_toc_level": 2,
    "pygments_light_style": "a11y-high-contrast-light",
    "pygments_dark_style": "a11y-high-contrast-dark",
}

# Formulas: MathJax comes with a package and is copied beside the pages
(_mathjax,) = importlib.util.find_spec("mathjax").submodule_search_locations
html_static_path.append(str(Path(_mathjax) / "static" / "mathjax" / "es5" / "tex-svg.js"))
mathjax_path = "tex-svg.js"

# Gallery
ORDER = [
    "scree",
    "ames",
    "supervised_map",
    "anomalies",
    "intrusions",
    "census",
    "components",
    "grid_search",
    "imputation",
    "few_labels",
    "denoising",
]


class InOrder:
    """The order of the gallery: what most people ask first."""

    def __init__(self, folder):
        pass

    def __call__(self, name):
        """Return where an example stands."""
        stem = name.removeprefix("plot_").removesuffix(".py")
        return (ORDER.index(stem) if stem in ORDER else len(ORDER), name)


sphinx_gallery_conf = {
    "examples_dirs": "../examples",
    "gallery_dirs": "gallery",
    "filename_pattern": r"/plot_",
    "backreferences_dir": "generated/backreferences",
    "doc_module": ("skae",),
    "inspect_global_variables": False,
    "capture_repr": (),
    "matplotlib_animations": False,
    "remove_config_comments": True,
    "download_all_examples": False,
    "show_memory": False,
    "show_signature": False,
    "image_scrapers": ("matplotlib",),
    "within_subsection_order": InOrder,
    "write_computation_times": False,
    "abort_on_example_error": False,
    "only_warn_on_example_error": False,
}


class NamesAreLinks(SphinxTransform):
    """Make a link of every public name, also outside its module, and where it stands as code."""

    default_priority = 450

    def apply(self):
        """Wrap each of them."""
        public = {name: f"skae.{name}" for name in skae.__all__}
        for module in ("metrics", "inspection"):
            names = importlib.import_module(f"skae.{module}").__all__
            public |= {name: f"skae.{module}.{name}" for name in names}
        public |= {target: target for target in list(public.values())}
        public["skae.onnx.to_onnx"] = "skae.onnx.to_onnx"
        for link in self.document.findall(addnodes.pending_xref):  # `VAETransformer.sample`
            head, dot, rest = link.get("reftarget", "").partition(".")
            if link.get("refdomain") == "py" and head in public:
                link["reftarget"] = public[head] + dot + rest
        for literal in list(self.document.findall(nodes.literal)):
            target = public.get(literal.astext())
            if target is None or isinstance(literal.parent, (nodes.reference, nodes.title)):
                continue
            if isinstance(literal.parent, addnodes.pending_xref):
                continue
            link = addnodes.pending_xref(
                "", literal.deepcopy(), refdomain="py", reftype="obj", reftarget=target,
                refwarn=False,
            )  # fmt: skip
            literal.replace_self(link)


class CodeHasNoEmptyEnd(SphinxTransform):
    """Take the empty line from the end of examples, which doctest needs."""

    default_priority = 460

    def apply(self):
        """Strip each block."""
        for block in self.document.findall(nodes.literal_block):
            text = block.astext().rstrip()
            block.children = [nodes.Text(text)]
            block.rawsource = text  # Sphinx sets colours only where the two are equal


def for_sphinx(app, what, name, obj, options, lines):
    r"""Mend what docutils reads otherwise than Python.

    Lines that end with one backslash are joined, which Python leaves in raw docstrings, the
    last underscore of ``(n_samples, n_components_)`` makes no link, and paths of pages do.
    """
    text = re.sub(r"(?<!\\)\\\n\s*", "", "\n".join(lines))
    text = re.sub(r"shape \([^)`]*\)", lambda m: re.sub(r"_(?=[,) ])", r"\\_", m[0]), text)
    text = re.sub(r"docs/(\S+)\.md", r":doc:`docs/\1.md </\1>`", text)
    lines[:] = text.split("\n")


def setup(app):
    """Register what is defined here."""
    app.connect("autodoc-process-docstring", for_sphinx, priority=400)  # before numpydoc
    app.add_transform(NamesAreLinks)
    app.add_transform(CodeHasNoEmptyEnd)
