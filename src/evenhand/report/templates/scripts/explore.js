// Narrows the page to a measure, an attribute, a group, a method, a setting, a split, a verdict, or a word.

const form = document.querySelector("form.explore");
const PICKERS = [
  ["setting", "setting", page.choices.settings.map((name) => [name, name])],
  ["split", "split", page.choices.splits.map((name) => [name, name])],
  ["method", "method", page.choices.methods.map((name) => [name, name])],
  ["measure", "measure", Object.entries(page.choices.measures)],
  ["attribute", "attribute", Object.keys(page.choices.attributes).map((name) => [name, name])],
  ["group", "group", [...new Set(Object.values(page.choices.attributes).flat())].map((name) => [name, name])],
  ["verdict", "verdict", page.choices.verdicts.map((name) => [name, name])],
];
const tally = make("output", { "aria-live": "polite" });

/** Whether a value fits a choice; what says nothing about it fits always. */
const fits = (value, choice) => !choice || value === undefined || value === choice;

const ofMethod = (data) => !chosen.method || data.method === undefined || data.method === chosen.method || data.reference === chosen.method;

/** Whether a row of a table is shown; rows about everyone stay, as what a group is compared with. */
const rowFits = (row, measure) => {
  if (!fits(measure, chosen.measure)) return false;
  if (chosen.verdict && row.dataset.v !== undefined && row.dataset.v !== chosen.verdict) return false;
  if (chosen.attribute && row.dataset.attribute !== undefined && row.dataset.attribute !== chosen.attribute) return false;
  if (chosen.group && row.dataset.group !== undefined && row.dataset.group !== chosen.group) return false;
  return true;
};

const spoken = (row, title) => `${title} ${row.textContent}`.toLowerCase();

/** Show what fits the choices, and open what was found. */
const narrow = () => {
  chosen = Object.fromEntries(all("select", form).map((select) => [select.name, select.value]).filter(([, value]) => value));
  const word = form.elements.search.value.trim().toLowerCase();
  const active = Object.keys(chosen).length > 0 || word !== "";
  let rows = 0;
  for (const select of all("select", form)) select.classList.toggle("narrowed", select.value !== "");
  for (const details of all("details.charts, details.table, details.tight, details.setting")) {
    const data = details.dataset;
    const shown = fits(data.setting, chosen.setting) && fits(data.split, chosen.split) && ofMethod(data) && fits(data.attribute, chosen.attribute) && fits(data.measure, chosen.measure);
    details.classList.toggle("hidden", !shown);
  }
  for (const figure of all("figure[data-measure]")) figure.classList.toggle("hidden", !fits(figure.dataset.measure, chosen.measure));
  for (const block of all("details.charts")) {
    if (all("figure", block).every((figure) => figure.classList.contains("hidden"))) block.classList.add("hidden");
  }
  for (const table of all("main table.data")) {
    const holder = table.closest("details.table, details.tight");
    const listed = table.closest("details.table, details.tight, #estimates, #trials, #notes") !== null;
    if (!listed) continue;
    let left = 0;
    for (const body of table.tBodies) {
      const measure = body.dataset.measure ?? holder?.dataset.measure;
      const title = body.querySelector("tr.m")?.textContent ?? table.dataset.name ?? "";
      let here = 0;
      for (const row of dataRows(body)) {
        const shown = rowFits(row, measure) && (!word || spoken(row, title).includes(word));
        if (!shown) close(row);
        row.classList.toggle("hidden", !shown);
        here += shown ? 1 : 0;
      }
      body.classList.toggle("hidden", here === 0);
      left += here;
    }
    if (holder && active) {
      if (left === 0) holder.classList.add("hidden");
      else if (!holder.classList.contains("hidden") && (word || chosen.verdict || chosen.group || chosen.measure)) holder.open = holder.classList.contains("table") || Boolean(word);
    }
    if (table.classList.contains("verdicts") && !(holder?.classList.contains("hidden"))) rows += left;
    narrowColumns(table);
  }
  for (const setting of all("details.setting")) {
    const parts = all("details.charts, details.tight", setting);
    if (parts.length && parts.every((part) => part.classList.contains("hidden"))) setting.classList.add("hidden");
  }
  for (const section of all("main > section")) {
    const parts = all("details.charts, details.tight, details.table", section);
    section.classList.toggle("hidden", active && parts.length > 0 && parts.every((part) => part.classList.contains("hidden")));
  }
  tally.textContent = active ? `${rows.toLocaleString("en")} ${rows === 1 ? "verdict" : "verdicts"} shown` : "";
  drawAll();
};

/** Of a table with a column for each method, show that of the chosen one. */
const narrowColumns = (table) => {
  if (table.classList.contains("verdicts")) return;
  const heads = [...table.tHead.rows[0].cells].map((cell) => cell.textContent);
  const named = heads.includes(chosen.method);
  heads.forEach((head, column) => {
    if (!page.choices.methods.includes(head)) return;
    const hidden = named && head !== chosen.method;
    for (const row of table.rows) row.cells[column]?.classList.toggle("hidden", hidden);
  });
};

const openAll = (open) => {
  for (const details of all("details")) details.open = open;
};

const clear = () => {
  form.reset();
  narrow();
};

/** Keep what a link leads to from being covered by the bars that stay at the top. */
const clearBar = () => {
  const bars = [form, document.querySelector(".contents")].filter((bar) => getComputedStyle(bar).position === "sticky" && bar.offsetWidth > innerWidth / 2);
  document.documentElement.style.scrollPaddingTop = `${bars.reduce((sum, bar) => sum + bar.offsetHeight, 12)}px`;
};

/** Build the bar of choices; a choice between one thing is none. */
const offerChoices = () => {
  for (const [name, title, options] of PICKERS) {
    if (options.length < 2) continue;
    const select = make("select", { name, onchange: narrow }, make("option", { value: "", text: "all" }));
    select.append(...options.map(([value, text]) => make("option", { value, text })));
    form.append(make("label", {}, title, select));
  }
  let waiting;
  const later = () => {
    clearTimeout(waiting);
    waiting = setTimeout(narrow, 200);
  };
  form.append(make("label", {}, "search", make("input", { type: "search", name: "search", placeholder: "group, measure, note …", oninput: later })));
  form.append(
    make("button", { type: "button", text: "Reset", onclick: clear }),
    make("button", { type: "button", text: "Open all", onclick: () => openAll(true) }),
    make("button", { type: "button", text: "Close all", onclick: () => openAll(false) }),
    tally,
  );
  form.addEventListener("submit", (event) => event.preventDefault());
  form.hidden = false;
  clearBar();
};
