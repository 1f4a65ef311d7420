# Copyright (c) 2026, The nomba.auth contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Which file may import what, and rules for every file."""

from __future__ import annotations

import ast
import os
import re
import subprocess
import sys
from collections.abc import Iterator
from graphlib import TopologicalSorter
from pathlib import Path

import pytest

from .token_factory import ACCOUNT, SEED

pytestmark = pytest.mark.pure

ROOT = Path(__file__).parents[3]
PLUGINS = ROOT / "plugins"
OURS = "ansible_collections.nomba.auth."
UTILS = re.compile(r"^ansible_collections\.nomba\.auth\.plugins\.(?:module|plugin)_utils\.")

# Modules without effects and without input from the system. Any file may import them.
PURE_LIBRARIES = {
    *("base64", "collections", "collections.abc", "contextlib", "dataclasses", "email.utils"),
    *("enum", "functools", "hashlib", "json", "math", "re", "string", "types", "typing"),
    "urllib.parse",
}

# What else each file imports, also inside its functions; _names are files of this collection. Every
# file needs a row, and a row is exact.
ALLOWED: dict[str, set[str]] = {
    "module_utils/_errors.py": set(),
    "module_utils/_clock.py": {"time"},
    "module_utils/_rate_limit.py": set(),
    "module_utils/_answer.py": {"_timestamps"},
    "module_utils/_token.py": {"_errors", "jwt", "secrets", "sys"},
    "module_utils/_timestamps.py": {"datetime"},
    "module_utils/_client.py": {"_answer", "_token"},
    "module_utils/_stored_token.py": {"_client", "_token", "_timestamps"},
    "module_utils/_issue.py": {"_answer", "_client", "_errors", "_stored_token"},
    "module_utils/_probe.py": {
        *("_answer", "_client", "_clock", "_token", "concurrent.futures", "threading"),
    },
    "module_utils/_containers.py": set(),
    "module_utils/_env_file.py": {"_errors", "_token"},
    "module_utils/_scan.py": {"_scan_sources", "_token"},
    "module_utils/_scan_sources.py": {
        *("_clock", "_containers", "_scan", "_scan_archives", "_scan_batch", "_scan_git"),
        *(
            "_scan_journal",
            "_scan_parts",
            "_scan_processes",
            "_scan_reader",
            "_scan_text",
            "_token",
        ),
        *("errno", "fnmatch", "itertools", "os", "stat"),
    },
    "module_utils/_scan_archives.py": {
        *(
            "_containers",
            "_scan_encodings",
            "_scan_reader",
            "bz2",
            "compression",
            "itertools",
            "lzma",
            "struct",
        ),
        "zlib",
    },
    "module_utils/_scan_batch.py": {"_scan_literals", "bisect"},
    "module_utils/_scan_encodings.py": {"_containers", "_scan_literals", "_token", "bisect"},
    "module_utils/_scan_git.py": {"_scan_programs", "_scan_reader", "os", "pathlib", "tempfile"},
    "module_utils/_scan_journal.py": {"_scan_programs"},
    "module_utils/_scan_literals.py": set(),
    "module_utils/_scan_parts.py": {"_scan_encodings"},
    "module_utils/_scan_processes.py": {
        *("_scan_parts", "_scan_reader", "_scan_text", "_token"),
        *("fcntl", "os", "select", "signal", "sys"),
    },
    "module_utils/_scan_programs.py": {
        "_scan_reader",
        "os",
        "select",
        "shutil",
        "subprocess",
        "tempfile",
    },
    "module_utils/_scan_reader.py": set(),
    "module_utils/_scan_text.py": {"_scan_encodings", "_scan_literals", "_token"},
    "module_utils/_secure_open.py": {"_errors", "errno", "grp", "os", "pwd", "stat"},
    "module_utils/_progress.py": {
        *("_atomic_file", "_clock", "_errors", "_secure_open", "_timestamps", "os"),
    },
    "module_utils/_revocation.py": {
        *("_answer", "_client", "_clock", "_probe", "_timestamps", "_token"),
        "concurrent.futures",
    },
    "module_utils/_revocation_report.py": {"_errors", "_revocation", "_scan", "_timestamps"},
    "module_utils/_atomic_file.py": {
        *("_clock", "_errors", "_secure_open", "errno", "fcntl", "os", "stat"),
    },
    "module_utils/_audit.py": {"_atomic_file", "_clock", "_errors", "_secure_open", "os", "stat"},
    "module_utils/_rotation_state.py": {"_errors", "_stored_token", "_token"},
    "module_utils/_rotation.py": {"_errors", "_rotation_state", "_timestamps", "_token"},
    "module_utils/_rotation_plan.py": {
        *("_rotation", "_rotation_state", "_stored_token", "_timestamps"),
    },
    "module_utils/_rotation_report.py": {
        *("_rotation", "_rotation_plan", "_rotation_state", "_rotation_verdict", "_stored_token"),
        "_timestamps",
    },
    "module_utils/_rotation_status.py": {
        *("_rotation", "_rotation_state", "_rotation_verdict", "_timestamps"),
    },
    "module_utils/_rotation_verdict.py": {"_rotation", "_rotation_state"},
    "module_utils/_ensure_token.py": {
        *("_client", "_clock", "_errors", "_issue", "_stored_token", "_probe", "_revocation"),
        *("_secure_open", "_token", "_atomic_file", "_timestamps"),
    },
    "module_utils/_http_connection.py": {
        *("http", "http.client", "io", "socket", "ssl", "threading"),
    },
    "module_utils/_http_session.py": {
        *("_answer", "_errors", "_http_connection", "http.cookiejar", "pathlib", "requests"),
        *("requests.utils", "socket", "ssl", "threading", "urllib3", "urllib3.util.ssl_"),
    },
    "module_utils/_transport.py": {
        *("_answer", "_clock", "_http_session", "_rate_limit", "_timestamps"),
        *("random", "threading"),
    },
    "module_utils/_module.py": {
        *("_clock", "_errors", "_token", "ansible.module_utils.basic"),
        *("ansible.module_utils.secrets", "signal", "threading", "traceback"),
    },
    "module_utils/_connection_options.py": {
        *("_errors", "_http_session", "ansible.module_utils.basic", "os", "ssl"),
    },
    "module_utils/_file_options.py": {
        *("_atomic_file", "_errors", "_secure_open", "ansible.module_utils.basic"),
        *("grp", "os", "pwd", "stat"),
    },
    "module_utils/_token_options.py": {
        *("_clock", "_errors", "_module", "_scan", "_token", "ansible.module_utils.basic", "os"),
    },
    "modules/nomba_token_revoke.py": {
        *("_client", "_clock", "_connection_options", "_errors", "_module", "_progress"),
        *("_revocation", "_revocation_report", "_token_options", "_transport"),
        "ansible.module_utils.basic",
    },
    "modules/nomba_token.py": {
        *("_client", "_clock", "_connection_options", "_ensure_token", "_file_options"),
        *("_module", "_stored_token", "_transport", "ansible.module_utils.basic"),
    },
    "modules/nomba_token_info.py": {
        *("_client", "_clock", "_connection_options", "_errors", "_module", "_probe", "_scan"),
        *("_timestamps", "_token", "_token_options", "_transport", "ansible.module_utils.basic"),
    },
    "modules/nomba_credential_file.py": {
        *("_atomic_file", "_clock", "_env_file", "_errors", "_file_options", "_module"),
        *("_secure_open", "_token", "ansible.module_utils.basic"),
    },
    "module_utils/_preflight.py": {"_answer", "_client", "_clock", "_errors", "_token"},
    "modules/nomba_preflight.py": {
        *("_client", "_clock", "_connection_options", "_module", "_preflight"),
        *("_rotation_requests", "_secure_open", "_stored_token", "_transport"),
        "ansible.module_utils.basic",
    },
    "module_utils/_incident_report.py": {"_errors", "_token"},
    "modules/nomba_report.py": {
        *("_atomic_file", "_clock", "_incident_report", "_module", "_secure_open"),
        *("_timestamps", "ansible.module_utils.basic", "os"),
    },
    "module_utils/_rotation_folder.py": {"_atomic_file", "_audit", "_clock", "_secure_open", "os"},
    "modules/nomba_rotation_folder.py": {
        *("_clock", "_module", "_rotation_folder", "ansible.module_utils.basic"),
    },
    "modules/nomba_token_find.py": {
        *("_module", "_token_options", "ansible.module_utils.basic"),
    },
    "module_utils/_rotation_requests.py": {
        *("_atomic_file", "_client", "_clock", "_ensure_token", "_probe", "_revocation"),
        *("_secure_open", "_stored_token", "_token", "os"),
    },
    "modules/nomba_rotation_api.py": {
        *("_client", "_clock", "_connection_options", "_module", "_rotation_requests"),
        *("_stored_token", "_transport", "ansible.module_utils.basic"),
    },
    "modules/nomba_audit.py": {
        *("_audit", "_clock", "_errors", "_module", "_secure_open"),
        *("ansible.module_utils.basic", "os"),
    },
    "plugin_utils/_rotation_run.py": {
        *("_errors", "_rotation", "_rotation_plan", "_rotation_report", "_rotation_state"),
        *("_rotation_status", "_rotation_verdict", "_timestamps", "_token"),
    },
    "plugin_utils/_store_move.py": {
        *("_errors", "_rotation_run", "_rotation_state", "_rotation_verdict", "_timestamps"),
    },
    "plugin_utils/_control_host.py": {
        *("_rotation", "_rotation_report", "_rotation_run", "_stored_token", "_token"),
        *("ansible.errors", "ansible.parsing.vault"),
    },
    "plugin_utils/_printed_verdict.py": set(),
    "plugin_utils/_playbook_run.py": {
        *("_rotation", "ansible.parsing.splitter", "multiprocessing", "os", "pathlib"),
        *("shlex", "socket"),
    },
    "plugin_utils/_rotation_options.py": {
        *("_errors", "_rotation_state", "_variable_names"),
        *("ansible.module_utils.common.validation", "pathlib"),
    },
    "plugin_utils/_spool.py": {
        *("_playbook_run", "ansible", "ansible.errors", "cryptography.fernet", "os", "pathlib"),
        *("shutil", "tempfile"),
    },
    "plugin_utils/_fleet_scan.py": {"_revocation", "_revocation_report", "_rotation", "_token"},
    "action/nomba_fleet_host.py": {
        *("_fleet_scan", "_hidden_output", "_spool", "ansible.errors", "ansible.plugins.action"),
    },
    "action/nomba_fleet_scan.py": {
        *("_fleet_scan", "_hidden_output", "_playbook_run", "_printed_verdict", "_rotation"),
        *("_spool", "ansible.errors", "ansible.plugins.action", "sys"),
    },
    "action/nomba_rotation.py": {
        *("_clock", "_control_host", "_errors", "_hidden_output", "_playbook_run"),
        "_printed_verdict",
        *("_rotation_folder", "_rotation_options", "_rotation_plan", "_rotation_report"),
        "_rotation_run",
        *("_rotation_state", "_spool", "_store_move", "_stored_token", "_token"),
        *("ansible.errors", "ansible.plugins.action", "os", "pathlib", "sys"),
    },
    "action/nomba_rotation_host.py": {
        *("_env_file", "_errors", "_fleet_scan", "_hidden_output", "_rotation", "_spool", "_token"),
        *("ansible.errors", "ansible.plugins.action"),
    },
    "lookup/rotation_value.py": {
        *("_rotation_state", "_spool", "ansible.errors"),
        *("ansible.module_utils.secrets", "ansible.plugins.lookup"),
    },
    "plugin_utils/_hidden_output.py": {"ansible.executor"},
    "callback/steps.py": {
        *("ansible", "ansible.playbook.task_include", "ansible.plugins.callback.default"),
        "pathlib",
    },
    "lookup/stored_token.py": {
        *("_atomic_file", "_clock", "_errors", "_rotation", "_secure_open", "_stored_token"),
        *("_token", "ansible.errors", "ansible.module_utils.secrets", "ansible.plugins.lookup"),
        *("os", "stat"),
    },
    "plugin_utils/_variable_names.py": {"difflib"},
    "lookup/unknown_variables.py": {
        *("_variable_names", "ansible.errors", "ansible.plugins.lookup"),
    },
    "plugin_utils/_token_filters.py": {"_errors", "_token", "ansible.errors"},
    "filter/token_claims.py": {"_token_filters", "_token"},
    "filter/token_fingerprint.py": {"_token_filters", "_token"},
    "doc_fragments/_attributes.py": set(),
    "doc_fragments/_connection.py": set(),
    "doc_fragments/_private_file.py": set(),
    "doc_fragments/_scan.py": set(),
    "doc_fragments/_tokens.py": set(),
}

