"use strict";
// Sortable tables: a click on a column's head sorts by the values behind the cells; a second click turns the order round.
// #sort=TABLE,COLUMN[,desc] in the address does the same, so that a sorted view can be linked to.
(function () {
  function key(row, column) {
    const cell = row.cells[column];
    if (cell.dataset.v !== undefined && cell.dataset.v !== "" && !isNaN(Number(cell.dataset.v))) return Number(cell.dataset.v);
    return cell.textContent;
  }
  function compare(a, b) {
    if (typeof a === "number" && typeof b === "number") return a - b;
    if (typeof a === "number") return -1;
    if (typeof b === "number") return 1;
    return a.localeCompare(b, "en", { numeric: true });
  }
  function sort(table, column, descending) {
    const body = table.tBodies[0];
    const rows = Array.from(body.rows, (row, place) => ({ row, place, key: key(row, column) }));
    rows.sort((a, b) => (descending ? compare(b.key, a.key) : compare(a.key, b.key)) || a.place - b.place);
    rows.forEach((one) => body.appendChild(one.row));
    Array.from(table.tHead.rows[0].cells).forEach((head, i) => {
      if (i === column) head.setAttribute("aria-sort", descending ? "descending" : "ascending");
      else head.removeAttribute("aria-sort");
    });
  }
  document.querySelectorAll("table.sortable").forEach((table) => {
    Array.from(table.tHead.rows[0].cells).forEach((head, column) => {
      head.firstElementChild.addEventListener("click", () => sort(table, column, head.getAttribute("aria-sort") === "ascending"));
    });
  });
  function fromAddress() {
    const found = /^#sort=([^,]+),(\d+)(,desc)?$/.exec(location.hash);
    const table = found && document.querySelector("#table-" + CSS.escape(found[1]) + " table.sortable");
    if (table && Number(found[2]) < table.tHead.rows[0].cells.length) sort(table, Number(found[2]), Boolean(found[3]));
  }
  window.addEventListener("hashchange", fromAddress);
  fromAddress();
})();
