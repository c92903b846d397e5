// SPDX-License-Identifier: Apache-2.0
// The list of service ports: search, order, a curve for each, endpoints inside.

import {
  ask,
  byId,
  count,
  drawn,
  element,
  rate,
  several,
  showKeyed,
  sparkline,
} from "/status/elements.js";

export const SAMPLES = 60;

const rows = new Map();
const histories = new Map();

export async function refreshServices() {
  const answer = await ask("services", {
    search: byId("search").value.trim(),
    order: byId("order").value,
  });
  byId("services-count").textContent =
    answer.found === answer.total
      ? several(answer.total, "service port")
      : `${count(answer.found)} of ${several(answer.total, "service port")}`;
  const more = answer.found - answer.services.length;
  byId("services-more").hidden = more === 0;
  byId("services-more").textContent = `${count(more)} more; search to see them.`;
  showKeyed(
    byId("services-list"),
    rows,
    answer.services.map((one) => {
      const key = `${one.servicePort} ${one.protocol} ${one.family}`;
      return [key, () => makeRow(one), (row) => updateRow(row, one, remember(key, one))];
    }),
  );
  return answer.connectionsPerSecond;
}

function remember(key, one) {
  if (!histories.has(key)) histories.set(key, []);
  const history = histories.get(key);
  if (one.connectionsPerSecond !== null) history.push(one.connectionsPerSecond);
  history.splice(0, history.length - SAMPLES);
  return history;
}

function makeRow(one) {
  const row = element(
    "details",
    { class: "service" },
    element("summary"),
    element("div", { class: "inside" }),
  );
  row.dataset.service = one.servicePort;
  return row;
}

function updateRow(row, one, history) {
  const [summary, inside] = row.children;
  const vips = one.addresses.map((address) => shown(address));
  const endpoints = several(one.endpointCount, "endpoint");
  summary.replaceChildren(
    element(
      "span",
      { class: "name" },
      one.servicePort,
      element("span", { class: "tag" }, one.protocol),
      element("span", { class: "tag" }, one.family),
      warningOf(one),
    ),
    element(
      "span",
      { class: "where" },
      `${vips.slice(0, 3).join(", ")}${vips.length > 3 ? ", …" : ""} · ${endpoints}`,
    ),
    sparkline(history, SAMPLES, `connections per second, now ${rate(one.connectionsPerSecond)}`),
    element(
      "span",
      { class: "rate" },
      rate(one.connectionsPerSecond),
      element("small", {}, "per second"),
    ),
  );
  // Not under the hands of somebody who is at one of its buttons.
  if (row.open && !inside.contains(document.activeElement)) inside.replaceChildren(...details(one));
  row.ontoggle = () => {
    if (row.open) inside.replaceChildren(...details(one));
  };
}

function shown(address) {
  return address.kind === "nodePort" ? `node port ${address.address}` : address.address;
}

function warningOf(one) {
  if (one.endpointCount > 0) return null;
  return element("span", { class: "pill bad" }, "no endpoints");
}

function details(one) {
  const addresses = one.addresses.map((address) => {
    const label = `${shown(address)}`;
    if (address.kind === "nodePort") return element("span", { class: "tag" }, label);
    const button = element(
      "button",
      { type: "button", class: "address", title: "Trace a packet to it" },
      label,
    );
    button.addEventListener("click", () => {
      byId("trace-to").value = `${address.address}/${one.protocol}`;
      byId("trace").scrollIntoView();
      byId("trace-from").focus();
    });
    return button;
  });
  const policies = [`internal ${one.internalTrafficPolicy}`];
  if (one.externalTrafficPolicy) policies.push(`external ${one.externalTrafficPolicy}`);
  const dropped = Object.values(one.dropped).reduce((sum, number) => sum + number, 0);
  return [
    element("div", { class: "chips" }, ...addresses),
    element(
      "p",
      { class: "quiet" },
      `Traffic policy: ${policies.join(", ")}. Since these rules stand: ` +
        `${several(one.connections, "connection")}, ${several(dropped, "packet")} dropped, ${count(one.rejected)} rejected.`,
    ),
    one.endpoints.length ? endpointTable(one) : null,
  ].filter((part) => part !== null);
}

function endpointTable(one) {
  const highest = Math.max(...one.endpoints.map((endpoint) => endpoint.connections), 1);
  const hidden = one.endpointCount - one.endpoints.length;
  return element(
    "table",
    { class: "endpoints" },
    element(
      "thead",
      {},
      element(
        "tr",
        {},
        element("th", { scope: "col" }, "Endpoint"),
        element("th", { scope: "col" }, "Share"),
        element("th", { scope: "col", class: "number" }, "Connections"),
        element("th", { scope: "col", class: "number" }, "Per second"),
      ),
    ),
    element(
      "tbody",
      {},
      ...one.endpoints.map((endpoint) =>
        element(
          "tr",
          {},
          element(
            "td",
            { class: "mono" },
            endpoint.endpoint,
            endpoint.local ? " " : null,
            endpoint.local ? element("span", { class: "tag" }, "local") : null,
          ),
          element("td", {}, share(endpoint.connections / highest)),
          element("td", { class: "number" }, count(endpoint.connections)),
          element("td", { class: "number" }, rate(endpoint.connectionsPerSecond)),
        ),
      ),
      hidden
        ? element(
            "tr",
            {},
            element("td", { colspan: 4, class: "quiet" }, `and ${count(hidden)} more`),
          )
        : null,
    ),
  );
}

function share(part) {
  return drawn(
    "svg",
    { class: "share", viewBox: "0 0 100 8", preserveAspectRatio: "none", "aria-hidden": "true" },
    drawn("rect", { class: "all", width: 100, height: 8, rx: 2 }),
    drawn("rect", { class: "own", width: (100 * part).toFixed(1), height: 8, rx: 2 }),
  );
}
