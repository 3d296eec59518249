
// Scrapes while the page is visible, with one request at a time.

const EVERY = 2000;
let busy, paused, timer, failures = 0, due = 0, patience = 10, started = Date.parse($("up").lastChild.dateTime) / 1000;

function say(text, state = "") {
  $("live").className = state;
  put($("status"), text);
  age();
}

// Shows the age of the values after a fault or during a pause.
function age() {
  const old = last && $("live").className;
  put($("age"), old ? `Values are of ${clock(last)}, ${lasted(last / 1000)} ago.` : "");
}

const told = (status) => ({ 401: "Not logged in", 429: "Asked too often", 503: "Too slow or too busy" }[status] || "Failed") + ` (${status}).`;

// Returns [text of the metrics, error, whether it timed out].
async function ask() {
  const began = performance.now(), abort = new AbortController(), limit = setTimeout(() => abort.abort(), patience * 1000);
  // With the first header the server does not count this as the last scrape of a job.
  const headers = { "X-Prometheus-Hyper-Page": "1", "X-Prometheus-Scrape-Timeout-Seconds": patience, Accept: "text/plain;version=0.0.4" };
  try {
    const answer = await fetch($("metrics").href, { cache: "no-store", headers, signal: abort.signal });
    const type = answer.headers.get("Content-Type");
    if (!answer.ok) return ["", told(answer.status), answer.status === 503 && performance.now() - began > patience * 500];
    if (!/^text\/plain\b/i.test(type)) return ["", `This answer is no metrics but ${type}: has somebody to log in?`];
    return [await answer.text()];
  } catch {
    const late = abort.signal.aborted;
    return ["", late ? `No answer in ${patience} s.` : "The server cannot be reached.", late];
  } finally {
    clearTimeout(limit);
  }
}

function show(text) {
  const began = performance.now();
  take(text);
  warn();
  draw(true);
  $("count").dataset.took = (performance.now() - began).toFixed(1);
  for (const s of families.get("process_start_time_seconds")?.series.values() || []) if (s.value > 0) started = s.value;
  put($("up"), `up ${lasted(started)}, since ${date(started)}`);
}

async function scrape() {
  clearTimeout(timer);
  if (busy || paused || document.hidden) return;
  const wait = due - performance.now();
  if (wait > 0) {
    timer = setTimeout(scrape, Math.ceil(wait));
    return;
  }
  busy = true;
  const [text, why, late] = await ask();
  failures = why ? failures + 1 : 0;
  // The timeout doubles step by step, because a scrape that shares this gather also waits for a hanging collector.
  if (late) patience = Math.min(patience * 2, 120);
  try {
    if (!why && !paused) show(text);
    if (!paused) why ? say(why + " Trying again.", "failed") : say("Live");
  } catch (fault) {
    say("This page has a fault: see the browser's console.", "failed");
    throw fault;
  } finally {
    busy = false;
    due = performance.now() + Math.min(EVERY * 2 ** failures, 15000);
    scrape();
  }
}

function pause() {
  paused = !paused;
  put($("pause"), paused ? "Resume" : "Pause");
  paused ? say("Paused", "paused") : say("Connecting");
  due = 0;
  scrape();
}
