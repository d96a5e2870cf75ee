"""The settings of the documentation: `make docs` builds it with warnings as errors."""

import os
import re
import sys
from pathlib import Path

DOCS = Path(__file__).parent
sys.path.insert(0, str(DOCS))

from message_page import write_page  # noqa: E402 - beside this file
from sphinx.application import Sphinx  # noqa: E402

import bayou as by  # noqa: E402

# Pages run in processes of their own, which share what XLA and Numba have compiled.
CODE = DOCS.parent / "build" / "docs" / "code"
os.environ.setdefault("JAX_COMPILATION_CACHE_DIR", str(CODE / "jax"))
os.environ.setdefault("JAX_PERSISTENT_CACHE_MIN_COMPILE_TIME_SECS", "0")
os.environ.setdefault("JAX_PERSISTENT_CACHE_MIN_ENTRY_SIZE_BYTES", "-1")
os.environ.setdefault("BAYOU_CODE_CACHE", str(CODE / "bayou"))
os.environ.setdefault("JAX_PLATFORMS", "cpu")

project = "bayou"
author = "the bayou developers"
copyright = "2026, the bayou developers"  # noqa: A001 - the name that Sphinx gives it
version = release = by.__version__
language = "en"

extensions = [
    "myst_nb",
    "numpydoc",
    "sphinx.ext.autodoc",
    "sphinx.ext.autosummary",
    "sphinx.ext.viewcode",
    "sphinx_copybutton",
    "sphinx_design",
    "sphinx_gallery.gen_gallery",
]
templates_path = ["_templates"]
exclude_patterns = ["gallery/*.ipynb", "gallery/*.py", "gallery/GALLERY_HEADER.*"]

# Pages with code. Locally, `NB_EXECUTION=cache make docs` runs those that changed.
nb_execution_mode = os.environ.get("NB_EXECUTION", "force")
nb_execution_timeout = 300
nb_execution_raise_on_error = True
nb_execution_show_tb = True
nb_merge_streams = True
nb_execution_in_temp = True
myst_enable_extensions = ["attrs_block", "attrs_inline", "colon_fence", "deflist", "dollarmath"]
myst_heading_anchors = 4

# Reference. Types stand in the docstrings, in words.
autosummary_generate = True
# Names that differ only in case would be one file on some systems.
autosummary_filename_map = {
    "bayou.Fit": "bayou.Fit-class",
    "bayou.Source": "bayou.Source-class",
}
autodoc_typehints = "none"
autodoc_member_order = "bysource"
numpydoc_show_class_members = False
numpydoc_xref_param_type = False

# References to other projects stay plain text: their sites are not read during a build. References
# into modules of bayou that are not public have no page.
nitpick_ignore_regex = [
    (r"py:.*", r"(arviz|jax|numpy|optax|pymc|pytensor|xarray)\..*"),
    (r"py:.*", r"bayou\.(containers|fitting|sources|sampling|density|models)\..*"),
]

sphinx_gallery_conf = {
    "examples_dirs": str(DOCS.parent / "examples"),
    "gallery_dirs": "gallery",
    # The others take minutes: their pages show the code.
    "filename_pattern": r"/plot_",
    # In processes of their own: Sphinx forks this one, which the threads of JAX do not survive.
    "parallel": 2,
    "download_all_examples": False,
    "remove_config_comments": True,
    "show_memory": False,
    "show_signature": False,
    "reset_modules": (),
    "plot_gallery": "True",
}

html_theme = "pydata_sphinx_theme"
html_title = f"bayou {release}"
html_static_path = ["_static"]
html_css_files = ["bayou.css"]
html_copy_source = False
html_show_sourcelink = False
html_theme_options = {
    "logo": {"text": "bayou"},
    "navbar_align": "left",
    "navbar_end": ["theme-switcher"],
    "header_links_before_dropdown": 7,
    "show_toc_level": 2,
    "navigation_with_keys": False,
    "pygments_light_style": "tango",
    "pygments_dark_style": "github-dark",
    "footer_start": ["copyright"],
    "footer_end": ["theme-version"],
}
html_sidebars = {"index": []}
copybutton_prompt_text = r">>> |\.\.\. |\$ "
copybutton_prompt_is_regexp = True

write_page(DOCS / "reference" / "messages.md")


def set_headings_of_parameters(
    app: object, what: str, name: str, obj: object, options: object, lines: list[str]
) -> None:
    """Set `**How steps are made**` among parameters as a heading: numpydoc takes it for a name."""
    heading = re.compile(r"^(\s*)\*\*\\\*\\\*(.*?)\*\*\*\*$")
    lines[:] = [heading.sub(r"\1*\2*", line) for line in lines]


def setup(app: Sphinx) -> None:
    """Connect what the pages need beside the extensions."""
    # After numpydoc, whose lines it mends.
    app.connect("autodoc-process-docstring", set_headings_of_parameters, priority=900)
