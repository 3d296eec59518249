
// Draws small graphs on canvases. Each graph is one node.

const HEIGHT = 26;
let graphWidth = 0, colours = new Map();

function colourOf(canvas, kind) {
  if (!colours.has(kind)) colours.set(kind, getComputedStyle(canvas).color);
  return colours.get(kind);
}

// Clears a canvas, sets its size in CSS pixels, and returns its drawing context.
function contextOf(canvas, width, height) {
  const ratio = devicePixelRatio || 1, [w, h] = [Math.round(width * ratio), Math.round(height * ratio)];
  if (canvas.width !== w || canvas.height !== h) canvas.width = w, canvas.height = h;
  const context = canvas.getContext("2d");
  context.setTransform(ratio, 0, 0, ratio, 0, 0);
  context.clearRect(0, 0, width, height);
  return context;
}

// Returns the range of a graph's height. A graph is filled only if it starts at zero, so that its area is a quantity.
// Other graphs have a minimum range, so that 18 and 17 are close together.
function rangeOf(low, high) {
  if (low <= high / 2) return [Math.min(low, 0), Math.max(high, 0), true];
  const middle = (low + high) / 2, half = Math.max(high - low, middle / 5) / 2;
  return [middle - half, middle + half];
}

// Draws lines over `seconds` into a box of this size. Returns the range of its height.
function drawRuns(context, runs, { low, high, seconds, width, height, colour, bare, zero }) {
  const constant = low === high, [from, to, fill] = rangeOf(zero ? Math.min(0, low) : low, high);
  const x = (then) => width - then / seconds * width;
  const y = (v) => constant ? v ? height / 2 : height - 1 : height - 2 - (height - 4) * (v - from) / (to - from);
  context.strokeStyle = context.fillStyle = colour;
  context.lineJoin = context.lineCap = "round";
  context.lineWidth = constant ? 1 : 1.5;
  for (const run of runs) {
    context.beginPath();
    // The first point is drawn twice, so that a single point becomes a dot.
    for (const [then, v] of [run[0], ...run]) context.lineTo(x(then), y(v));
    context.globalAlpha = constant ? .6 : 1;
    context.stroke();
    if (!fill || constant || bare) continue;
    for (const end of [run.at(-1), run[0]]) context.lineTo(x(end[0]), y(0));
    context.globalAlpha = .16;
    context.fill();
  }
  context.globalAlpha = 1;
  return { from, to, x, y };
}

// Draws a dashed line at each counter reset.
function drawResets(context, s, x, seconds, height) {
  const resets = s.resets.map((then) => ago(tick - then)).filter((then) => then <= seconds);
  context.setLineDash([2, 2]);
  context.lineWidth = 1;
  for (const then of resets) {
    context.beginPath();
    context.moveTo(x(then), 0);
    context.lineTo(x(then), height);
    context.stroke();
  }
  context.setLineDash([]);
  return resets;
}

// Draws the graph of a series. Returns its description as text.
function sparkline(canvas, s, kind) {
  const context = contextOf(canvas, graphWidth, HEIGHT), runs = runsOf((back) => s.spark?.[at(back)], LINE);
  if (!runs.length) return "no values yet";
  const { low, high } = extent(runs), first = runs[0][0][0];
  // The graph spans the history and at least 40 seconds, so that a short history is wide.
  const seconds = Math.max(first, 40);
  const { x } = drawRuns(context, runs, { low, high, seconds, width: graphWidth, height: HEIGHT, colour: colourOf(canvas, kind), zero: flows(s.f.type) });
  const resets = drawResets(context, s, x, seconds, HEIGHT), of = s.of && !summed(s.f) ? "mean, " : "";
  const reset = resets.length ? `, reset ${duration(Math.round(resets.at(-1)))} ago` : "";
  return `${of}last ${duration(Math.round(first))}: ${onLine(low, s.f)} to ${onLine(high, s.f)}${reset}`;
}

// Draws a heat map with the time to the right and the bounds upwards. The colour is the rate of a bucket.
function heatStrip(canvas, s, kind) {
  const height = 34, context = contextOf(canvas, graphWidth, height), size = s.parts.length, columns = columnsOf(s, STRIP);
  if (!columns.length) return "no values yet";
  const began = columns.at(-1)[1], seconds = Math.max(began, 40), x = (then) => graphWidth - Math.round(then / seconds * graphWidth);
  const rates = columns.map(([back, from, to]) => cameIn(s, back).map((count) => count / (from - to)));
  const most = Math.max(...rates.flat());
  context.fillStyle = colourOf(canvas, kind);
  columns.forEach(([, from, to], i) => rates[i].forEach((rate, j) => {
    context.globalAlpha = rate && .15 + .85 * Math.sqrt(rate / most);
    context.fillRect(x(from), height - (j + 1) * height / size, x(to) - x(from), height / size);
  }));
  const bound = (part) => shown(part.bound, s.f.name);
  return `last ${duration(Math.round(began))}, buckets ${bound(s.parts[0])} to ${bound(s.parts[size - 1])}`;
}
