
// Draws the visible rows. The document contains no others.

const here = new Map(), sections = new Map();

function make(name, parent, kind, text, title) {
  const e = document.createElement(name);
  if (kind) e.className = kind;
  if (text !== undefined) e.textContent = text;
  if (title) e.title = title;
  parent.append(e);
  return e;
}

function cell(name, parent, kind, role = "gridcell") {
  const e = make(name, parent, kind);
  e.role = role;
  return e;
}

// Writes only changes, because a write to the document is slower than a comparison.
function put(e, text, title) {
  if (e.was !== text) e.textContent = e.was = text;
  if (title !== undefined && e.title !== `${title}`) e.title = title;
}

const kindOf = (type) => flows(type) || type === "gauge" ? type : "plain";

// Returns a label as a button that searches for it. It is cut at its start, because most labels differ at their ends.
// The arrow keys of the list move the focus to a button.
function button(parent, text, act, kind, title) {
  const e = make("button", parent, kind, text, title);
  e.onclick = (event) => {
    event.stopPropagation();
    act();
  };
  if (list.contains(parent) || !parent.isConnected) e.tabIndex = -1;
  return e;
}

function chip(parent, label, text = label.join("=")) {
  const e = button(parent, "", () => filterBy(label), "chip", label.join("="));
  make("bdi", e, "", text);
  e.label = label;
  return e;
}

function buildSeries(e, { s, shared, by }) {
  const labels = cell("div", e, "labels", "rowheader");
  const own = s.labels.filter((label) => !shared.some((l) => l[0] === label[0]));
  for (const label of own) chip(labels, label, by.length === 1 ? label[1] || '""' : undefined);
  if (!own.length) labels.append(s.labels.length ? "all labels above" : "no labels");
}

function buildFamily(e, { key, f, shared, by, of, solo }) {
  const head = cell("div", e, "head", "rowheader"), first = make("div", head);
  make("span", first, "name", f.name, f.name);
  make("span", first, "type", f.type);
  if (!solo) make("span", first, "by", `${by.length ? `by ${by.join(", ")} · ` : ""}${digits(of.length)}`);
  for (const label of shared) chip(first, label);
  e.about = make("span", head, "about");
  if (!solo) button(head, "›", () => openPanel(key), "details", "(i)").ariaLabel = `Details of ${f.name}`;
}

function build(row) {
  const e = document.createElement("div");
  e.className = row.kind;
  e.role = "row";
  e.ariaLevel = row.level;
  if (row.kind === "group") {
    put(cell("span", e, "name", "rowheader"), row.name);
    e.count = cell("span", e, "dim");
  } else if (row.kind === "more") {
    e.count = cell("span", e, "link", "rowheader");
  } else {
    e.classList.add(kindOf(row.f.type));
    if (row.solo) e.classList.add("solo");
    row.kind === "series" ? buildSeries(e, row) : buildFamily(e, row);
    e.graph = cell("canvas", e, "graph");
    e.value = cell("div", e, "value");
    e.text = cell("div", e, "rate");
  }
  return e;
}

// Writes a value and its caption, which is an attribute because most values have none.
function figure(e, [caption, text, title]) {
  put(e, text, title);
  if (e.dataset.of !== caption) e.dataset.of = caption;
}

function tellFigures(e, all) {
  while (e.childElementCount > all.length) e.lastChild.remove();
  all.forEach((one, i) => figure(e.children[i] || make("span", e), one));
}

const QUANTILES = [50, 90, 99];

// Returns [values, rate] as captions with texts.
function figures(s) {
  const { name, type } = s.f, caption = s.of ? `sum of ${digits(s.of.length)}` : isMoment(s.value, name) ? date(s.value) : "", value = () => [[caption, shown(s.value, name), s.value]];
  const observed = () => ["avg " + (s.count ? shown(s.sum / s.count, name) : "–"), perSecond(s.rate), `${s.count} observations, sum ${s.sum}`];
  if (type === "counter") return [value(), ["", perSecond(s.rate, name), `per second: ${s.rate}`]];
  if (type === "histogram") {
    const [counts, span] = distribution(s);
    const of = (p) => quantile(p / 100, s.parts, counts), text = (q) => isNaN(q) ? "–" : shown(q, name);
    return [QUANTILES.map((p) => ["p" + p, text(of(p)), `${of(p)}, ${span}`]), observed()];
  }
  if (type === "summary") {
    const parts = s.parts.slice(0, 4).map((part) => ["p" + short(part.bound * 100), shown(part.now, name), part.now]);
    return [parts.length ? parts : [["count", digits(s.count), s.count]], observed()];
  }
  if (!s.of || summed(s.f)) return [value(), ["", ""]];
  const low = shown(s.low, name), high = shown(s.high, name);
  return [[["range of " + digits(s.of.length), low === high ? low : s.low < s.high ? `${low} to ${high}` : "NaN"]], ["", ""]];
}

