# Copyright (c) 2026, The nomba.auth contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Named variables of a .env file. test_env_file_readers.py compares with the real readers."""

from __future__ import annotations

import pytest

from ansible_collections.nomba.auth.plugins.module_utils._env_file import (
    fingerprints_of,
    read_values,
    replace_values,
    require_writable,
)
from ansible_collections.nomba.auth.plugins.module_utils._errors import InvalidOption
from ansible_collections.nomba.auth.plugins.module_utils._token import fingerprint

pytestmark = pytest.mark.pure

NAME = "NOMBA_CLIENT_SECRET"
OLD, NEW = "old+/0lZ==", "n3w+/0lZ=="
OTHERS = b"".join(b"OTHER_%d=value %d # \xe9\xff\n" % (number, number) for number in range(40))
# A value of another variable that contains what looks like an assignment.
KEY = b'KEY="-----BEGIN\nNOMBA_CLIENT_SECRET=in the key\n\tit\'s \\" -----END"\n'


def replaced(data: bytes, value: str = NEW) -> bytes:
    """Return the file with another value, and require that a second run changes nothing."""
    new = replace_values({NAME: value}, data)
    assert read_values([NAME], new) == {NAME: value}
    assert replace_values({NAME: value}, new) == new
    return new


# A line before and after a replacement by NEW.
LINES = {
    "unquoted": (b"NOMBA_CLIENT_SECRET=old\n", b"NOMBA_CLIENT_SECRET=n3w+/0lZ==\n"),
    "single": (b"NOMBA_CLIENT_SECRET='o l#d'\n", b"NOMBA_CLIENT_SECRET='n3w+/0lZ=='\n"),
    "double": (b'NOMBA_CLIENT_SECRET="o\'l\\"d"\n', b'NOMBA_CLIENT_SECRET="n3w+/0lZ=="\n'),
    "empty": (b"NOMBA_CLIENT_SECRET=\n", b"NOMBA_CLIENT_SECRET=n3w+/0lZ==\n"),
    "CRLF": (b"A=1\r\nNOMBA_CLIENT_SECRET=o\r\n", b"A=1\r\nNOMBA_CLIENT_SECRET=n3w+/0lZ==\r\n"),
    "no final newline": (b"NOMBA_CLIENT_SECRET=o", b"NOMBA_CLIENT_SECRET=n3w+/0lZ=="),
    "export": (b"\texport  NOMBA_CLIENT_SECRET=o\n", b"\texport  NOMBA_CLIENT_SECRET=n3w+/0lZ==\n"),
    "blanks": (b" NOMBA_CLIENT_SECRET = o \n", b" NOMBA_CLIENT_SECRET = n3w+/0lZ== \n"),
    "comment": (b"NOMBA_CLIENT_SECRET=o # it's\n", b"NOMBA_CLIENT_SECRET=n3w+/0lZ== # it's\n"),
    "quoted and comment": (
        b"NOMBA_CLIENT_SECRET='o'\t# \xff\n",
        b"NOMBA_CLIENT_SECRET='n3w+/0lZ=='\t# \xff\n",
    ),
    "two": (
        b"NOMBA_CLIENT_SECRET=older\nA=1\nNOMBA_CLIENT_SECRET='o'\n",
        b"NOMBA_CLIENT_SECRET=n3w+/0lZ==\nA=1\nNOMBA_CLIENT_SECRET='n3w+/0lZ=='\n",
    ),
    "absent": (b"A=1\n", b"A=1\nNOMBA_CLIENT_SECRET=n3w+/0lZ==\n"),
    "absent, no final newline": (b"A=1", b"A=1\nNOMBA_CLIENT_SECRET=n3w+/0lZ==\n"),
    "absent, CRLF": (b"A=1\r\nB=2", b"A=1\r\nB=2\r\nNOMBA_CLIENT_SECRET=n3w+/0lZ==\r\n"),
    "empty file": (b"", b"NOMBA_CLIENT_SECRET=n3w+/0lZ==\n"),
    "mark only": (b"\xef\xbb\xbf", b"\xef\xbb\xbf\nNOMBA_CLIENT_SECRET=n3w+/0lZ==\n"),
    "similar names": (
        b"NOMBA_CLIENT_SECRET_2=a\nMY_NOMBA_CLIENT_SECRET=b\nNOMBA_CLIENT_SECRET=c\nNOMBA_CLIENT=d\n",
        (
            b"NOMBA_CLIENT_SECRET_2=a\nMY_NOMBA_CLIENT_SECRET=b\nNOMBA_CLIENT_SECRET=n3w+/0lZ==\n"
            b"NOMBA_CLIENT=d\n"
        ),
    ),
    "in comments": (
        b"# NOMBA_CLIENT_SECRET=a\n; NOMBA_CLIENT_SECRET=b\nA=1 # NOMBA_CLIENT_SECRET=c\n",
        (
            b"# NOMBA_CLIENT_SECRET=a\n; NOMBA_CLIENT_SECRET=b\nA=1 # NOMBA_CLIENT_SECRET=c\n"
            b"NOMBA_CLIENT_SECRET=n3w+/0lZ==\n"
        ),
    ),
    "in a value": (KEY, KEY + b"NOMBA_CLIENT_SECRET=n3w+/0lZ==\n"),
    "in a URL": (
        b"URL=https://x.example/?NOMBA_CLIENT_SECRET=1\n",
        b"URL=https://x.example/?NOMBA_CLIENT_SECRET=1\nNOMBA_CLIENT_SECRET=n3w+/0lZ==\n",
    ),
}


