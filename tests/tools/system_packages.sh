#!/bin/sh
# Copyright (c) 2026, The nomba.auth contributors
# SPDX-License-Identifier: GPL-3.0-or-later
# Make sure that programs exist which only the system's package manager has.
# Usage: system_packages.sh PROGRAM=PACKAGE...
set -eu

missing=
for pair in "$@"; do
    PATH="$PATH:/usr/sbin:/sbin" command -v "${pair%%=*}" >/dev/null || missing="$missing ${pair#*=}"
done
[ -n "$missing" ] || exit 0

if [ "$(id -u)" -ne 0 ] || ! command -v apt-get >/dev/null; then
    echo "Please install these packages of your system first:$missing" >&2
    exit 1
fi
echo "Installing with apt-get:$missing"
export DEBIAN_FRONTEND=noninteractive
log=$(mktemp)
trap 'rm -f "$log"' EXIT
# $missing is a list of words on purpose.
# shellcheck disable=SC2086
if ! { apt-get install -y --no-install-recommends $missing ||
    { apt-get update && apt-get install -y --no-install-recommends $missing; }; } >"$log" 2>&1; then
    cat "$log" >&2
    exit 1
fi