function fill(e, row) {
  if (row.kind === "group") return put(e.count, plural(row.count, "family", "families"));
  if (row.kind === "more") return put(e.count, row.text);
  if (e.about) put(e.about, row.f.help);
  if (e.drawn !== tick) {
    const s = row.s || total(row.of);
    const [values, rate] = figures(s), kind = kindOf(row.f.type);
    tellFigures(e.value, values);
    figure(e.text, rate);
    put(e.graph, "", s.heat ? heatStrip(e.graph, s, kind) : sparkline(e.graph, s, kind));
    e.drawn = tick;
  }
  for (const button of e.getElementsByClassName("chip")) button.ariaPressed = wanted.some((token) => is(token, button.label));
}

// Returns the index of the first row that ends below y.
function rowAt(y) {
  let low = 0, high = rows.length;
  while (low < high) {
    const mid = (low + high) >> 1;
    if (tops[mid + 1] > y) high = mid;
    else low = mid + 1;
  }
  return low;
}

// Returns the offset in the list where the visible part begins.
const edge = () => $("tools").getBoundingClientRect().bottom + $("heads").offsetHeight - list.getBoundingClientRect().top;
const hold = () => (here.get(active) || list).focus({ preventScroll: true });

// Computes the rows again. With `steady` the visible rows keep their positions if rows above them change.
function relay(steady) {
  const y = scrollY, from = edge(), old = rows, was = tops;
  let i = rowAt(from);
  lay();
  changed = false;
  while (i < old.length && !places.has(old[i].key)) i++;
  list.style.height = tops.at(-1) + "px";
  list.ariaRowCount = rows.length + 1;
  if (steady && from > was[0] && i < old.length) scrollTo(0, y + tops[places.get(old[i].key)] - was[i]);
}

// Returns the rows that are visible or have the focus, and the sticky heads of their families.
function inSight() {
  const seen = new Set(), see = (i) => i >= 0 && seen.add(rows[i].block.head).add(i);
  const until = Math.min(rows.length - 1, rowAt(innerHeight + 60 - list.getBoundingClientRect().top));
  see(places.get(active));
  for (let i = rowAt(edge() - 60); i <= until; i++) see(i);
  return [...seen].sort((a, b) => a - b);
}

// Returns the element of a key, and moves it to its place.
function placed(all, key, parent, next, built) {
  let e = all.get(key);
  if (!e) all.set(key, e = built());
  if (e !== next) parent.insertBefore(e, next);
  return e;
}

// Returns whether a row must be built again, because its series, its family or the labels in its head are different.
const isOther = (a, b) => !b || a.s !== b.s || a.f !== b.f || a.look !== b.look;

function drawRows() {
  const seen = inSight(), inView = new Map(seen.map((i) => [rows[i].key, rows[i]])), heads = new Set(seen.map((i) => rows[i].block.key));
  for (const [key, e] of here) if (isOther(e.row, inView.get(key))) here.delete(key), e.remove();
  for (const [key, e] of sections) if (!heads.has(key)) sections.delete(key), e.remove();
  let next = $("heads").nextSibling, section, block, below;
  seen.forEach((i, n) => {
    const row = rows[i];
    if (row.block !== block) {
      block = row.block;
      section = placed(sections, block.key, list, next, () => cell("div", list, "", "rowgroup"));
      section.style.top = block.top + "px";
      section.style.height = block.height + "px";
      next = section.nextSibling;
      below = section.firstChild;
    }
    const e = placed(here, row.key, section, below, () => build(row));
    below = e.nextSibling;
    if (row.of && e.row !== row) e.drawn = 0;
    e.row = row;
    if (i !== block.head) e.style.top = tops[i] - block.top + "px";
    e.style.height = row.height + "px";
    e.ariaRowIndex = i + 2;
    if (row.kind !== "more" && !isFlat(row)) e.ariaExpanded = isOpen(row);
    e.tabIndex = (active ? row.key === active : !n) ? 0 : -1;
    if (!graphWidth && e.graph) graphWidth = e.graph.clientWidth;
    fill(e, row);
  });
}

function draw(steady) {
  const held = list.contains(document.activeElement) && document.activeElement !== list;
  if (last && (changed || steady && isStale())) {
    if (changed) offer();
    relay(steady);
  }
  drawRows();
  drawPanel();
  if (held && !list.contains(document.activeElement)) hold();
}

let frame;
function redraw(all) {
  changed = changed || all === true;
  cancelAnimationFrame(frame);
  frame = requestAnimationFrame(() => draw());
}
