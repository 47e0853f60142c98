"use strict";
const all = (selector, from = document) => [...from.querySelectorAll(selector)];

/* Model and metric menus hide what is marked as another's. */
const menus = all(".tools select");
function filter() {
  for (const kind of ["model", "metric"]) {
    const menu = menus.find((each) => each.dataset.filter === kind);
    if (!menu) continue;
    for (const element of all(`main [data-${kind}]`)) element.hidden = menu.value !== "" && element.dataset[kind] !== menu.value;
  }
}
for (const menu of menus) menu.addEventListener("change", filter);

/* A table's heads become buttons that sort it, largest first. */
function sort(table, column, head) {
  const descending = head.getAttribute("aria-sort") !== "descending";
  const sign = descending ? -1 : 1;
  const value = (row) => row.cells[column].dataset.sort ?? row.cells[column].textContent.trim();
  const compare = (a, b) => {
    const [x, y] = [value(a), value(b)];
    if (x === "" || y === "") return (x === "") - (y === "");
    return sign * (Number.isNaN(+x) || Number.isNaN(+y) ? x.localeCompare(y) : x - y);
  };
  const body = table.tBodies[0];
  body.append(...[...body.rows].sort(compare));
  for (const other of all("th[aria-sort]", table)) other.setAttribute("aria-sort", "none");
  head.setAttribute("aria-sort", descending ? "descending" : "ascending");
}
for (const table of all("table.sortable")) {
  for (const [column, head] of [...table.tHead.rows[0].cells].entries()) {
    const button = document.createElement("button");
    button.type = "button";
    button.append(...head.childNodes);
    head.append(button);
    button.addEventListener("click", () => sort(table, column, head));
  }
}

/* All photographs open or closed; on paper they are open. */
const plates = all("details.image");
const toggle = document.querySelector("#plates");
if (toggle) {
  toggle.addEventListener("click", () => {
    const open = plates.some((each) => !each.open);
    for (const plate of plates) plate.open = open;
    toggle.textContent = open ? "Close all photographs" : "Open all photographs";
  });
}

/* One part of the contents at a time, where that is asked for; a long report starts that way. On paper all are there. */
const paged = document.querySelector("#paged");
const sections = all("main > section");
function turn() {
  if (!paged) return;
  const target = document.getElementById(location.hash.slice(1));
  const shown = target?.closest("main > section") ?? sections[0];
  for (const section of sections) section.classList.toggle("elsewhere", paged.checked && section !== shown);
  for (const link of all("nav.contents a")) {
    if (paged.checked && link.hash === `#${shown.id}`) link.setAttribute("aria-current", "page");
    else link.removeAttribute("aria-current");
  }
}
if (paged) {
  paged.checked = "long" in document.body.dataset;
  paged.addEventListener("change", turn);
  turn();
}

/* A link to a map opens the photograph that it is of. */
function reveal() {
  turn();
  const found = document.getElementById(location.hash.slice(1));
  if (!found) return;
  for (let each = found.closest("details"); each; each = each.parentElement.closest("details")) each.open = true;
  found.scrollIntoView({ behavior: "instant", block: sections.includes(found) ? "start" : "center" });
}
addEventListener("hashchange", reveal);
addEventListener("beforeprint", () => { for (const each of all("details")) each.open = true; });

if (location.hash) reveal();
for (const tools of all(".tools")) tools.hidden = false;
