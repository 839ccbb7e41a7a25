// Explains a verdict below its row: what was measured run by run, and what its interval is made of.

const LEVEL = page.level;

/** A share in percentage points, anything else as a number. */
const amount = (value, measure, signed = false) =>
  measure.points ? `${number(100 * value, 1, signed)} points` : number(value, measure.digits, signed);

const level = (series, measure) => {
  if (series === undefined || series.c === undefined) return "could not be computed";
  const interval = series.l === undefined ? "" : ` (95% interval ${number(series.l, measure.digits)} to ${number(series.h, measure.digits)})`;
  return `${number(series.c, measure.digits)}${interval}`;
};

const count = (many, word) => `${many.toLocaleString("en")} ${word}${many === 1 ? "" : "s"}`;

/** The facts about a verdict, as pairs of a name and a sentence. */
const facts = (row, who) => {
  const measure = page.measures[row.m];
  const [of, against] = [page.series[row.a], page.series[row.b]];
  const kind = row.k === "change" ? measure.title : `gap in ${measure.title} to ${row.o}`;
  const found = [];
  if (row.z) found.push(["settings", `the mean of ${count(row.z.length, "contrast")}, one for each setting, drawn below`]);
  if (of) found.push([row.x, `${kind}, ${who}: ${level(of, measure)}, ${count(of.n ?? 0, "example")} tested`]);
  if (row.y && against) found.push([row.y, `${kind}, ${who}: ${level(against, measure)}`]);
  if (row.c !== undefined) found.push(["difference", `${amount(row.c, measure, true)}; positive means worse`]);
  if (row.l !== undefined) {
    const family = page.families[row.i];
    found.push([
      `${LEVEL}% interval`,
      `${amount(row.l, measure, true)} to ${amount(row.h, measure, true)}, that is ± ${amount((row.h - row.l) / 2, measure)} around its middle` +
        (family ? `. It holds together with all other intervals of its family (${family}), and is wider for that` : ""),
    ]);
  }
  const spread = differences(row);
  if (spread.length > 1) {
    const mean = spread.reduce((sum, each) => sum + each, 0) / spread.length;
    const deviation = Math.sqrt(spread.reduce((sum, each) => sum + (each - mean) ** 2, 0) / (spread.length - 1));
    found.push([
      "between runs",
      `the ${spread.length} ${row.y ? "differences" : "values"} of the runs have a standard deviation of ${amount(deviation, measure)}; ` +
        "the interval includes this and the luck of which examples were tested",
    ]);
  }
  if (of?.f !== undefined) {
    found.push(["noise floor", `where there is no disparity at all, 95 of 100 such values stay below ${number(of.f, measure.digits)} at these group sizes`]);
  }
  found.push(["margin", row.g === undefined ? "none was declared, so nothing can be equivalent or not worse" : `differences up to ${amount(row.g, measure)} were declared harmless`]);
  if (row.d !== undefined) {
    found.push(["detectable", `a study like this one calls a true harm of ${amount(row.d, measure)} worse four times in five; smaller ones may be missed`]);
  }
  if (row.e) {
    const reached = row.e.map((loss, rank) => `${[50, 80, 90][rank]}% of such studies find a loss of ${loss === null ? "no size that is possible" : amount(loss, measure)}`);
    found.push(["planted harm", reached.join("; ")]);
  }
  if (row.q !== undefined) found.push(["p", `${probability(row.q)} among all rows of its family${row.p === undefined ? "" : `; ${probability(row.p)} by itself`}`]);
  if (row.w !== undefined) found.push(["runs", `${count(row.r, "run")}; ${row.w} would probably decide it`]);
  else if (row.r !== undefined) found.push(["runs", row.z ? count(row.r, "setting") : count(row.r, "run")]);
  return found;
};

const probability = (p) => (p < 0.001 ? "p < .001" : `p = ${p.toFixed(3).replace(/^0/, "")}`);

/** Method minus reference by run where both have the same seeds, or the method's own values. */
const differences = (row) => {
  const [of, against] = [page.series[row.a], page.series[row.b]];
  if (!of?.v) return [];
  if (!row.y) return of.v.filter((value) => value !== null);
  if (!against?.v || of.s !== against.s) return [];
  return of.v.flatMap((value, run) => (value === null || against.v[run] === null ? [] : [value - against.v[run]]));
};

/** A sentence that says why the row has its verdict. */
const reason = (row) => {
  const inside = "the whole interval lies within the margin";
  const words = {
    worse: "the whole interval lies above 0, so that chance alone does not explain the difference",
    better: "the whole interval lies below 0",
    different: "the interval excludes 0, and neither direction is worse",
    equivalent: `${inside}: any difference is one that was declared harmless`,
    "not worse": "the interval ends below the margin: a harm of that size is excluded",
    inconclusive: "the interval contains 0 and reaches beyond what was declared harmless: this study cannot decide",
  };
  if (row.v === undefined) return "This row has no verdict: it is shown for comparison.";
  if (row.c === undefined) return `${capital(row.v)}: the difference could not be computed; the notes say why.`;
  return `${capital(row.v)}: ${words[row.v]}.`;
};

const capital = (text) => text.slice(0, 1).toUpperCase() + text.slice(1);

