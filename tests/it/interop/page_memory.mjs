// Measures the heap of the page's model over many scrapes. Started by page.rs: node --expose-gc page_memory.mjs
//
// V8 stores a part of a string as a slice, which holds the whole string. So a slice that the model keeps holds the whole
// text of its scrape.

import assert from "node:assert/strict";
import { readFileSync } from "node:fs";
import vm from "node:vm";

const TICKS = 1000, SERIES = 1000;
/** In bytes. The model needs 5 to 7 MB. The texts of all scrapes are 45 MB at least. */
const MOST = 16e6;

const script = new URL("../../../src/http/page/script/", import.meta.url);
const model = ["model.js", "format.js"].map((file) => readFileSync(new URL(file, script), "utf8")).join("\n");

const numbers = Array.from({ length: SERIES }, (_, i) => i);
const named = (i) => `a_family_with_a_long_name_${i}_total`, labels = (i) => `{worker="worker-number-${i}",queue="mail-and-more"}`;
const type = (name) => `# HELP ${name} Jobs that the workers have done.\n# TYPE ${name} counter\n`;
const born = (tick) => numbers.slice(0, tick);
/** The text of each scrape, by its number from 1 on. */
const table = {
  "one value in each scrape changes": (tick) => type(named(0)) + numbers.map((i) => `${named(0)}${labels(i)} ${Math.floor((tick + i) / SERIES)}\n`).join(""),
  "one series in each scrape is new": (tick) => type(named(0)) + born(tick).map((i) => `${named(0)}${labels(i)} ${tick}\n`).join(""),
  "one family in each scrape is new": (tick) => born(tick).map((i) => `${type(named(i))}${named(i)} ${tick}\n`).join(""),
  "one type in each scrape changes": (tick) => numbers.map((i) => `# TYPE ${named(i)} a_type_with_a_long_name_${Math.floor((tick + i) / SERIES)}\n${named(i)} ${tick}\n`).join(""),
};

/** Runs the model over these scrapes, in a context with its own clock. */
function modelAfter(text) {
  let now = 0;
  const page = vm.createContext({ Date: { now: () => now += 2000 } });
  vm.runInContext(model, page);
  const take = vm.runInContext("take", page);
  // A response is a string in one piece.
  for (let tick = 1; tick <= TICKS; tick++) take(Buffer.from(text(tick)).toString("latin1"));
  return page;
}

function measure(text) {
  const page = modelAfter(text);
  gc();
  return [process.memoryUsage().heapUsed, vm.runInContext("order.length", page)];
}

const failed = [];
for (const [row, text] of Object.entries(table)) {
  const [heap, series] = measure(text), says = `${row}: ${(heap / 1e6).toFixed(1)} MB of heap, ${series} series`;
  console.log(says);
  if (heap >= MOST || series !== SERIES) failed.push(says);
}
assert.deepEqual(failed, [], `expected less than ${MOST / 1e6} MB and ${SERIES} series`);