# Files without a clock, disk, network or Ansible of their own: these are arguments.
PURE = (
    *(
        "_errors",
        "_answer",
        "_containers",
        "_env_file",
        "_token",
        "_timestamps",
        "_rate_limit",
        "_client",
    ),
    *("_scan_archives", "_scan_batch", "_scan_encodings", "_scan_literals", "_scan_parts"),
    *("_scan_reader", "_scan_text"),
    *("_stored_token", "_issue", "_probe", "_revocation", "_revocation_report", "_rotation"),
    *("_rotation_state", "_rotation_plan", "_rotation_report", "_rotation_verdict"),
    *("_incident_report", "_rotation_status"),
)
WORLD = {
    *("ansible", "fcntl", "http", "os", "pathlib", "requests", "socket", "ssl", "tempfile"),
    *("time", "urllib3"),
}

# Libraries that only these files import.
OWNERS = {
    "requests": {"module_utils/_http_session.py"},
    "urllib3": {"module_utils/_http_session.py"},
    "http": {"module_utils/_http_connection.py", "module_utils/_http_session.py"},
    "jwt": {"module_utils/_token.py"},
    "time": {"module_utils/_clock.py"},
    "fcntl": {"module_utils/_atomic_file.py", "module_utils/_scan_processes.py"},
    "ansible": {
        *(
            "module_utils/_module.py",
            "module_utils/_*_options.py",
            "modules/*",
            "plugin_utils/*",
            "lookup/*",
            "action/*",
        ),
        "callback/*",
    },
    "cryptography": {"plugin_utils/_spool.py"},
}


