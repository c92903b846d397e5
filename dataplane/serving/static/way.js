// SPDX-License-Identifier: Apache-2.0
// A packet's way through the chains as a picture: boxes in ranks from top to bottom, and arrows.

import { drawn } from "/status/elements.js";

const BOX = { width: 206, height: 42 };
const GAP = { x: 14, y: 32 };
const PADDING = 10;
const MOST_IN_RANK = 9;
const MARKS = { "KUBE-MARK-MASQ": "MASQ", "KUBE-MARK-DROP": "DROP" };
const REFUSES = "refuses the unserved";
const DOES = [
  ["PREROUTING", "arrives"],
  ["INPUT", "for this node"],
  ["FORWARD", "passes this node"],
  ["OUTPUT", "from this node"],
  ["POSTROUTING", "about to leave"],
  ["KUBE-SERVICES", "which service?"],
  ["KUBE-NODEPORTS", "which node port?"],
  ["KUBE-SVC-IP-", "which service?"],
  ["KUBE-SVC-NP-", "which node port?"],
  ["KUBE-FW-", "source ranges"],
  ["KUBE-EXT-", "from outside"],
  ["KUBE-SVC-", "all endpoints"],
  ["KUBE-SVL-", "this node's endpoints"],
  ["KUBE-SEP-", "one endpoint"],
  ["KUBE-FORWARD", "accepts, drops invalid"],
  ["KUBE-PROXY-FIREWALL", "drops if marked"],
  ["KUBE-EXTERNAL-SERVICES", REFUSES],
  ["KUBE-NOEP-", REFUSES],
  ["KUBE-NOEX-", REFUSES],
  ["KUBE-NOPORT-", REFUSES],
  ["KUBE-FIREWALL", "guards 127.0.0.0/8"],
  ["KUBE-POSTROUTING", "masquerades if marked"],
];

export function drawWay(trace, room) {
  const graph = graphOf(trace);
  const ranks = ranksOf(graph);
  const width = Math.max(room, BOX.width + 2);
  const { height, groups } = place(ranks, width);
  const arrows = arrowsOf(graph);
  const names = ranks.map((rank) => rank.map((node) => node.name).join(" or ")).join(", then ");
  const picture = drawn("svg", {
    class: "way",
    width,
    height,
    viewBox: `0 0 ${width} ${height}`,
    role: "img",
    "aria-label": `The way: ${names}`,
  });
  picture.append(...groups.map((group) => drawn("rect", { class: "group", ...group, rx: 12 })));
  picture.append(...arrows.map((arrow) => drawArrow(arrow)));
  picture.append(...ranks.flat().map((node) => drawNode(node)));
  picture.append(...graph.edges.flatMap((edge) => drawOdds(edge, graph)));
  return picture;
}

// Boxes by key, and arrows between them with the odds of being taken.
function graphOf(trace) {
  const graph = { nodes: new Map(), edges: [], hasAssumptions: false };
  const edges = new Map();
  const node = (key, fields) => {
    if (!graph.nodes.has(key)) graph.nodes.set(key, { key, badges: new Set(), rank: 0, ...fields });
    return graph.nodes.get(key);
  };
  const { source, fromThisNode } = trace.packet;
  const start = node("start", {
    name: source,
    text: fromThisNode ? "a process of this node" : "the sender",
    kind: "plain",
  });
  for (const path of trace.paths) {
    graph.hasAssumptions ||= path.assumptions.length > 0;
    let before = start;
    for (const after of [...chainsOf(path, node), endOf(path, node)]) {
      const key = `${before.key} > ${after.key}`;
      if (!edges.has(key)) edges.set(key, { from: before, to: after, odds: 0 });
      edges.get(key).odds += path.probability;
      before = after;
    }
  }
  graph.edges = [...edges.values()];
  return graph;
}

