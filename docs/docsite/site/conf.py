# Copyright (c) 2026, The nomba.auth contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Sphinx configuration of the site that `make docs` builds (tests/tools/docs.py)."""

from __future__ import annotations

project = "nomba.auth"
project_copyright = "The nomba.auth contributors"
# tests/tools/docs.py sets version and html_title from galaxy.yml.

extensions = ["sphinx.ext.intersphinx", "sphinx_antsibull_ext", "sphinx_copybutton"]
# Copy the commands without their prompts.
copybutton_exclude = ".linenos, .gp"
# tests/tools/docs.py writes ansible.inv. The build fetches nothing and fails on a broken link.
intersphinx_mapping = {"ansible": ("https://docs.ansible.com/ansible/latest/", "../ansible.inv")}

pygments_style = "a11y-high-contrast-light"
pygments_dark_style = "a11y-high-contrast-dark"
highlight_language = "YAML+Jinja"
default_role = "any"
nitpicky = True

html_theme = "furo"
html_static_path = ["static"]
html_css_files = ["site.css"]
html_js_files = ["site.js"]
html_copy_source = False
html_show_sphinx = False
html_show_sourcelink = False
html_use_index = False
# site.css defines the colors of the reference pages from the theme.
antsibull_ext_color_scheme = "none"
