# Copyright (c) 2026, The nomba.auth contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""A complete release in a temporary repository."""

from __future__ import annotations

import hashlib
import json
import tarfile
from pathlib import Path

from tests.tools import release
from tests.tools.build_tree import git
from tests.tools.check_tarball import find_faults
from tests.unit.packaging.clone import make_clone


def test_release_writes_commit_tag_tarball_and_checksums(tmp_path: Path) -> None:
    root, target = make_clone(tmp_path), tmp_path / "made"
    release.check(root, "7.8.9")
    (root / "ignored.tar.gz").write_text("in the folder, but not in the tag")
    release.make(root, "7.8.9", target)
    assert git("describe", cwd=root).strip() == "7.8.9"
    assert git("status", "--porcelain", cwd=root) == ""
    assert "#v7-8-9" in git("show", "HEAD:CHANGELOG.md", cwd=root)
    tarball = target / "nomba-auth-7.8.9.tar.gz"
    assert find_faults(str(tarball)) == []
    with tarfile.open(tarball) as tar:
        tar.extract("MANIFEST.json", tmp_path, filter="data")
    manifest = json.loads((tmp_path / "MANIFEST.json").read_text())
    assert manifest["collection_info"]["version"] == "7.8.9"
    digest = hashlib.sha256(tarball.read_bytes()).hexdigest()
    assert (target / "SHA256SUMS").read_text() == f"{digest}  {tarball.name}\n"
    assert sorted(path.name for path in target.iterdir()) == ["SHA256SUMS", tarball.name]
