"use strict";
// Values under the pointer, lines that come and go, tables that sort. Whatever is shown is set as
// text, never as markup.
const number = text => {
  const found = text.replace(/,/g, "").match(/^-?[\d.]+(?:e[-+]?\d+)?/);
  return found ? parseFloat(found[0]) : NaN;
};
const short = x => Math.abs(x) >= 1e4 ? Math.round(x).toLocaleString("en") : String(+x.toPrecision(4));
const press = (element, act) => {
  element.tabIndex = 0;
  element.addEventListener("click", act);
  element.addEventListener("keydown", event => {
    if (event.key === "Enter" || event.key === " ") { event.preventDefault(); act(); }
  });
};

// ---- tables: a click sorts by a column, a second the other way, a third as it was

const UNKNOWN = ["", "n/a", "never", "unknown", "not available", "not run"];

for (const table of document.querySelectorAll(".scroll table")) {
  const body = table.tBodies[0], rows = body ? [...body.rows] : [];
  if (rows.length < 2) continue;
  const heads = [...table.tHead.rows[0].cells];
  heads.forEach((head, column) => {
    const text = row => row.cells[column].textContent.trim();
    const values = rows.map(text).filter(value => !UNKNOWN.includes(value));
    const numbers = values.every(value => !isNaN(number(value)));
    const order = numbers ? ["descending", "ascending"] : ["ascending", "descending"];
    const compare = (a, b) => numbers ? number(a) - number(b) : a.localeCompare(b);
    head.classList.add("sorts");
    press(head, () => {
      const next = order[order.indexOf(head.getAttribute("aria-sort")) + 1];
      heads.forEach(other => other.removeAttribute("aria-sort"));
      if (!next) return body.append(...rows);
      head.setAttribute("aria-sort", next);
      const sign = next === "ascending" ? 1 : -1;
      const last = row => UNKNOWN.includes(text(row));
      body.append(...[...rows].sort(
        (a, b) => last(a) - last(b) || sign * (last(a) ? 0 : compare(text(a), text(b)))
      ));
    });
  });
}

// ---- figures

const tip = document.createElement("div");
tip.className = "tip";
document.body.append(tip);
addEventListener("scroll", () => { tip.style.display = "none"; }, true);

