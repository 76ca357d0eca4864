import { element, write } from "./rows.js";
import { plain } from "./words.js";

const svg = "http://www.w3.org/2000/svg";
const height = 24;

// bars is the path of one bar a minute.
export function bars(values, most) {
  return values
    .map((v, i) => {
      if (v <= 0) return "";
      const top = height - Math.max(1, (v / most) * height);
      return `M${i + 0.1} ${height}V${top.toFixed(2)}H${i + 0.9}V${height}Z`;
    })
    .join("");
}

// Plots is a list of names, each with a few small plots that share their scales.
export class Plots {
  // kinds: {name, values(series), sum(values), tell(values), state?}
  constructor(list, kinds, label) {
    Object.assign(this, { list, kinds, label, items: new Map() });
    list.setAttribute("role", "list"); // which it would not be without bullets
  }

  show(series) {
    const most = this.kinds.map((k) => Math.max(1e-9, ...series.flatMap((s) => k.values(s))));
    const seen = new Set();
    for (const s of series) {
      seen.add(s.name);
      const item = this.items.get(s.name) ?? this.add(s.name);
      write(item.title, this.label(s.name));
      item.title.title = plain(this.label(s.name));
      this.kinds.forEach((k, i) => {
        const values = k.values(s);
        const part = item.parts[i];
        part.path.setAttribute("d", bars(values, most[i]));
        part.plot.setAttribute("aria-label", plain(`${this.label(s.name)}: ${k.tell(values)}`));
        write(part.sum, k.sum(values));
      });
      this.list.append(item.element); // in their order
    }
    for (const [name, item] of this.items) {
      if (seen.has(name)) continue;
      item.element.remove();
      this.items.delete(name);
    }
  }

  add(name) {
    const item = { element: element("li"), title: element("span", { class: "name" }), parts: [] };
    item.element.append(item.title);
    for (const k of this.kinds) {
      const plot = document.createElementNS(svg, "svg");
      plot.setAttribute("viewBox", `0 0 60 ${height}`);
      plot.setAttribute("preserveAspectRatio", "none");
      plot.setAttribute("role", "img");
      plot.setAttribute("class", k.name);
      const path = document.createElementNS(svg, "path");
      plot.append(path);
      const sum = element("span", { class: "sum", "aria-hidden": "true" });
      const figure = element("span", { class: "plot" });
      figure.append(plot, sum);
      item.element.append(figure);
      item.parts.push({ plot, path, sum });
    }
    this.items.set(name, item);
    return item;
  }
}
