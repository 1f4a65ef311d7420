# Copyright (c) 2026, The nomba.auth contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""make sanity: ansible-test sanity on every Python, nothing ignored and nothing left out.

python -m tests.tools.sanity            of the newest Ansible; further words go to ansible-test
python -m tests.tools.sanity --oldest   of the oldest that the collection promises, in make quality
"""

from __future__ import annotations

import re
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path

from tests.tools.build_tree import lay_build_tree
from tests.tools.checks import closing_line
from tests.tools.project import (
    HOME,
    REPORTS,
    ROOT,
    TOOLS_PYTHON,
    VENV,
    VENVS,
    ToolError,
    exclusive,
    fail,
    find_pythons,
    run_silently,
    tool_environment,
)

# ansible-test fetches pip's bootstrap script from a host of Ansible's own. A script of the same
# name in its cache keeps it at home; it runs the pip that is pinned in requirements/.
STAND_IN = """\
import os
import sys

here = os.path.dirname(os.path.abspath(__file__))
sys.path.insert(0, os.path.join(here, "{wheel}"))
from pip._internal.cli.main import main

unknown = ("--no-setuptools", "--no-wheel")
sys.exit(main(["install"] + [word for word in sys.argv[1:] if word not in unknown]))
"""

SHOWN = ("Running sanity test", "ERROR", "FATAL")


@dataclass(frozen=True)
class Edition:
    """An Ansible: where it is, the pip that its bootstrap script is named after, and the Pythons
    that it looks for and may miss, as a pattern of version numbers.
    """

    name: str
    venv: Path
    pip: str
    absent: str

    @property
    def not_run(self) -> re.Pattern[str]:
        """What ansible-test says of a test that it left out and should not have."""
        skipped = rf"WARNING: Skipping (?!.*\b({self.absent})\b)"
        return re.compile(rf"{skipped}|Required program|Missing |All targets skipped")

    @property
    def log(self) -> Path:
        """Where all that it said is kept."""
        return REPORTS / f"sanity-{self.name}.log"


NEWEST = Edition("newest", VENV, "25_2", r"3\.14")
# The collection asks for 3.9.
OLDEST = Edition("oldest", VENVS / "oldest", "23_1_2", r"2\.7|3\.[678]")


def main(arguments: list[str]) -> int:
    """Run the sanity tests and judge what they say about themselves."""
    is_oldest = arguments[:1] == ["--oldest"]
    edition, options = (OLDEST, arguments[1:]) if is_oldest else (NEWEST, arguments)
    try:
        prepare_bootstrap()
        return run_sanity(lay_build_tree(), edition, options)
    except ToolError as error:
        return fail(error)


def prepare_bootstrap() -> None:
    """Put the stand-in for get-pip into the cache of ansible-test, by each name it goes by."""
    cache = HOME / ".ansible" / "test" / "cache"
    with exclusive("get-pip"):
        if not list(cache.glob("pip-*.whl")):
            cache.mkdir(parents=True, exist_ok=True)
            download_pip(cache)
        (wheel,) = cache.glob("pip-*.whl")
        for edition in (NEWEST, OLDEST):
            script = cache / f"get_pip_{edition.pip}.py"
            script.write_text(STAND_IN.format(wheel=wheel.name), encoding="utf-8")


def download_pip(cache: Path) -> None:
    """Fetch the pinned wheel of pip."""
    pinned = ROOT / "requirements" / "ansible-test.txt"
    options = ["--quiet", "--quiet", "--no-deps", "--require-hashes"]
    command = [
        str(TOOLS_PYTHON),
        "-m",
        "pip",
        "download",
        *options,
        "--dest",
        str(cache),
        "--requirement",
        str(pinned),
    ]
    run_silently(command, ROOT)


def run_sanity(tree: Path, edition: Edition, options: list[str]) -> int:
    """Run ansible-test, passing on what matters, and fail on tests that did not run."""
    refuse_ignore_files(tree)
    process = subprocess.Popen(
        ["ansible-test", "sanity", "--color", "no", *options],
        cwd=tree,
        env=tool_environment(edition.venv),
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        errors="replace",
    )
    lines = []
    for line in process.stdout or ():
        lines.append(line.strip())
        if line.startswith(SHOWN) or edition.not_run.search(line):
            print(line, end="", flush=True)
    keep_log(lines, edition)
    return judge(process.wait(), lines, edition)


def keep_log(lines: list[str], edition: Edition) -> None:
    """Keep the whole output, which is long where pip installs something."""
    REPORTS.mkdir(parents=True, exist_ok=True)
    edition.log.write_text("\n".join(lines) + "\n", encoding="utf-8")


def refuse_ignore_files(tree: Path) -> None:
    """Ignore files hide faults, so there are none."""
    found = [file.name for file in (tree / "tests" / "sanity").glob("ignore*.txt")]
    if found:
        raise ToolError(f"tests/sanity holds ignore files: {', '.join(found)}")


def judge(status: int, lines: list[str], edition: Edition) -> int:
    """Return the exit status: a test that could not run counts as failed."""
    faults = [line for line in lines if edition.not_run.search(line)]
    ran = sorted({line for line in lines if line.startswith("Running sanity test")})
    print(f"Pythons: {', '.join(find_pythons())}")
    if status:
        return fail(f"ansible-test failed; all it said is in {edition.log}")
    if faults:
        return fail("not everything ran:\n" + "\n".join(faults))
    return closing_line(len(ran), 0)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
