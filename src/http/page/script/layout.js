
// Computes the rows, their order and their heights.

// A family with more than MANY series shows the TOP ones.
const MANY = 10, TOP = 5, MOST_CONTENTS = 24;
// The number of ticks for which an order by values is kept, so that rows can be read.
const STEADY = 5;
// The families of the default collectors and of the server. `process_orders_total` belongs to the program.
const BUILT_IN = /^(process)_(cpu_seconds_total|(open|max)_fds|(virtual|resident)_memory_(max_)?bytes|start_time_seconds|threads)$|^(tokio|prometheus_exporter)_/;

const view = { group: "", sort: "name", show: "all", folded: false };
// The state that the user has set of a row, by its key: "open", "closed" or "all", which is open with all series.
const chosen = new Map();
let rows = [], tops = [0], blocks = [], places = new Map(), wanted = [], active, laid;

function builtIn(f) {
  const found = f.builtIn ??= BUILT_IN.exec(f.name) || [];
  return found[1] || found[6] || "";
}

// Returns [name, rank] of a group: first the program's series, then those without the label, then the built-in ones.
function groupOf(s) {
  const { group } = view, own = builtIn(s.f), label = s.labels.find((l) => "label " + l[0] === group);
  if (label) return [label.join(" = "), 0];
  if (own) return [own, 2];
  if (group === "prefix") return [prefix(s.f.name), 0];
  return group ? [`no \`${group.slice(6)}\` label`, 1] : ["", 0];
}

const prefix = (name) => name.split(/[_:.]/, 1)[0];

function isOpen({ key, kind, rank }) {
  const state = chosen.get(key);
  return state ? state !== "closed" : kind === "group" ? rank < 2 || wanted.length > 0 : !view.folded;
}

const size = (s) => flows(s.f.type) && s.f.type !== "counter" ? s.count : s.value;
const WEIGHTS = { name: null, value: size, rate: (s) => flows(s.f.type) ? s.rate : NaN, change };
const SHOWN = { all: () => true, zero: (s) => size(s) !== 0, moving: (s) => s.rate > 0 || change(s) > 0 };

// Sorts the greatest values first, and NaN last.
function ranked(all, by) {
  const weighed = all.map((one) => [by(one), one]);
  for (const pair of weighed) if (isNaN(pair[0])) pair[0] = -Infinity;
  return weighed.sort((a, b) => b[0] - a[0] || 0).map((pair) => pair[1]);
}

// Returns the labels that all series share, and the names of the labels in which they differ.
function common(of) {
  const has = (s, [label, value]) => matches(s, { label, value });
  const shared = of[0].labels.filter((label) => of.every((s) => has(s, label))), by = new Set();
  for (const s of of) for (const label of s.labels) if (!shared.some((l) => l[0] === label[0])) by.add(label[0]);
  return { shared, by: [...by] };
}

// Returns the groups of the search results, with their families and series.
function collect() {
  const groups = new Map();
  let series = 0, all = 0, ours = 0;
  for (const f of [...families.values()].sort((a, b) => a.name < b.name ? -1 : 1)) {
    all += f.series.size;
    if (!builtIn(f)) ours++;
    for (const s of f.series.values()) {
      if (!wanted.every((token) => matches(s, token)) || !SHOWN[view.show](s)) continue;
      const [name, rank] = groupOf(s);
      if (!groups.has(name)) groups.set(name, { name, rank, families: new Map() });
      const of = groups.get(name).families;
      if (!of.has(f)) of.set(f, []);
      of.get(f).push(s);
      series++;
    }
  }
  tell(series, all, ours);
  return [...groups.values()].sort((a, b) => a.rank - b.rank || natural(a.name, b.name));
}

const WIDE = { group: 40, family: 50, series: 34, tall: 46, more: 36 }, NARROW = { group: 48, family: 68, series: 64, tall: 64, more: 48 };

function add(row) {
  const top = tops.at(-1);
  row.height = (narrow.matches ? NARROW : WIDE)[row.tall ? "tall" : row.kind];
  if (!row.up) blocks.push({ key: row.key, top, height: 0, head: rows.length });
  row.block = blocks.at(-1);
  row.block.height += row.height;
  tops.push(top + row.height);
  places.set(row.key, rows.length);
  rows.push(row);
}

function addFamily(f, of, group, level) {
  const key = group + f.name, solo = f.series.size === 1, labels = common(of.length > 1 ? of : [...f.series.values()]);
  const both = { f, ...labels, look: JSON.stringify([labels, of.length]) };
  const row = { kind: "family", key, of, solo, level, ...both };
  add(row);
  if (solo || !isOpen(row)) return;
  const by = WEIGHTS[view.sort], sorted = by ? ranked(of, by) : of;
  // Error counters at zero are only part of the sum.
  const some = !wanted.length && builtIn(f) === "prometheus_exporter" ? sorted.filter((s) => size(s) !== 0) : sorted;
  const top = some.length > MANY ? (by ? some : ranked(some, flows(f.type) ? WEIGHTS.rate : size)).slice(0, TOP) : some;
  const whole = chosen.get(key) === "all", hidden = sorted.length - top.length;
  for (const s of whole ? sorted : top) {
    add({ kind: "series", key: key + "\n" + s.key, s, up: key, level: level + 1, tall: f.type === "histogram", ...both });
  }
  const text = whole ? "Show fewer" : `Show ${digits(hidden)} ${top === some ? "of zero" : "more"}`;
  if (hidden) add({ kind: "more", key: key + "\nmore", up: key, text, level: level + 1 });
}

function lay() {
  wanted = tokens();
  rows = [];
  blocks = [];
  tops = [$("heads").offsetHeight];
  places = new Map();
  const by = WEIGHTS[view.sort], greatest = by && (([, of]) => by(ranked(of, by)[0]));
  for (const { name, rank, families } of collect()) {
    const group = name && { kind: "group", key: name + "\n", name, rank, count: families.size, level: 1 };
    if (group) add(group);
    if (group && !isOpen(group)) continue;
    for (const [f, of] of by ? ranked([...families], greatest) : families) addFamily(f, of, group ? group.key : "", group ? 2 : 1);
  }
  laid = tick;
  $("fold").ariaPressed = view.folded;
  if (!places.has(active)) active = null;
  contents();
  keep();
}

// Returns whether the order depends on values that have changed since.
const isStale = () => tick - laid >= STEADY || tick === POINTS + 2;
