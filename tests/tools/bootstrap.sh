#!/bin/sh
# Copyright (c) 2026, The nomba.auth contributors
# SPDX-License-Identifier: GPL-3.0-or-later
# Create .tools, the environment of uv and nox, with any Python of 3.11 or newer that has pip.
set -eu
cd "$(dirname "$0")/../.."

case $PWD in
    *[[:space:]]*)
        echo "error: Ansible and ansible-test do not work in a path with a space: $PWD" >&2
        exit 1
        ;;
esac

has_pip() {
    "$1" -c 'import sys, venv, ensurepip; sys.exit(sys.version_info < (3, 11))' >/dev/null 2>&1
}

# A pyenv shim can be on the PATH without a Python behind it, so each candidate is run.
find_python() {
    for candidate in ${PYTHON:+"$PYTHON"} python3.12 python3.13 python3.11 python3 python \
        "${PYENV_ROOT:-${HOME:-}/.pyenv}"/versions/3.1[1-9]*/bin/python3 /usr/bin/python3; do
        if has_pip "$candidate"; then
            printf '%s\n' "$candidate"
            return
        fi
    done
    echo "error: no Python of 3.11 or newer with pip and venv: install one, or set PYTHON=/path/to/python." >&2
    return 1
}

python=$(find_python)
rm -rf .tools
"$python" -m venv .tools
# pip reads hashes only from a list of requirements, so it installs uv, and uv the rest.
awk '/^[^ #]/ { uv = /^uv==/ } uv' requirements/bare.txt >.tools/uv.txt
.tools/bin/python -m pip install --quiet --quiet --disable-pip-version-check --require-hashes -r .tools/uv.txt
UV_SYSTEM_CERTS=true .tools/bin/uv pip install --quiet --python .tools/bin/python --require-hashes \
    --group tools --constraints requirements/bare.txt
touch .tools/.stamp
