"use strict";
(() => {
  const config = JSON.parse(document.getElementById("config").textContent);
  const drawn = new Map();

  // The width that a chart may take, also where it is not laid out yet.
  const room = (element) => {
    for (let at = element.closest("section"); at; at = at.parentElement) if (at.clientWidth) return at.clientWidth;
    return 1100;
  };

  // Charts say how wide a panel is and how much their labels take; as many panels stand side by side as fit.
  const fitted = (spec, width) => {
    const { panel, label } = spec.usermeta;
    const most = Math.max(150, width - label - 40);
    if (spec.facet) {
      const own = Math.min(panel, most);
      spec.columns = Math.max(1, Math.min(spec.columns || 1, Math.floor((width - label) / (own + 36))));
      spec.spec.width = own;
    } else {
      spec.width = Math.min(panel, most);
    }
    return spec;
  };

  const draw = (element) => {
    const width = room(element);
    if (drawn.get(element) === width) return Promise.resolve();
    drawn.set(element, width);
    const spec = fitted(JSON.parse(element.nextElementSibling.textContent), width);
    // ast: expressions are interpreted, so that the page needs no permission to evaluate text as code.
    const options = { actions: false, renderer: "svg", ast: true, config, mode: "vega-lite" };
    return window.vegaEmbed(element, spec, options).then(
      () => element.setAttribute("data-drawn", ""),
      (error) => {
        const said = document.createElement("p");
        said.className = "failed";
        said.textContent = "This chart could not be drawn: " + error.message;
        element.replaceChildren(said);
      },
    );
  };

  const visible = (element) => !element.closest("details:not([open])");
  const drawAll = async () => {
    for (const element of document.querySelectorAll(".chart")) if (visible(element)) await draw(element);
  };
  document.addEventListener("toggle", (event) => {
    if (event.target.open) for (const element of event.target.querySelectorAll(".chart")) if (visible(element)) draw(element);
  }, true);
  let waiting;
  window.addEventListener("resize", () => {
    clearTimeout(waiting);
    waiting = setTimeout(drawAll, 200);
  });

  const openAll = (open) => {
    for (const details of document.querySelectorAll("details")) details.open = open;
  };
  for (const button of document.querySelectorAll("[data-open]")) {
    button.addEventListener("click", () => openAll(button.dataset.open === "all"));
  }

  // Sorting keeps a measure's rows together. A third click restores the order of the page.
  const value = (row, column) => {
    const text = row.children[column].textContent.trim();
    const found = parseFloat(text.replace("[", "").replaceAll("−", "-"));
    return Number.isNaN(found) ? text : found;
  };
  const compare = (a, b) => {
    if (typeof a === typeof b) return a < b ? -1 : a > b ? 1 : 0;
    return typeof a === "number" ? -1 : 1;
  };
  for (const table of document.querySelectorAll("table.verdicts")) {
    const bodies = [...table.tBodies].map((body) => [body, [...body.rows].slice(1)]);
    table.querySelectorAll("thead th").forEach((head, column) => {
      const button = head.querySelector("button");
      if (!button) return;
      button.addEventListener("click", () => {
        const next = { none: "ascending", ascending: "descending", descending: "none" };
        const order = next[head.getAttribute("aria-sort") || "none"];
        for (const other of head.parentElement.children) other.removeAttribute("aria-sort");
        head.setAttribute("aria-sort", order);
        const sign = order === "descending" ? -1 : 1;
        for (const [body, rows] of bodies) {
          const sorted = order === "none" ? rows : [...rows].sort((a, b) => sign * compare(value(a, column), value(b, column)));
          body.append(...sorted);
        }
      });
    });
  }

  const only = document.getElementById("only");
  if (only) {
    only.addEventListener("change", () => {
      for (const body of document.querySelectorAll("table.verdicts tbody")) {
        const rows = [...body.rows].slice(1);
        for (const row of rows) row.classList.toggle("hidden", only.value !== "" && row.dataset.v !== only.value);
        body.classList.toggle("hidden", rows.every((row) => row.classList.contains("hidden")));
      }
      for (const details of document.querySelectorAll("details.table")) {
        if (only.value !== "") details.open = details.querySelector("tbody:not(.hidden)") !== null;
      }
    });
  }

  drawAll();
})();