def plugin_files() -> list[str]:
    """Return all Python files below plugins/, by their path there."""
    return sorted(path.relative_to(PLUGINS).as_posix() for path in PLUGINS.rglob("*.py"))


def parse(path: Path) -> ast.Module:
    """Return a file's syntax tree."""
    return ast.parse(path.read_text(encoding="utf-8"), str(path))


def imports(tree: ast.AST) -> Iterator[str]:
    """Yield all modules that are imported anywhere in a tree, by their full names."""
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            module = "." * node.level + (node.module or "")
            is_folder = module.endswith(("module_utils", "plugin_utils")) and OURS in module
            yield from (f"{module}.{one.name}" for one in node.names) if is_folder else (module,)


def imported(name: str) -> set[str]:
    """Return what a plugin file imports besides PURE_LIBRARIES, our own files by their names."""
    found = {UTILS.sub("", one) for one in imports(parse(PLUGINS / name))}
    return found - PURE_LIBRARIES - {"__future__"}


def repository_files() -> list[Path]:
    """Return every Python file that is tracked by git, or new and not ignored."""
    clean = {name: value for name, value in os.environ.items() if not name.startswith("GIT_")}
    command = ["git", "ls-files", "-z", "--cached", "--others", "--exclude-standard", "*.py"]
    listing = subprocess.run(command, cwd=ROOT, env=clean, capture_output=True, check=True).stdout
    files = {ROOT / os.fsdecode(name) for name in listing.split(b"\0") if name}
    return sorted(path for path in files if path.is_file())


