"""Settings of the documentation site (`make docs`); the pages are docs/**/*.md.

The source folder is the repository, so that every link of a page leads to the same file
on the site and on the repository's page.
"""

import os
import sys
from pathlib import Path

HERE = Path(__file__).resolve().parent
sys.path.insert(0, str(HERE / "_site"))
# Kernels import `pictures`, and draw without a display.
os.environ["PYTHONPATH"] = os.pathsep.join(
    [str(HERE / "_site"), *filter(None, [os.environ.get("PYTHONPATH")])]
)
# They call the command `neurofreq` of this environment.
os.environ["PATH"] = os.pathsep.join(
    [str(Path(sys.executable).parent), os.environ["PATH"]]
)
os.environ["MPLBACKEND"] = "module://matplotlib_inline.backend_inline"
os.environ.setdefault("OMP_NUM_THREADS", "1")
os.environ["PYTHONWARNINGS"] = "ignore:IProgress not found"  # bars are text

project = "neurofreq"
author = "The neurofreq developers"
copyright = author
extensions = [
    "myst_nb",  # Markdown, and its code cells, which the build runs
    "numpydoc",
    "sphinx.ext.autodoc",
    "sphinx.ext.autosummary",
    "_mathml",
    "_navigation",
    "_reference",
]
include_patterns = ["docs/**", "CHANGELOG.md", "CONTRIBUTING.md"]
exclude_patterns = [".*", "docs/_site", "target", "dist", "**/__pycache__"]
root_doc = "docs/README"
language = "en"

html_theme = "furo"
html_title = "neurofreq"
html_static_path = ["_site/static"]
html_css_files = ["site.css"]
html_additional_pages = {"index": "to_root.html"}
templates_path = ["_site/templates"]
html_copy_source = False

myst_heading_anchors = 4
myst_enable_extensions = ["dollarmath"]

nb_execution_mode = "force"
nb_execution_in_temp = True
nb_execution_timeout = 600  # seconds for a cell; a busy machine is slow, not wrong
nb_execution_raise_on_error = True
nb_execution_show_tb = True
nb_merge_streams = True

autosummary_generate = False
default_role = "py:obj"
autodoc_typehints = "none"  # numpydoc's sections have the types
numpydoc_show_class_members = False
