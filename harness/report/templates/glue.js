"use strict";
// Glue only: draws the pictures with Vega-Embed, and passes the reader's choices on.

const charts = JSON.parse(document.getElementById("charts").textContent);
const filters = document.getElementById("filters");
const views = [];

const checked = (name) =>
  [...filters.querySelectorAll(`input[name="${name}"]:checked`)].map((box) => box.value);

function choices() {
  const picked = [...document.querySelectorAll("select[data-signal]")];
  return {
    ...Object.fromEntries(picked.map((select) => [select.dataset.signal, select.value])),
    show_versions: checked("version"),
    show_flags: checked("flags"),
    show_verdicts: checked("verdict"),
  };
}

function redraw(view) {
  const known = view.getState().signals;
  for (const [name, value] of Object.entries(choices())) {
    if (name in known) view.signal(name, value);
  }
  view.runAsync();
}

function filter() {
  const shown = {
    version: checked("version"),
    flags: checked("flags"),
    run: checked("run"),
    verdict: checked("verdict"),
    input: checked("input"),
  };
  for (const axis of ["version", "flags", "run"]) {
    for (const element of document.querySelectorAll(`#table [data-${axis}]`)) {
      element.hidden = !shown[axis].includes(element.dataset[axis]);
    }
  }
  let count = 0;
  for (const tile of document.querySelectorAll(".tile")) {
    tile.hidden = !shown.input.includes(tile.dataset.input);
    const wanted = shown.verdict.includes(tile.dataset.verdict);
    tile.classList.toggle("dim", !wanted);
    if (wanted && !tile.closest("[hidden]")) count += 1;
  }
  document.getElementById("shown").value = `${count} tiles shown`;
  views.forEach(redraw);
}

filters.addEventListener("input", filter);
filters.addEventListener("reset", () => setTimeout(filter));
document.getElementById("pickers").addEventListener("input", () => views.forEach(redraw));

document.addEventListener("click", async (event) => {
  const text = event.target.dataset?.copy;
  if (!text) return;
  await navigator.clipboard?.writeText(text);
  event.target.textContent = "Copied";
});

async function draw() {
  for (const place of document.querySelectorAll(".chart")) {
    const { data, specs } = charts[place.dataset.part];
    const spec = specs[place.dataset.spec];
    spec.datasets = { ...spec.datasets, ...data };
    const { view } = await vegaEmbed(place, spec, {
      actions: false,
      renderer: "svg",
      defaultStyle: false,
      tooltip: { disableDefaultStyle: true },
    });
    views.push(view);
    redraw(view);
    await new Promise((resume) => setTimeout(resume));
  }
  document.body.dataset.drawn = views.length;
}

filter();
// The page is there to be read before its pictures are.
requestAnimationFrame(() => setTimeout(draw));
