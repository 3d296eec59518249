
// Writes the counts, the warnings and the table of contents.

// The title and the advice of each cause of `prometheus_exporter_errors_total`.
const WARNINGS = {
  skipped: ["Samples were skipped", "a series that is there twice, or a family without a name. The program's log names it."],
  type_conflict: ["A name has two types", "only the first is served. Rename the other. The program's log names it."],
};

function warn() {
  const due = [];
  for (const s of families.get("prometheus_exporter_errors_total")?.series.values() || []) {
    const todo = WARNINGS[s.labels[0]?.[1]];
    if (todo && s.value > 0) due.push(todo.join(` (${digits(s.value)}): `));
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
