# Copyright (c) 2026, The nomba.auth contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""What python-dotenv, systemd and a shell read in a .env file is what the module reads and writes.

systemd has no program that reads such a file without a running manager. `systemd` below is a
second reading of its rules (systemd.exec(5), EnvironmentFile=). It is compared with the parser of
libsystemd-shared where this library is installed.
"""

from __future__ import annotations

import ctypes
import io
import itertools
import re
import subprocess
from collections.abc import Callable, Mapping
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from ansible_collections.nomba.auth.plugins.module_utils._env_file import (
    read_values,
    replace_values,
    require_writable,
)
from ansible_collections.nomba.auth.plugins.module_utils._errors import InvalidOption

# python-dotenv is in the environments of the newest Ansibles.
pytestmark = pytest.mark.newest

LIBRARIES = sorted(Path("/usr/lib").glob("**/systemd/libsystemd-shared-*.so"))
BLANKS = " \t\r\n"
# A comment (which a backslash continues before version 254), or a line; with = it is an assignment.
STATEMENT = re.compile(
    r"""[ \t\r\n]*(?:[#;](?:\\.|[^\\\r\n])*\\?|(?P<name>[^ \t\r\n#;][^=\r\n]*)
    (?:=(?P<quoted>(?:[ \t]+|'[^']*(?:'|\Z)|"(?:\\.|[^"\\])*\\?(?:"|\Z))*)
    (?P<bare>(?:\\.|[^\\\r\n])*\\?))?)""",
    re.DOTALL | re.VERBOSE,
)
QUOTED = re.compile(r"""'([^']*)'?|"((?:\\.|[^"\\])*)\\?"?""", re.DOTALL)
# The same examples in every run, however slow the machine.
EXAMPLES = settings(
    database=None,
    deadline=None,
    derandomize=True,
    max_examples=500,
    suppress_health_check=list(HealthCheck),
)

# Texts that end, begin or continue something for one of the readers.
PARTS = [
    *("N", "M", "N=", "M=", "=", "'", '"', "\\", "\n", "\n", "\r\n", " ", "\t", "#", ";", "$", "`"),
    *("a", "b", "${M}", "export ", "\xe9", "\xa0", "\u2028", "\x0b", "\x0c", "+", "\ufeff", "\\\\"),
    *(
        "\\n",
        "N=v\n",
        "M='",
        'M="',
        "N='w'\n",
        'N="w\\""\n',
        "# ",
        "M=b #c\n",
        "M='a\nb'\n",
        "M=it's\n",
    ),
]
FILES = st.lists(st.sampled_from(PARTS), max_size=14).map("".join)
ODD = "'\"\\$`# \t~*?[]{}()&;|<>!%^=:,-+@./aZ0n\xe9\xa0\u2028\U0001f600\ufeff"
VALUES = st.text(st.sampled_from(ODD), max_size=8) | st.text(max_size=20)


def dotenv(text: str) -> dict[str, str | None]:
    """Return what python-dotenv reads from a file, which it opens with universal newlines."""
    from dotenv import dotenv_values  # not in the environment of the oldest Ansible

    return dict(dotenv_values(stream=io.TextIOWrapper(io.BytesIO(text.encode()), "utf-8")))


def systemd(text: str) -> dict[str, str]:
    """Return what systemd reads; an `export` is a part of the name, which it drops later."""
    found = [match for match in STATEMENT.finditer(text) if match["quoted"] is not None]
    return {
        match["name"].rstrip(BLANKS): _in_quotes(match["quoted"]) + _unquoted(match["bare"])
        for match in found
    }


def _in_quotes(text: str) -> str:
    """Return the value of parts in quotation marks, with blanks between them."""
    return "".join(
        single + re.sub(r"\\([\"\\`$]|\n)", lambda match: match[1].strip("\n"), double)
        for single, double in QUOTED.findall(text)
    )


def _unquoted(text: str) -> str:
    """Return the value of a part without quotation marks. A NUL keeps the blanks before it."""
    marked = re.sub(r"\\(.?)", lambda match: match[1].strip("\r\n") + "\0", text, flags=re.DOTALL)
    return marked.rstrip(BLANKS).replace("\0", "")


def systemd_library(file: Path) -> Callable[[str], dict[str, str]]:
    """Return the parser of systemd itself, or the reading of its rules where it is missing."""
    if not LIBRARIES:
        return systemd
    strings = ctypes.POINTER(ctypes.c_char_p)
    load = ctypes.CDLL(str(LIBRARIES[0])).load_env_file
    load.argtypes = [ctypes.c_void_p, ctypes.c_char_p, ctypes.POINTER(strings)]

    def parse(text: str) -> dict[str, str]:
        file.write_bytes(text.encode())
        rows = strings()
        assert load(None, bytes(file), ctypes.byref(rows)) >= 0
        found = itertools.takewhile(bool, (rows[index] for index in itertools.count()))
        texts = [row.decode() for row in found if row] if rows else []
        ends = [text.index("=", 1) for text in texts]  # a name can begin with it
        return {text[:end]: text[end + 1 :] for text, end in zip(texts, ends)}

    return parse


def shell(assignments: list[str]) -> list[str]:
    """Return the value of N after each assignment, all in one process."""
    script = "".join(f"{line}\nprintf '%s\\0' \"$N\"\nN=\n" for line in assignments)
    command = ["sh", "/dev/stdin"]
    ran = subprocess.run(command, input=script.encode(), capture_output=True, check=True)
    assert ran.stderr == b""
    return ran.stdout.decode().split("\0")[:-1]


def is_writable(value: str) -> bool:
    """Return whether the module accepts a value."""
    try:
        require_writable({"N": value})
    except InvalidOption:
        return False
    return True


def written(value: str) -> list[str]:
    """Return the lines with a value, one for each style of the value before."""
    lines = ["", "N=old", "N='old'", 'N="old"', "export N=old", "N=old # comment"]
    return [replace_values({"N": value}, line.encode()).decode().rstrip("\n") for line in lines]


@settings(EXAMPLES, max_examples=20)
@given(st.lists(VALUES.filter(is_writable), min_size=20, max_size=40))
def test_all_readers_read_the_value_that_was_written(values: list[str]) -> None:
    lines = [(line, value) for value in values for line in written(value)]
    assert shell([line for line, __ in lines]) == [value for __, value in lines]
    for line, value in lines:
        assert dotenv(line) == {"N": value}
        if not line.startswith("export") and not line.endswith("# comment"):
            assert systemd(line) == {"N": value}


def supports(text: str, name: str) -> bool:
    """Return whether systemd reads the lines with a name as the others do."""
    lines = [line for line in text.split("\n") if name in line]
    return not any("export" in line or " #" in line or "\t#" in line for line in lines)


@EXAMPLES
@given(FILES)
def test_value_that_is_read_is_that_of_the_readers(text: str) -> None:
    try:
        value = read_values(["N"], text.encode()).get("N")
    except InvalidOption:
        return
    assert dotenv(text).get("N") == value
    if supports(text, "N"):
        assert systemd(text).get("N") == value


def others(variables: Mapping[str, str | None]) -> dict[str, str | None]:
    """Return the variables without N, which python-dotenv inserts into others."""
    return {name: value for name, value in variables.items() if name != "N"}


@EXAMPLES
@given(FILES, VALUES.filter(is_writable))
def test_readers_see_the_new_value_and_the_same_other_variables(text: str, value: str) -> None:
    try:
        new = replace_values({"N": value}, text.encode())
    except InvalidOption:
        return
    assert read_values(["N"], new) == {"N": value}
    assert replace_values({"N": value}, new) == new
    found = dotenv(new.decode())
    assert found["N"] == value
    assert others(found) == others(dotenv(text))
    if supports(text, "N"):
        assert systemd(new.decode()) == {**systemd(text), "N": value}


# Files that systemd reads in a way of its own, with what it reads.
SYSTEMD = {
    "A=b # c\nexport B=x\n": {"A": "b # c", "export B": "x"},
    "A='x y'#z\nB='a' \"b\" c \n": {"A": "x y#z", "B": "abc"},
    "; A=1\n# a\\\nB=1\nC=2": {"C": "2"},
    'A="\\$\\n\\\\\\"\\`"\nB=\\ \\a\\\nb \n': {"A": '$\\n\\"`', "B": " ab"},
    "=A=1\n B \t= 2\r\nC\n": {"=A": "1", "B": "2"},
    "A='1\n2' \nB=": {"A": "1\n2", "B": ""},
}


@pytest.mark.parametrize(("text", "expected"), SYSTEMD.items(), ids=ascii)
def test_reading_of_the_rules_of_systemd(text: str, expected: dict[str, str]) -> None:
    assert systemd(text) == expected


def test_reading_of_the_rules_is_that_of_the_library(tmp_path: Path) -> None:
    parse = systemd_library(tmp_path / "env")

    @given(FILES)
    @EXAMPLES
    def compare(text: str) -> None:
        assert systemd(text) == parse(text)

    compare()
