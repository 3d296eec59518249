
// Families and their series, and which part of a series a line of the text is.

// What is kept is bounded: points of a series, how many series have them, and cells of all heat strips.
const POINTS = 150, MOST_LINES = 12000, MOST_CELLS = 6e6;
// In seconds: what a line, a strip and a quantile are of, and the pause over which no line goes on.
const LINE = 300, STRIP = 120, RECENT = 30, GAP = 60;

const families = new Map();
const natural = new Intl.Collator("en", { numeric: true }).compare;
const flows = (type) => /^(counter|histogram|summary)$/.test(type);

// When the last scrapes were: a tick takes as long as it takes.
const times = new Float64Array(POINTS).fill(NaN);
let tick = POINTS, last = 0, changed = true, sparks = 0, cells = 0;
// The samples in the order in which they came, and what the server says in comments.
let order = [], next, remarks = [];

const at = (back) => (tick - back) % POINTS;
// Seconds from that scrape to the last one.
const ago = (back) => (last - times[at(back)]) / 1000;

function family(name) {
  let f = families.get(name);
  if (!f) families.set(name, f = { name, type: "untyped", help: "", series: new Map() });
  return f;
}

function cool(s) {
  if (s.heat) cells -= s.heat.length;
  s.heat = null;
}

// The one way out, because another series gets what this one had.
function forget(s) {
  cool(s);
  if (s.spark) sparks--;
  s.f.series.delete(s.key);
  s.gone = changed = true;
}

function seriesOf(f, labels) {
  const key = JSON.stringify(labels);
  let s = f.series.get(key);
  if (!s) {
    const words = labels.map((label) => label.join("=")).join(" ").toLowerCase();
    f.series.set(key, s = { f, key, labels, words, parts: [], rate: NaN, resets: [] });
    f.unsorted = changed = true;
  }
  return s;
}

function partOf(s, bound) {
  let part = s.parts.find((part) => part.bound === bound);
  if (!part) {
    s.parts.push(part = { bound, now: NaN });
    s.parts.sort((a, b) => a.bound - b.bound);
    cool(s);
  }
  return part;
}

// Which series a line is of, below the TYPE of `current`, and which part of it.
function place(raw, current) {
  const found = identity(raw);
  if (!found) return null;
  const [name, labels] = found, type = current?.type, own = type === "histogram" || type === "summary";
  const suffix = current && name.startsWith(current.name) ? name.slice(current.name.length) : null;
  if (own && (suffix === "_sum" || suffix === "_count")) {
    return { raw, current, s: seriesOf(current, labels), role: suffix.slice(1) };
  }
  if (own && suffix === (type === "histogram" ? "_bucket" : "")) {
    const key = type === "histogram" ? "le" : "quantile", label = labels.find((l) => l[0] === key);
    const bound = label && number(label[1]);
    if (isNaN(bound)) return null;
    const s = seriesOf(current, labels.filter((l) => l !== label));
    return { raw, current, s, part: partOf(s, bound) };
  }
  const f = suffix !== "" || own ? family(name) : current;
  return { raw, current, s: seriesOf(f, labels), role: "value" };
}

// The entry of a sample's line, with its value. Lines come in the order of the last scrape, except for some.
function sample(line, current) {
  for (let i = next; i < next + 64 && i < order.length; i++) {
    const known = order[i], { raw, s } = known;
    if (known.current !== current || s.gone || !line.startsWith(raw) || line[raw.length] !== " ") continue;
    next = i + 1;
    if (known.line === line) return known;
    return valued(known, line, line.slice(raw.length));
  }
  // No value holds a brace, so the last one ends the labels.
  const text = line.trim(), cut = text.lastIndexOf("}") + 1 || text.search(/\s/), known = cut > 0 && place(text.slice(0, cut), current);
  return known && valued(known, line, text.slice(cut));
}

// The entry with the value that stands here, perhaps with a time after it.
function valued(known, line, text) {
  const value = number(/^\s*(\S+)(\s+-?\d+)?\s*$/.exec(text)?.[1]);
  return value === undefined ? null : Object.assign(known, { line, value });
}

function note({ s, part, role, value }) {
  // What no longer comes is not as it was.
  if (s.seen !== tick) s.seen = s.f.settled = tick, s.value = s.sum = s.count = NaN;
  // The first one holds.
  if (role) s[role] = isNaN(s[role]) ? value : s[role];
  else if (part.seen !== tick) part.seen = tick, part.before = part.now, part.now = value;
}

// Returns the family that this line describes; the one before, where it describes none.
function comment(line, current) {
  const said = described(line);
  if (!said) {
    if (line.length > 2) remarks.push(line.slice(1).trim());
    return current;
  }
  const [what, name, text] = said;
  let f = family(name);
  if (what === "HELP") {
    if (f.help !== text && f.series.size) changed = true;
    f.help = text;
  } else if (f.settled !== tick) {
    // One TYPE, above the samples: another one is none.
    f.settled = tick;
    if (f.type === text) return f;
    f.series.forEach(forget);
    families.set(name, f = { ...f, type: text });
  }
  return f;
}

function take(text) {
  const now = Date.now();
  // A clock that was set back no longer knows how long ago anything was.
  if (now <= last) times.fill(NaN);
  last = times[++tick % POINTS] = now;
  const came = [];
  let f = null;
  next = 0;
  remarks = [];
  for (const line of text.split("\n")) {
    const first = line.trimStart()[0];
    if (first === "#") f = comment(line.trim(), f);
    else if (first) {
      const known = sample(line, f);
      if (!known) continue;
      note(known);
      came.push(known);
    }
  }
  order = came;
  const seconds = ago(1);
  for (const f of families.values()) {
    for (const s of f.series.values()) s.seen === tick ? follow(s, f.type, seconds) : forget(s);
    if (!f.series.size) families.delete(f.name);
    else if (f.unsorted) f.series = new Map([...f.series].sort((a, b) => natural(a[1].words, b[1].words)));
    f.unsorted = false;
  }
}

function follow(s, type, seconds) {
  let point = s.value;
  if (flows(type)) {
    const now = type === "counter" ? s.value : s.count, reset = now < s.before;
    if (reset) s.resets = [...s.resets.filter((then) => then > tick - POINTS), tick];
    // After a reset all that is there has come since: never a negative rate.
    point = s.rate = (reset ? now : now - s.before) / seconds;
    s.before = now;
  }
  if (!s.spark && sparks < MOST_LINES) s.spark = new Float64Array(POINTS).fill(NaN), sparks++;
  if (s.spark) s.spark[at(0)] = point;
  if (!s.parts.length) return;
  if (s.parts.some((part) => part.seen !== tick)) {
    s.parts = s.parts.filter((part) => part.seen === tick);
    cool(s);
  }
  if (type === "histogram") warm(s);
}

function warm(s) {
  const size = s.parts.length;
  if (s.heat) {
    const reset = s.parts[size - 1].now < s.parts[size - 1].before;
    let below = 0;
    s.parts.forEach((part, i) => {
      const come = reset ? part.now : part.now - part.before;
      s.heat[at(0) * size + i] = Math.max(0, come - below) || 0;
      below = come;
    });
  } else if (size && cells + POINTS * size <= MOST_CELLS) {
    s.heat = new Float32Array(POINTS * size);
    s.born = tick;
    cells += s.heat.length;
  }
}