@pytest.mark.parametrize(("before", "after"), LINES.values(), ids=LINES)
def test_only_the_value_changes(before: bytes, after: bytes) -> None:
    assert replaced(before) == after


@pytest.mark.parametrize(("before", "after"), LINES.values(), ids=LINES)
def test_forty_other_variables_stay_byte_for_byte(before: bytes, after: bytes) -> None:
    around = OTHERS + KEY + b"\xef\xbb\xbf\n\n  # it's \"\nnot an assignment\nA='\xff\n$B'\n"
    assert replaced(around + before) == (around + after)
    if before.endswith(b"\n") and before.count(b"\n") == after.count(b"\n"):
        assert replaced(before + OTHERS) == after + OTHERS


# A value, and how it is written for each style of the value before.
STYLES = {
    "plain": ("aZ09_./:@%+,=!-#", ("aZ09_./:@%+,=!-#", "'aZ09_./:@%+,=!-#'", '"aZ09_./:@%+,=!-#"')),
    "empty": ("", ("", "''", '""')),
    "number sign": ("#a", ("'#a'", "'#a'", '"#a"')),
    "blanks": (" a\tb ", ("' a\tb '", "' a\tb '", '" a\tb "')),
    "dollar": ("a$b$$`x`", ("'a$b$$`x`'",) * 3),
    "backslash": ("a\\nb", ("'a\\nb'", "'a\\nb'", '"a\\\\nb"')),
    "two backslashes": ("a\\\\b", ('"a\\\\\\\\b"',) * 3),
    "single": ("it's", ('"it\'s"',) * 3),
    "double": ('"a"', ("'\"a\"'", "'\"a\"'", '"\\"a\\""')),
    "tilde": ("~/a:~b", ("'~/a:~b'", "'~/a:~b'", '"~/a:~b"')),
    "other letters": ("é\u00a0\U0001f600", ("'é\u00a0\U0001f600'",) * 2 + ('"é\u00a0\U0001f600"',)),
}


@pytest.mark.parametrize(("value", "written"), STYLES.values(), ids=STYLES)
def test_value_keeps_the_quotation_marks_that_can_hold_it(
    value: str, written: tuple[str, ...]
) -> None:
    for quote, expected in zip(("", "'", '"'), written):
        before = f"{NAME}={quote}old{quote}\n".encode()
        assert replaced(before, value) == f"{NAME}={expected}\n".encode()


def test_empty_value_before_a_comment_is_quoted() -> None:
    assert replaced(b"NOMBA_CLIENT_SECRET=o # c\n", "") == b"NOMBA_CLIENT_SECRET='' # c\n"