/** A chart of the runs (or settings) behind a verdict; null where there is one run. */
const runsChart = (row) => {
  const measure = page.measures[row.m];
  const sides = [[row.x, page.series[row.a]], [row.y, page.series[row.b]]].filter(([, series]) => series?.v);
  const values = row.z
    ? row.z.map(([setting, c, l, h]) => ({ run: setting, c, l, h, m: row.x }))
    : sides.flatMap(([m, series]) => series.v.map((c, run) => ({ run: String(page.seeds[series.s][run]), c, m })));
  if (values.length < 2) return null;
  const runs = [...new Set(values.map((value) => value.run))];
  const names = row.z ? [row.x] : sides.map(([name]) => name);
  const x = { field: "c", type: "quantitative", title: row.z ? "worse by" : measure.title, scale: { zero: Boolean(row.z) } };
  const y = { field: "run", type: "nominal", sort: runs, title: row.z ? "setting" : "run (seed)" };
  // The reference is a ring, so that a point of the method at the same place is seen inside it.
  const [ring, dot] = page.colours;
  const colour = { field: "m", type: "nominal", title: null, sort: names, scale: { domain: names, range: names.length > 1 ? [dot, ring] : [ring] }, legend: names.length > 1 ? {} : null };
  const point = (name, look) => ({
    transform: [{ filter: { field: "m", equal: name } }],
    mark: { type: "point", opacity: 1, ...look },
    encoding: { x, y, color: colour },
  });
  const layer = [point(names[0], { filled: true, size: 45 })];
  if (names.length > 1) layer.push(point(names[1], { filled: false, size: 110, strokeWidth: 2 }));
  if (row.z) layer.unshift({ mark: "rule", encoding: { x: { ...x, field: "l" }, x2: { field: "h" }, y, color: colour } });
  else if (names.length > 1) layer.unshift({ mark: { type: "line", color: "#b5b5b5" }, encoding: { x, y, detail: { field: "run" } } });
  return { background: "transparent", data: { name: "rows" }, datasets: { rows: values }, width: 360, height: { step: 19 }, layer };
};

/** A chart of how often a planted loss of accuracy is found; null where no harm was planted. */
const powerChart = (row) => {
  const values = (row.e ?? []).flatMap((loss, rank) => (loss === null ? [] : [{ loss, power: [0.5, 0.8, 0.9][rank] }]));
  if (values.length < 2) return null;
  const x = { field: "loss", type: "quantitative", title: "true loss of accuracy", scale: { zero: true } };
  const y = { field: "power", type: "quantitative", title: "found in", axis: { format: "%" }, scale: { domain: [0, 1] } };
  const mark = { type: "line", point: { size: 45 }, color: page.colours[0] };
  return { background: "transparent", data: { name: "rows" }, datasets: { rows: values }, width: 240, height: 110, mark, encoding: { x, y } };
};

/** Make the verdicts of a table buttons that explain them, when it is first seen. */
const offerReasons = (table) => {
  if (table.dataset.explained) return;
  table.dataset.explained = "yes";
  for (const badge of all("tbody tr[data-v] > td:nth-child(2) > b", table)) {
    const button = make("button", { type: "button", class: "why", title: "Why?", "aria-expanded": "false" });
    badge.replaceWith(button);
    button.append(badge);
  }
};

const close = (row) => {
  if (row?.nextElementSibling?.classList.contains("explained")) row.nextElementSibling.remove();
  row?.querySelector(".why")?.setAttribute("aria-expanded", "false");
};

/** The numbers of a row of verdicts, with what its table and its part of it say of all their rows. */
const knownOf = (row) => {
  const table = row.closest("details.table").dataset;
  const part = row.closest("tbody").dataset;
  const verdict = row.dataset.v === "no verdict" ? undefined : row.dataset.v;
  const common = { m: part.measure, k: part.comparison, o: part.against, x: table.method, y: table.reference, v: verdict };
  return { ...page.rows[Number(row.id.slice(1))], ...common };
};

/** Show or hide the explanation of a row. */
const toggleReason = (row) => {
  if (row.nextElementSibling?.classList.contains("explained")) return close(row);
  offerReasons(row.closest("table"));
  const known = knownOf(row);
  const who = row.cells[0].textContent;
  const list = make("dl");
  for (const [name, text] of facts(known, who)) list.append(make("dt", { text: name }), make("dd", { text }));
  const cell = make("td", { colspan: row.cells.length }, make("p", { text: reason(known) }), list);
  const runs = known.z ? "The contrast of each setting with its interval." : "The value of each run; runs with the same seed tested the same examples.";
  const figures = make("div", { class: "figures" });
  for (const [spec, what] of [[runsChart(known), runs], [powerChart(known), "How often studies like this one find a loss that was planted."]]) {
    if (!spec) continue;
    const chart = make("div", { class: "chart", role: "img", "aria-label": what });
    made.set(chart, spec);
    figures.append(make("figure", {}, make("figcaption", { text: what }), chart));
  }
  cell.append(figures);
  row.after(make("tr", { class: "explained" }, cell));
  for (const chart of all(".chart", cell)) draw(chart);
  row.querySelector(".why")?.setAttribute("aria-expanded", "true");
  return undefined;
};
