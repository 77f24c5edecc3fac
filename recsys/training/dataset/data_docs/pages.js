// What the scripts in Data Docs call of jQuery, Bootstrap and bootstrap-table; the rest of those is not here.
(() => {
  class Found {
    constructor(elements) { this.elements = [...new Set(elements)].filter(Boolean); }
    each(work) { this.elements.forEach((element, index) => work(index, element)); return this; }
    parent() { return new Found(this.elements.map((element) => element.parentElement)); }
    fadeIn() { return this.each((_, element) => { element.style.display = ""; }); }
    fadeOut() { return this.each((_, element) => { element.style.display = "none"; }); }
    removeClass(name) { return this.each((_, element) => element.classList.remove(name)); }
    prepend(html) { return this.each((_, element) => element.insertAdjacentHTML("afterbegin", html)); }
    data(name) { return this.elements[0]?.dataset[name]; }
    on() { return this; } // rows have links of their own, see `fill`
    modal() { return this; }
    ready(work) { document.addEventListener("DOMContentLoaded", () => work()); return this; }
    bootstrapTable(config) {
      if (typeof config === "object") this.each((_, table) => fill(table, config));
      return this;
    }
  }

  // A table from its columns and rows, newest first; each row leads to its page.
  function fill(table, { columns, data, sortName, sortOrder }) {
    const direction = sortOrder === "desc" ? -1 : 1;
    const rows = [...data].sort((one, other) =>
      direction * String(one[sortName]).localeCompare(String(other[sortName])));
    const head = table.createTHead().insertRow();
    for (const column of columns) head.append(Object.assign(document.createElement("th"), { textContent: column.title }));
    const body = table.createTBody();
    for (const row of rows) {
      const line = body.insertRow();
      line.className = "clickable-row";
      columns.forEach((column, index) => {
        const link = document.createElement(index === 0 && row._table_row_link_path ? "a" : "span");
        if (link.tagName === "A") link.href = row._table_row_link_path;
        link.innerHTML = row[column.field] ?? "";
        line.insertCell().append(link);
      });
      line.addEventListener("click", () => { window.location = row._table_row_link_path; });
    }
  }

  function $(what) {
    if (typeof what === "function") return new Found([]).ready(what);
    return new Found(typeof what === "string" ? document.querySelectorAll(what) : [what]);
  }
  window.$ = window.jQuery = $;

  document.addEventListener("click", (event) => {
    const toggle = event.target.closest('[data-toggle="tab"], [data-toggle="collapse"], [data-toggle="buttons"] label');
    if (!toggle) return;
    if (toggle.tagName === "LABEL") {
      for (const label of toggle.parentElement.children) label.classList.toggle("active", label === toggle);
      return;
    }
    event.preventDefault();
    const target = document.getElementById(toggle.getAttribute("href").slice(1));
    if (toggle.dataset.toggle === "collapse") {
      toggle.setAttribute("aria-expanded", String(target.classList.toggle("show")));
      return;
    }
    for (const tab of toggle.closest("ul").querySelectorAll(".nav-link")) tab.classList.toggle("active", tab === toggle);
    for (const pane of target.parentElement.children) pane.classList.toggle("active", pane === target);
  });
})();
