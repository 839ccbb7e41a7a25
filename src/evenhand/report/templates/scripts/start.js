// Brings the page to life: colours, contents, choices, tables, charts, links.

const setTheme = (name) => {
  document.documentElement.dataset.theme = name;
};
const prefersDark = window.matchMedia("(prefers-color-scheme: dark)");
setTheme(prefersDark.matches ? "dark" : "light");
prefersDark.addEventListener("change", () => {
  setTheme(prefersDark.matches ? "dark" : "light");
  drawAll();
});

const contents = document.querySelector(".contents");
const menu = contents.querySelector(".menu");
const list = contents.querySelector("ul");
const openMenu = (open) => {
  list.classList.toggle("open", open);
  menu.setAttribute("aria-expanded", String(open));
};
menu.addEventListener("click", () => openMenu(!list.classList.contains("open")));
list.addEventListener("click", () => openMenu(false));
document.addEventListener("keydown", (event) => {
  if (event.key === "Escape" && list.classList.contains("open")) {
    openMenu(false);
    menu.focus();
  }
});

const swap = () => {
  setTheme(isDark() ? "light" : "dark");
  drawAll();
};
contents.append(make("button", { type: "button", text: "◐", title: "Light or dark", "aria-label": "Light or dark", onclick: swap }));

// The section that is being read is marked in the contents.
const links = new Map(all("a", list).map((link) => [link.hash.slice(1), link]));
const inView = new Set();
const observer = new IntersectionObserver((entries) => {
  for (const entry of entries) inView[entry.isIntersecting ? "add" : "delete"](entry.target.id);
  const first = [...links.keys()].find((id) => inView.has(id));
  for (const [id, link] of links) {
    if (id === first) link.setAttribute("aria-current", "true");
    else link.removeAttribute("aria-current");
  }
}, { rootMargin: "-15% 0px -60% 0px" });
for (const section of all("main section")) observer.observe(section);

for (const table of all("table.data")) {
  makeSortable(table);
  offerTable(table);
}
for (const scroll of all(".scroll")) makeScrollable(scroll);
for (const figure of all("figure")) offerChart(figure);
for (const table of all("details.table[open] table.verdicts")) offerReasons(table);
offerChoices();

document.addEventListener("click", (event) => {
  const why = event.target.closest("button.why");
  if (why) toggleReason(why.closest("tr"));
});
document.addEventListener("toggle", (event) => {
  if (!event.target.open) return;
  for (const element of all(".chart", event.target)) if (visible(element)) draw(element);
  for (const table of all("table.verdicts", event.target)) offerReasons(table);
}, true);

/** Show what a link of the page leads to, also where it is closed or narrowed away. */
const follow = () => {
  const target = location.hash.length > 1 && document.getElementById(decodeURIComponent(location.hash.slice(1)));
  if (!target) return;
  if (target.closest(".hidden")) clear();
  reveal(target);
  target.scrollIntoView();
  if (/^v\d+$/.test(target.id) && !target.nextElementSibling?.classList.contains("explained")) toggleReason(target);
};
window.addEventListener("hashchange", follow);

let resized;
window.addEventListener("resize", () => {
  clearTimeout(resized);
  resized = setTimeout(() => {
    clearBar();
    drawAll();
  }, 200);
});
// Paper is light; what was dark on the screen is drawn again.
let before = "light";
window.addEventListener("beforeprint", () => {
  before = document.documentElement.dataset.theme;
  setTheme("light");
  if (before === "dark") drawAll();
});
window.addEventListener("afterprint", () => {
  setTheme(before);
  if (before === "dark") drawAll();
});

drawAll().then(follow);
