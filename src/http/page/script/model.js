
// Stores families and series, and assigns each line of the text to a part of a series.

// Limits of the points of a series, of the series with points, and of the cells of all heat maps.
const POINTS = 150, MOST_LINES = 12000, MOST_CELLS = 6e6;
// Times in seconds: of a line, a heat map and a quantile, and the pause that interrupts a line.
const LINE = 300, STRIP = 120, RECENT = 30, GAP = 60;

const families = new Map();
const natural = new Intl.Collator("en", { numeric: true }).compare;
const flows = (type) => /^(counter|histogram|summary)$/.test(type);

// The times of the last scrapes. The time between two ticks varies.
const times = new Float64Array(POINTS).fill(NaN);
let tick = POINTS, last = 0, changed = true, sparks = 0, cells = 0;
// The samples in the order of the last scrape, and the server's comments.
let order = [], next, remarks = [];

const at = (back) => (tick - back) % POINTS;
// Returns the seconds between a scrape and the last one.
const ago = (back) => (last - times[at(back)]) / 1000;

// A copy in one piece, because V8 keeps a part of a string as a slice, which keeps all of a scrape's text.
const flat = (text) => JSON.parse(JSON.stringify(text));

function family(name) {
  let f = families.get(name);
  if (!f) families.set(name = flat(name), f = { name, type: "untyped", help: "", series: new Map() });
  return f;
}

function cool(s) {
  if (s.heat) cells -= s.heat.length;
  s.heat = null;
}

// Removes a series. All removals call this, because its points and cells become free for other series.
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

// Returns the series of a line below the TYPE of `current`, and the part of the series.
function place(raw, current) {
  raw = flat(raw);
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

// Returns the entry of a sample's line with its value. Most lines are in the order of the last scrape.
function sample(line, current) {
  for (let i = next; i < next + 64 && i < order.length; i++) {
    const known = order[i], { raw, s } = known;
    if (known.current !== current || s.gone || !line.startsWith(raw) || line[raw.length] !== " ") continue;
    next = i + 1;
    // The newest of equal lines, because the text of an older scrape can go.
    return known.line === line ? Object.assign(known, { line }) : valued(known, line, line.slice(raw.length));
  }
  // A value contains no brace, so the last brace ends the labels.
  const text = line.trim(), cut = text.lastIndexOf("}") + 1 || text.search(/\s/), known = cut > 0 && place(text.slice(0, cut), current);
  return known && valued(known, line, text.slice(cut));
}

// Sets the value of an entry from a text, in which a timestamp may follow.
function valued(known, line, text) {
  const value = number(/^\s*(\S+)(\s+-?\d+)?\s*$/.exec(text)?.[1]);
  return value === undefined ? null : Object.assign(known, { line, value });
}

function note({ s, part, role, value }) {
  // Parts that are missing in this scrape must not keep their old values.
  if (s.seen !== tick) s.seen = s.f.settled = tick, s.value = s.sum = s.count = NaN;
  // The first sample has precedence.
  if (role) s[role] = isNaN(s[role]) ? value : s[role];
  else if (part.seen !== tick) part.seen = tick, part.before = part.now, part.now = value;
}

// Returns the family that this line describes. Returns the current one if it describes none.
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
    // Only the first TYPE counts, and only above the samples.
    f.settled = tick;
    if (f.type === text) return f;
    f.series.forEach(forget);
    families.set(name, f = { ...f, type: flat(text) });
  }
  return f;
}

function take(text) {
  const now = Date.now();
  // If the clock was set back, the times of earlier scrapes are unknown.
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
    // After a reset the whole value is new, so that the rate is never negative.
    point = s.rate = (reset ? now : now - s.before) / seconds;
    if (point > 0) s.rose = tick;
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
