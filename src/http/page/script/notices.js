
// Writes the counts, the warnings and the table of contents.

// The fault and the advice for each cause of `prometheus_exporter_errors_total`.
const WARNINGS = new Map([
  ["skipped", "A line, a sample or a collector was skipped. The program's log names the first."],
  ["type_conflict", "A name has two types. The program's log names it. Only the first is served. Rename the other."],
]);

// Warns of faults that were counted while the page was open. The list shows older ones as numbers.
function warn() {
  const due = [];
  for (const s of families.get("prometheus_exporter_errors_total")?.series.values() || []) {
    const text = WARNINGS.get(new Map(s.labels).get("cause"));
    if (text && tick - s.rose < POINTS) due.push(`${text} Since the start: ${digits(s.value)}.`);
  }
  put($("warnings"), due.join("\n"));
}

function tell(series, all, ours) {
  const count = $("count");
  count.dataset.series = series;
  put(count, `${series === all ? "" : digits(series) + " of "}${digits(all)} series in ${plural(families.size, "family", "families")}`);
  $("empty").hidden = ours > 0 || wanted.length > 0;
  if (!ours) put($("why"), remarks.slice(0, 6).join(" ") || "Nothing is registered, or it has no series yet.");
  $("none").hidden = series > 0 || !all;
  list.hidden = !series;
}

// Writes the table of contents: families and groups. If there are too many, it has only the first of each prefix.
function contents() {
  const area = $("contents"), seen = new Set(), many = blocks.length > MOST_CONTENTS;
  const entries = blocks.map((block) => rows[block.head]).map((row) => [row.name || (many ? prefix(row.f.name) : row.f.name), row])
    .filter(([text]) => !seen.has(text) && seen.add(text)).slice(0, MOST_CONTENTS);
  const now = JSON.stringify(entries.map(([text, row]) => [text, row.key]));
  if (area.was === now) return;
  area.was = now;
  area.replaceChildren();
  for (const [text, { key }] of entries) button(area, text, () => go(places.get(key), true)).title = text;
}

// Offers the labels to group by, those with the most series first.
let offered = "";
function offer() {
  const uses = new Map();
  for (const f of families.values()) for (const s of f.series.values()) for (const [name] of s.labels) uses.set(name, (uses.get(name) || 0) + 1);
  const labels = [...uses].sort((a, b) => b[1] - a[1]).slice(0, 40).map((use) => use[0]), chosen = view.group.slice(6);
  // The chosen label stays, even if it is a rare one now.
  if (view.group.startsWith("label ") && !labels.includes(chosen)) labels.push(chosen);
  const now = JSON.stringify([view.group, labels.sort()]);
  if (offered === now) return;
  offered = now;
  const options = [["", "No groups"], ["prefix", "By prefix"], ...labels.map((l) => ["label " + l, "By " + l])];
  $("group").replaceChildren(...options.map(([value, text]) => new Option(text, value, false, value === view.group)));
}