// The boxes of one way. Chains that only set a mark are badges of the chain that sent it there.
function chainsOf(path, node) {
  const found = [];
  const visits = new Map();
  for (const step of path.steps) {
    const before = found.at(-1);
    if (step.chain in MARKS) before?.badges.add(MARKS[step.chain]);
    else if (before?.chain !== step.chain || before?.table !== step.table) {
      const name = `${step.table} ${step.chain}`;
      visits.set(name, (visits.get(name) ?? 0) + 1);
      const key = `${name} ${visits.get(name)}`;
      found.push(
        node(key, {
          name: step.chain,
          chain: step.chain,
          table: step.table,
          kind: step.table,
          text: `${step.table} · ${doesOf(step.chain, step.table)}`,
        }),
      );
    }
    const [, endpoint] = / -j DNAT --to-destination (\S+)/.exec(step.rule) ?? [];
    if (endpoint) showEndpoint(endpoint, step, found, node);
  }
  return found;
}

// In a large cluster endpoints have no chain of their own: they get a box all the same.
function showEndpoint(endpoint, step, found, node) {
  if (step.chain.startsWith("KUBE-SEP-")) found.at(-1).text = `→ ${endpoint}`;
  else found.push(node(`endpoint ${endpoint}`, { name: endpoint, kind: "nat", text: "endpoint" }));
}

function endOf(path, node) {
  const isGood = path.fate === "sent" || path.fate === "delivered";
  const text = path.masqueraded
    ? "with this node's address"
    : path.refusal
      ? path.refusal.where
      : "with its own address";
  return node(`end ${path.fate} ${text}`, {
    name: path.fate,
    text,
    kind: isGood ? "end-good" : "end-bad",
  });
}

function doesOf(chain, table) {
  if (chain === "KUBE-SERVICES" && table === "filter") return REFUSES;
  return (
    DOES.find(
      ([prefix]) => chain === prefix || (prefix.endsWith("-") && chain.startsWith(prefix)),
    )?.[1] ?? "rules"
  );
}

// Each box comes below all that lead to it; of many beside each other only the first are shown.
function ranksOf(graph) {
  for (let round = 0; round < graph.nodes.size; round += 1) {
    let isStable = true;
    for (const { from, to } of graph.edges) {
      if (to.rank <= from.rank && from.rank < graph.nodes.size) {
        to.rank = from.rank + 1;
        isStable = false;
      }
    }
    if (isStable) break;
  }
  const ends = [...graph.nodes.values()].filter((node) => node.kind.startsWith("end-"));
  const lowest = Math.max(...ends.map((node) => node.rank));
  for (const node of ends) node.rank = lowest;
  const ranks = [];
  for (const node of graph.nodes.values()) (ranks[node.rank] ??= []).push(node);
  return ranks.filter((rank) => rank !== undefined).map((rank) => shortened(rank, graph));
}

function shortened(rank, graph) {
  if (rank.length <= MOST_IN_RANK) return rank;
  const hidden = new Set(rank.slice(MOST_IN_RANK - 1));
  const rest = {
    name: `${hidden.size} more`,
    text: "like these",
    kind: "plain",
    badges: new Set(),
  };
  for (const edge of graph.edges) {
    if (hidden.has(edge.from)) edge.from = rest;
    if (hidden.has(edge.to)) edge.to = rest;
  }
  const merged = new Map();
  for (const edge of graph.edges) {
    const same = [...merged.values()].find((one) => one.from === edge.from && one.to === edge.to);
    if (same) same.odds += edge.odds;
    else merged.set(edge, edge);
  }
  graph.edges = [...merged.values()];
  return [...rank.slice(0, MOST_IN_RANK - 1), rest];
}

