import { plain } from "./words.js";

// element makes an element with text, which is never HTML.
export function element(name, { text, ...attributes } = {}) {
  const e = document.createElement(name);
  for (const [key, value] of Object.entries(attributes)) e.setAttribute(key, value);
  if (text !== undefined) write(e, text);
  return e;
}

// write changes an element's text, if it has to be.
export function write(e, text) {
  const shown = plain(String(text));
  if (e.textContent !== shown) e.textContent = shown;
}

// nothing is what stands where there is nothing to say.
export const nothing = "–";

const kind = (column) => (column.numeric ? { class: "numeric" } : column.tight ? { class: "tight" } : {});

// Rows is a table whose rows stay the same elements as long as their keys do: so the
// focus stays where it is while the numbers change.
export class Rows {
  // columns: {label, text(item), numeric?, tight?, state?(item)}; act: {column, label, sure, name(item), run(item)}
  constructor(table, key, columns, act) {
    Object.assign(this, { key, columns, act, rows: new Map(), table });
    this.none = document.getElementById(`${table.id}-none`);
    // said in so many words, because on a narrow screen they are no table for CSS
    table.setAttribute("role", "table");
    const head = element("thead", { role: "rowgroup" });
    const titles = element("tr", { role: "row" });
    for (const c of columns) titles.append(element("th", { text: c.label, role: "columnheader", scope: "col", ...kind(c) }));
    if (act) titles.append(element("th", { text: act.column, role: "columnheader", scope: "col", class: "act" }));
    head.append(titles);
    this.body = element("tbody", { role: "rowgroup" });
    table.append(head, this.body);
    this.show([]);
  }

  show(items) {
    const seen = new Set();
    let place = this.body.firstChild;
    for (const item of items) {
      const key = String(this.key(item));
      seen.add(key);
      const row = this.rows.get(key) ?? this.add(key);
      row.item = item;
      this.columns.forEach((c, i) => {
        const text = c.text(item);
        write(row.cells[i], text);
        row.cells[i].classList.toggle("nothing", text === nothing);
        if (c.state) row.cells[i].dataset.state = c.state(item);
      });
      if (row.button && !row.button.dataset.armed) this.rest(row);
      if (row.element === place) place = place.nextSibling;
      else this.body.insertBefore(row.element, place);
    }
    for (const [key, row] of this.rows) {
      if (seen.has(key)) continue;
      this.rows.delete(key);
      this.take(row);
    }
    this.table.hidden = items.length === 0;
    if (this.none) this.none.hidden = items.length > 0;
  }

  add(key) {
    const row = { element: element("tr", { role: "row" }), cells: [] };
    for (const c of this.columns) {
      const cell = element("td", { role: "cell", "data-label": c.label, ...kind(c) });
      row.cells.push(cell);
      row.element.append(cell);
    }
    if (this.act) {
      const cell = element("td", { role: "cell", class: "act" });
      row.button = element("button", { type: "button" });
      row.button.addEventListener("click", () => this.press(row));
      cell.append(row.button);
      row.element.append(cell);
    }
    this.rows.set(key, row);
    return row;
  }

  // take takes a row away. Who had the focus in it finds it at the heading again.
  take(row) {
    clearTimeout(row.timer);
    const focused = row.element.contains(document.activeElement);
    row.element.remove();
    if (!focused) return;
    const heading = document.getElementById(this.table.getAttribute("aria-labelledby"));
    heading.tabIndex = -1;
    heading.focus();
  }

  rest(row) {
    write(row.button, this.act.label);
    row.button.setAttribute("aria-label", plain(`${this.act.label} ${this.act.name(row.item)}`));
  }

  // press wants to be meant: the first press only asks.
  press(row) {
    clearTimeout(row.timer);
    if (!row.button.dataset.armed) {
      row.button.dataset.armed = "yes";
      write(row.button, this.act.sure);
      row.button.setAttribute("aria-label", plain(`${this.act.sure} Press again to ${this.act.label.toLowerCase()} ${this.act.name(row.item)}`));
      row.timer = setTimeout(() => this.disarm(row), 5000);
      return;
    }
    this.disarm(row);
    this.act.run(row.item);
  }

  disarm(row) {
    delete row.button.dataset.armed;
    this.rest(row);
  }
}
