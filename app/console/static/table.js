// @ts-check
// A table that is sorted by its column heads, as WAI-ARIA describes it: a button in each head, aria-sort on the head.

import { clear, el } from "./lib/dom.js";

// `columns`: {key, label, title, value(row), cell(row)}; `value` is what is sorted by, `cell` what is shown (the value where it is
// missing), `number: true` for figures at the right edge. {node, show(rows), sort(order)}; an order is a key, with "-" before it
// from high to low, null leaves the rows as they are; `onsort(order)` follows the user.
export function table({ label, columns, order, onsort }) {
  const heads = columns.map((column) => {
    const sorted = el(
      "button",
      { class: "sort", type: "button", title: column.title, on: { click: () => sortBy(column) } },
      el("span", { text: column.label }),
    );
    return el("th", { scope: "col", class: column.number ? "number" : null }, sorted);
  });
  const body = el("tbody");
  const grid = el(
    "table",
    { class: "table sortable" },
    el("caption", { class: "visually-hidden", text: label }),
    el("thead", {}, el("tr", {}, heads)),
    body,
  );
  const node = el("div", { class: "scroller tall", role: "region", "aria-label": label, tabindex: "0" }, grid);
  let rows = [];
  let current = known(order) ? order : null;

  function known(wanted) {
    return columns.some((column) => wanted === column.key || wanted === `-${column.key}`);
  }

  // Figures are first asked for from high to low.
  function sortBy(column) {
    const [up, down] = [column.key, `-${column.key}`];
    if (current === up) current = down;
    else if (current === down) current = up;
    else current = column.number ? down : up;
    render();
    onsort(current);
  }

  function render() {
    const turn = current?.startsWith("-") ? -1 : 1;
    const column = columns.find((each) => current?.replace(/^-/, "") === each.key);
    const decorated = rows.map((row, place) => ({ row, place, value: column ? column.value(row) : place }));
    decorated.sort((one, other) => compare(one.value, other.value, turn) || one.place - other.place);
    heads.forEach((head, place) => {
      if (columns[place] === column) head.setAttribute("aria-sort", turn > 0 ? "ascending" : "descending");
      else head.removeAttribute("aria-sort");
    });
    clear(body).append(...decorated.map(({ row }) => line(row)));
  }

  function line(row) {
    return el(
      "tr",
      {},
      columns.map((column) => el("td", { class: column.number ? "number" : column.class }, (column.cell ?? column.value)(row))),
    );
  }

  return {
    node,
    show(others) {
      rows = others;
      render();
    },
    sort(wanted) {
      const order = known(wanted) ? wanted : null;
      if (order === current) return;
      current = order;
      render();
    },
  };
}

// Texts by their code points, as the codes are; null, which is no figure, comes last in either order.
function compare(one, other, turn) {
  if (one === null || other === null) return Number(one === null) - Number(other === null);
  return one < other ? -turn : one > other ? turn : 0;
}
