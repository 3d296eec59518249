
// Shows the details of a series or of a family in a panel, after a click on its row.

const panel = $("panel"), CHART = 170, GUTTER = 74;
let opened, chart;

// Selects the text and copies it, because pages without TLS cannot use the clipboard API.
function copyLine(label, text) {
  const line = make("p", panel, "copy"), field = make("input", line);
  field.readOnly = true;
  field.value = text;
  field.ariaLabel = label;
  const copy = button(line, "Copy " + label, () => {
    field.select();
    put(copy, document.execCommand("copy") ? "Copied" : "Press Ctrl C");
  });
}

function openPanel(key) {
  const row = rows[places.get(key)], f = row?.f;
  if (!f || row.kind === "more") return;
  opened = row;
  const labels = row.s ? row.s.labels : row.shared;
  panel.replaceChildren();
  panel.className = kindOf(f.type);
  const head = make("header", panel);
  make("h2", head, "", f.name).id = "title";
  make("span", head, "type", f.type);
  const close = button(head, "×", () => panel.close(), "close");
  close.ariaLabel = "Close";
  make("p", panel, "", f.help || "This metric has no help text.");
  const chips = make("p", panel, "labels");
  for (const label of labels) chip(chips, label);
  chart = make("canvas", panel, "chart");
  chart.cursor = make("input", panel);
  Object.assign(chart.cursor, { type: "range", min: 1 - POINTS, max: 0, value: 0, ariaLabel: "Time", oninput: drawPanel });
  chart.onpointermove = ({ offsetX }) => pointAt(1 - (offsetX - GUTTER) / (chart.clientWidth - GUTTER));
  chart.onpointerleave = () => pointAt(0);
  chart.reading = make("p", panel, "reading");
  chart.facts = make("div", panel, "facts");
  copyLine("name", row.s || row.solo ? selector(f.name, labels) : f.name);
  copyLine("PromQL", promql(f, labels, row.s || row.solo ? [] : row.by));
  chart.buckets = f.type === "histogram" && make("table", panel);
  if (!panel.open) narrow.matches ? panel.showModal() : panel.show();
  document.body.className = "split";
  fit();
  close.focus({ preventScroll: true });
}

panel.onclose = () => {
  opened = null;
  document.body.className = "";
  fit();
  hold();
};

// Moves the cursor to a fraction of the visible time.
function pointAt(share) {
  let back = 0;
  while (back < POINTS - 1 && ago(back + 1) <= chart.seconds * share) back++;
  chart.cursor.value = -back;
  drawPanel();
}

// Returns the lines of the graph as [name, runs, function from a scrape to its value].
function linesOf(s) {
  // Quantiles are over several scrapes, because one scrape has few observations.
  const lines = s.heat ? QUANTILES.map((p) => ["p" + p, (back) => quantile(p / 100, s.parts, cameIn(s, back, 5))]) : [["", (back) => s.spark?.[at(back)]]];
  return lines.map(([name, value]) => [name, runsOf(value, LINE), value]).filter(([, runs]) => runs.length);
}

function drawPanel() {
  // A series that has disappeared or does not match the search keeps its last state.
  const row = opened && rows[places.get(opened.key)];
  if (!row || row.f !== opened.f || row.s !== opened.s || chart.drawn === tick + chart.cursor.value) return;
  chart.drawn = tick + chart.cursor.value;
  const s = row.s || total(row.of);
  const unit = (v) => s.heat ? shown(v, s.f.name) : onLine(v, s.f);
  drawChart(s, linesOf(s), unit);
  tellFigures(chart.facts, factsOf(s));
  if (chart.buckets) tellBuckets(s);
}

function drawChart(s, lines, unit) {
  const width = chart.clientWidth, context = contextOf(chart, width, CHART), height = CHART - 20, runs = lines.flatMap((line) => line[1]);
  const { low, high } = extent(runs), style = getComputedStyle(chart), back = -chart.cursor.value;
  if (!runs.length) return put(chart.reading, "There are no values yet.");
  const seconds = chart.seconds = Math.max(40, ...runs.map((run) => run[0][0]));
  let scale;
  context.translate(GUTTER, 4);
  lines.forEach(([, of], i) => {
    context.setLineDash([[], [6, 3], [2, 3]][i]);
    scale = drawRuns(context, of, { low, high, seconds, width: width - GUTTER, height, colour: style.color, bare: lines.length > 1, zero: flows(s.f.type) });
  });
  drawResets(context, s, scale.x, seconds, height);
  context.font = "11px system-ui, sans-serif";
  context.fillStyle = getComputedStyle(chart.reading).color;
  context.textAlign = "right";
  const marks = low === high ? [low] : [scale.from, (scale.from + scale.to) / 2, scale.to];
  for (const v of marks) context.fillText(unit(v), -8, 4 + Math.min(height - 4, Math.max(4, scale.y(v))));
  for (const [then, align] of [[0, "right"], [seconds, "left"]]) {
    context.textAlign = align;
    context.fillText(clock(last - then * 1000), scale.x(then), CHART - 6);
  }
  if (back) context.fillRect(scale.x(ago(back)), 0, 1, height);
  const values = lines.map(([name, , value]) => `${name} ${isFinite(value(back)) ? unit(value(back)) : "–"}`.trim());
  put(chart.reading, `${clock(last - ago(back) * 1000)}: ${values.join(", ")}`);
  chart.cursor.ariaValueText = chart.reading.was;
}

function factsOf(s) {
  const { f } = s, { low, high, mean } = extent(runsOf((back) => s.spark?.[at(back)], LINE)), rate = flows(f.type) ? " rate" : "";
  const [values, [average, observed]] = figures(s), facts = values.map(([caption, text]) => [caption || "last", text]);
  if (rate) facts.push(["rate", observed]);
  if (average) facts.push(["average", average.slice(4)]);
  const lines = [["min", low], ["avg", mean], ["max", high]].map(([name, v]) => [name + rate, isFinite(v) ? onLine(v, f) : "–"]);
  return [...facts, ...lines];
}

// Writes the count of each bucket as a number and a bar.
function tellBuckets(s) {
  const [counts, span] = distribution(s), table = chart.buckets;
  table.replaceChildren();
  put(table.createCaption(), `Buckets, ${span}`);
  s.parts.forEach((part, i) => {
    const row = table.insertRow();
    make("td", row, "", "≤ " + shown(part.bound, s.f.name));
    Object.assign(make("progress", make("td", row)), { max: Math.max(1, ...counts), value: counts[i], ariaLabel: "Share" });
    make("td", row, "", digits(counts[i]));
  });
}