def test_equal_value_is_not_touched() -> None:
    data = b'NOMBA_CLIENT_SECRET = "old"  # c\r\nA=1'
    assert replace_values({NAME: "old"}, data) == data


def test_older_assignment_does_not_keep_the_old_secret() -> None:
    data = b"NOMBA_CLIENT_SECRET=older\nNOMBA_CLIENT_SECRET=new\n"
    assert read_values([NAME], data) == {NAME: "new"}
    assert replaced(data, "new") == b"NOMBA_CLIENT_SECRET=new\nNOMBA_CLIENT_SECRET=new\n"


UNWRITABLE = [
    *(
        "a\nb",
        "a\rb",
        "a\0b",
        "\x1b[2J",
        "\x7f",
        "\x85",
        "\ud800",
        "\ufdd0",
        "\ufffe",
        "\U0010ffff",
    ),
    *("a\\", "${A}", "${", "'$", "'`", "'a\\'b$", "\\\\$"),
]


@pytest.mark.parametrize("value", UNWRITABLE, ids=ascii)
def test_value_that_the_readers_would_read_differently_is_refused(value: str) -> None:
    with pytest.raises(InvalidOption, match=f"^variables: the value of {NAME} contains ") as error:
        replace_values({NAME: value}, b"")
    assert value not in str(error.value) or value == "${"


@pytest.mark.parametrize("name", ["", "1A", "A-B", "A B", "A=1", "A\n", "é"])
def test_name_that_is_not_one_is_refused(name: str) -> None:
    with pytest.raises(InvalidOption, match=r"^variables: a name has letters, digits and _"):
        require_writable({name: "a"})


@pytest.mark.parametrize("value", [1, True, None, ["a"]])
def test_value_that_is_not_a_string_is_refused(value: object) -> None:
    with pytest.raises(InvalidOption, match=f"^variables: the value of {NAME} is not a string"):
        require_writable({NAME: value})


def test_no_variables_are_refused() -> None:
    with pytest.raises(InvalidOption, match=r"^variables: it is empty"):
        require_writable({})


# Lines in which the readers read different values of the name, or one reader finds none.
DOUBTFUL = [
    *(
        b"=a b",
        b"= #a",
        b"=a$b",
        b"=a\\b",
        b"=`a`",
        b"=a;b",
        b"=~a",
        b"=a*",
        b"=\xc3\xa9",
        b"='\xff'",
    ),
    *(b"='a'b", b"='a'#b", b"='a\\'b'", b"='a\\\\b'", b"='${A}'", b"='a\nb'", b"='a", b'="a'),
    *(b'="$a"', b'="a\\$b"', b'="a\\nb"', b'="`a`"', b'="a\\\\"', b'="a\nb"', b"=a\\", b"+=a", b""),
    *(b"=a # \\", b"\x0b=a", b" B=1"),
]


@pytest.mark.parametrize("text", DOUBTFUL, ids=ascii)
def test_doubtful_value_is_refused(text: bytes) -> None:
    data = b"A=1\n\n" + NAME.encode() + text + b"\nB=2\n"
    for change in (lambda: read_values([NAME], data), lambda: replace_values({NAME: NEW}, data)):
        with pytest.raises(InvalidOption, match=f"^dest: line 3: .* value {NAME} has"):
            change()


@pytest.mark.parametrize(
    "before",
    [
        *(b"A='it", b'A="x', b"A='a\\'", b'A="a\\\\"', b"A=C:\\dir\\", b"A='a' 'b'", b"# c\\"),
        *(
            b"'A",
            b"export '",
            b"=A='",
            b"A=\xc2\xa0'",
            b"A B='",
            b"A='a'\"",
            b"; a\\",
            b"declare \\",
        ),
        b";A='",
    ],
    ids=ascii,
)
def test_name_after_a_line_without_a_certain_end_is_refused(before: bytes) -> None:
    data = before + b"\nNOMBA_CLIENT_SECRET=a\n"
    with pytest.raises(InvalidOption, match=r"^dest: line [12]: "):
        read_values([NAME], data)
    # A name before it is certain; nothing can be appended.
    assert replaced(b"NOMBA_CLIENT_SECRET=a\n" + before).endswith(before)
    assert read_values([NAME], before) == {}
    with pytest.raises(InvalidOption, match=r"^dest: line 1: "):
        replace_values({NAME: NEW}, before)


