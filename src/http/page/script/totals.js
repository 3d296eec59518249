
// Computes totals of several series.

// Matches gauges whose sum has no meaning.
const NO_SUM = /_(ratio|percent|celsius|info|seconds|ready|success)$|_(max|min|mean|limit)(_|$)/;
const summed = (f) => flows(f.type) || f.type === "gauge" && !NO_SUM.test(f.name);

const sameBounds = (of) => of.every((s) => s.parts.length === of[0].parts.length
  && s.parts.every((part, i) => part.bound === of[0].parts[i].bound));

// Returns a series with the sums, or with the means if a sum has no meaning.
function total(of) {
  if (of.length === 1) return of[0];
  const { f } = of[0], t = { f, of, low: Infinity, high: -Infinity, resets: [], parts: [], spark: sumOf(of) };
  for (const key of ["value", "sum", "count"]) t[key] = of.reduce((sum, s) => sum + s[key], 0);
  // A new series has no rate yet.
  t.rate = of.reduce((sum, s) => sum + (s.rate || 0), 0);
  for (const s of of) {
    if (s.value < t.low) t.low = s.value;
    if (s.value > t.high) t.high = s.value;
    if (flows(f.type)) t.resets.push(...s.resets);
  }
  if (f.type === "histogram" && sameBounds(of)) merge(of, t);
  return t;
}

// Combines the points of each scrape, over the series that have one.
function sumOf(of) {
  const sum = new Float64Array(POINTS), n = new Uint32Array(POINTS), isSum = summed(of[0].f);
  for (const { spark } of of) {
    for (let i = 0; spark && i < POINTS; i++) if (isFinite(spark[i])) sum[i] += spark[i], n[i]++;
  }
  return sum.map((all, i) => n[i] ? isSum ? all : all / n[i] : NaN);
}

// Computes the buckets of a total, and the heat map of the series that have one.
function merge(of, t) {
  const hot = of.filter((s) => s.heat);
  t.parts = of[0].parts.map(({ bound }, i) => ({ bound, now: of.reduce((sum, s) => sum + s.parts[i].now, 0) }));
  t.born = Math.min(...hot.map((s) => s.born));
  if (hot.length) t.heat = new Float32Array(hot[0].heat.length);
  for (const { heat } of hot) for (let i = 0; i < heat.length; i++) t.heat[i] += heat[i];
}

// Returns the columns of a heat map as [back, start, end], in seconds ago. The last scrape is always among them.
function columnsOf(s, seconds) {
  const columns = [];
  for (let back = 0; s.heat && back < Math.min(POINTS - 1, tick - s.born); back++) {
    const began = ago(back + 1);
    if (!(began <= seconds || !back && began > 0)) break;
    columns.push([back, began, ago(back)]);
  }
  return columns;
}

// Returns the increase of each bucket over some scrapes.
const cameIn = (s, back, scrapes = 1) => s.parts.map((_, i) => {
  let count = 0;
  for (let n = back; n < back + scrapes && n < tick - s.born && n < POINTS; n++) count += s.heat[at(n) * s.parts.length + i];
  return count;
});

// Returns [counts, description] over the last scrapes, or over all time if the last scrapes have no observations.
function distribution(s) {
  const recent = columnsOf(s, RECENT), counts = recent.length ? cameIn(s, 0, recent.length) : [];
  if (counts.some((count) => count > 0)) return [counts, `over the last ${duration(Math.round(recent.at(-1)[1]))}`];
  return [s.parts.map((part, i) => Math.max(0, part.now - (i ? s.parts[i - 1].now : 0)) || 0), "over all time"];
}

// Works like Prometheus' histogram_quantile: linear in a bucket, and the last bound above it.
function quantile(q, parts, counts) {
  const all = counts.reduce((a, b) => a + b, 0), bounds = parts.map((part) => part.bound);
  if (!all || bounds.length < 2) return NaN;
  let rank = q * all, i = 0;
  while (i < bounds.length - 1 && rank > counts[i]) rank -= counts[i++];
  if (bounds[i] === Infinity) return bounds[i - 1];
  if (!i && bounds[0] <= 0) return bounds[0];
  const low = i ? bounds[i - 1] : 0;
  return counts[i] ? low + (bounds[i] - low) * rank / counts[i] : bounds[i];
}

// Returns the points of a line, oldest first, in runs without gaps: [[seconds ago, value], …]. `value` maps a scrape.
function runsOf(value, seconds) {
  const runs = [];
  let before = NaN;
  for (let back = POINTS - 1; back >= 0; back--) {
    const then = ago(back), v = value(back);
    if (!(then <= seconds)) continue;
    if (!isFinite(v)) { before = NaN; continue; }
    if (!(before - then <= GAP)) runs.push([]);
    runs.at(-1).push([before = then, v]);
  }
  return runs;
}

function extent(runs) {
  let low = Infinity, high = -Infinity, sum = 0, n = 0;
  for (const run of runs) for (const [, v] of run) low = Math.min(low, v), high = Math.max(high, v), sum += v, n++;
  return { low, high, mean: sum / n };
}

// Returns the change of a series, as a fraction of its size.
function change(s) {
  let low = Infinity, high = -Infinity;
  for (const v of s.spark || []) if (isFinite(v)) low = Math.min(low, v), high = Math.max(high, v);
  return high > low ? (high - low) / Math.max(Math.abs(high), Math.abs(low)) : 0;
}
