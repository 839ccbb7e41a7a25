// Draws the charts when they are first seen, in the width and the colours of the page, and offers them as files.

const drawn = new Map();
let chosen = {};

/** Charts that are made in the page, by their element; the others stand behind theirs, as JSON. */
const made = new WeakMap();

/** The width that a chart may take, also where it is not laid out yet. */
const room = (element) => {
  for (let at = element.closest("section"); at; at = at.parentElement) if (at.clientWidth) return at.clientWidth;
  return 1100;
};

/** Lines of at most so many characters. */
const wrapped = (text, most) => {
  const lines = [""];
  for (const word of text.split(" ")) {
    const line = `${lines.at(-1)} ${word}`.trim();
    if (line.length <= most || !lines.at(-1)) lines[lines.length - 1] = line;
    else lines.push(word);
  }
  return lines;
};

/** Panels side by side as many as fit; charts say how wide a panel is and how much its labels take. */
const fitted = (spec, width) => {
  const { panel, label } = spec.usermeta;
  const own = Math.min(panel, Math.max(150, width - label - 40));
  for (const part of spec.vconcat ?? [spec]) fitPart(part, own, width, label);
  return spec;
};

/** One chart, or one of several that stand below each other. */
const fitPart = (spec, own, width, label) => {
  if (spec.facet) {
    spec.columns = Math.max(1, Math.min(spec.columns || 1, Math.floor((width - label) / (own + 36))));
    spec.spec.width = Math.min(spec.spec.width ?? own, own);
  } else if (!spec.hconcat) {
    spec.width = Math.min(spec.width ?? own, own);
  }
  const subtitle = spec.title?.subtitle;
  if (subtitle) spec.title.subtitle = [subtitle].flat().flatMap((line) => wrapped(line, Math.floor(width / 5.6)));
};

const APART = "\u00a0";

/** Whether a row of a chart is about a group: its own name, or its name and the number of examples in brackets. */
const isOf = (key, group) => key === group || (key.startsWith(`${group} (`) && key.endsWith(")"));

/** A chart of one method, or of one group beside everyone; rows that are neither keep their place. */
const narrowed = (spec, { method, group }) => {
  if (!method && !group) return spec;
  const before = new Set();
  const after = new Set();
  for (const [name, rows] of Object.entries(spec.datasets)) {
    const named = rows.some((row) => row.m === method);
    const kept = rows.filter((row) => {
      if (typeof row.y === "string") before.add(row.y);
      const whole = typeof row.y !== "string" || row.y.endsWith(APART);
      return (!method || !named || row.m === undefined || row.m === method) && (!group || whole || isOf(row.y, group));
    });
    if (!kept.length) continue;
    for (const row of kept) if (typeof row.y === "string") after.add(row.y);
    spec.datasets[name] = kept;
  }
  if (after.size && after.size < before.size) shrink(spec, after, after.size / before.size);
  return spec;
};

/** Leave out the rows of a chart that are gone, and the height that they took. */
const shrink = (part, kept, share) => {
  if (Array.isArray(part)) for (const each of part) shrink(each, kept, share);
  else if (part && typeof part === "object") {
    if (part.field === "y" && Array.isArray(part.scale?.domain)) {
      part.scale.domain = part.scale.domain.filter((key) => kept.has(key));
    }
    if (typeof part.height === "number") part.height = Math.max(30, part.height * share);
    for (const [key, value] of Object.entries(part)) if (key !== "datasets") shrink(value, kept, share);
  }
};

const isDark = () => document.documentElement.dataset.theme === "dark";

/** The same chart in the colours of the page. */
const coloured = (part) => {
  if (typeof part === "string") return page.dark[part] ?? part;
  if (Array.isArray(part)) return part.map(coloured);
  if (part === null || typeof part !== "object") return part;
  return Object.fromEntries(
    Object.entries(part).map(([key, value]) => [key, key === "datasets" || key === "data" ? value : coloured(value)]),
  );
};

/** Draw a Vega-Lite chart into an element; a chart that cannot be drawn says so. */
const embed = (element, spec, logLevel = 2) => {
  const dark = isDark();
  // ast: expressions are interpreted, so that the page needs no permission to evaluate text as code.
  const config = dark ? coloured(page.config) : page.config;
  const options = { actions: false, renderer: "svg", ast: true, config, mode: "vega-lite", logLevel };
  return window.vegaEmbed(element, dark ? coloured(spec) : spec, options).then(
    (result) => {
      element.setAttribute("data-drawn", "");
      return result.view;
    },
    (error) => {
      element.replaceChildren(make("p", { class: "failed", text: `This chart could not be drawn: ${error.message}` }));
      return null;
    },
  );
};

const draw = (element) => {
  const width = room(element);
  const key = JSON.stringify([width, chosen.method, chosen.group, isDark()]);
  if (drawn.get(element)?.key === key) return drawn.get(element).view;
  const own = made.get(element);
  const spec = own ? structuredClone(own) : fitted(narrowed(JSON.parse(element.nextElementSibling.textContent), chosen), width);
  // Layers that have nothing left to show after narrowing are no reason for a warning on the console.
  const view = embed(element, spec, chosen.method || chosen.group ? 1 : 2);
  drawn.set(element, { key, view, spec });
  return view;
};

const visible = (element) => !element.closest("details:not([open]), .hidden");
const drawAll = async () => {
  for (const element of all(".chart")) if (visible(element)) await draw(element);
};

/** The names of the fields of charts that all of them share. */
const FIELDS = { m: "method", c: "value", l: "low", h: "high", f: "noise floor", v: "verdict", d: "detectable" };

/** Buttons below a chart that offer it as a picture and its rows as a table. */
const offerChart = (figure) => {
  const element = figure.querySelector(".chart");
  const name = element.getAttribute("aria-label").replace(/\.$/, "");
  const picture = (kind) => async () => {
    const view = await draw(element);
    if (!view) return;
    if (kind === "svg") return download(fileName(name, "svg"), await view.toSVG(), "image/svg+xml");
    const canvas = await view.toCanvas(2);
    canvas.toBlob((blob) => download(fileName(name, "png"), blob, "image/png"));
  };
  const rows = async () => {
    await draw(element);
    const values = Object.values(drawn.get(element).spec.datasets).flat();
    const fields = [...new Set(values.flatMap(Object.keys))];
    const text = (value) => (value === undefined || value === null ? "" : String(value).replace(APART, ""));
    const named = (field) => (field === "y" && typeof values[0].y === "string" ? "of" : (FIELDS[field] ?? field));
    download(fileName(name, "csv"), csv([fields.map(named), ...values.map((row) => fields.map((field) => text(row[field])))]), "text/csv");
  };
  const button = (text, act, what) => make("button", { type: "button", text, onclick: act, "aria-label": `${what}: ${name}` });
  figure.append(
    make(
      "div",
      { class: "take" },
      button("SVG", picture("svg"), "Save as SVG"),
      button("PNG", picture("png"), "Save as PNG"),
      button("CSV", rows, "Save the chart’s data as CSV"),
    ),
  );
};
