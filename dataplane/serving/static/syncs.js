// SPDX-License-Identifier: Apache-2.0
// The last syncs, each with what changed and a bar of its phases.

import {
  ask,
  byId,
  clock,
  drawn,
  element,
  milliseconds,
  several,
  showKeyed,
} from "/status/elements.js";

const PHASES = {
  build: "building rules",
  lock: "waiting for the xtables lock",
  compare: "comparing and editing",
  kernel: "reading and committing",
};

const rows = new Map();

export function showLegend() {
  byId("legend").replaceChildren(
    ...Object.entries(PHASES).map(([name, text]) =>
      element(
        "li",
        {},
        drawn(
          "svg",
          { viewBox: "0 0 8 8", "aria-hidden": "true" },
          drawn("rect", { class: name, width: 8, height: 8, rx: 2 }),
        ),
        text,
      ),
    ),
  );
}

export async function refreshSyncs() {
  const { syncs } = await ask("syncs");
  const isWanted = (one) => byId("all-syncs").checked || one.error || changesOf(one).length > 0;
  const wanted = syncs.filter(isWanted).slice(0, 20);
  const longest = Math.max(...wanted.map((one) => total(phasesOf(one))), 1);
  showKeyed(
    byId("syncs-list"),
    rows,
    wanted.map((one) => [one.number, () => makeRow(one), (row) => updateBar(row, one, longest)]),
  );
  return syncs;
}

function makeRow(one) {
  const changes = changesOf(one);
  const what = one.error ?? (changes.join("; ") || quietText(one));
  return element(
    "details",
    { class: "sync" },
    element(
      "summary",
      {},
      element(
        "span",
        { class: "when" },
        clock(one.at),
        " ",
        element("span", { class: "tag" }, one.family),
      ),
      element("span", { class: "what" }, pill(one), what),
      element("span", { class: "chart" }),
      element("span", { class: "took" }, milliseconds(one.ms), waitOf(one)),
    ),
    element("div", { class: "inside" }, factsOf(one)),
  );
}

function waitOf(one) {
  if (one.error || one.phases.queue < 1) return null;
  return element("small", {}, `after ${milliseconds(one.phases.queue)}`);
}

function quietText(one) {
  return one.times === 1 ? "nothing to change" : `nothing to change, ${one.times} times in a row`;
}

function pill(one) {
  if (one.error) return element("span", { class: "pill bad" }, "failed");
  const repaired = Object.values(one.tables).some((table) => rulesOf(table.repairs));
  return repaired ? element("span", { class: "pill warn" }, "repaired") : null;
}

function rulesOf(changes) {
  return [
    ["rules", changes.rulesAdded, changes.rulesDeleted],
    ["chains", changes.chainsAdded, changes.chainsDeleted],
  ]
    .filter(([, added, deleted]) => added || deleted)
    .map(([what, added, deleted]) => `${what} +${added} −${deleted}`)
    .join(", ");
}

function changesOf(one) {
  if (one.error) return [];
  const found = ["services", "endpoints"].flatMap((what) => {
    const { added, removed, changed } = one[what];
    const counts = [
      ["+", added],
      ["−", removed],
      ["~", changed],
    ].filter(([, number]) => number);
    return counts.length
      ? [`${what} ${counts.map(([sign, number]) => sign + number).join(" ")}`]
      : [];
  });
  for (const [table, done] of Object.entries(one.tables)) {
    if (rulesOf(done.changes)) found.push(`${table}: ${rulesOf(done.changes)}`);
    if (rulesOf(done.repairs)) found.push(`${table} repaired: ${rulesOf(done.repairs)}`);
  }
  return found;
}

// The phases of all tables together, in the order of the legend.
function phasesOf(one) {
  if (one.error) return [["compare", one.ms]];
  const { queue: _, build, ...tables } = one.phases;
  const sum = (phase) => Object.values(tables).reduce((all, table) => all + table[phase], 0);
  return [["build", build], ...["lock", "compare", "kernel"].map((name) => [name, sum(name)])];
}

function total(phases) {
  return phases.reduce((all, [, ms]) => all + ms, 0);
}

function updateBar(row, one, longest) {
  const phases = phasesOf(one);
  const label = phases.map(([name, ms]) => `${PHASES[name]} ${milliseconds(ms)}`).join(", ");
  const bar = drawn(
    "svg",
    {
      class: "bars",
      viewBox: "0 0 200 12",
      preserveAspectRatio: "none",
      role: "img",
      "aria-label": label,
    },
    drawn("rect", { class: "trough", width: 200, height: 12 }),
  );
  let left = 0;
  for (const [name, ms] of phases) {
    const width = (200 * ms) / longest;
    bar.append(
      drawn("rect", { class: name, x: left.toFixed(2), width: width.toFixed(2), height: 12 }),
    );
    left += width;
  }
  row.querySelector(".chart, .bars").replaceWith(bar);
}

function factsOf(one) {
  const facts = [
    ["reason", one.reason],
    ["took", milliseconds(one.ms)],
  ];
  if (one.error) facts.push(["error", one.error]);
  else {
    for (const what of ["services", "endpoints"]) {
      const { added, removed, changed, names } = one[what];
      const left = added + removed + changed - names.length;
      if (names.length)
        facts.push([
          what,
          names.join(", ") + (left ? ` and ${several(left, "more", "more")}` : ""),
        ]);
    }
    facts.push(
      ["waited", `${milliseconds(one.phases.queue)} in the queue`],
      ["build", milliseconds(one.phases.build)],
    );
    for (const table of Object.keys(one.tables)) {
      const times = one.phases[table];
      facts.push([
        table,
        `${milliseconds(times.ms)}: lock ${milliseconds(times.lock)}, ` +
          `compare ${milliseconds(times.compare)}, kernel ${milliseconds(times.kernel)}`,
      ]);
    }
    if (one.setAside.length) facts.push(["set aside", one.setAside.join(", ")]);
  }
  return element(
    "dl",
    { class: "facts" },
    ...facts.flatMap(([name, text]) => [element("dt", {}, name), element("dd", {}, text)]),
  );
}