# Imports


def test_every_plugin_file_has_a_row_and_every_row_a_file() -> None:
    assert plugin_files() == sorted(ALLOWED)


@pytest.mark.parametrize("name", ALLOWED)
def test_a_file_imports_exactly_what_its_row_lists(name: str) -> None:
    assert imported(name) == ALLOWED[name]


def test_imports_have_no_cycle() -> None:
    graph = {Path(name).stem: ALLOWED[name] for name in ALLOWED}
    order = list(TopologicalSorter(graph).static_order())
    assert order.index("_errors") < order.index("_transport") < order.index("nomba_token")


@pytest.mark.parametrize("name", ["_fleet_scan", "_rotation_run"])
def test_decisions_on_the_controller_have_no_effects_of_their_own(name: str) -> None:
    assert ALLOWED[f"plugin_utils/{name}.py"] & WORLD == set()


def test_managed_hosts_need_no_file_of_the_controller() -> None:
    on_controller = {Path(name).stem for name in ALLOWED if name.startswith("plugin_utils/")}
    for name, imported_files in ALLOWED.items():
        if name.startswith(("module_utils/", "modules/")):
            assert imported_files & on_controller == set(), name


@pytest.mark.parametrize("name", PURE)
def test_a_pure_file_imports_nothing_of_the_system(name: str) -> None:
    roots = {one.partition(".")[0] for one in ALLOWED[f"module_utils/{name}.py"]}
    assert roots & WORLD == set()


