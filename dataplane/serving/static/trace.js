// SPDX-License-Identifier: Apache-2.0
// The form that asks where a packet goes, and the answer: what becomes of it, and its way.

import { ask, byId, element, several } from "/status/elements.js";
import { drawWay } from "/status/way.js";

const REASONS = {
  notReady: "not ready",
  terminating: "terminating",
  otherNode: "for another node",
  otherZone: "for another zone",
  notInRules: "not in these rules",
};
const REFUSALS = {
  sourceRanges: (where) => `the source ranges of ${where} do not admit the sender`,
  noEndpoints: (where) => `${where} has no endpoints`,
  noLocalEndpoints: (where) => `${where} has no endpoints on this node, and its policy is Local`,
  loopbackGuard: () => "127.0.0.0/8 is closed to the network",
  otherRule: (where) => `a rule of ${where} says so`,
  chainPolicy: (where) => `that is the policy of ${where}`,
};

let last = null;

export function prepareTrace() {
  byId("trace-form").addEventListener("submit", (event) => {
    event.preventDefault();
    follow(event.target);
  });
  new ResizeObserver(() => {
    const picture = byId("trace-result").querySelector(".way");
    if (picture !== null && last !== null)
      picture.replaceWith(drawWay(last, byId("trace-result").clientWidth));
  }).observe(byId("trace"));
}

async function follow(form) {
  const given = Object.fromEntries(
    [...new FormData(form)].filter(([, value]) => value.trim() !== ""),
  );
  const button = form.querySelector("button");
  button.disabled = true;
  try {
    last = await ask("trace", given);
    showError("");
    show(last);
  } catch (error) {
    last = null;
    byId("trace-result").hidden = true;
    showError(error.message);
  } finally {
    button.disabled = false;
  }
}

function showError(text) {
  byId("trace-error").textContent = text;
  byId("trace-error").hidden = text === "";
  for (const name of ["from", "to", "in"]) {
    byId(`trace-${name}`).setAttribute("aria-invalid", String(text.startsWith(name)));
  }
}

function show(trace) {
  const result = byId("trace-result");
  result.hidden = false;
  const hidden = trace.pathCount - trace.paths.length;
  result.replaceChildren(
    element("ul", { class: "fates" }, ...fatesOf(trace).map(fateLine)),
    ...(hidden
      ? [element("p", { class: "quiet" }, `and ${several(hidden, "more way", "more ways")}`)]
      : []),
    ...(trace.absent.length ? [absentLine(trace)] : []),
    drawWay(trace, result.clientWidth),
    element(
      "details",
      { class: "words" },
      element("summary", {}, "The rules that it meets"),
      element("pre", {}, trace.words),
    ),
  );
}

// Ways with the same end and the same assumptions are one line.
function fatesOf(trace) {
  const found = new Map();
  for (const path of trace.paths) {
    const { steps, odds, probability, ...end } = path;
    const key = JSON.stringify(end);
    found.set(key, { ...end, probability: (found.get(key)?.probability ?? 0) + probability });
  }
  return [...found.values()];
}

function fateLine(end) {
  const isGood = end.fate === "sent" || end.fate === "delivered";
  const remembered = end.assumptions.filter((one) => one.remembered).length > 0;
  const notes = [];
  if (end.masqueraded) notes.push("masqueraded");
  if (end.refusal)
    notes.push((REFUSALS[end.refusal.policy] ?? ((where) => where))(end.refusal.where));
  if (end.assumptions.length)
    notes.push(remembered ? "if it remembers the client" : "if no endpoint remembers the client");
  return element(
    "li",
    {},
    element(
      "span",
      { class: "odds" },
      `${(100 * end.probability).toFixed(end.probability === 1 ? 0 : 2)} %`,
    ),
    element("span", { class: `pill ${isGood ? "good" : "bad"}` }, end.fate),
    element(
      "span",
      { class: "mono" },
      isGood ? `to ${end.endpoint ? "endpoint " : ""}${end.destination}` : end.destination,
    ),
    notes.length ? element("span", { class: "quiet" }, notes.join(", ")) : null,
  );
}

function absentLine(trace) {
  const named = trace.absent
    .slice(0, 5)
    .map((one) => `${one.endpoint} (${REASONS[one.reason] ?? one.reason})`);
  const hidden = trace.absentCount - named.length;
  return element(
    "p",
    { class: "quiet" },
    `Not among its endpoints: ${named.join(", ")}${hidden ? ` and ${hidden} more` : ""}.`,
  );
}
