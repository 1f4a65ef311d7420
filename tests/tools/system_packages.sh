#!/bin/sh
# Copyright (c) 2026, The nomba.auth contributors
# SPDX-License-Identifier: GPL-3.0-or-later
# Make sure that programs exist which only the system's package manager has.
# Usage: system_packages.sh PROGRAM=PACKAGE...
set -eu

# The list of pairs turns into the list of missing packages.
for pair; do
    shift
    PATH="$PATH:/usr/sbin:/sbin" command -v "${pair%%=*}" >/dev/null || set -- "$@" "${pair#*=}"
done
[ $# -gt 0 ] || exit 0

if [ "$(id -u)" -ne 0 ] || ! command -v apt-get >/dev/null; then
    echo "Please install these packages of your system first: $*" >&2
    exit 1
fi
echo "Installing with apt-get: $*"
export DEBIAN_FRONTEND=noninteractive
log=$(mktemp)
trap 'rm -f "$log"' EXIT
if ! { apt-get install -y --no-install-recommends "$@" ||
    { apt-get update && apt-get install -y --no-install-recommends "$@"; }; } >"$log" 2>&1; then
    cat "$log" >&2
    exit 1
fi