@pytest.mark.parametrize("name", PURE)
def test_a_pure_file_opens_runs_and_prints_nothing(name: str) -> None:
    called = {
        node.func.id if isinstance(node.func, ast.Name) else getattr(node.func, "attr", "")
        for node in ast.walk(parse(PLUGINS / "module_utils" / f"{name}.py"))
        if isinstance(node, ast.Call)
    }
    forbidden = {"__import__", "eval", "exec", "input", "now", "open", "print", "today", "utcnow"}
    # These files call this method of the clock that is their argument.
    assert called & forbidden <= ({"now"} if name in ("_probe", "_revocation") else set())


@pytest.mark.parametrize(("library", "owners"), OWNERS.items(), ids=OWNERS.keys())
def test_a_library_is_imported_by_its_owners_only(library: str, owners: set[str]) -> None:
    users = {name for name in plugin_files() if uses(name, library)}
    assert users
    assert all(any(Path(user).match(owner) for owner in owners) for user in users)


def uses(name: str, library: str) -> bool:
    """Return whether a plugin file imports a library or a part of it."""
    return any(one.partition(".")[0] == library for one in imports(parse(PLUGINS / name)))


def test_a_module_contains_no_path_or_header_of_the_api() -> None:
    for name in plugin_files():
        if name.startswith("modules/"):
            assert not re.search(r"/v1/|Bearer \{", (PLUGINS / name).read_text(encoding="utf-8"))


def test_the_simulator_is_independent_of_the_plugins() -> None:
    files = sorted((ROOT / "tests" / "simulator").glob("**/*.py"))
    roots = {one.partition(".")[0] for path in files for one in imports(parse(path))}
    assert len(files) > 5
    assert roots & {"ansible", "ansible_collections", "plugins"} == set()
    assert not any("plugins" in one for path in files for one in imports(parse(path)))


def test_the_core_is_tested_without_ansible() -> None:
    files = sorted((ROOT / "tests" / "unit" / "core").glob("*.py"))
    for path in [*files, ROOT / "tests" / "unit" / "clock.py"]:
        assert not {one for one in imports(parse(path)) if one.partition(".")[0] == "ansible"}, path
        marked = "pytestmark = pytest.mark.pure\n" in path.read_text(encoding="utf-8")
        assert marked is path.name.startswith("test_"), path


# Start-up

SKIP_AN_EXPIRED_TOKEN = """
import sys

from ansible_collections.nomba.auth.plugins.module_utils._client import Client
from ansible_collections.nomba.auth.plugins.module_utils._clock import SYSTEM
from ansible_collections.nomba.auth.plugins.module_utils._revocation import Policy, Revocation
from ansible_collections.nomba.auth.plugins.module_utils._scan import scan
from ansible_collections.nomba.auth.plugins.module_utils._http_session import Connection
from ansible_collections.nomba.auth.plugins.module_utils._transport import HttpTransport

account, token = sys.argv[1:]
connection = Connection("https://api.example", False, True, None, timeout=1.0, deadline=1.0)
transport = HttpTransport(connection, SYSTEM)
client = Client(transport, account, "a client")
report = Revocation(client, SYSTEM, transport.remaining, Policy(account)).run(
    scan([token], []).tokens
)
print([result.outcome.value for result in report.results])
print(*sys.modules)
"""