// Give each box its place. Where those of a rank need several lines, they are a group: arrows lead
// to it and from it, so that none passes behind a box.
function place(ranks, width) {
  const most = Math.max(1, Math.floor((width + GAP.x) / (BOX.width + GAP.x)));
  const groups = [];
  let top = 1;
  for (const rank of ranks) {
    const isGroup = rank.length > most;
    const start = top;
    if (isGroup) top += PADDING;
    for (let first = 0; first < rank.length; first += most) {
      const line = rank.slice(first, first + most);
      const taken = line.length * BOX.width + (line.length - 1) * GAP.x;
      line.forEach((node, index) => {
        node.x = (width - taken) / 2 + index * (BOX.width + GAP.x);
        node.y = top;
      });
      top += BOX.height + (isGroup ? PADDING : 0);
    }
    if (isGroup) {
      const taken = most * BOX.width + (most - 1) * GAP.x + 2 * PADDING;
      const group = { x: (width - taken) / 2, y: start, width: taken, height: top - start };
      for (const node of rank) node.group = group;
      groups.push(group);
    }
    top += GAP.y;
  }
  return { height: top - GAP.y + 1, groups };
}

function drawNode(node) {
  const isEnd = node.kind.startsWith("end-");
  const parts = [
    drawn("rect", {
      class: isEnd ? node.kind : "box",
      width: BOX.width,
      height: BOX.height,
      rx: 8,
    }),
    isEnd
      ? null
      : drawn("rect", { class: node.kind, x: 0, y: 8, width: 3, height: BOX.height - 16, rx: 1.5 }),
    drawn("text", { class: "chain", x: 12, y: 18 }, node.name),
    drawn("text", { class: "does", x: 12, y: 33 }, clipped(node.text)),
    drawn("title", {}, `${node.name}: ${node.text}`),
  ];
  [...node.badges].forEach((badge, index) => {
    const left = BOX.width - 40 - index * 38;
    parts.push(
      drawn("rect", { class: "badge", x: left, y: 24, width: 34, height: 13, rx: 4 }),
      drawn("text", { class: "badge-text", x: left + 17, y: 33.5, "text-anchor": "middle" }, badge),
    );
  });
  return drawn(
    "g",
    { class: "node", transform: `translate(${node.x.toFixed(1)} ${node.y})` },
    ...parts,
  );
}

function clipped(text) {
  return text.length > 32 ? `${text.slice(0, 31)}…` : text;
}

// What the arrows lead from and to: boxes, or groups of them.
function arrowsOf(graph) {
  const found = new Map();
  for (const { from, to } of graph.edges) {
    const [tail, head] = [frameOf(from), frameOf(to)];
    found.set([tail, head].map(({ x, y }) => `${x} ${y}`).join(" > "), [tail, head]);
  }
  return [...found.values()];
}

function frameOf(node) {
  return node.group ?? { x: node.x, y: node.y, ...BOX };
}

function drawArrow([tail, head]) {
  const [x1, y1] = [tail.x + tail.width / 2, tail.y + tail.height];
  const [x2, y2] = [head.x + head.width / 2, head.y];
  const bend = Math.max(14, Math.min((y2 - y1) / 2, 60));
  return drawn(
    "g",
    {},
    drawn("path", {
      class: "edge",
      d: `M${x1} ${y1} C${x1} ${y1 + bend} ${x2} ${y2 - bend} ${x2} ${y2 - 5}`,
    }),
    drawn("path", {
      class: "arrow",
      d: `M${x2 - 4} ${y2 - 7} L${x2 + 4} ${y2 - 7} L${x2} ${y2} Z`,
    }),
  );
}

// Where ways part, how likely each of them is; session affinity knows no odds.
function drawOdds(edge, graph) {
  const all = graph.edges.filter((other) => other.from === edge.from);
  if (all.length < 2 || graph.hasAssumptions) return [];
  const share = edge.odds / all.reduce((sum, other) => sum + other.odds, 0);
  const text = `${(100 * share).toFixed(share < 0.1 ? 1 : 0)} %`;
  const [x, y] = edge.to.group
    ? [edge.to.x + BOX.width - 10, edge.to.y + 33]
    : [edge.to.x + BOX.width / 2 + 9, edge.to.y - 9];
  const [kind, anchor] = edge.to.group ? ["percent inside", "end"] : ["percent", "start"];
  return [drawn("text", { class: kind, x, y, "text-anchor": anchor }, text)];
}
