"use strict";
// Filters of the table; without it all is there to be read.

const filters = document.getElementById("filters");

function filter() {
  const form = new FormData(filters);
  const words = form.get("layer").toLowerCase().split(/[\s,]+/).filter(Boolean);
  const states = form.getAll("state");
  const versions = form.getAll("version");
  let count = 0;
  for (const body of document.querySelectorAll(".heat tbody")) {
    const name = body.dataset.layer.toLowerCase();
    const named = words.length === 0 || words.some((word) => name.includes(word));
    const wanted = form.has("all") || words.length > 0 || "trouble" in body.dataset;
    body.hidden = !(named && wanted);
    if (!body.hidden) count += 1;
    // The first row has the layer type's name: it stays, dimmed.
    for (const row of [...body.rows].slice(1)) row.hidden = !versions.includes(row.dataset.version);
  }
  for (const cell of document.querySelectorAll(".heat td[data-state]")) {
    const shown = states.includes(cell.dataset.state) && versions.includes(cell.parentElement.dataset.version);
    cell.classList.toggle("dim", !shown);
  }
  document.getElementById("shown").value = `${count} layer types shown`;
}

filters.addEventListener("input", filter);
filters.addEventListener("submit", (event) => event.preventDefault());
filters.addEventListener("reset", () => setTimeout(filter));

document.addEventListener("click", async (event) => {
  const text = event.target.dataset?.copy;
  if (!text) return;
  await navigator.clipboard?.writeText(text);
  event.target.textContent = "Copied";
});

filter();