def test_a_run_that_skips_everything_loads_no_network_library() -> None:
    paths = os.pathsep.join(str(Path(entry).resolve()) for entry in sys.path)
    command = [sys.executable, "-c", SKIP_AN_EXPIRED_TOKEN, ACCOUNT, SEED]
    environment = {**os.environ, "PYTHONPATH": paths}
    run = subprocess.run(command, env=environment, stdout=subprocess.PIPE, text=True, check=True)
    outcomes, modules = run.stdout.splitlines()
    assert outcomes == "['expired']"
    assert "jwt" in modules.split()
    assert {"requests", "urllib3", "ansible"} & set(modules.split()) == set()


# Rules for every plugin


@pytest.mark.parametrize("name", plugin_files())
def test_a_plugin_asserts_nothing(name: str) -> None:
    assert not [node for node in ast.walk(parse(PLUGINS / name)) if isinstance(node, ast.Assert)]


@pytest.mark.parametrize("name", plugin_files())
def test_a_plugin_catches_only_what_it_names(name: str) -> None:
    for node in ast.walk(parse(PLUGINS / name)):
        if isinstance(node, ast.ExceptHandler):
            assert node.type is not None, f"line {node.lineno}"
            caught = {one.id for one in ast.walk(node.type) if isinstance(one, ast.Name)}
            assert caught.isdisjoint({"Exception", "BaseException"}), f"line {node.lineno}"


@pytest.mark.parametrize("name", [one for one in plugin_files() if one.startswith("modules/")])
def test_a_module_catches_no_exception(name: str) -> None:
    tree = parse(PLUGINS / name)
    assert not [node for node in ast.walk(tree) if isinstance(node, ast.ExceptHandler)]


DOCUMENTS = {"DOCUMENTATION", "EXAMPLES", "RETURN"}
MAX_MODULE_LINES = 110


@pytest.mark.parametrize("name", [one for one in plugin_files() if one.startswith("modules/")])
def test_a_module_has_few_lines_of_code_besides_its_documents(name: str) -> None:
    text = (PLUGINS / name).read_text(encoding="utf-8")
    in_documents = {
        number
        for node in ast.parse(text).body
        if isinstance(node, ast.Assign) and DOCUMENTS & {ast.unparse(one) for one in node.targets}
        for number in range(node.lineno, (node.end_lineno or node.lineno) + 1)
    }
    code = [
        line
        for number, line in enumerate(text.splitlines(), start=1)
        if number not in in_documents and line.strip() and not line.strip().startswith("#")
    ]
    assert in_documents
    assert len(code) <= MAX_MODULE_LINES


@pytest.mark.parametrize("name", [one for one in plugin_files() if "module" in one])
def test_everything_public_has_a_docstring(name: str) -> None:
    silent = [one.name for one in public(parse(PLUGINS / name)) if not ast.get_docstring(one)]
    assert silent == []


def public(tree: ast.Module | ast.ClassDef) -> Iterator[ast.FunctionDef | ast.ClassDef]:
    """Yield public functions and classes, and the public methods of these."""
    for node in tree.body:
        if isinstance(node, (ast.FunctionDef, ast.ClassDef)) and not node.name.startswith("_"):
            yield node
            if isinstance(node, ast.ClassDef):
                yield from public(node)


def test_every_util_has_a_private_name_and_a_docstring() -> None:
    for path in sorted((PLUGINS / "module_utils").rglob("*.py")):
        assert path.name.startswith("_"), path
        assert ast.get_docstring(parse(path)), path


# Rules for every Python file

HEADER = """\
# Copyright (c) 2026, The nomba.auth contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""
ANNOTATIONS = re.compile(r"^from __future__ import annotations$", re.MULTILINE)


def written_files() -> dict[str, str]:
    """Return the text of every Python file that is not empty, by its path."""
    returned = {path.relative_to(ROOT).as_posix(): path for path in repository_files()}
    texts = {name: path.read_text(encoding="utf-8") for name, path in returned.items()}
    return {name: text for name, text in texts.items() if text}


def test_every_file_begins_with_the_header() -> None:
    files = written_files()
    assert "tests/unit/core/test_architecture.py" in files
    # A module of Ansible has one line before it.
    tops = {name: text.replace("#!/usr/bin/python\n", "", 1) for name, text in files.items()}
    assert [name for name, text in tops.items() if not text.startswith(HEADER)] == []


def test_every_file_postpones_annotations() -> None:
    files = written_files()
    assert [name for name, text in files.items() if not ANNOTATIONS.search(text)] == []
