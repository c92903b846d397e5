// SPDX-License-Identifier: Apache-2.0
// Making elements, and numbers and times as people read them. Names of Services come from
// strangers: text is always set as text, never as markup.

const SVG = "http://www.w3.org/2000/svg";

function fill(made, attributes, children) {
  for (const [name, value] of Object.entries(attributes)) {
    if (value === true) made.setAttribute(name, "");
    else if (value !== false && value !== null && value !== undefined) {
      made.setAttribute(name, String(value));
    }
  }
  made.append(...children.filter((child) => child !== null && child !== undefined));
  return made;
}

export function element(name, attributes = {}, ...children) {
  return fill(document.createElement(name), attributes, children);
}

export function drawn(name, attributes = {}, ...children) {
  return fill(document.createElementNS(SVG, name), attributes, children);
}

export function byId(id) {
  return document.getElementById(id);
}

// Show `wanted` (a list of [key, element maker, element updater]) as the children of `list`. Those
// that are there already stay, with what is open or has the focus.
export function showKeyed(list, made, wanted) {
  const keys = new Set(wanted.map(([key]) => key));
  for (const [key, one] of made) {
    if (!keys.has(key)) {
      one.remove();
      made.delete(key);
    }
  }
  wanted.forEach(([key, make, update], index) => {
    if (!made.has(key)) made.set(key, make());
    const one = made.get(key);
    update(one);
    if (list.children[index] !== one) list.insertBefore(one, list.children[index] ?? null);
  });
}

const COUNTS = new Intl.NumberFormat("en");

export function count(number) {
  return COUNTS.format(number);
}

export function several(number, one, many = `${one}s`) {
  return `${count(number)} ${number === 1 ? one : many}`;
}

export function rate(perSecond) {
  if (perSecond === null || perSecond === undefined) return "–";
  return perSecond >= 100 ? count(Math.round(perSecond)) : perSecond.toFixed(1);
}

export function milliseconds(ms) {
  if (ms >= 10000) return `${(ms / 1000).toFixed(1)} s`;
  return ms >= 100 ? `${Math.round(ms)} ms` : `${ms.toFixed(1)} ms`;
}

export function clock(secondsSinceEpoch) {
  return new Date(secondsSinceEpoch * 1000).toLocaleTimeString("en-GB");
}

// The answer of a page under /status/api, or an Error with what it says.
export async function ask(name, parameters = {}) {
  const query = new URLSearchParams(parameters).toString();
  const answer = await fetch(`/status/api/${name}${query ? `?${query}` : ""}`, {
    signal: AbortSignal.timeout(15000),
  });
  const isJson = answer.headers.get("Content-Type") === "application/json";
  const body = isJson ? await answer.json() : { error: (await answer.text()).trim() };
  if (!answer.ok) throw new Error(body.error);
  return body;
}

// A curve of numbers, the latest at the right.
export function sparkline(values, most, label) {
  const width = 100;
  const height = 30;
  const highest = Math.max(...values, 1);
  const step = width / (most - 1);
  const left = width - step * (values.length - 1);
  const points = values.map(
    (value, index) =>
      `${(left + index * step).toFixed(1)},${(height - 2 - (value / highest) * (height - 5)).toFixed(1)}`,
  );
  const picture = drawn("svg", {
    class: "spark",
    viewBox: `0 0 ${width} ${height}`,
    preserveAspectRatio: "none",
    role: "img",
    "aria-label": label,
  });
  picture.append(
    drawn("line", { class: "ground", x1: 0, x2: width, y1: height - 1, y2: height - 1 }),
  );
  if (points.length > 1) {
    const area = `${left},${height - 1} ${points.join(" ")} ${width},${height - 1}`;
    picture.append(
      drawn("polygon", { class: "area", points: area }),
      drawn("polyline", { class: "curve", points: points.join(" ") }),
    );
  }
  return picture;
}
