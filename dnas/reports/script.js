"use strict";
// Hover values: a chart's numbers lie beside it as JSON; everything is readable without this script. Text is only ever
// set as text, never as HTML.
const SVG = "http://www.w3.org/2000/svg";

function added(parent, name, text = "", space = "") {
  const child = space ? document.createElementNS(space, name) : document.createElement(name);
  if (text) child.textContent = text;
  parent.append(child);
  return child;
}

function shown(value) {
  if (value === null || value === undefined) return "–";
  return Number.isInteger(value) ? value.toLocaleString("en") : String(Number(value.toPrecision(5)));
}

function row(tip, series, text) {
  const line = added(tip, "div");
  const mark = added(line, "i");
  mark.style.setProperty("--c", series.colour);
  added(line, "span", series.name);
  added(line, "b", text);
}

/* The place of the pointer in the units of the drawing. */
function place(svg, event) {
  const box = svg.getBoundingClientRect(), view = svg.viewBox.baseVal;
  return [((event.clientX - box.left) / box.width) * view.width, ((event.clientY - box.top) / box.height) * view.height];
}

function nearest(values, wanted) {
  let best = 0;
  values.forEach((value, i) => {
    if (Math.abs(value - wanted) < Math.abs(values[best] - wanted)) best = i;
  });
  return best;
}

function alongLines(data, x, tip) {
  const [left, , width] = data.plot, [low, high] = data.domain;
  const i = nearest(data.x, low + ((x - left) / width) * (high - low || 1));
  added(tip, "div", `${data.label} ${shown(data.x[i])}`);
  const here = data.series.filter((series) => series.values[i] !== null && series.values[i] !== undefined);
  here.sort((a, b) => b.values[i] - a.values[i]);
  for (const series of here) row(tip, series, shown(series.values[i]) + (data.unit || ""));
  return left + ((data.x[i] - low) / (high - low || 1)) * width;
}

function atPoints(data, x, y, tip) {
  const distances = data.points.map((point) => Math.hypot(point.at[0] - x, point.at[1] - y));
  const point = data.points[nearest(distances, 0)];
  row(tip, point, "");
  for (const text of point.texts) added(tip, "div", text);
  return point.at[0];
}

function follow(figure) {
  const svg = figure.querySelector("svg"), data = JSON.parse(figure.querySelector("script").textContent);
  let tip = null, cross = null;
  const leave = () => {
    if (tip) tip.remove();
    if (cross) cross.remove();
    tip = cross = null;
  };
  const look = (event) => {
    leave();
    tip = added(figure, "div");
    tip.className = "tip";
    const [x, y] = place(svg, event);
    const at = data.points ? atPoints(data, x, y, tip) : alongLines(data, x, tip);
    const [, top, , height] = data.plot, scale = svg.getBoundingClientRect().width / svg.viewBox.baseVal.width;
    cross = added(svg, "line", "", SVG);
    for (const [name, value] of Object.entries({ x1: at, x2: at, y1: top, y2: top + height, class: "cross" }))
      cross.setAttribute(name, value);
    const room = figure.clientWidth - tip.offsetWidth;
    tip.style.left = `${Math.max(0, Math.min(room, at * scale > room ? at * scale - tip.offsetWidth - 10 : at * scale + 10))}px`;
    tip.style.top = `${svg.getBoundingClientRect().top - figure.getBoundingClientRect().top + top * scale}px`;
  };
  svg.addEventListener("pointermove", look);
  svg.addEventListener("pointerdown", look);
  svg.addEventListener("pointerleave", leave);
}

document.querySelectorAll(".chart").forEach((figure) => {
  if (figure.querySelector("script")) follow(figure);
});

// Served pages of what still runs ask every few seconds whether there is anything new; what was opened stays open.
const live = document.body.dataset.live;
if (live) {
  const parts = [...document.querySelectorAll("details")], key = `open ${location.pathname}`;
  for (const i of JSON.parse(sessionStorage.getItem(key) || "[]")) if (parts[i]) parts[i].open = true;
  const again = () => {
    sessionStorage.setItem(key, JSON.stringify(parts.flatMap((part, i) => (part.open ? [i] : []))));
    location.reload();
  };
  let known = null;
  const ask = async () => {
    try {
      const answer = await fetch(live, { cache: "no-store" });
      const state = await answer.text();
      if (known !== null && answer.ok && state !== known) again();
      known = state;
    } catch {
      // the server has ended: the page stays as it is
    }
  };
  ask();
  setInterval(ask, 3000);
}
