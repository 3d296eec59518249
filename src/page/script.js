
"use strict";
(() => {
  // What is kept is bounded: points of a sparkline, columns of a heat strip, and how many series have one.
  const EVERY = 2000, PATIENCE = 12000, POINTS = 150, COLUMNS = 60, RECENT = 15, MOST_LINES = 12000, MOST_HEATS = 2000;
  const $ = (id) => document.getElementById(id);
  const { metrics, rendered } = document.body.dataset;
  const list = $("list"), search = $("search"), group = $("group");
  const narrow = matchMedia("(max-width: 700px)");

  // --- The format: text 0.0.4, and what is not is passed over.

  const unescape = (s) => s.includes("\\") ? s.replace(/\\([^])/g, (all, c) => c === "n" ? "\n" : c === "\\" || c === '"' ? c : all) : s;
  const number = (s) => s === "+Inf" || s === "Inf" ? Infinity : s === "-Inf" ? -Infinity : s ? Number(s) : NaN;

  // `name{a="b"}` or `{"name",a="b"}` as [name, labels]; null where it is neither.
  function identity(raw) {
    const brace = raw.indexOf("{");
    if (brace < 0) return /["}]/.test(raw) ? null : [raw, []];
    const part = /\s*(?:"((?:[^"\\]|\\[^])*)"|([^\s"{}=,]+))\s*(=\s*"((?:[^"\\]|\\[^])*)"\s*)?(?:,|(?=\}))/y;
    const labels = [], end = raw.length - 1;
    let name = raw.slice(0, brace).trim(), at = brace + 1;
    while (raw.slice(at, end).trim()) {
      part.lastIndex = at;
      const found = part.exec(raw);
      if (!found) return null;
      const key = found[1] === undefined ? found[2] : unescape(found[1]);
      if (found[3]) labels.push([key, unescape(found[4])]);
      else if (name) return null;
      else name = key;
      at = part.lastIndex;
    }
    return name ? [name, labels] : null;
  }

  // --- What is known: families, their series, and for each line of the text what it belongs to.

  const families = new Map(), lines = new Map();
  let tick = 0, last = 0, changed = true, sparks = 0, heats = 0, started = Number(rendered);

  function family(name) {
    let f = families.get(name);
    if (!f) families.set(name, f = { name, type: "untyped", help: "", series: new Map() });
    return f;
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
      if (!label) return null;
      bound = number(label[1]);
      labels = labels.filter((l) => l !== label);
      role = "part";
    } else if (suffix !== "" || own) f = family(name);
    const key = JSON.stringify(labels);
    let s = f.series.get(key);
    if (!s) {
      s = { f, key, labels, words: labels.map((l) => l.join("=")).join(" ").toLowerCase(), parts: [], value: NaN, sum: NaN, count: NaN, rate: NaN };
      f.series.set(key, s);
      changed = true;
    }
    if (role !== "part") return { s, role };
    let part = s.parts.find((part) => part.bound === bound);
    if (part) return { s, part };
    s.parts.push(part = { bound, now: NaN, before: NaN });
    s.parts.sort((a, b) => a.bound - b.bound);
    if (s.heat) { s.heat = null; heats--; }
    return { s, part };
  }

  function take(text, at) {
    const seconds = last ? (at - last) / 1000 : NaN;
    last = at;
    tick++;
    let f = null;
    for (const line of text.split("\n")) {
      if (line[0] === "#") {
        const said = /^#\s+(HELP|TYPE)\s+("(?:[^"\\]|\\[^])*"|\S+)\s*(.*)/.exec(line);
        if (!said) continue;
        f = family(said[2][0] === '"' ? unescape(said[2].slice(1, -1)) : said[2]);
        f.seen = tick;
        if (said[1] === "HELP") f.help = unescape(said[3]);
        else if (f.type !== said[3].trim()) {
          f.type = said[3].trim();
          // Another kind of thing under an old name.
          if (f.series.size) lines.clear();
          f.series.clear();
          changed = true;
        }
        continue;
      }
      // No value holds a brace, so the last one is the end of the labels, whatever stands in those.
      const brace = line.lastIndexOf("}"), cut = brace < 0 ? line.search(/\s/) : brace + 1;
      if (cut < 1) continue;
      const raw = line.slice(0, cut), value = number(line.slice(cut).trim().split(/\s/, 1)[0]);
      let known = lines.get(raw);
      if (!known) {
        known = place(raw, f);
        if (!known) continue;
        lines.set(raw, known);
      }
      if (known.seen === tick) continue;
      known.seen = tick;
      known.s.seen = known.s.f.seen = tick;
      if (known.part) {
        known.part.before = known.part.now;
        known.part.now = value;
      } else known.s[known.role] = value;
    }
    for (const [raw, known] of lines) if (known.seen !== tick) lines.delete(raw);
    for (const f of families.values()) {
      for (const s of f.series.values()) {
        if (s.seen === tick) { follow(s, seconds); continue; }
        if (s.spark) sparks--;
        if (s.heat) heats--;
        f.series.delete(s.key);
        changed = true;
      }
      if (!f.series.size) families.delete(f.name);
    }
    const start = families.get("process_start_time_seconds");
    for (const s of start ? start.series.values() : []) if (s.value > 0) started = s.value;
  }

  // What came since the last scrape. After a reset all that is there has come since: never a negative rate.
  const increase = (now, before) => now < before ? now : now - before;

  function follow(s, seconds) {
    const { type } = s.f;
    let point = s.value;
    if (type === "counter" || type === "histogram" || type === "summary") {
      const now = type === "counter" ? s.value : s.count;
      point = s.rate = increase(now, s.before) / seconds;
      s.before = now;
    }
    if (!s.spark && sparks < MOST_LINES && type !== "histogram") {
      s.spark = new Float32Array(POINTS).fill(NaN);
      sparks++;
    }
    if (s.spark) s.spark[tick % POINTS] = point;
    if (type !== "histogram" || !s.parts.length) return;
    const size = s.parts.length;
    if (!s.heat && heats < MOST_HEATS) {
      s.heat = new Float32Array(COLUMNS * size);
      heats++;
    }
    if (!s.heat) return;
    const reset = s.parts[size - 1].now < s.parts[size - 1].before;
    let below = 0;
    s.parts.forEach((part, i) => {
      const come = reset ? part.now : part.now - part.before;
      s.heat[tick % COLUMNS * size + i] = Math.max(0, come - below) || 0;
      below = come;
    });
  }

  // As Prometheus' histogram_quantile has it: linear within a bucket; beyond the last bound, that bound.
  function quantile(q, bounds, counts) {
    const total = counts.reduce((a, b) => a + b, 0);
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
    const size = s.parts.length, counts = new Array(size).fill(0);
    let any = 0;
    if (s.heat) {
      for (let back = 0; back < RECENT; back++) {
        const column = (tick - back + COLUMNS * 2) % COLUMNS * size;
        for (let i = 0; i < size; i++) any += s.heat[column + i], counts[i] += s.heat[column + i];
      }
    }
    if (!any) s.parts.forEach((part, i) => { counts[i] = Math.max(0, part.now - (i ? s.parts[i - 1].now : 0)) || 0; });
    return { counts, bounds: s.parts.map((part) => part.bound), span: any ? "over the last 30 s" : "over all time" };
  }

  // --- Values for people.

  const digits = (v) => Number.isInteger(v) && Math.abs(v) < 1e15 ? v.toLocaleString("en-US")
    : Math.abs(v) >= 1e15 || Math.abs(v) < 1e-4 && v ? v.toExponential(3)
    : v.toLocaleString("en-US", { maximumSignificantDigits: Math.abs(v) >= 1000 ? 6 : 4 });
  const short = (v) => v.toLocaleString("en-US", { maximumSignificantDigits: 3 });
  const two = (n) => String(n).padStart(2, "0");

  function duration(v) {
    const size = Math.abs(v);
    if (!size) return "0 s";
    if (size < 1e-6) return short(v * 1e9) + " ns";
    if (size < 1e-3) return short(v * 1e6) + " µs";
    if (size < 1) return short(v * 1e3) + " ms";
    if (size < 120) return short(v) + " s";
    const sign = v < 0 ? "−" : "", minutes = Math.floor(size / 60), hours = Math.floor(minutes / 60);
    if (minutes < 60) return `${sign}${minutes} min ${Math.floor(size % 60)} s`;
    if (hours < 48) return `${sign}${hours} h ${minutes % 60} min`;
    return `${sign}${digits(Math.floor(hours / 24))} d ${hours % 24} h`;
  }

  function bytes(v) {
    let unit = 0, size = v;
    while (Math.abs(size) >= 1024 && unit < 6) size /= 1024, unit++;
    return `${unit ? short(size) : digits(size)} ${["B", "KiB", "MiB", "GiB", "TiB", "PiB", "EiB"][unit]}`;
  }

  function date(v) {
    const d = new Date(v * 1000);
    return isNaN(d) ? digits(v) : `${d.getFullYear()}-${two(d.getMonth() + 1)}-${two(d.getDate())} ${two(d.getHours())}:${two(d.getMinutes())}:${two(d.getSeconds())}`;
  }

  function shown(v, name) {
    if (Number.isNaN(v)) return "NaN";
    if (!Number.isFinite(v)) return v > 0 ? "+Inf" : "−Inf";
    const unit = name.replace(/_total$/, "");
    if (/_(timestamp|time)_seconds$/.test(unit) && unit === name && v > 1e8) return date(v);
    if (/_seconds$/.test(unit)) return duration(v);
    if (/_bytes$/.test(unit)) return bytes(v);
    if (/_ratio$/.test(unit)) return short(v * 100) + " %";
    return digits(v);
  }

  const perSecond = (v, name) => Number.isFinite(v) ? (name && /_(seconds|bytes)_total$/.test(name) ? shown(v, name) : short(v)) + "/s" : "–";

  // --- The rows: which there are, in which order, how high.

  const closed = new Set();
  let rows = [], tops = [0], active = null;

  function tokens() {
    const found = [], each = /([^\s="]+)=(?:"((?:[^"\\]|\\.)*)"|(\S*))|(\S+)/g;
    for (const t of search.value.matchAll(each)) {
      found.push(t[1] ? { label: t[1], value: t[2] === undefined ? t[3] : unescape(t[2]), text: t[0] } : { word: t[4].toLowerCase(), text: t[0] });
    }
    return found;
  }

  const matches = (s, t) => t.label ? s.labels.some((l) => l[0] === t.label && l[1] === t.value)
    : s.words.includes(t.word) || s.f.name.toLowerCase().includes(t.word) || s.f.help.toLowerCase().includes(t.word);

  function groupOf(s) {
    if (!group.value) return "";
    if (group.value === "prefix") return s.f.name.split(/[_:.]/, 1)[0];
    const label = s.labels.find((l) => "label " + l[0] === group.value);
    return label ? `${label[0]} = ${label[1]}` : "without it";
  }

  function lay() {
    const wanted = tokens(), groups = new Map(), heights = narrow.matches ? { group: 38, family: 54, series: 62, tall: 112, solo: 84 } : { group: 36, family: 42, series: 34, tall: 54, solo: 42 };
    let series = 0;
    for (const f of [...families.values()].sort((a, b) => a.name < b.name ? -1 : 1)) {
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
    const add = (row) => {
      row.height = heights[row.tall ? "tall" : row.solo ? "solo" : row.kind];
      tops.push(tops[rows.length] + row.height);
      rows.push(row);
      return row.key && !closed.has(row.key);
    };
    const deep = group.value ? 1 : 0;
    for (const [name, g] of [...groups].sort((a, b) => a[0] < b[0] ? -1 : 1)) {
      if (deep && !add({ kind: "group", key: "g " + name, name, count: g.size, level: 1 })) continue;
      for (const [f, of] of g) {
        const key = `f ${name} ${f.name}`;
        // One that is alone stands beside its name.
        if (f.series.size === 1 && !of[0].labels.length) {
          add({ kind: "series", key, s: of[0], level: 1 + deep, tall: f.type === "histogram", solo: true });
          continue;
        }
        if (!add({ kind: "family", key, f, count: of.length, level: 1 + deep })) continue;
        for (const s of of) add({ kind: "series", key: `s ${key} ${s.key}`, s, up: key, level: 2 + deep, tall: f.type === "histogram" });
      }
    }
    list.style.height = tops[rows.length] + "px";
    list.setAttribute("aria-rowcount", rows.length);
    list.hidden = !rows.length;
    $("empty").hidden = rows.length > 0 || !tick;
    $("empty").textContent = families.size ? "Nothing matches." : "There are no metrics yet.";
    let all = 0;
    for (const f of families.values()) all += f.series.size;
    $("count").dataset.series = series;
    $("count").textContent = `${series === all ? "" : digits(series) + " of "}${digits(all)} series in ${digits(families.size)} families`;
    if (!rows.some((row) => row.key === active)) active = null;
    offer();
  }

  // What can be grouped by: labels, those of the most series first.
  let offered = "";
  function offer() {
    const uses = new Map();
    for (const f of families.values()) for (const s of f.series.values()) for (const l of s.labels) uses.set(l[0], (uses.get(l[0]) || 0) + 1);
    const labels = [...uses].sort((a, b) => b[1] - a[1]).slice(0, 40).map((use) => use[0]).sort();
    if (offered === JSON.stringify(labels)) return;
    offered = JSON.stringify(labels);
    const chosen = group.value;
    const options = [["", "by family"], ["prefix", "by prefix"], ...labels.map((l) => ["label " + l, "by " + l])];
    group.replaceChildren(...options.map(([value, text]) => new Option(text, value, false, value === chosen)));
  }

  // --- The page: only the rows in sight are in the document.

  const NS = "http://www.w3.org/2000/svg";
  const here = new Map();

  function make(name, parent, kind, text) {
    const e = document.createElement(name);
    if (kind) e.className = kind;
    if (text !== undefined) e.textContent = text;
    parent.append(e);
    return e;
  }

  function cell(e, kind, text) {
    const c = make("div", e, kind, text);
    c.setAttribute("role", "gridcell");
    return c;
  }

  // Writes what differs: the document is slower than a comparison.
  function put(e, text, title) {
    if (e.was !== text) e.textContent = e.was = text;
    if (title !== undefined && e.title !== title) e.title = title;
  }

  const kind = (type) => /^(counter|gauge|histogram|summary)$/.test(type) ? type : "plain";

  function title(e, f) {
    const name = make("span", e, "name", f.name);
    name.title = f.name;
    make("span", name, "type", f.type);
    make("span", e, "about", f.help).title = f.help;
  }

  function build(row) {
    const e = make("div", list, row.kind);
    e.row = row;
    e.setAttribute("role", "row");
    e.setAttribute("aria-level", row.level);
    if (row.kind === "series") {
      const { s } = row, { type } = s.f;
      e.classList.add(row.tall ? "tall" : "low", kind(type));
      if (row.solo) e.classList.add("solo");
      const labels = cell(e, row.solo ? "head" : "labels");
      if (row.solo) title(labels, s.f);
      for (const [key, value] of s.labels) {
        const chip = make("button", labels, "", `${key}=${value}`);
        chip.type = "button";
        chip.tabIndex = -1;
        chip.title = `${key}=${value}`;
        chip.label = [key, value];
      }
      if (!s.labels.length && !row.solo) make("span", labels, "dim", "no labels");
      const graph = cell(e, "graph");
      if (row.tall) {
        e.canvas = make("canvas", graph);
        e.canvas.setAttribute("aria-hidden", "true");
      } else {
        const svg = document.createElementNS(NS, "svg");
        e.svg = svg;
        svg.setAttribute("preserveAspectRatio", "none");
        svg.setAttribute("aria-hidden", "true");
        for (const kind of ["area", "line"]) {
          e[kind] = document.createElementNS(NS, "path");
          e[kind].setAttribute("class", kind);
          svg.append(e[kind]);
        }
        graph.append(svg);
      }
      e.graph = graph;
      e.value = cell(e, "value");
      e.rate = cell(e, "rate");
      return e;
    }
    if (row.f) {
      e.classList.add(kind(row.f.type));
      title(cell(e, "head"), row.f);
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
    if (row.kind !== "series") {
      put(e.count, `${row.count.toLocaleString("en-US")} ${row.f ? "series" : row.count === 1 ? "family" : "families"}`);
      return;
    }
    const { s } = row, { name, type } = s.f;
    if (e.drawn !== tick) {
      if (type === "histogram") {
        const d = distribution(s);
        columns(e.value, [50, 90, 99].map((p) => {
          const q = quantile(p / 100, d.bounds, d.counts);
          return ["p" + p, Number.isNaN(q) ? "–" : shown(q, name), `${q}, ${d.span}`];
        }));
        heat(e, s);
      } else if (type === "summary" && s.parts.length) {
        columns(e.value, s.parts.slice(0, 4).map((part) => ["p" + short(part.bound * 100), shown(part.now, name), String(part.now)]));
      } else put(e.value, shown(type === "summary" ? s.count : s.value, type === "summary" ? "" : name), String(type === "summary" ? s.count : s.value));
      if (type === "counter") put(e.rate, perSecond(s.rate, name), `per second: ${s.rate}`);
      else if (type === "histogram" || type === "summary") {
        columns(e.rate, [["avg " + (s.count ? shown(s.sum / s.count, name) : "–"), perSecond(s.rate), `${s.count} observations, sum ${s.sum}`]]);
      }
      if (s.spark && e.line) spark(e, s, name);
      e.drawn = tick;
    }
    const chosen = tokens();
    for (const chip of e.firstChild.querySelectorAll("button")) {
      chip.setAttribute("aria-pressed", chosen.some((t) => t.label === chip.label[0] && t.value === chip.label[1]));
    }
  }

  function spark(e, s, name) {
    let low = Infinity, high = -Infinity;
    for (const v of s.spark) if (Number.isFinite(v)) low = Math.min(low, v), high = Math.max(high, v);
    let path = "", area = "", from = null, first = POINTS;
    const end = () => {
      if (from !== null) area += `V24H${from}Z`;
      from = null;
    };
    for (let i = 0; i < POINTS; i++) {
      const v = s.spark[(tick + 1 + i) % POINTS];
      if (!Number.isFinite(v)) { end(); continue; }
      // A straight line where nothing moves: at the foot for nothing at all, else in the middle.
      const y = (high > low ? 22 - 20 * (v - low) / (high - low) : v ? 12 : 22).toFixed(1);
      path += from === null ? `M${i} ${y}` : `L${i} ${y}`;
      area += from === null ? `M${i} ${y}` : `L${i} ${y}`;
      if (from === null) from = i, first = Math.min(first, i);
    }
    end();
    // What is young is wide.
    first = Math.min(first, POINTS - 20);
    e.svg.setAttribute("viewBox", `${first} 0 ${POINTS - 1 - first} 24`);
    e.line.setAttribute("d", path);
    e.area.setAttribute("d", area);
    const of = (v) => s.f.type === "gauge" || s.f.type === "untyped" ? shown(v, name) : perSecond(v, name);
    if (high >= low) e.graph.title = `last 5 min: ${of(low)} to ${of(high)}`;
  }

  // Time runs to the right, the bounds upwards; the more came into a bucket, the stronger the colour.
  function heat(e, s) {
    const size = s.parts.length, { canvas } = e;
    if (!s.heat) return;
    const wide = Math.min(COLUMNS, Math.max(20, tick));
    if (canvas.width !== wide || canvas.height !== size) canvas.width = wide, canvas.height = size;
    const pen = canvas.getContext("2d");
    const most = s.heat.reduce((a, b) => Math.max(a, b), 0);
    pen.clearRect(0, 0, wide, size);
    pen.fillStyle = getComputedStyle(canvas).color;
    for (let i = 0; i < wide; i++) {
      const column = (tick + 1 + COLUMNS - wide + i) % COLUMNS * size;
      for (let j = 0; j < size; j++) {
        const v = s.heat[column + j];
        if (!v) continue;
        pen.globalAlpha = .15 + .85 * Math.sqrt(v / most);
        pen.fillRect(i, size - 1 - j, 1, 1);
      }
    }
    const bound = (part) => shown(part.bound, s.f.name);
    if (size) e.graph.title = `last 2 min, buckets from ${bound(s.parts[0])} (below) to ${bound(s.parts[size - 1])} (above)`;
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

  function draw() {
    if (changed) {
      lay();
      changed = false;
    }
    const top = -list.getBoundingClientRect().top, wanted = [];
    const until = Math.min(rows.length, rowAt(top + innerHeight + 200) + 1);
    for (let i = rowAt(top - 200); i < until; i++) wanted.push(i);
    // The one with the focus stays, for a focus that is taken away is lost.
    const kept = rows.findIndex((row) => row.key === active);
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
      e.setAttribute("aria-rowindex", i + 1);
      if (row.kind !== "series") e.setAttribute("aria-expanded", !closed.has(row.key));
      e.tabIndex = active ? (row.key === active ? 0 : -1) : place ? -1 : 0;
      fill(e, row);
    });
  }

  let asked = false;
  function redraw(all) {
    changed = changed || all === true;
    if (asked) return;
    asked = true;
    requestAnimationFrame(() => {
      asked = false;
      draw();
    });
  }

  // --- Asking: one at a time, while somebody looks.

  let busy = false, paused = false, failures = 0, timer = 0;

  function say(text, state) {
    $("live").className = state;
    if ($("status").textContent !== text) $("status").textContent = text;
  }

  const told = (status) => ({
    401: "Not logged in (401): this page may not read the metrics.",
    403: "Forbidden (403): this page may not read the metrics.",
    429: "Asked too often (429).",
    503: "The metrics could not be gathered in time (503).",
  })[status] || `The server answers with an error (${status}).`;

  async function scrape() {
    clearTimeout(timer);
    if (busy || paused || document.hidden) return;
    busy = true;
    const abort = new AbortController(), limit = setTimeout(() => abort.abort(), PATIENCE);
    try {
      const answer = await fetch(metrics, { cache: "no-store", credentials: "same-origin", headers: { Accept: "text/plain;version=0.0.4" }, signal: abort.signal });
      if (!answer.ok) throw new RangeError(told(answer.status));
      const text = await answer.text(), begin = performance.now();
      take(text, begin);
      draw();
      failures = 0;
      const took = performance.now() - begin;
      $("count").dataset.took = took.toFixed(1);
      $("count").title = `drawn in ${short(took)} ms`;
      $("up").textContent = `up ${duration(Math.max(0, Math.floor(Date.now() / 1000 - started)))}, since ${date(started)}`;
      if (!paused) say("Live", "");
    } catch (error) {
      failures++;
      const why = error instanceof RangeError ? error.message : abort.signal.aborted ? "No answer in time." : "The server can not be reached.";
      if (!paused) say(why + " Trying again.", "failed");
    } finally {
      clearTimeout(limit);
      busy = false;
      timer = setTimeout(scrape, Math.min(EVERY * 2 ** Math.min(failures, 4), 15000));
    }
  }

  function pause() {
    paused = !paused;
    $("pause").textContent = paused ? "Resume" : "Pause";
    if (paused) say("Paused", "paused");
    else say("Live", ""), scrape();
  }

  // --- Hands: mouse and keys.

  function stored(value) {
    // Where storage is forbidden, so is looking.
    try {
      if (value) localStorage.setItem("theme", value);
      return localStorage.getItem("theme");
    } catch { return null; }
  }

  const root = document.documentElement;
  function theme() {
    const dark = root.dataset.theme ? root.dataset.theme === "dark" : matchMedia("(prefers-color-scheme: dark)").matches;
    root.dataset.theme = dark ? "light" : "dark";
    stored(root.dataset.theme);
    for (const e of here.values()) e.drawn = 0;
    redraw();
  }

  function help() {
    $("keys").hidden = !$("keys").hidden;
    $("help").setAttribute("aria-expanded", !$("keys").hidden);
    redraw();
  }

  function toggle(row, open) {
    if (row.kind === "series" || open === !closed.has(row.key)) return;
    if (!closed.delete(row.key)) closed.add(row.key);
    changed = true;
    draw();
  }

  function choose(chip) {
    const [label, value] = chip.label;
    const had = tokens(), rest = had.filter((t) => t.label !== label || t.value !== value).map((t) => t.text);
    if (rest.length === had.length) {
      rest.push(`${label}=${/^[^\s"\\]+$/.test(value) ? value : `"${value.replace(/[\\"]/g, "\\$&").replace(/\n/g, "\\n")}"`}`);
    }
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
    here.get(active).focus({ preventScroll: true });
  }

  list.addEventListener("click", (event) => {
    const e = event.target.closest("[role=row]");
    if (!e) return;
    active = e.row.key;
    if (event.target.label) choose(event.target);
    else toggle(e.row);
  });
  list.addEventListener("focusin", (event) => { active = event.target.closest("[role=row]").row.key; });

  addEventListener("keydown", (event) => {
    const { key, target } = event;
    if (event.ctrlKey || event.metaKey || event.altKey) return;
    if (target === search && key === "Escape") {
      search.value = "";
      search.blur();
      redraw(true);
      return;
    }
    if (/^(INPUT|SELECT|TEXTAREA)$/.test(target.tagName)) return;
    const e = target.closest && target.closest("#list > [role=row]"), row = e && e.row;
    const at = rows.findIndex((other) => other.key === (row ? row.key : active));
    const chips = e ? [...e.querySelectorAll("button")] : [], chip = chips.indexOf(target);
    const along = (step) => chips[chip + step] ? chips[chip + step].focus() : step < 0 && e.focus();
    const act = {
      "/": () => { search.focus(); search.select(); },
      Escape: () => { search.value = ""; redraw(true); },
      p: pause, t: theme, "?": help,
      j: () => go(at + 1), k: () => go(at - 1),
    }[key] || (key === " " && !/^(BUTTON|A)$/.test(target.tagName) && pause) || row && {
      ArrowDown: () => go(at + 1), ArrowUp: () => go(at - 1), Home: () => go(0), End: () => go(rows.length - 1),
      ArrowRight: () => row.kind === "series" ? along(1) : closed.has(row.key) ? toggle(row, true) : go(at + 1),
      ArrowLeft: () => chip >= 0 ? along(-1) : row.up ? go(rows.findIndex((other) => other.key === row.up)) : toggle(row, false),
      Enter: chip < 0 && (() => row.kind === "series" ? along(1) : toggle(row)),
    }[key];
    if (!act) return;
    event.preventDefault();
    act();
  });

  search.addEventListener("input", () => redraw(true));
  group.addEventListener("change", () => redraw(true));
  $("pause").addEventListener("click", pause);
  $("theme").addEventListener("click", theme);
  $("help").addEventListener("click", help);
  narrow.addEventListener("change", () => redraw(true));
  addEventListener("scroll", redraw, { passive: true });
  addEventListener("resize", redraw);
  document.addEventListener("visibilitychange", scrape);

  const saved = stored();
  if (saved === "light" || saved === "dark") root.dataset.theme = saved;
  $("live").hidden = false;
  say("Connecting", "");
  lay();
  scrape();
})();