for (const svg of document.querySelectorAll("svg[data-axes]")) {
  const axes = JSON.parse(svg.dataset.axes), [left, top, right, bottom] = axes.box;
  const at = (value, k) => axes.log[k] ? 10 ** value : value;
  const span = (limits, k) => limits.map(x => axes.log[k] ? Math.log10(x) : x);
  const xs = span(axes.x, 0), ys = axes.y && span(axes.y, 1);
  const toX = x => at(xs[0] + (x - left) / (right - left) * (xs[1] - xs[0]), 0);
  const toY = y => at(ys[0] + (bottom - y) / (bottom - top) * (ys[1] - ys[0]), 1);

  const keys = {};
  for (const key of svg.querySelectorAll("[class^=key-]")) {
    const k = key.getAttribute("class").split("-")[1];
    (keys[k] ||= []).push(key);
  }
  svg.setAttribute("role", "group");
  for (const [k, parts] of Object.entries(keys)) for (const part of parts) {
    part.style.cursor = "pointer";
    const toggle = () => {
      const off = svg.querySelector(`.key-${k}`).classList.toggle("faint");
      for (const other of parts) {
        other.classList.toggle("faint", off);
        other.setAttribute("aria-pressed", !off);
      }
      for (const drawn of svg.querySelectorAll(`.line-${k}, .band-${k}`)) {
        drawn.classList.toggle("gone", off);
      }
    };
    if (part.querySelector("text")) { part.setAttribute("role", "button"); press(part, toggle); }
    else part.addEventListener("click", toggle);
  }

  const lines = [...svg.querySelectorAll("[class^=line-], .points")].map(group => {
    const k = (group.getAttribute("class").match(/\d+/) || [""])[0];
    const path = [...group.querySelectorAll("path")].find(p => !p.closest("defs"));
    const read = path ? path.getAttribute("d").match(/-?[\d.]+/g).map(Number) : [];
    const points = [];
    for (let n = 0; n + 1 < read.length; n += 2) points.push([read[n], read[n + 1]]);
    for (const use of path ? [] : group.querySelectorAll("use")) {
      points.push([+use.getAttribute("x"), +use.getAttribute("y")]);
    }
    const label = (keys[k] || []).map(key => key.textContent.trim()).find(Boolean);
    const colour = path ? path.style.stroke : "currentColor";
    return { group, points, label: label || (k && `episode ${k}`), colour };
  });
  const cursor = document.createElementNS("http://www.w3.org/2000/svg", "path");
  cursor.setAttribute("class", "cursor");
  svg.append(cursor);

  const hide = () => { tip.style.display = "none"; cursor.setAttribute("d", ""); };
  svg.addEventListener("pointerleave", hide);
  svg.addEventListener("pointermove", event => {
    const { x, y } = new DOMPoint(event.clientX, event.clientY)
      .matrixTransform(svg.getScreenCTM().inverse());
    if (x < left || x > right || y < top || y > bottom) return hide();
    const seen = lines.filter(line => line.points.length && !line.group.classList.contains("gone"));
    let said = [], head = "";
    if (!ys) {  // points over names
      const all = seen.flatMap(line => line.points.map(point => ({ line, point })));
      const far = ({ point }) => Math.hypot(point[0] - x, point[1] - y);
      const near = all.reduce((a, b) => far(b) < far(a) ? b : a, all[0]);
      if (!near || far(near) > 12) return hide();
      head = `${axes.label} ${short(toX(near.point[0]))}`;
      cursor.setAttribute("d", `M${near.point[0]} ${top}V${bottom}`);
    } else {
      const ends = seen.flatMap(({ points }) => points.length > 2 ? points.map(p => p[0]) : []);
      const snapped = ends.reduce((a, b) => Math.abs(b - x) < Math.abs(a - x) ? b : a, ends[0] ?? x);
      said = seen.flatMap(({ points, label, colour }) => {
        const k = points.findIndex(p => p[0] >= snapped - .01);
        if (k < 0 || points[0][0] > snapped + .01) return [];
        const [b, a] = [points[k], points[k - 1] || points[k]];
        const share = b[0] > a[0] ? (snapped - a[0]) / (b[0] - a[0]) : 1;
        const height = a[1] + share * (b[1] - a[1]);
        return [{ label, colour, height, value: short(toY(height)) }];
      });
      if (said.length > 8) {  // the nearest alone
        said = [said.reduce((a, b) => Math.abs(b.height - y) < Math.abs(a.height - y) ? b : a)];
      }
      if (!said.length) return hide();
      said.sort((a, b) => a.height - b.height);
      head = `${axes.label} ${short(Math.round(toX(snapped) * 100) / 100)}`;
      cursor.setAttribute("d", `M${snapped} ${top}V${bottom}`);
    }
    tip.replaceChildren(...[{ label: head }, ...said].map(({ label, value, colour }) => {
      const row = document.createElement("div");
      row.textContent = value === undefined ? label : `${label}: ${value}`;
      if (colour) row.style.borderLeft = `4px solid ${colour}`;
      return row;
    }));
    tip.style.display = "block";
    const place = event.clientX + 16 + tip.offsetWidth > innerWidth ? -16 - tip.offsetWidth : 16;
    tip.style.left = `${Math.max(0, event.clientX + place)}px`;
    tip.style.top = `${Math.max(0, event.clientY - tip.offsetHeight - 8)}px`;
  });
}

// ---- demonstrations: the row of an episode shows its line

for (const browser of document.querySelectorAll(".browser")) {
  const svg = browser.querySelector("svg");
  for (const row of browser.querySelectorAll("tbody tr")) {
    const line = svg && svg.querySelector(`.line-${parseInt(row.cells[0].textContent)}`);
    if (!line) continue;
    row.classList.add("shows");
    row.addEventListener("pointerenter", () => line.classList.add("lit"));
    row.addEventListener("pointerleave", () => line.classList.remove("lit"));
    press(row, () => {
      const pressed = line.classList.toggle("kept");
      row.classList.toggle("kept", pressed);
    });
  }
}

if (matchMedia("(prefers-reduced-motion: reduce)").matches) {
  for (const film of document.querySelectorAll("video")) { film.autoplay = false; film.pause(); }
}
