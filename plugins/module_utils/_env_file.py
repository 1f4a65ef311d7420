# Copyright (c) 2026, The nomba.auth contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Named variables in a .env file: read their values, and replace only these, byte for byte.

Pure: no Ansible, no disk, no clock. Three readers decide what a value is: python-dotenv (1.0 and
newer, with interpolation), systemd's EnvironmentFile= and a POSIX shell (`. file`). A value counts
only if all of them read it alike, in one of three forms that end on their line:

    NAME=value      letters, digits and _ . / : @ % + , = ! # -, without # at the start
    NAME='value'    everything but ', a backslash before another one, and ${
    NAME="value"    everything but $ and `; a backslash only as \\\\, as \\", or before a
                    character that no reader treats as escaped

Around a value, a line may contain what one of the readers does not support. The file is then not
for that reader, and the line keeps it:

    export NAME=value       systemd ignores the line
    NAME = value            a shell does not assign it
    NAME=value # comment    for systemd the comment is a part of the value
    CR LF at the line end   for a shell the CR is a part of the value

Other variables may have any form. If python-dotenv and systemd end such a value at different
places (a quotation mark that is not closed, a backslash at the end of the line), nobody knows which
of the following lines are assignments: an operation on a name that occurs there fails.

An error never contains a value. It names the option `dest` for the file and `variables` for a new
value.
"""

from __future__ import annotations

import re
from collections.abc import Collection, Iterator, Mapping
from dataclasses import dataclass

from ansible_collections.nomba.auth.plugins.module_utils._errors import InvalidOption
from ansible_collections.nomba.auth.plugins.module_utils._token import fingerprint

_BOM = b"\xef\xbb\xbf"
_NAME = re.compile(r"[A-Za-z_][A-Za-z0-9_]*")
_COMMENT = re.compile(rb"[ \t]*#")
_SYSTEMD_COMMENT = re.compile(rb"[ \t]*;")
_HEAD = re.compile(rb"[ \t]*(?:export[ \t]+)?([A-Za-z_][A-Za-z0-9_.-]*)[ \t]*=[ \t]*")
# Where the quoted value at an index ends, for systemd and a shell.
_QUOTED = {b"'": re.compile(rb"'[^']*'"), b'"': re.compile(rb'"(?:[^"\\]|\\.)*"', re.DOTALL)}
# And for python-dotenv: at the first quotation mark without a backslash directly before it.
_QUOTED_DOTENV = {
    b"'": re.compile(rb"'(?:\\'|[^'])*?(?<!\\)'"),
    b'"': re.compile(rb'"(?:\\"|[^"])*?(?<!\\)"'),
}
# For systemd, an = at the start of a line is a part of the name.
_TO_VALUE = re.compile(rb"[ \t]*[^ \t\n][^=\n]*=[ \t]*")
# python-dotenv accepts a name in quotation marks, also with line breaks.
_QUOTED_NAME = re.compile(rb"\W*(?:export\W+)?'")
# python-dotenv skips all white space of Unicode before a value.
_OTHER_BLANK = re.compile(rb"[^!-~\n]+['\"]")
_LINE_END = re.compile(rb"\r?(?:\n|\Z)")
_CLEAN_TAIL = re.compile(rb"[ \t]*(?:[ \t]#.*)?\r?")
_CONTINUED = re.compile(rb"(?<!\\)(?:\\\\)*\\\Z")

# A value that all readers read alike, and what may follow it.
_SAFE = r"[A-Za-z0-9_./:@%+,=!-][A-Za-z0-9_./:@%+,=!#-]*"
_BARE = re.compile(_SAFE)
_FORMS = re.compile(
    rb"(?:(?P<bare>(?:%s)?)"
    rb"|'(?P<single>(?:[^'\\\n]|\\(?![\\'\n]))*)'"
    rb'|"(?P<double>(?:[^"\\$`\n]|\\[\\"]|\\(?![\\\'"abfnrtv$`\n]))*)")'
    rb"(?=[ \t]*(?:[ \t]#.*)?\r?(?:\n|\Z))" % _SAFE.encode()
)
_UNESCAPE = re.compile(r'\\([\\"])')
_ESCAPE = re.compile(r'[\\"]')
# systemd refuses noncharacters, and with them the whole file.
_UNWRITABLE = {
    "a line break or another control character": re.compile(r"[\x00-\x08\x0a-\x1f\x7f-\x9f]"),
    "a character that is not valid in UTF-8, or that Unicode reserves": re.compile(
        "[\ud800-\udfff\ufdd0-\ufdef"
        + "".join(chr(plane << 16 | low) for plane in range(17) for low in (0xFFFE, 0xFFFF))
        + "]"
    ),
    "${": re.compile(r"\$\{"),
    "a backslash at its end": re.compile(r"\\\Z"),
}


@dataclass(frozen=True)
class _Statement:
    """A line of the file, or the lines of a quoted value.

    line: the number of its first line. begin: the index of that line. name: empty if it is not an
    assignment. start: the index of the value. tail: the index of the text outside of quotation
    marks. end: the index of the line end; None if the readers disagree about it.
    """

    line: int
    begin: int
    name: bytes
    start: int
    tail: int
    end: int | None
    after_continued_comment: bool = False


@dataclass(frozen=True)
class _Assignment:
    """An assignment of a name: where its value is, with its quotation marks, and how it is read."""

    name: str
    start: int
    end: int
    quote: str
    value: str


def read_values(names: Collection[str], data: bytes) -> dict[str, str]:
    """Return the values of the names that a .env file assigns.

    The last of several assignments wins. Raises InvalidOption if it is not certain what the three
    readers read.
    """
    return {found.name: found.value for found in _find(data, names)[0]}


def fingerprints_of(names: Collection[str], data: bytes) -> list[tuple[str, str]]:
    """Return name and fingerprint of each assignment of the names, in order of the file.

    Raises InvalidOption.
    """
    return [(found.name, fingerprint(found.value)) for found in _find(data, names)[0]]


def replace_values(values: Mapping[str, str], data: bytes | None) -> bytes:
    """Return the file with these values, by name; all other bytes stay. None is no file.

    Each assignment of a name is replaced, so that no old secret stays in the file; it keeps its
    quotation marks if these can hold the value. A name that is not there is appended. Equal values
    are not touched. Raises InvalidOption.
    """
    require_writable(values)
    data = data or b""
    assignments, doubt = _find(data, values)
    parts, done = [], 0
    for found in assignments:
        value = values[found.name]
        if found.value != value:
            # An empty value without quotation marks would be read together with a comment.
            quote = found.quote if value or _LINE_END.match(data, found.end) else "'"
            parts += [data[done : found.start], _quoted(value, quote)]
            done = found.end
    missing = [name for name in values if name not in {found.name for found in assignments}]
    if missing and doubt is not None:
        raise _unclear(missing[0], doubt.line)
    new = b"".join([*parts, data[done:]])
    return _append(new, {name: values[name] for name in missing})


def require_writable(values: Mapping[str, object]) -> None:
    """Check that all three readers would read these values, by name. Raises InvalidOption."""
    if not values:
        raise InvalidOption("variables", "it is empty; set the names and values to write")
    for name, value in values.items():
        _require_writable(name, value)


def _require_writable(name: str, value: object) -> None:
    if not _NAME.fullmatch(name):
        problem = "a name has letters, digits and _, and does not begin with a digit"
        raise InvalidOption("variables", problem)
    if not isinstance(value, str):
        raise InvalidOption("variables", f"the value of {name} is not a string; quote it")
    for what, pattern in _UNWRITABLE.items():
        if pattern.search(value):
            raise _unwritable(name, what)
    if not any(_can_hold(quote, value) for quote in ("'", '"')):
        raise _unwritable(name, "a combination of quotation marks, backslashes, $ or `")


def _unwritable(name: str, what: str) -> InvalidOption:
    problem = "python-dotenv, systemd and a shell would read it differently"
    return InvalidOption("variables", f"the value of {name} contains {what}; {problem}")


def _can_hold(quote: str, value: str) -> bool:
    if quote == "'":
        return "'" not in value and "\\\\" not in value
    if quote == '"':
        return "$" not in value and "`" not in value
    return not value or bool(_BARE.fullmatch(value))


def _quoted(value: str, quote: str) -> bytes:
    """Write a value with this quotation mark, empty for none, or with one that can hold it."""
    quote = next(one for one in (quote, "'", '"') if _can_hold(one, value))
    text = _ESCAPE.sub(r"\\\g<0>", value) if quote == '"' else value
    return f"{quote}{text}{quote}".encode()


def _append(data: bytes, values: Mapping[str, str]) -> bytes:
    end = b"\r\n" if data.rpartition(b"\n")[0].endswith(b"\r") else b"\n"
    if values and data and not data.endswith(b"\n"):
        data += end
    for name, value in values.items():
        data += name.encode() + b"=" + _quoted(value, "") + end
    return data


def _find(data: bytes, names: Collection[str]) -> tuple[list[_Assignment], _Statement | None]:
    """Return all assignments of the names in order, and the statement without a certain end.

    Raises InvalidOption.
    """
    _require_text(data)
    found: list[_Assignment] = []
    for statement in _statements(data):
        if statement.end is None:
            for name in _mentioned(data[statement.begin :], names):
                raise _unclear(name, statement.line)
            return found, statement
        name = statement.name.decode()
        if name in names:
            found.append(_read(data, name, statement))
            continue
        tail = data[statement.tail : statement.end].partition(b" #")[0].partition(b"\t#")[0]
        for hidden in _mentioned(tail, names, inside=bool(name)):
            if statement.line == 1 and data.startswith(_BOM):
                problem = f"a byte order mark hides {hidden} in line 1; remove the mark"
                raise InvalidOption("dest", problem)
            raise _unclear(hidden, statement.line)
    return found, None


def _require_text(data: bytes) -> None:
    """Refuse a file that the readers split into lines differently, or not at all."""
    odd = re.search(rb"\0|\r(?!\n)", data)
    if odd:
        what = "a NUL byte" if odd.group() == b"\0" else "a carriage return without a line feed"
        line = data.count(b"\n", 0, odd.start()) + 1
        raise InvalidOption("dest", f"line {line} contains {what}; it is not a .env file")


def _mentioned(text: bytes, names: Collection[str], inside: bool = False) -> Iterator[str]:
    """Yield the names that a text could assign, or clear, in a form that is not supported.

    inside: the text is a part of a line. python-dotenv clears a name that is alone on a line.
    """
    for name in map(re.escape, names):
        assigned = rf"(?<![\w.?&-]){name}['\"]?\s*\+?="
        alone = rf"^[^\w\n]*(?:export[^\w\n]+)?{name}(?!\w)"
        pattern = assigned if inside else f"{assigned}|{alone}"
        if re.search(pattern.encode(), text, re.MULTILINE):
            yield name


def _unclear(name: str, line: int) -> InvalidOption:
    problem = f"line {line}: it is not certain which value {name} has, because python-dotenv,"
    remedy = "write the line as NAME='value' first"
    return InvalidOption(
        "dest", f"{problem} systemd and a shell read the line differently; {remedy}"
    )


def _read(data: bytes, name: str, statement: _Statement) -> _Assignment:
    """Return an assignment. Raises InvalidOption if the readers do not read one value."""
    found = _FORMS.match(data, statement.start)
    if not found or statement.after_continued_comment or b"${" in found.group():
        raise _unclear(name, statement.line)
    form = str(found.lastgroup)
    try:
        value = found.group(form).decode()
    except UnicodeDecodeError:
        raise _unclear(name, statement.line) from None
    quote = {"bare": "", "single": "'", "double": '"'}[form]
    if form == "double":
        value = _UNESCAPE.sub(r"\1", value)
    return _Assignment(name, found.start(), found.end(), quote, value)


def _statements(data: bytes) -> Iterator[_Statement]:
    """Yield the statements; the last one has no end if the readers disagree about it.

    A comment that ends with a backslash continues on the next line for systemd before version 254.
    """
    position, line, is_continued = 0, 1, False
    while position < len(data):
        line_end = _line_end(data, position)
        text = data[position:line_end]
        if _COMMENT.match(text) or not text.strip(b" \t\r"):
            is_continued = bool(_CONTINUED.search(text))
            end = line_end
        else:
            statement = _statement(data, position, line, is_continued)
            yield statement
            if statement.end is None:
                return
            end, is_continued = statement.end, False
        line += data.count(b"\n", position, end) + 1
        position = end + 1
    if is_continued:
        yield _Statement(line - 1, position, b"", position, position, None)


def _statement(data: bytes, position: int, line: int, is_continued: bool) -> _Statement:
    line_end = _line_end(data, position)
    head = _HEAD.match(data, position, line_end)
    end: int | None = line_end
    if head:
        start = head.end()
        tail, end = _end(data, start)
        if is_continued and end != line_end:
            end = None
        return _Statement(line, position, head.group(1), start, tail, end, is_continued)
    # Not an assignment for all readers, but perhaps for one of them: it must end on its line.
    text = data[position:line_end]
    equal = _TO_VALUE.match(data, position)
    leaves_line = equal is not None and _end(data, equal.end())[1] != line_end
    if leaves_line or _QUOTED_NAME.match(text) or _CONTINUED.search(text):
        end = None
    tail = line_end if _SYSTEMD_COMMENT.match(text) else position
    return _Statement(line, position, b"", position, tail, end)


def _end(data: bytes, start: int) -> tuple[int, int | None]:
    """Return the index after a quoted value, or of an unquoted one, and that of the line end.

    The latter is None if the readers disagree about it.
    """
    tail, quote = start, data[start : start + 1]
    if _OTHER_BLANK.match(data, start):
        return start, None
    if quote in _QUOTED:
        ends = [pattern[quote].match(data, start) for pattern in (_QUOTED, _QUOTED_DOTENV)]
        if not ends[0] or not ends[1] or ends[0].end() != ends[1].end():
            return start, None
        tail = ends[0].end()
    line_end = _line_end(data, tail)
    text = data[tail:line_end]
    if tail > start and not _CLEAN_TAIL.fullmatch(text) and re.search(rb"['\"]", text):
        return tail, None
    return tail, None if _CONTINUED.search(text) else line_end


def _line_end(data: bytes, position: int) -> int:
    """Return the index of the line feed, or of the end of the file."""
    end = data.find(b"\n", position)
    return len(data) if end < 0 else end
