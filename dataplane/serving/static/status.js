// SPDX-License-Identifier: Apache-2.0
// The page: asks the agent every two seconds while somebody looks, and shows what it says.

import {
  ask,
  byId,
  clock,
  count,
  element,
  milliseconds,
  rate,
  several,
  sparkline,
} from "/status/elements.js";
import { SAMPLES, refreshServices } from "/status/services.js";
import { refreshSyncs, showLegend } from "/status/syncs.js";
import { prepareTrace } from "/status/trace.js";

const INTERVAL = 2000;

const totals = [];
let isPaused = false;
let answeredAt = null;
let isAsking = false;

function card(title, value, ...below) {
  return element(
    "div",
    { class: "card" },
    element("h3", {}, title),
    element("b", {}, value),
    ...below,
  );
}

function quiet(text) {
  return element("span", { class: "quiet" }, text);
}

function sum(values) {
  return values.reduce((all, one) => all + one, 0);
}

function showOverview(summary, syncs, perSecond) {
  byId("node").textContent = summary.node;
  byId("version").textContent = `Version ${summary.version}.`;
  document.title = `${summary.node} – kube-dataplane`;
  const families = Object.values(summary.families);
  const health = byId("health");
  const setAside = sum(families.map((one) => one.setAside.length));
  if (!summary.healthy) [health.textContent, health.className] = ["late", "pill bad"];
  else if (!summary.nodeEligible)
    [health.textContent, health.className] = ["node is leaving", "pill warn"];
  else if (setAside) [health.textContent, health.className] = ["services set aside", "pill warn"];
  else [health.textContent, health.className] = ["healthy", "pill good"];
  if (perSecond !== null) totals.push(perSecond);
  totals.splice(0, totals.length - SAMPLES);
  const tables = families.flatMap((one) => Object.values(one.tables));
  const endpoints = sum(families.map((one) => one.endpoints));
  const last = syncs.find((one) => !one.error);
  byId("overview").replaceChildren(
    card(
      "Connections per second",
      rate(perSecond),
      sparkline(totals, SAMPLES, "all services together"),
    ),
    card("Services", count(summary.services), quiet(several(endpoints, "endpoint"))),
    card(
      "Rules",
      count(sum(tables.map((one) => one.rules))),
      quiet(
        `in ${several(sum(tables.map((one) => one.chains)), "chain")}, ${Object.keys(summary.families).join(" and ")}`,
      ),
    ),
    card(
      "Last sync",
      last ? milliseconds(last.ms) : "–",
      quiet(last ? `${last.family} at ${clock(last.at)}` : "none yet"),
    ),
    ...(setAside
      ? [
          card(
            "Set aside",
            count(setAside),
            quiet(
              families
                .flatMap((one) => one.setAside)
                .map((one) => one.service)
                .join(", "),
            ),
          ),
        ]
      : []),
  );
}

async function refresh() {
  if (isAsking) return;
  isAsking = true;
  try {
    const [summary, syncs, perSecond] = await Promise.all([
      ask("summary"),
      refreshSyncs(),
      refreshServices(),
    ]);
    showOverview(summary, syncs, perSecond);
    answeredAt = Date.now() / 1000;
    byId("away").hidden = true;
  } catch (error) {
    byId("away").hidden = false;
    const since = answeredAt === null ? "" : ` What you see is from ${clock(answeredAt)}.`;
    byId("away").textContent = `The agent does not answer: ${error.message}.${since}`;
    byId("health").textContent = "unknown";
    byId("health").className = "pill";
  } finally {
    isAsking = false;
  }
}

function lines(sign, kind, rules) {
  return rules.map((rule) => element("div", { class: kind }, `${sign} ${rule}`));
}

function chainDifference(one) {
  const state = !one.inKernel ? "missing chain" : one.isDesired ? "differs" : "should be gone";
  return element(
    "div",
    { class: "chain-diff" },
    element("h3", {}, `${one.family} ${one.table} ${one.chain}: ${state}`),
    ...lines("+", "good", one.missing),
    ...lines("−", "bad", one.surplus),
    ...lines("↕", "warn", one.moved),
  );
}

async function compare() {
  const [button, result] = [byId("compare"), byId("diff-result")];
  button.disabled = true;
  try {
    const answer = await ask("diff");
    const found = answer.differences.map(chainDifference);
    const hidden = answer.chains - found.length;
    const head = answer.same
      ? element(
          "p",
          { class: "note good" },
          `The kernel has exactly the rules that were committed (${answer.families.join(", ")}).`,
        )
      : element(
          "p",
          { class: "note bad" },
          `${several(answer.chains, "chain")} not as committed: ` +
            "+ is missing in the kernel, − is too much there, ↕ stands in another place.",
        );
    const motion = answer.isStill
      ? []
      : [element("p", { class: "note warn" }, "A sync was at work meanwhile; compare again.")];
    const more = hidden
      ? [element("p", { class: "quiet" }, `and ${several(hidden, "chain")} more`)]
      : [];
    result.replaceChildren(head, ...motion, ...found, ...more);
  } catch (error) {
    result.replaceChildren(element("p", { class: "alert" }, error.message));
  } finally {
    button.disabled = false;
  }
}

function prepare() {
  showLegend();
  prepareTrace();
  byId("compare").addEventListener("click", compare);
  byId("pause").addEventListener("click", () => {
    isPaused = !isPaused;
    byId("pause").setAttribute("aria-pressed", String(isPaused));
    byId("pause").textContent = isPaused ? "Resume" : "Pause";
    if (!isPaused) refresh();
  });
  for (const [id, event] of [
    ["search", "input"],
    ["order", "change"],
    ["all-syncs", "change"],
  ]) {
    byId(id).addEventListener(event, refresh);
  }
  document.addEventListener("visibilitychange", () => {
    if (!document.hidden && !isPaused) refresh();
  });
  setInterval(() => {
    if (!isPaused && !document.hidden) refresh();
  }, INTERVAL);
  refresh();
}

prepare();
