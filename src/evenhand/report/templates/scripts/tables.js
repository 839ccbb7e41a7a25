// Makes every table sortable, and offers it as a CSV file.

/** The number that a cell begins with, else its text. */
const cellValue = (row, column) => {
  const text = (row.cells[column]?.textContent ?? "").trim();
  const found = parseFloat(text.replace("[", "").replaceAll("−", "-").replace(/(\d),(?=\d{3})/g, "$1"));
  return Number.isNaN(found) ? text : found;
};

const compareCells = (a, b) => {
  if (typeof a === typeof b) return a < b ? -1 : a > b ? 1 : 0;
  return typeof a === "number" ? -1 : 1;
};

const dataRows = (body) => [...body.rows].filter((row) => !row.classList.contains("m") && !row.classList.contains("explained"));

/** Sort by a column; rows stay within their body, such as a measure's. A third click restores the order of the page. */
const makeSortable = (table) => {
  const bodies = [...table.tBodies].map((body) => [body, dataRows(body)]);
  if (bodies.every(([, rows]) => rows.length < 2)) return;
  [...table.tHead.rows[0].cells].forEach((head, column) => {
    const sort = () => {
      const next = { none: "ascending", ascending: "descending", descending: "none" };
      const order = next[head.getAttribute("aria-sort") || "none"];
      for (const other of head.parentElement.children) other.removeAttribute("aria-sort");
      if (order !== "none") head.setAttribute("aria-sort", order);
      const sign = order === "descending" ? -1 : 1;
      for (const [body, rows] of bodies) {
        for (const row of all(".explained", body)) close(row.previousElementSibling);
        const sorted = [...rows].sort((a, b) => sign * compareCells(cellValue(a, column), cellValue(b, column)));
        body.append(...(order === "none" ? rows : sorted));
      }
    };
    head.replaceChildren(make("button", { type: "button", text: head.textContent, onclick: sort }));
  });
};

/** The rows of a table that are shown, as texts; rows of verdicts begin with their measure. */
const tableRows = (table) => {
  const head = [...table.tHead.rows[0].cells].map((cell) => cell.textContent);
  const verdicts = table.classList.contains("verdicts");
  const rows = [verdicts ? ["measure", "of", ...head.slice(1, -1), "notes"] : head];
  const place = table.closest("details.table");
  for (const body of table.tBodies) {
    const measure = body.querySelector("tr.m")?.cells[0].firstChild.textContent ?? "";
    for (const row of dataRows(body)) {
      if (row.classList.contains("hidden")) continue;
      const cells = [...row.cells].map((cell) => cell.textContent);
      if (!verdicts) {
        rows.push(cells);
        continue;
      }
      const notes = all("td:last-child a", row).map((link) => document.querySelector(link.hash)?.textContent ?? "");
      rows.push([measure, ...cells.slice(0, -1), notes.join("; ")]);
    }
  }
  if (!verdicts) return rows;
  const known = ["setting", "split", "method", "reference"].filter((key) => place.dataset[key]);
  return rows.map((row, rank) => [...known.map((key) => (rank ? place.dataset[key] : key)), ...row]);
};

const offerTable = (table) => {
  const name = table.dataset.name || "table";
  const place = table.closest("details[data-setting]")?.dataset;
  const words = [name, place?.setting, place?.split].filter(Boolean).join(" ");
  const act = () => download(fileName(words, "csv"), csv(tableRows(table)), "text/csv");
  const button = make("button", { type: "button", text: "CSV", onclick: act, "aria-label": `Save as CSV: ${words}` });
  table.parentElement.before(make("div", { class: "take" }, button));
};

/** A table that is wider than the page scrolls sideways, also by keyboard. */
const makeScrollable = (scroll) => {
  const table = scroll.querySelector("table");
  scroll.tabIndex = 0;
  scroll.setAttribute("role", "group");
  scroll.setAttribute("aria-label", table.dataset.name || table.querySelector("th")?.textContent || "table");
};
