#!/bin/sh
# Copyright (c) 2026, The nomba.auth contributors
# SPDX-License-Identifier: GPL-3.0-or-later
# Make .tools: a small environment that holds uv, from any Python of 3.11 or newer with pip.
set -eu
cd "$(dirname "$0")/../.."

case $PWD in
    *[[:space:]]*)
        echo "Ansible and ansible-test cannot work under a path with a space: $PWD" >&2
        exit 1
        ;;
esac

can_start() {
    "$1" -c 'import sys, venv, ensurepip; sys.exit(sys.version_info < (3, 11))' >/dev/null 2>&1
}

# A pyenv shim can be on the PATH and still have nothing behind it, so each one is really run.
find_python() {
    for candidate in ${PYTHON:+"$PYTHON"} python3.12 python3.13 python3.11 python3 python \
        "${PYENV_ROOT:-${HOME:-}/.pyenv}"/versions/3.1[1-9]*/bin/python3 /usr/bin/python3; do
        if can_start "$candidate"; then
            printf '%s\n' "$candidate"
            return
        fi
    done
    echo "No Python of 3.11 or newer with pip and venv was found: install one, or set PYTHON=/path/to/python." >&2
    return 1
}

python=$(find_python)
rm -rf .tools
"$python" -m venv .tools
.tools/bin/python -m pip install --quiet --quiet --disable-pip-version-check --require-hashes -r requirements/tools.txt
touch .tools/.stamp
