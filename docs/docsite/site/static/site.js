// Copyright (c) 2026, The nomba.auth contributors
// GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
// SPDX-License-Identifier: GPL-3.0-or-later

// Label the cells of each table, for the narrow form of tables in site.css.
document.addEventListener("DOMContentLoaded", () => {
  const tables = "article table.docutils:not(.ansible-option-table)";
  for (const table of document.querySelectorAll(tables)) {
    const labels = [...table.querySelectorAll("thead th")].map((cell) => cell.textContent.trim());
    for (const row of table.querySelectorAll("tbody tr")) {
      [...row.cells].forEach((cell, column) => {
        if (labels[column]) cell.dataset.label = labels[column];
      });
    }
  }
});
