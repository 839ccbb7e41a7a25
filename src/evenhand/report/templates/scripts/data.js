// The numbers behind the page, and the small functions that all other scripts share.

const page = JSON.parse(document.getElementById("data").textContent);
const NONE = "—";

const all = (selector, within = document) => [...within.querySelectorAll(selector)];

/** A new element with properties (`class`, `text`, attributes, `on…`) and children. */
const make = (name, properties = {}, ...children) => {
  const element = document.createElement(name);
  for (const [key, value] of Object.entries(properties)) {
    if (key === "text") element.textContent = value;
    else if (key.startsWith("on")) element.addEventListener(key.slice(2), value);
    else if (value !== null && value !== undefined) element.setAttribute(key, value);
  }
  element.append(...children);
  return element;
};

/** A number with a true minus sign, as the tables write it. */
const number = (value, digits, signed = false) => {
  if (value === null || value === undefined) return NONE;
  const text = Math.abs(value).toFixed(digits);
  const zero = Number(text) === 0;
  return (value < 0 && !zero ? "−" : signed && !zero ? "+" : "") + text;
};

/** Offer a text or blob as a file. */
const download = (name, content, type) => {
  const link = make("a", { href: URL.createObjectURL(new Blob([content], { type })), download: name });
  link.click();
  setTimeout(() => URL.revokeObjectURL(link.href), 1000);
};

/** A file name from words: letters, digits, and single dashes. */
const fileName = (words, ending) =>
  `${words.normalize("NFC").replace(/[^\p{L}\p{N}._=]+/gu, "-").replace(/^-+|-+$/g, "").slice(0, 80) || "evenhand"}.${ending}`;

/**
 * One cell of a CSV file. A missing value is empty, a typographic minus becomes one that programs read, and a cell that a
 * spreadsheet would take for a formula begins with an apostrophe.
 */
const csvCell = (text) => {
  const plain = text.trim().replace(new RegExp(`^${NONE}$`), "").replace(/\s+/g, " ").replace(/(^|[[ ,(])−(?=[\d.])/g, "$1-");
  const inert = /^[=+\-@\t\r]/.test(plain) && !/^[+-]?(\d+\.?\d*|\.\d+)(e[+-]?\d+)?$/i.test(plain) ? `'${plain}` : plain;
  return /[",\n\r]/.test(inert) ? `"${inert.replaceAll('"', '""')}"` : inert;
};

/** Rows of texts as CSV. A byte-order mark tells spreadsheets that it is UTF-8. */
const csv = (rows) => `\ufeff${rows.map((row) => row.map(csvCell).join(",")).join("\r\n")}\r\n`;

/** Everything that an element lies in, the outermost first. */
const ancestors = (element) => {
  const found = [];
  for (let at = element.parentElement; at; at = at.parentElement) found.unshift(at);
  return found;
};

/** Open all that an element lies in, so that it is seen. */
const reveal = (element) => {
  for (const details of ancestors(element)) if (details.tagName === "DETAILS") details.open = true;
  element.classList.remove("hidden");
};
