
"use strict";
(() => {
  // What is kept is bounded: points of a sparkline, columns of a heat strip, and how many series have one.
  const EVERY = 2000, POINTS = 150, COLUMNS = 60, MOST_LINES = 12000, MOST_HEATS = 2000;
  // In seconds: what a line, a strip and a quantile are of, and the pause over which no line goes on.
  const LINE = 300, STRIP = 120, RECENT = 30, GAP = 60;
  const $ = (id) => document.getElementById(id);
  const list = $("list"), search = $("search"), group = $("group");
  const narrow = matchMedia("(max-width: 700px)");

  // --- The format: text 0.0.4, and what is not is passed over.

  const unescape = (s) => s.replace(/\\([\\"n])/g, (_, c) => c === "n" ? "\n" : c);
  // A float as Prometheus reads it: not hexadecimal, no underscores. Undefined for what is none.
  const FLOAT = /^[+-]?(inf(inity)?|nan|(\d+\.?\d*|\.\d+)(e[+-]?\d+)?)$/i;
  const number = (s) => FLOAT.test(s) ? Number(s.replace(/inf.*/i, "Infinity")) : undefined;

  // `name{a="b"}` or `{"name",a="b"}` as [name, labels]; null where it is neither.
  function identity(raw) {
    const brace = `${raw}{`.indexOf("{"), labels = [], end = raw.length - 1;
    const part = /\s*(?:"((?:[^"\\]|\\[^])*)"|([a-z_]\w*))\s*(=\s*"((?:[^"\\]|\\[^])*)"\s*)?(?:,|(?=\}))/iy;
    let name = raw.slice(0, brace).trim(), at = brace + 1;
    if (!/^([a-z_:][\w:]*)?$/i.test(name)) return null;
    while (raw.slice(at, end).trim()) {
      part.lastIndex = at;
      const found = part.exec(raw);
      if (!found) return null;
      const key = found[2] || unescape(found[1]);
      if (!key || !found[3] && (name || found[2])) return null;
      if (found[3]) labels.push([key, unescape(found[4])]);
      else name = key;
      at = part.lastIndex;
    }
    return name ? [name, labels] : null;
  }

  // --- What is known: families, their series, and for each line of the text what it belongs to.

  const families = new Map(), lines = new Map();
  // When the last scrapes were: a tick takes as long as it takes.
  const times = new Float64Array(POINTS).fill(NaN);
  let tick = POINTS, last = 0, changed = true, sparks = 0, heats = 0, started = Date.parse($("up").lastChild.dateTime) / 1000;

  // Seconds from that scrape to the last one.
  const ago = (back) => (last - times[(tick - back) % POINTS]) / 1000;
  const natural = new Intl.Collator("en", { numeric: true }).compare;

  function family(name) {
    let f = families.get(name);
    if (!f) families.set(name, f = { name, type: "untyped", help: "", series: new Map() });
    return f;
  }

  function cool(s) {
    if (s.heat) heats--;
    s.heat = null;
  }

  // The one way out, for what a series had is another's now.
  function forget(s) {
    cool(s);
    if (s.spark) sparks--;
    s.f.series.delete(s.key);
    s.gone = changed = true;
  }

  // Which series a line is of, and which part of it.
  function place(raw, current) {
    const found = identity(raw);
    if (!found) return null;
    let [name, labels] = found, role = "value", bound, f = current;
    const suffix = f && name.startsWith(f.name) ? name.slice(f.name.length) : null;
    const own = f && (f.type === "histogram" || f.type === "summary");
    if (own && (suffix === "_sum" || suffix === "_count")) role = suffix.slice(1);
    else if (own && suffix === (f.type === "histogram" ? "_bucket" : "")) {
      const key = f.type === "histogram" ? "le" : "quantile", label = labels.find((l) => l[0] === key);
      bound = label && number(label[1]);
      if (isNaN(bound)) return null;
      labels = labels.filter((l) => l !== label);
      role = "part";
    } else if (suffix !== "" || own) f = family(name);
    const key = JSON.stringify(labels);
    let s = f.series.get(key);
    if (!s) {
      s = { f, key, labels, words: labels.map((l) => l.join("=")).join(" ").toLowerCase(), parts: [], rate: NaN };
      f.series.set(key, s);
      f.unsorted = changed = true;
    }
    if (role !== "part") return { s, role, current };
    let part = s.parts.find((part) => part.bound === bound);
    if (!part) {
      s.parts.push(part = { bound, now: NaN });
      s.parts.sort((a, b) => a.bound - b.bound);
      cool(s);
    }
    return { s, part, current };
  }

  function take(text) {
    const now = Date.now();
    // A clock that was set back knows no longer how long ago anything was.
    if (now <= last) times.fill(NaN);
    last = times[++tick % POINTS] = now;
    let f = null;
    for (const each of text.split("\n")) {
      const line = each.trim();
      if (line[0] === "#") {
        const said = /^#\s+(HELP|TYPE)\s+("(?:[^"\\]|\\[^])*"|\S+)\s*(.*)/.exec(line);
        if (!said) continue;
        const [, what, raw, words] = said, help = unescape(words);
        f = family(raw[0] === '"' ? unescape(raw.slice(1, -1)) : raw);
        if (what === "HELP") {
          if (f.help !== help && f.series.size) changed = true;
          f.help = help;
        } else if (f.settled !== tick) {
          // One TYPE, above the samples: another one is none.
          f.settled = tick;
          if (f.type === words) continue;
          f.series.forEach(forget);
          families.set(f.name, f = { ...f, type: words });
        }
        continue;
      }
      // No value holds a brace, so the last one is the end of the labels, whatever stands in those.
      const cut = line.lastIndexOf("}") + 1 || line.search(/\s/), raw = line.slice(0, cut);
      const value = number(/^\s*(\S+)(\s+-?\d+)?$/.exec(line.slice(cut))?.[1]);
      if (cut < 1 || value === undefined) continue;
      let known = lines.get(raw);
      // Under another TYPE it may be another's.
      if (known?.current !== f || known.s.gone) {
        known = place(raw, f);
        if (!known) continue;
        lines.set(raw, known);
      }
      const { s, part, role } = known;
      if (known.seen === tick) continue;
      known.seen = tick;
      // What no longer comes is not as it was.
      if (s.seen !== tick) s.seen = s.f.settled = tick, s.value = s.sum = s.count = NaN;
      if (role) s[role] = value;
      else if (part.seen !== tick) Object.assign(part, { seen: tick, before: part.now, now: value });
    }
    for (const [raw, known] of lines) if (known.seen !== tick) lines.delete(raw);
    for (const f of families.values()) {
      for (const s of f.series.values()) s.seen === tick ? follow(s) : forget(s);
      if (!f.series.size) families.delete(f.name);
      else if (f.unsorted) f.series = new Map([...f.series].sort((a, b) => natural(a[1].words, b[1].words)));
      f.unsorted = false;
    }
    if (changed) offer();
    for (const s of families.get("process_start_time_seconds")?.series.values() || []) if (s.value > 0) started = s.value;
  }

  const flows = (type) => /^(counter|histogram|summary)$/.test(type);

  function follow(s) {
    const { type } = s.f;
    let point = s.value;
    if (flows(type)) {
      const now = type === "counter" ? s.value : s.count;
      // After a reset all that is there has come since: never a negative rate.
      point = s.rate = (now < s.before ? now : now - s.before) / ago(1);
      s.before = now;
    }
    if (s.parts.some((part) => part.seen !== tick)) {
      s.parts = s.parts.filter((part) => part.seen === tick);
      cool(s);
    }
    const size = s.parts.length;
    if (type !== "histogram") {
      if (!s.spark && sparks < MOST_LINES) s.spark = new Float64Array(POINTS).fill(NaN), sparks++;
      if (s.spark) s.spark[tick % POINTS] = point;
    } else if (s.heat) {
      const reset = s.parts[size - 1].now < s.parts[size - 1].before;
      let below = 0;
      s.parts.forEach((part, i) => {
        const come = reset ? part.now : part.now - part.before;
        s.heat[tick % COLUMNS * size + i] = Math.max(0, come - below) || 0;
        below = come;
      });
    } else if (size && heats < MOST_HEATS) s.heat = new Float32Array(COLUMNS * size), s.born = tick, heats++;
  }

  // A strip's columns, and the seconds since each began and ended. The last one is there however long it took.
  function* columnsOf(s, seconds) {
    for (let back = 0; s.heat && back < Math.min(COLUMNS, tick - s.born) && (ago(back + 1) <= seconds || !back && ago(1) > 0); back++) {
      yield [(tick - back) % COLUMNS * s.parts.length, ago(back + 1), ago(back)];
    }
  }

  // As Prometheus' histogram_quantile has it: linear within a bucket; beyond the last bound, that bound.
  function quantile(q, parts, counts) {
    const total = counts.reduce((a, b) => a + b, 0), bounds = parts.map((part) => part.bound);
    if (!total || bounds.length < 2) return NaN;
    let rank = q * total, i = 0;
    while (i < bounds.length - 1 && rank > counts[i]) rank -= counts[i++];
    if (bounds[i] === Infinity) return bounds[i - 1];
    if (!i && bounds[0] <= 0) return bounds[0];
    const low = i ? bounds[i - 1] : 0;
    return counts[i] ? low + (bounds[i] - low) * rank / counts[i] : bounds[i];
  }

  // Of the last scrapes where there is something in them, else of all time.
  function distribution(s) {
    const counts = s.parts.map(() => 0);
    let any = 0, span;
    for (const [column, began] of columnsOf(s, RECENT)) {
      counts.forEach((_, i) => { any += s.heat[column + i], counts[i] += s.heat[column + i]; });
      span = began;
    }
    if (!any) s.parts.forEach((part, i) => { counts[i] = Math.max(0, part.now - (i ? s.parts[i - 1].now : 0)) || 0; });
    return [counts, any ? `over the last ${duration(Math.round(span))}` : "over all time"];
  }

  // --- Values for people.

  const digits = (v) => Math.abs(v) >= 1e15 || Math.abs(v) < 1e-4 && v ? v.toExponential(3)
    : v.toLocaleString("en-US", Math.abs(v) < 1000 ? { maximumSignificantDigits: 4 } : { maximumFractionDigits: 1 });
  const short = (v) => v.toLocaleString("en-US", Math.abs(v) < 100 ? { maximumSignificantDigits: 3 } : { maximumFractionDigits: 0 });

  function duration(v) {
    const size = Math.abs(v);
    if (!size) return "0 s";
    for (const [below, unit, name] of [[1e-6, 1e-9, "ns"], [1e-3, 1e-6, "µs"], [1, 1e-3, "ms"], [120, 1, "s"]]) {
      if (size < below) return `${short(v / unit)} ${name}`;
    }
    const sign = v < 0 ? "−" : "", minutes = Math.floor(size / 60), hours = Math.floor(minutes / 60);
    if (minutes < 60) return `${sign}${minutes} min ${Math.floor(size % 60)} s`;
    if (hours < 48) return `${sign}${hours} h ${minutes % 60} min`;
    return `${sign}${digits(Math.floor(hours / 24))} d ${hours % 24} h`;
  }

  function bytes(v) {
    let unit = 0, size = v;
    while (Math.abs(size) >= 1024 && unit < 6) size /= 1024, unit++;
    return unit ? `${short(size)} ${"KMGTPE"[unit - 1]}iB` : digits(size) + " B";
  }

  function date(v) {
    const d = new Date(v * 1000);
    // As Swedes write it: 2026-02-28 12:34:56.
    return isNaN(d) ? digits(v) : d.toLocaleString("sv");
  }

  function shown(v, name) {
    if (!isFinite(v)) return isNaN(v) ? "NaN" : v > 0 ? "+Inf" : "−Inf";
    const unit = name.replace(/_total$/, "");
    if (/_(timestamp|time)_seconds$/.test(unit) && unit === name && v > 1e8) return date(v);
    if (/_seconds$/.test(unit)) return duration(v);
    if (/_bytes$/.test(unit)) return bytes(v);
    if (/_ratio$/.test(unit)) return short(v * 100) + " %";
    return digits(v);
  }

  const perSecond = (v, name) => isFinite(v) ? (/_(seconds|bytes)_total$/.test(name) ? shown(v, name) : short(v)) + "/s" : "–";

  // --- The rows: which there are, in which order, how high.

  const closed = new Set();
  let rows = [], tops = [0], places = new Map(), active;

  function tokens() {
    const found = [], each = /(?:"((?:[^"\\]|\\.)+)"|([^\s="]+))=(?:"((?:[^"\\]|\\.)*)"|(\S*))|\S+/g;
    for (const [text, quoted, label = quoted && unescape(quoted), inside, value] of search.value.matchAll(each)) {
      found.push(label ? { label, value: value ?? unescape(inside), text } : { word: text.toLowerCase(), text });
    }
    return found;
  }

  const is = (t, [label, value]) => t.label === label && t.value === value;
  const matches = (s, t) => t.label ? s.labels.some((l) => is(t, l))
    : s.words.includes(t.word) || s.f.name.toLowerCase().includes(t.word) || s.f.help.toLowerCase().includes(t.word);

  function groupOf(s) {
    if (!group.value) return "";
    if (group.value === "prefix") return s.f.name.split(/[_:.]/, 1)[0];
    const label = s.labels.find((l) => "label " + l[0] === group.value);
    return label ? `${label[0]} = ${label[1]}` : "without it";
  }

  function lay() {
    const wanted = tokens(), groups = new Map(), heights = narrow.matches ? { group: 38, family: 54, series: 62, tall: 112, solo: 84 } : { group: 36, family: 42, series: 34, tall: 54, solo: 42 };
    let series = 0, all = 0;
    for (const f of [...families.values()].sort((a, b) => a.name < b.name ? -1 : 1)) {
      all += f.series.size;
      for (const s of f.series.values()) {
        if (!wanted.every((t) => matches(s, t))) continue;
        const name = groupOf(s);
        let g = groups.get(name);
        if (!g) groups.set(name, g = new Map());
        if (!g.has(f)) g.set(f, []);
        g.get(f).push(s);
        series++;
      }
    }
    rows = [];
    tops = [0];
    places.clear();
    const add = (row) => {
      row.height = heights[row.tall ? "tall" : row.solo ? "solo" : row.kind];
      tops.push(tops.at(-1) + row.height);
      places.set(row.key, rows.length);
      rows.push(row);
      return !closed.has(row.key);
    };
    const deep = group.value ? 1 : 0;
    for (const [name, g] of [...groups].sort((a, b) => natural(a[0], b[0]))) {
      if (deep && !add({ kind: "group", key: name, name, count: g.size, level: 1 })) continue;
      for (const [f, of] of g) {
        const key = JSON.stringify([name, f.name]);
        // One that is alone stands beside its name.
        if (f.series.size === 1 && !of[0].labels.length) {
          add({ kind: "series", key, s: of[0], level: 1 + deep, tall: f.type === "histogram", solo: true });
          continue;
        }
        if (!add({ kind: "family", key, f, count: of.length, level: 1 + deep })) continue;
        for (const s of of) add({ kind: "series", key: key + s.key, s, up: key, level: 2 + deep, tall: f.type === "histogram" });
      }
    }
    list.style.height = tops.at(-1) + "px";
    list.ariaRowCount = rows.length;
    list.hidden = !rows.length;
    $("empty").hidden = rows.length > 0;
    $("empty").textContent = families.size ? "Nothing matches." : "There are no metrics yet.";
    $("count").dataset.series = series;
    $("count").textContent = `${series === all ? "" : digits(series) + " of "}${digits(all)} series in ${digits(families.size)} families`;
    if (!places.has(active)) active = null;
  }

  // What can be grouped by: labels, those of the most series first.
  let offered = "";
  function offer() {
    const uses = new Map();
    for (const f of families.values()) for (const s of f.series.values()) for (const l of s.labels) uses.set(l[0], (uses.get(l[0]) || 0) + 1);
    const chosen = group.value, labels = [...uses].sort((a, b) => b[1] - a[1]).slice(0, 40).map((use) => use[0]);
    // Also where it has become a rare one: nobody's choice is undone.
    if (chosen.startsWith("label ") && !labels.includes(chosen.slice(6))) labels.push(chosen.slice(6));
    const now = JSON.stringify(labels.sort());
    if (offered === now) return;
    offered = now;
    const options = [["", "by family"], ["prefix", "by prefix"], ...labels.map((l) => ["label " + l, "by " + l])];
    group.replaceChildren(...options.map(([value, text]) => new Option(text, value, false, value === chosen)));
  }

  // --- The page: only the rows in sight are in the document.

  const here = new Map();

  function make(name, parent, kind = "", text = "", title = "", e = document.createElement(name)) {
    e.setAttribute("class", kind);
    e.textContent = text;
    if (title) e.title = title;
    parent.append(e);
    return e;
  }

  const paint = (name, parent, kind) => make(name, parent, kind, "", "", document.createElementNS("http://www.w3.org/2000/svg", name));

  function cell(e, kind, text) {
    const c = make("div", e, kind, text);
    c.role = "gridcell";
    return c;
  }

  // Writes what differs: the document is slower than a comparison.
  function put(e, text, title) {
    if (e.was !== text) e.textContent = e.was = text;
    if (title !== undefined && e.title !== `${title}`) e.title = title;
  }

  const kind = (type) => flows(type) || type === "gauge" ? type : "plain";

  function title(e, f) {
    make("span", make("span", e, "name", f.name, f.name), "type", f.type);
    return make("span", e, "about");
  }

  function build(row) {
    const e = make("div", list, row.kind);
    e.row = row;
    e.role = "row";
    e.ariaLevel = row.level;
    if (row.kind === "series") {
      const { s } = row;
      e.classList.add(row.tall ? "tall" : "low", row.solo ? "solo" : "one", kind(s.f.type));
      const labels = cell(e, row.solo ? "head" : "labels");
      if (row.solo) e.about = title(labels, s.f);
      for (const label of s.labels) {
        const text = label.join("="), chip = make("button", labels, "", text, text);
        chip.tabIndex = -1;
        chip.label = label;
      }
      if (!s.labels.length && !row.solo) make("span", labels, "dim", "no labels");
      e.graph = cell(e, "graph");
      const drawn = row.tall ? e.canvas = make("canvas", e.graph) : e.svg = paint("svg", e.graph);
      drawn.ariaHidden = true;
      if (e.svg) {
        e.svg.setAttribute("preserveAspectRatio", "none");
        e.area = paint("path", e.svg, "area");
        e.line = paint("path", e.svg, "line");
      }
      e.value = cell(e, "value");
      e.rate = cell(e, "rate");
      return e;
    }
    if (row.f) {
      e.classList.add(kind(row.f.type));
      e.about = title(cell(e, "head"), row.f);
    } else cell(e, "name", row.name);
    e.count = cell(e, "dim");
    return e;
  }

  // Values under captions: [["p50", "3 ms"], …].
  function columns(e, pairs) {
    while (e.children.length > pairs.length) e.lastChild.remove();
    pairs.forEach(([caption, text, title], i) => {
      let span = e.children[i];
      if (!span) {
        span = make("span", e);
        span.caption = make("small", span);
        span.text = make("b", span);
      }
      put(span.caption, caption);
      put(span.text, text, title);
    });
  }

  function fill(e, row) {
    const f = row.f || row.s?.f;
    if (e.about) put(e.about, f.help, f.help);
    if (row.kind !== "series") {
      put(e.count, `${digits(row.count)} ${f ? "series" : row.count === 1 ? "family" : "families"}`);
      return;
    }
    const { s } = row, { name, type } = f;
    if (e.drawn !== tick) {
      if (type === "histogram") {
        const [counts, span] = distribution(s);
        columns(e.value, [50, 90, 99].map((p) => {
          const q = quantile(p / 100, s.parts, counts);
          return ["p" + p, isNaN(q) ? "–" : shown(q, name), `${q}, ${span}`];
        }));
        heat(e, s);
      } else if (type === "summary") {
        const pairs = s.parts.slice(0, 4).map((part) => ["p" + short(part.bound * 100), shown(part.now, name), part.now]);
        columns(e.value, pairs.length ? pairs : [["count", digits(s.count), s.count]]);
      } else put(e.value, shown(s.value, name), s.value);
      if (type === "counter") put(e.rate, perSecond(s.rate, name), `per second: ${s.rate}`);
      else if (s.count >= 0) {
        columns(e.rate, [["avg " + (s.count ? shown(s.sum / s.count, name) : "–"), perSecond(s.rate), `${s.count} observations, sum ${s.sum}`]]);
      }
      if (s.spark) spark(e, s, name);
      e.drawn = tick;
    }
    const chosen = tokens();
    for (const chip of e.firstChild.querySelectorAll("button")) {
      chip.ariaPressed = chosen.some((t) => is(t, chip.label));
    }
  }

  function spark(e, s, name) {
    let low = Infinity, high = -Infinity, before = NaN;
    const runs = [];
    for (let back = POINTS - 1; back >= 0; back--) {
      const v = s.spark[(tick - back) % POINTS], at = LINE - ago(back);
      if (!(at >= 0)) continue;
      if (!isFinite(v)) { before = NaN; continue; }
      if (!(at - before <= GAP)) runs.push([]);
      runs.at(-1).push([before = at, v]);
      low = Math.min(low, v), high = Math.max(high, v);
    }
    // A straight line where nothing moves: at the foot for nothing at all, else in the middle.
    const y = (v) => high > low ? 22 - 20 * (v - low) / (high - low) : v ? 12 : 22;
    const lines = runs.map((run) => "M" + run.map(([at, v]) => `${at.toFixed(1)} ${y(v).toFixed(1)}`).join("L"));
    e.line.setAttribute("d", lines.join(""));
    e.area.setAttribute("d", lines.map((line, i) => `${line}V24H${runs[i][0][0].toFixed(1)}Z`).join(""));
    if (!runs.length) return;
    // What is young is wide.
    const first = runs[0][0][0], from = Math.min(first, LINE - 40);
    e.svg.setAttribute("viewBox", `${from} 0 ${LINE - from} 24`);
    const of = flows(s.f.type) ? perSecond : shown;
    e.graph.title = `last ${duration(Math.round(LINE - first))}: ${of(low, name)} to ${of(high, name)}`;
  }

  // Time runs to the right, the bounds upwards; the more came into a bucket in a second, the stronger the colour.
  function heat(e, s) {
    const size = s.parts.length, { canvas } = e, columns = [...columnsOf(s, STRIP)], step = STRIP / COLUMNS;
    const seconds = columns.length ? columns.at(-1)[1] : 0, wide = Math.max(20, Math.min(COLUMNS, Math.ceil(seconds / step)));
    if (canvas.width !== wide || canvas.height !== size) canvas.width = wide, canvas.height = size;
    const pen = canvas.getContext("2d");
    const rates = columns.map(([column, began, ended]) => s.parts.map((_, i) => s.heat[column + i] / (began - ended)));
    const most = rates.flat().reduce((a, b) => Math.max(a, b), 0);
    pen.clearRect(0, 0, wide, size);
    pen.fillStyle = getComputedStyle(canvas).color;
    columns.forEach((column, i) => {
      const [, from, to] = column.map((seconds) => wide - Math.round(seconds / step));
      rates[i].forEach((rate, j) => {
        pen.globalAlpha = rate && .15 + .85 * Math.sqrt(rate / most);
        pen.fillRect(from, size - 1 - j, to - from, 1);
      });
    });
    const bound = (part) => shown(part.bound, s.f.name);
    if (seconds) e.graph.title = `last ${duration(Math.round(seconds))}, buckets from ${bound(s.parts[0])} (below) to ${bound(s.parts[size - 1])} (above)`;
  }

  // The first row that ends below y.
  function rowAt(y) {
    let low = 0, high = rows.length;
    while (low < high) {
      const mid = (low + high) >> 1;
      if (tops[mid + 1] > y) high = mid;
      else low = mid + 1;
    }
    return low;
  }

  const hold = () => (here.get(active) || $("live")).focus({ preventScroll: true });

  // `steady`: what is read stays where it is, whatever comes and goes above it.
  function draw(steady) {
    const held = list.matches(":focus-within");
    if (changed && last) {
      const y = scrollY, edge = $("tools").offsetHeight - list.getBoundingClientRect().top, old = rows, was = tops;
      let i = rowAt(edge);
      lay();
      changed = false;
      while (i < old.length && !places.has(old[i].key)) i++;
      if (steady && edge > 0 && i < old.length) scrollTo(0, y + tops[places.get(old[i].key)] - was[i]);
    }
    const top = -list.getBoundingClientRect().top, wanted = [];
    const until = Math.min(rows.length, rowAt(top + innerHeight + 200) + 1);
    for (let i = rowAt(top - 200); i < until; i++) wanted.push(i);
    // The one with the focus stays, for a focus that is taken away is lost.
    const kept = places.get(active);
    if (kept >= 0 && !wanted.includes(kept)) wanted[kept < wanted[0] ? "unshift" : "push"](kept);
    const keys = new Set(wanted.map((i) => rows[i].key));
    for (const [key, e] of here) if (!keys.has(key)) here.delete(key), e.remove();
    let next = list.firstChild;
    wanted.forEach((i, place) => {
      const row = rows[i];
      let e = here.get(row.key);
      // Another one of the same name, as after a change of type.
      if (e && (e.row.s !== row.s || e.row.f !== row.f)) e.remove(), next = list.children[place] || null, e = null;
      if (!e) here.set(row.key, e = build(row));
      e.row = row;
      if (e === next) next = e.nextSibling;
      else list.insertBefore(e, next);
      e.style.transform = `translateY(${tops[i]}px)`;
      e.style.height = row.height + "px";
      e.ariaRowIndex = i + 1;
      if (row.kind !== "series") e.ariaExpanded = !closed.has(row.key);
      e.tabIndex = (active ? row.key === active : !place) ? 0 : -1;
      fill(e, row);
    });
    if (held && !list.matches(":focus-within")) hold();
  }

  let frame;
  function redraw(all) {
    changed = changed || all === true;
    cancelAnimationFrame(frame);
    frame = requestAnimationFrame(() => draw());
  }

  // --- Asking: one at a time, while somebody looks.

  let busy, paused, timer, failures = 0, due = 0, patience = 10;

  function say(text, state = "") {
    $("live").className = state;
    put($("status"), text);
  }

  const told = (status) => ({ 401: "Not logged in", 429: "Asked too often", 503: "Too slow or too busy" }[status] || "The server answers with an error") + ` (${status}).`;

  async function scrape() {
    clearTimeout(timer);
    if (busy || paused || document.hidden) return;
    const began = performance.now();
    if (due > began) {
      timer = setTimeout(scrape, Math.ceil(due - began));
      return;
    }
    busy = true;
    const abort = new AbortController(), limit = setTimeout(() => abort.abort(), patience * 1000);
    // By the first one the server knows that a job's last scrape is not for us.
    const headers = { "X-Prometheus-Hyper-Page": "1", "X-Prometheus-Scrape-Timeout-Seconds": patience, Accept: "text/plain;version=0.0.4" };
    let text, why, late;
    try {
      const answer = await fetch($("metrics").href, { cache: "no-store", headers, signal: abort.signal });
      const type = answer.headers.get("Content-Type");
      late = answer.status === 503 && performance.now() - began > patience * 500;
      if (!answer.ok) why = told(answer.status);
      else if (!/^text\/plain\b/i.test(type)) why = `This answer is no metrics but ${type}: has somebody to log in?`;
      else text = await answer.text();
    } catch {
      late = abort.signal.aborted;
      why = late ? `No answer in ${patience} s.` : "The server can not be reached.";
    }
    clearTimeout(limit);
    failures = why ? failures + 1 : 0;
    // Not at once, for whoever shares a patient one's gather waits with it for what hangs.
    if (late) patience = Math.min(patience * 2, 120);
    try {
      const begin = performance.now();
      if (!why && !paused) {
        take(text);
        draw(true);
        $("count").dataset.took = (performance.now() - begin).toFixed(1);
        $("up").textContent = `up ${duration(Math.max(0, Math.floor(Date.now() / 1000 - started)))}, since ${date(started)}`;
      }
      if (!paused) why ? say(why + " Trying again.", "failed") : say("Live");
    } catch (fault) {
      say("This page has a fault; the browser's console tells which.", "failed");
      throw fault;
    } finally {
      busy = false;
      due = performance.now() + Math.min(EVERY * 2 ** failures, 15000);
      scrape();
    }
  }

  function pause() {
    paused = !paused;
    $("pause").textContent = paused ? "Resume" : "Pause";
    paused ? say("Paused", "paused") : say("Connecting");
    due = 0;
    scrape();
  }

  // --- Hands: mouse and keys.

  function stored(value) {
    // Where storage is forbidden, so is looking.
    try {
      if (value) localStorage.theme = value;
      return localStorage.theme;
    } catch {}
  }

  const root = document.documentElement;
  function theme() {
    const system = matchMedia("(prefers-color-scheme: dark)").matches ? "dark" : "light";
    root.dataset.theme = (root.dataset.theme || system) === "dark" ? "light" : "dark";
    stored(root.dataset.theme);
    for (const e of here.values()) e.drawn = 0;
    redraw();
  }

  function help() {
    $("keys").hidden = !$("keys").hidden;
    $("help").ariaExpanded = !$("keys").hidden;
    redraw();
  }

  function toggle(row, open) {
    if (row.kind === "series" || open === !closed.has(row.key)) return;
    if (!closed.delete(row.key)) closed.add(row.key);
    changed = true;
    draw();
  }

  function choose(chip) {
    const quoted = (s) => /^[^\s"=\\]+$/.test(s) ? s : `"${s.replace(/[\\"]/g, "\\$&").replace(/\n/g, "\\n")}"`;
    const had = tokens(), rest = had.filter((t) => !is(t, chip.label)).map((t) => t.text);
    if (rest.length === had.length) rest.push(chip.label.map(quoted).join("="));
    search.value = rest.join(" ");
    redraw(true);
  }

  function go(to) {
    if (!rows.length) return;
    const i = Math.max(0, Math.min(rows.length - 1, to)), edge = $("tools").offsetHeight;
    active = rows[i].key;
    const top = list.getBoundingClientRect().top + tops[i];
    if (top < edge) scrollBy(0, top - edge - 8);
    else if (top + rows[i].height > innerHeight) scrollBy(0, top + rows[i].height - innerHeight + 8);
    draw();
    hold();
  }

  list.onclick = ({ target }) => {
    const e = target.closest("[role=row]");
    if (target.label) choose(target);
    else if (e) toggle(e.row);
  };
  list.addEventListener("focusin", (event) => { active = event.target.closest("[role=row]").row.key; });

  // Single keys are for whoever is in here with the focus, not for all who dictate or slip (WCAG 2.1.4).
  $("live").onkeydown = (event) => {
    const { key, target } = event;
    if (event.ctrlKey || event.metaKey || event.altKey) return;
    if (/^(INPUT|SELECT)$/.test(target.tagName) && (target !== search || key !== "Escape")) return;
    const e = target.closest("#list > [role=row]"), row = e?.row;
    const at = places.get(row?.key ?? active) ?? -1;
    const chips = e ? [...e.querySelectorAll("button")] : [], chip = chips.indexOf(target);
    const along = (step) => chips[chip + step] ? chips[chip + step].focus() : step < 0 && e.focus();
    const act = {
      "/": () => { search.focus(); search.select(); },
      Escape: () => {
        if (target === search) $("live").focus({ preventScroll: true });
        search.value = "";
        redraw(true);
      },
      p: pause, t: theme, "?": help,
      j: () => go(at + 1), k: () => go(at - 1),
    }[key] || row && {
      ArrowDown: () => go(at + 1), ArrowUp: () => go(at - 1), Home: () => go(0), End: () => go(rows.length - 1),
      ArrowRight: () => row.kind === "series" ? along(1) : closed.has(row.key) ? toggle(row, true) : go(at + 1),
      ArrowLeft: () => chip >= 0 ? along(-1) : row.up ? go(places.get(row.up)) : toggle(row, false),
      Enter: chip < 0 && (() => row.kind === "series" ? along(1) : toggle(row)),
    }[key];
    if (!act) return;
    event.preventDefault();
    act();
  };

  search.oninput = group.onchange = narrow.onchange = () => redraw(true);
  $("pause").onclick = pause;
  $("theme").onclick = theme;
  $("help").onclick = help;
  onscroll = onresize = redraw;
  document.onvisibilitychange = scrape;

  root.dataset.theme = stored() || "";
  $("live").hidden = false;
  say("Connecting");
  offer();
  scrape();
})();