@pytest.mark.parametrize(
    "line",
    [
        *(
            b"declare -x NOMBA_CLIENT_SECRET=a",
            b"'NOMBA_CLIENT_SECRET'=a",
            b"A=1 NOMBA_CLIENT_SECRET=a",
        ),
        *(
            b"\x0cNOMBA_CLIENT_SECRET=a",
            b"export NOMBA_CLIENT_SECRET",
            b"A='1' NOMBA_CLIENT_SECRET=a",
        ),
    ],
    ids=ascii,
)
def test_name_in_a_form_that_is_not_supported_is_refused(line: bytes) -> None:
    with pytest.raises(InvalidOption, match=r"^dest: line 2: "):
        replace_values({NAME: NEW}, b"NOMBA_CLIENT_SECRET=a\n" + line)


def test_byte_order_mark_stays_and_must_not_hide_a_name() -> None:
    assert replaced(b"\xef\xbb\xbfA=1\nNOMBA_CLIENT_SECRET=a") == (
        b"\xef\xbb\xbfA=1\nNOMBA_CLIENT_SECRET=n3w+/0lZ=="
    )
    with pytest.raises(InvalidOption, match=r"^dest: a byte order mark hides NOMBA_CLIENT_SECRET"):
        read_values([NAME], b"\xef\xbb\xbfNOMBA_CLIENT_SECRET=a\n")


@pytest.mark.parametrize("data", [b"A=1\nB=\0\n", b"A=1\nB=2\rC=3\n", "A=1\nB=\n".encode("utf-16")])
def test_file_that_is_no_text_is_refused(data: bytes) -> None:
    with pytest.raises(
        InvalidOption, match=r"^dest: line [12] contains a .*; it is not a \.env file"
    ):
        read_values([NAME], data)


def test_comment_continues_before_systemd_254() -> None:
    assert replaced(b"# c\\\nA=1\nNOMBA_CLIENT_SECRET=a") != b""
    assert replaced(b"# c\\\\\nNOMBA_CLIENT_SECRET=a") != b""
    with pytest.raises(InvalidOption, match=r"^dest: line 2: "):
        read_values([NAME], b"# c\\\nNOMBA_CLIENT_SECRET=a\n")
    with pytest.raises(InvalidOption, match=r"^dest: line 2: "):
        read_values([NAME], b"# c\\\nA='1\n2'\nNOMBA_CLIENT_SECRET=a\n")


def test_fingerprints_are_those_of_all_assignments_in_order() -> None:
    data = b"B='b c'\nNOMBA_CLIENT_SECRET=a\nX=1\nB=d\n"
    expected = [("B", "b c"), (NAME, "a"), ("B", "d")]
    assert fingerprints_of([NAME, "B"], data) == [(name, fingerprint(v)) for name, v in expected]


def test_error_contains_no_value() -> None:
    secret = "s3cr3t-of-the-file"
    for line in (f"{NAME}={secret} {secret}", f"{NAME}='{secret}", f"A='{secret}\n{NAME}={secret}"):
        with pytest.raises(InvalidOption) as error:
            replace_values({NAME: NEW}, line.encode())
        assert secret not in str(error.value)


@pytest.mark.untraced
def test_hostile_file_takes_linear_time() -> None:
    size = 1 << 15
    for part in (
        b" \t",
        b"\xc2\xa0",
        b"\\",
        b"'",
        b'"',
        b'\\"',
        b"\\'",
        b" ",
        b"=",
        b"A='",
        b"\n",
        b"#\\\n",
        b"A=1\n",
    ):
        for start in (b"", b"  x", b"A='", b'A="', b"A=", b"export ", b"NOMBA_CLIENT_SECRET="):
            data = start + part * (size // len(part))
            try:
                read_values([NAME], data)
            except InvalidOption:
                continue
