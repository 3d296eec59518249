// Tests the page at `/` in a browser. page.rs starts it: node page.mjs SCENARIO URL
//
// Nothing here sleeps. Scenarios wait for conditions, or advance the page's clock.

import assert from "node:assert/strict";
import { readFileSync } from "node:fs";
import { createRequire } from "node:module";

// `require` searches NODE_PATH, and `import` does not.
const require = createRequire(import.meta.url);
const { chromium } = require("playwright-core");
const { default: sights } = await import("./page_sights.mjs");

const PATIENCE = 30_000;
const NOON = Date.UTC(2030, 0, 1, 12);
const [scenario, url] = process.argv.slice(2);
const origin = new URL(url).origin;

// Ends this process and Chromium with it if a scenario hangs. The limit of page.rs is a little longer.
setTimeout(() => {
  console.error(`${scenario} takes too long`);
  process.exit(1);
}, 4 * PATIENCE).unref();

const OFFLINE = ["--headless", "--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run",
  "--disable-background-networking", "--disable-component-update", "--disable-sync"];
const browser = await chromium.launch({ executablePath: process.env.CHROMIUM, args: OFFLINE });

/** Errors, warnings, dialogs and foreign requests of the pages, which fail the scenario. */
const problems = [];

/**
 * Opens a page and records its problems. `mocked` answers requests for the metrics. The console may contain the texts
 * in `expected`. `planted` is the message of a fault that the scenario injects.
 */
async function open({ mocked, clock, planted, expected = [], path = "/", hash = "", ...options } = {}) {
  const context = await browser.newContext(options);
  const page = await context.newPage();
  page.setDefaultTimeout(PATIENCE);
  page.scrapes = 0;
  const report = (text) => expected.some((e) => text.includes(e)) || problems.push(text);
  page.on("console", (m) => ["error", "warning"].includes(m.type()) && report(`${m.type()}: ${m.text()}`));
  page.on("pageerror", (error) => planted && error.message.includes(planted) || problems.push(`error: ${error.stack}`));
  page.on("dialog", (dialog) => { report(`dialog: ${dialog.message()}`); dialog.dismiss(); });
  page.on("request", (request) => {
    const asked = new URL(request.url());
    if (asked.pathname === "/metrics") page.scrapes++;
    if (asked.origin !== origin && asked.protocol !== "data:") report(`asks elsewhere: ${asked}`);
  });
  // Counts the drawings on a canvas since it was cleared.
  await page.addInitScript(() => {
    const context = CanvasRenderingContext2D.prototype, { clearRect, stroke, fill, fillRect } = context;
    context.clearRect = function (...of) { Object.assign(this.canvas, { strokes: 0, fills: 0, widths: [] }); return clearRect.apply(this, of); };
    context.stroke = function () { this.canvas.strokes++; this.canvas.widths.push(this.lineWidth); return stroke.apply(this); };
    context.fill = function () { this.canvas.fills++; return fill.apply(this); };
    context.fillRect = function (...of) { this.canvas.rect = of; return fillRect.apply(this, of); };
  });
  await page.addInitScript(() => addEventListener("securitypolicyviolation", (e) => console.error(`CSP: ${e.violatedDirective} ${e.blockedURI}`)));
  if (mocked) await page.route("**/metrics", (route) => mocked(route));
  // From here on only `runFor` advances the time.
  if (clock) {
    await page.clock.install({ time: NOON });
    await page.clock.pauseAt(NOON + 1000);
  }
  await page.goto(new URL(path, url) + hash);
  return page;
}

const text = (body) => (route) => route.fulfill({ contentType: "text/plain; version=0.0.4", body });
/** Waits until a condition holds in the page. */
const until = (page, is, argument) => page.waitForFunction(is, argument, { timeout: PATIENCE, polling: 50 });

/** Hides the page or makes it visible. */
async function lookAway(page, away) {
  await page.evaluate((away) => {
    Object.defineProperty(document, "hidden", { get: () => away, configurable: true });
    document.dispatchEvent(new Event("visibilitychange"));
  }, away);
  await settle(page);
}

const counted = (page, all) => until(page, (all) => document.getElementById("count").dataset.series === all, String(all));

async function look(page, words, series) {
  await page.fill("#search", words);
  await counted(page, series);
}

const status = (page, is) => until(page, (is) => new RegExp(is).test(document.getElementById("status").textContent), is);
/** Waits until the requests that the page has sent so far have arrived. */
const settle = (page) => page.evaluate(() => fetch("/-/healthy"));
/** Returns the visible values, each with its caption. */
const values = (page) => page.$$eval("#list .solo .value, #list .series .value", (all) => all.map((e) => [...e.children].map((one) => `${one.dataset.of} ${one.textContent}`.trim()).join(" ")));
const names = (page) => page.$$eval("#list .name", (all) => all.map((e) => e.firstChild.data));

/** Answers with the current `body`. */
function moving(body) {
  const source = { body, asked: 0 };
  source.mocked = (route) => {
    source.asked++;
    return text(typeof source.body === "string" ? source.body : source.body(source.asked))(route);
  };
  return source;
}

/** Advances the page's clock, if it has one, and waits until the next answer is drawn. */
async function refreshed(page, later) {
  await page.evaluate(() => delete document.getElementById("count").dataset.took);
  if (later) await page.clock.runFor(later);
  await until(page, () => document.getElementById("count").dataset.took);
}

/** Waits until a text has changed `times` times. */
async function moves(page, selector, times = 2) {
  const last = await page.evaluateHandle(() => ({}));
  for (let i = 0; i <= times; i++) {
    await until(page, ([selector, last]) => {
      const now = document.querySelector(selector)?.textContent;
      if (!now || /–|NaN/.test(now) || now === last.text) return false;
      last.text = now;
      return true;
    }, [selector, last]);
  }
}

const scenarios = {
  async values() {
    const page = await open();
    await look(page, "interop_depth", 1);
    await moves(page, "#list .value");
    await until(page, () => document.querySelector("#list canvas").strokes > 0);
    await look(page, "interop_jobs_total", 2);
    await moves(page, "#list .series .value");
    await until(page, () => /^[\d.,]+\/s$/.test(document.querySelector("#list .series .rate").textContent));
    await look(page, "interop_seconds", 1);
    // All are in the bucket from 0.1 to 0.2, and half of them below 0.15 by histogram_quantile.
    await until(page, () => document.querySelector("#list .value").textContent === "150 ms190 ms199 ms");
    await until(page, () => {
      const strip = document.querySelector("#list canvas");
      const dots = strip.getContext("2d").getImageData(0, 0, strip.width, strip.height).data;
      return dots.some((dot) => dot > 0);
    });
    assert.match(await page.textContent("#up"), /^up \d/);
  },

  async search() {
    const page = await open();
    await look(page, "interop_jobs", 2);
    await look(page, "interop_jobs kind=a", 1);
    await look(page, "interop_jobs kind=nobody", 0);
    assert.equal(await page.textContent("#none"), "Nothing matches.");
    assert.match(await page.textContent("#count"), /^0 of \d+ series/);
    await look(page, "JOBS done", 2);
    // A click on a label filters by it. A second click removes the filter.
    await page.click("#list .chip[title='kind=b']");
    await counted(page, 1);
    assert.equal(await page.inputValue("#search"), "JOBS done kind=b");
    assert.equal(await page.getAttribute("#list .chip", "aria-pressed"), "true");
    await page.click("#list .chip[title='kind=b']");
    await counted(page, 2);
    await look(page, "interop_", 5);
    await page.selectOption("#group", { label: "By kind" });
    await until(page, () => [...document.querySelectorAll("#list .group .name")].map((e) => e.textContent).join() === "kind = a,kind = b,no `kind` label");
    await page.selectOption("#group", "prefix");
    await until(page, () => [...document.querySelectorAll("#list .group .name")].map((e) => e.textContent).join() === "interop");
    await page.click("#list .group");
    await until(page, () => !document.querySelector("#list .family"));
  },

  /** Without a script the page shows its static parts. */
  async bare() {
    const page = await open({ javaScriptEnabled: false });
    assert.match(await page.textContent("#up"), /^since 20\d\d-\d\d-\d\d \d\d:\d\d:\d\d UTC$/);
    const since = Date.parse(await page.getAttribute("#up time", "datetime"));
    assert.ok(since <= Date.now() && since > Date.now() - 600_000, new Date(since));
    assert.ok(await page.isVisible("noscript"));
    assert.ok(!await page.isVisible("#live"));
  },

  async probe() {
    // The browser requests an icon for a plain text.
    const page = await open({ expected: ["404 (Not Found)"] });
    await page.fill("input[name=target]", "a b&c");
    await page.getByRole("button", { name: "Probe", exact: true }).click();
    await page.waitForURL((at) => at.pathname === "/probe");
    assert.equal(new URL(page.url()).searchParams.get("target"), "a b&c");
    const answer = await page.textContent("body");
    assert.match(answer, /^interop_target{target="a b&c"} 1$/m);
    assert.match(answer, /^probe_success 1$/m);
  },

  async pause() {
    const page = await open({ clock: true });
    await status(page, "^Live$");
    const before = page.scrapes;
    await refreshed(page, 2000);
    assert.equal(page.scrapes, before + 1, "scrapes again after two seconds");
    await page.focus("#pause");
    await page.keyboard.press("p");
    await status(page, "^Paused$");
    await page.clock.runFor(60_000);
    await settle(page);
    assert.equal(page.scrapes, before + 1, "must not scrape while it is paused");
    const again = page.waitForResponse("**/metrics");
    await page.click("#pause");
    await again;
    await status(page, "^Live$");
    // The page is hidden.
    await lookAway(page, true);
    const hidden = page.scrapes;
    await page.clock.runFor(60_000);
    await settle(page);
    assert.equal(page.scrapes, hidden, "must not scrape while it is hidden");
    const back = page.waitForResponse("**/metrics");
    await lookAway(page, false);
    await back;
  },

  /** The status was "Live" before the first answer, and a pending answer was drawn after "Paused". */
  async honest() {
    const held = [];
    const page = await open({ clock: true, mocked: (route) => held.push(route) });
    await until(page, () => document.getElementById("status").textContent === "Connecting");
    await page.fill("#search", "a");
    await page.clock.runFor(100);
    assert.equal(await page.textContent("#count"), "", "no count before the first answer");
    await page.click("#pause");
    await status(page, "^Paused$");
    await text("a 1\n")(held[0]);
    await settle(page);
    await settle(page);
    assert.equal(await page.textContent("#status"), "Paused");
    assert.equal(await page.textContent("#count"), "", "draws nothing while it is paused");
    await page.click("#pause");
    assert.equal(await page.textContent("#status"), "Connecting");
    while (held.length < 2) await settle(page);
    assert.equal(await page.textContent("#status"), "Connecting");
    await text("a 1\n")(held[1]);
    await status(page, "^Live$");
  },

  /** The timeout is in the request and doubles after a timeout. The time between failures grows. */
  async patience() {
    const held = [], asked = async (n) => {
      await settle(page);
      assert.equal(held.length, n);
      return held[n - 1]?.request().headers()["x-prometheus-scrape-timeout-seconds"];
    };
    const page = await open({ clock: true, mocked: (route) => held.push(route), expected: ["Failed to load resource"] });
    assert.equal(await asked(1), "10");
    assert.equal(held[0].request().headers()["x-prometheus-hyper-page"], "1");
    await page.clock.runFor(9900);
    await asked(1);
    assert.equal(await page.textContent("#status"), "Connecting");
    await page.clock.runFor(200);
    await status(page, "^No answer in 10 s\\. Trying again\\.$");
    await page.clock.runFor(3700);
    await asked(1);
    await page.clock.runFor(400);
    assert.equal(await asked(2), "20");
    await page.clock.runFor(19_000);
    await held[1].fulfill({ status: 503 });
    await status(page, "503");
    await page.clock.runFor(7900);
    await asked(2);
    // Hiding and showing the page does not shorten the wait.
    await lookAway(page, true);
    await lookAway(page, false);
    await asked(2);
    await page.clock.runFor(200);
    assert.equal(await asked(3), "40");
    await held[2].abort("connectionrefused");
    await status(page, "cannot be reached");
    await page.clock.runFor(14_900);
    await asked(3);
    await page.clock.runFor(200);
    assert.equal(await asked(4), "40", "an unreachable server does not change the timeout");
    await page.clock.runFor(39_000);
    await text("a 1\n")(held[3]);
    await counted(page, 1);
    await status(page, "^Live$");
    await page.clock.runFor(2000);
    assert.equal(await asked(5), "40", "the timeout stays");
    await held[4].fulfill({ status: 503 });
    await status(page, "503");
    await page.clock.runFor(4100);
    assert.equal(await asked(6), "40", "a busy server does not change the timeout");
  },

  /** A fault of the page was reported as "cannot be reached". */
  async fault() {
    const planted = "this fault is the test's", source = moving("# TYPE h histogram\nh_bucket{le=\"1\"} 1\nh_bucket{le=\"+Inf\"} 1\nh_sum 1\nh_count 1\n");
    const page = await open({ mocked: source.mocked, planted });
    await status(page, "^Live$");
    const thrown = page.waitForEvent("pageerror");
    await page.evaluate((planted) => {
      window.whole = CanvasRenderingContext2D.prototype.clearRect;
      CanvasRenderingContext2D.prototype.clearRect = () => { throw new Error(planted); };
    }, planted);
    assert.match((await thrown).message, new RegExp(planted));
    await status(page, "^This page has a fault");
    await page.evaluate(() => { CanvasRenderingContext2D.prototype.clearRect = window.whole; });
    await status(page, "^Live$");
  },

  /** Ticks were taken for seconds, so that "the last 30 s" were ten minutes after a pause. */
  async windows() {
    const source = moving((n) => `# TYPE h histogram\nh_bucket{le="1"} ${n * 10}\nh_bucket{le="2"} ${n * 20}\nh_bucket{le="+Inf"} ${n * 20}\nh_sum ${n}\nh_count ${n * 20}\ng ${n}\n`);
    const page = await open({ mocked: source.mocked, clock: true });
    await counted(page, 2);
    const title = (selector) => page.locator(selector).first().getAttribute("title");
    const quantiles = "#list .histogram .value span", strip = "#list .histogram .graph", line = "#list .plain .graph";
    assert.match(await title(quantiles), /over all time$/);
    for (let i = 0; i < 4; i++) await refreshed(page, 2000);
    assert.match(await title(quantiles), /over the last 8 s$/);
    assert.match(await title(strip), /^last 8 s,/);
    assert.match(await title(line), /^last 8 s: 1 to 5$/);
    for (let i = 0; i < 20; i++) await refreshed(page, 2000);
    assert.match(await title(quantiles), /over the last 30 s$/);
    assert.match(await title(strip), /^last 48 s,/);
    const strokes = () => page.evaluate(() => document.querySelector("#list .plain canvas").strokes);
    assert.equal(await strokes(), 1);
    // A pause of 100 seconds is one long column and a gap in the line.
    await page.click("#pause");
    await page.clock.runFor(100_000);
    await page.evaluate(() => delete document.getElementById("count").dataset.took);
    await page.click("#pause");
    await until(page, () => document.getElementById("count").dataset.took);
    assert.match(await title(quantiles), /over the last 100 s$/);
    assert.match(await title(strip), /^last 2 min 0 s,/);
    await refreshed(page, 2000);
    assert.match(await title(quantiles), /over the last 2 s$/);
    assert.match(await title(strip), /^last 2 min 0 s,/);
    assert.equal(await strokes(), 2);
    assert.match(await title(line), /^last 2 min 30 s: 1 to 27$/);
    // The columns of a slow server are ten seconds long.
    for (let i = 0; i < 5; i++) {
      await page.evaluate(() => delete document.getElementById("count").dataset.took);
      await page.click("#pause");
      await page.clock.runFor(10_000);
      await page.click("#pause");
      await until(page, () => document.getElementById("count").dataset.took);
    }
    assert.match(await title(quantiles), /over the last 30 s$/);
    // Rates are per second, too: 20 in ten seconds.
    assert.match(await page.locator("#list .histogram .rate").textContent(), /2\/s$/);
    // The clock is set back.
    await page.clock.setSystemTime(NOON - 3_600_000);
    await refreshed(page, 2000);
    assert.match(await title(quantiles), /over all time$/);
    await refreshed(page, 2000);
    assert.match(await title(quantiles), /over the last 2 s$/);
    assert.match(await title(line), /^last 2 s: /);
  },

  /** TYPE and HELP change, are late or are repeated. Removed series free their cells. */
  async types() {
    const source = moving("# HELP x one\n# TYPE x counter\nx 1\ny 1\n# TYPE y counter\n# TYPE y gauge\n# TYPE z gauge\n# TYPE z counter\nz 1\n");
    const page = await open({ mocked: source.mocked });
    const heads = () => page.$$eval("#list .family", (all) => all.map((e) => [".name", ".type", ".about"].map((part) => e.querySelector(part).textContent).join(" ").trim()));
    await counted(page, 3);
    assert.deepEqual(await heads(), ["x counter one", "y untyped", "z gauge"]);
    source.body = "# HELP x two\nx 2\n# TYPE x gauge\n";
    await counted(page, 1);
    assert.deepEqual(await heads(), ["x counter two"], "a TYPE below the samples is ignored, a HELP is not");
    source.body = "# TYPE x gauge\nx 3\n# TYPE n gauge\n";
    await until(page, () => document.querySelector("#list .value").textContent === "3");
    assert.deepEqual(await heads(), ["x gauge two"]);
    source.body = "# TYPE x histogram\nx_bucket{le=\"1\"} 1\nx_bucket{le=\"5\"} 1\nx_bucket{le=\"+Inf\"} 1\nx_sum 1\nx_count 1\n";
    // The buckets share the height of the heat map.
    await until(page, () => Math.round(document.querySelector("#list canvas")?.rect?.[3]) === 11);
    assert.deepEqual(await heads(), ["x histogram two"]);
    source.body = "# TYPE x histogram\nx_bucket{le=\"1\"} 1\nx_bucket{le=\"+Inf\"} 1\nx_sum 1\nx_count 1\n";
    await until(page, () => Math.round(document.querySelector("#list canvas").rect?.[3]) === 17, "buckets that have gone");
    // These lines belong to other families until a TYPE is above them.
    const untyped = "y_bucket{le=\"1\"} 1\ny_bucket{le=\"+Inf\"} 1\ny_sum 1\ny_count 1\n";
    source.body = untyped;
    await until(page, () => document.querySelector("#list .name")?.firstChild.data === "y_bucket");
    source.body = `# TYPE y histogram\n${untyped}`;
    await counted(page, 1);
    assert.deepEqual(await heads(), ["y histogram"]);
    // Heat maps have at most 6,000,000 cells. Removed series free theirs.
    const bounds = [...Array(19).keys(), "+Inf"];
    const many = (n) => Array.from({ length: 1200 }, (_, i) => bounds.map((le) => `m_bucket{i="${i}",le="${le}"} ${n}\n`).join("") + `m_sum{i="${i}"} 1\nm_count{i="${i}"} ${n}\n`).join("");
    await page.fill("#search", "i=1199");
    for (let turn = 0; turn < 3; turn++) {
      source.body = (n) => "# TYPE m histogram\n" + many(n);
      await until(page, () => /over the last/.test(document.querySelector("#list .series .value span")?.title), turn);
      source.body = turn === 1 ? "a 1\n" : "# TYPE m gauge\nm{i=\"1199\"} 1\n";
      await until(page, () => !document.querySelector("#list .histogram"));
    }
  },

  /** Each line with the family that it creates, if any. */
  async lines() {
    const table = [
      ["Hello world. This", null], ["<p", null], ["<p class=\"x\"> 1", null], ["<p>7 1", null], ["1st 1", null], ["da-sh 1", null], ["$ 1", null],
      ["hex 0x10", null], ["under 1_0", null], ["empty ", null], ["empty{a=\"b\"}", null], ["words 1 2 3", null], ["stamp 1 x", null],
      ["bare{a} 1", null], ["{bare} 1", null], ["key{\"\"=\"b\"} 1", null], ["dots 1.2.3", null], ["plus ++1", null], ["dot .", null],
      ["  blanks 7", "blanks"], ["\ttab{a=\"b\"}  8 ", "tab"], ["return 9\r", "return"], ["stamped 1 1700000000000", "stamped"], ["before{a=\"b\"} 1 -1", "before"],
      ["exponent 1e3", "exponent"], ["point .5", "point"], ["minus -Inf", "minus"], ["infinity +infinity", "infinity"], ["not nan", "not"], ["tight{a=\"b\"}1", "tight"],
      ["{\"quo ted\",\"la bel\"=\"v\"} 1", "quo ted"], ["colon:colon 1", "colon:colon"],
    ];
    const source = moving("");
    const page = await open({ mocked: source.mocked, clock: true });
    for (const [line, name] of table) {
      source.body = `good 1\n${line}\n`;
      await refreshed(page, 2000);
      assert.deepEqual(await names(page), name ? ["good", name].sort() : ["good"], line);
    }
  },

  /** A proxy in front of the server answers with its login page. */
  async login() {
    const page = await open({ mocked: (route) => route.fulfill({ contentType: "text/html", body: "<p>Who are you?\nname 1\n" }) });
    await status(page, "^This answer is no metrics but text/html");
    assert.equal(await page.locator("#list .family").count(), 0);
  },

  /** Visible rows keep their positions when families above them change. Series are sorted by their labels. */
  async order() {
    const lines = (prefix, n) => Array.from({ length: n }, (_, i) => `${prefix}${String(i).padStart(3, "0")} 1\n`).join("");
    const source = moving(lines("m", 100));
    const page = await open({ mocked: source.mocked });
    await counted(page, 100);
    await page.evaluate(() => scrollTo(0, 2300));
    await until(page, () => [...document.querySelectorAll("#list .name")].some((e) => e.firstChild.data === "m050"));
    const place = () => page.evaluate(() => [...document.querySelectorAll("#list .name")].find((e) => e.firstChild.data === "m050").getBoundingClientRect().top);
    const before = await place();
    // The last body lacks the first visible row.
    for (const [body, series] of [[lines("a", 20) + lines("m", 100), 120], [lines("b", 3) + lines("m", 100), 103], [lines("m", 100).replace(/^m04.*\n/gm, ""), 90]]) {
      source.body = body;
      await counted(page, series);
      assert.equal(await place(), before, `${series} series`);
    }

    const of = () => page.$$eval("#list .series .chip", (all) => all.map((e) => e.title));
    source.body = "x{n=\"10\"} 1\nx{n=\"9\"} 1\nx{n=\"b\"} 1\nx{n=\"a2\"} 1\nx{n=\"a10\"} 1\n";
    await counted(page, 5);
    assert.deepEqual(await of(), ["n=9", "n=10", "n=a2", "n=a10", "n=b"]);
    source.body = "x{n=\"8\"} 1\n" + source.body + "x{n=\"1\"} 1\n";
    await counted(page, 7);
    assert.deepEqual(await of(), ["n=1", "n=8", "n=9", "n=10", "n=a2", "n=a10", "n=b"]);

    // Label names that need quotes.
    source.body = "{\"x\",\"a b\"=\"1\"} 1\n{\"x\",\"a b\"=\"2 \\\"3\"} 1\n{\"x\",\"q\\\"=\"=\"e=f\"} 1\n";
    await counted(page, 3);
    for (const [i, filter] of [[0, '"a b"=1'], [1, '"a b"="2 \\"3"'], [2, '"q\\"="="e=f"']]) {
      await page.locator("#list .series .chip").nth(i).click();
      await counted(page, 1);
      assert.equal(await page.inputValue("#search"), filter);
      await page.locator("#list .series .chip").click();
      await counted(page, 3);
      assert.equal(await page.inputValue("#search"), "");
    }

    // The focus is kept when its row changes or disappears.
    const focus = () => page.evaluate(() => document.activeElement.row?.solo ? "solo" : document.activeElement.row?.kind || document.activeElement.id);
    for (const [body, series, is] of [["f 1\n", 1, "solo"], ["f 1\nf{a=\"b\"} 1\n", 2, "family"], ["g 1\n", 1, "list"]]) {
      source.body = body;
      await counted(page, series);
      if (is === "solo") await page.focus("#list .solo");
      assert.equal(await focus(), is, body);
    }

    // The chosen label becomes a rare one, which is not among the first forty.
    source.body = "x{rare=\"1\"} 1\n";
    await counted(page, 1);
    await page.selectOption("#group", "label rare");
    source.body += Array.from({ length: 45 }, (_, i) => `x{l${i}="1"} 1\nx{l${i}="2"} 1\n`).join("");
    await counted(page, 91);
    assert.equal(await page.inputValue("#group"), "label rare");
    assert.equal(await page.locator("#group option").count(), 43);
  },

  async keyboard() {
    const page = await open();
    await until(page, () => document.querySelector("#list .series"));
    const focused = () => page.evaluate(() => document.activeElement.className || document.activeElement.id);
    const hidden = (id) => page.evaluate((id) => document.getElementById(id).hidden, id);
    // Keys work at once, because the list has the focus.
    assert.equal(await focused(), "list");
    await page.keyboard.press("?");
    assert.equal(await hidden("keys"), false);
    await page.keyboard.press("?");
    assert.equal(await hidden("keys"), true);
    await page.keyboard.press("p");
    assert.equal(await page.textContent("#pause"), "Resume");
    await page.keyboard.press("p");
    await status(page, "^Live$");
    await page.keyboard.press("/");
    assert.equal(await focused(), "search");
    await page.keyboard.type("interop_jobs p t");
    assert.equal(await page.textContent("#status"), "Live", "letters in the search field are no commands");
    await page.keyboard.press("Escape");
    assert.equal(await page.inputValue("#search"), "");
    assert.equal(await focused(), "list");
    await look(page, "interop_jobs", 2);
    await page.keyboard.press("Escape");
    await look(page, "interop_jobs", 2);
    await page.focus("#theme");
    await page.keyboard.press("j");
    assert.match(await focused(), /family/);
    await page.keyboard.press("Enter");
    await until(page, () => !document.querySelector("#list .series"));
    assert.equal(await page.getAttribute("#list .family", "aria-expanded"), "false");
    await page.keyboard.press("ArrowRight");
    await until(page, () => document.querySelectorAll("#list .series").length === 2);
    await page.keyboard.press("ArrowDown");
    assert.match(await focused(), /series/);
    await page.keyboard.press("ArrowRight");
    assert.equal(await page.evaluate(() => document.activeElement.title), "kind=a");
    await page.keyboard.press("Enter");
    await counted(page, 1);
    await page.keyboard.press("Escape");
    await until(page, () => document.getElementById("search").value === "");
    // The panel opens, and closing it restores the focus.
    await page.keyboard.press("Home");
    const first = await focused();
    await page.keyboard.press("i");
    assert.ok(await page.isVisible("#panel"));
    assert.equal(await focused(), "close");
    await page.keyboard.press("Escape");
    assert.ok(!await page.isVisible("#panel"));
    assert.equal(await focused(), first);
    await page.keyboard.press("c");
    await until(page, () => !document.querySelector("#list .series"));
    await page.keyboard.press("c");
    await until(page, () => document.querySelector("#list .series"));
    await page.keyboard.press("End");
    await page.keyboard.press("?");
    assert.ok(await page.isVisible("#keys"));
    const theme = () => page.evaluate(() => document.documentElement.style.colorScheme);
    await page.keyboard.press("t");
    assert.equal(await theme(), "dark");
    // Single-character keys can be switched off (WCAG 2.1.4). Other keys still work.
    await page.uncheck("#single");
    await page.focus("#list [tabindex='0']");
    for (const key of ["t", "p", "c", "j", "i", "?", "/"]) await page.keyboard.press(key);
    assert.deepEqual([await theme(), await page.textContent("#pause"), await hidden("keys"), await page.isVisible("#panel")], ["dark", "Pause", false, false]);
    await page.keyboard.press("Home");
    assert.match(await focused(), /family/);
    await page.reload();
    assert.equal(await theme(), "dark", "the theme is kept");
    await until(page, () => document.querySelector("#list .series"));
    await page.keyboard.press("t");
    assert.equal(await theme(), "dark", "the switched-off keys are kept");
    // The space bar scrolls, as the browser does by default.
    await page.setViewportSize({ width: 1280, height: 300 });
    for (const selector of [null, "#list [tabindex='0']"]) {
      await page.evaluate(() => scrollTo(0, 0));
      if (selector) await page.focus(selector);
      await page.keyboard.press(" ");
      await until(page, () => scrollY > 0);
      assert.equal(await page.textContent("#pause"), "Pause");
    }
  },

  /** Texts with markup are in the name, the links, the help, and the names and values of labels. */
  async text() {
    const evil = "<script>alert(1)</script><img src=x onerror=alert(1)>";
    const quoted = `"${evil}"`;
    const body = `# HELP ${quoted} ${evil}\n# TYPE ${quoted} gauge\n{${quoted},${quoted}=${quoted}} 1\n# TYPE h ${evil}\nh{a="${evil}"} 2\n`
      + `x{y="}"} 3\nx{y="\\"} 4"} 4\nx{y="a\\\\b\\nc"} 5\n`
      + "rubbish{\nrubbish{a} 1\nrubbish{a=\"b} 1\n} 1\n{} 1\n{\"\n{\"a\",\"b\"} 1\n\"\" 1\n# TYPE\n# HELP \"\n\0\n \nnan NaN\ninf +Inf 17\n";
    const ours = await open();
    const page = await open({ mocked: text(body) });
    for (const p of [ours, page]) {
      await until(p, () => document.querySelector("#list .family"));
      assert.equal(await p.title(), `Evil ${evil}`);
      assert.equal(await p.textContent("h1"), `Evil ${evil} ${evil}`);
      assert.equal(await p.textContent("#who p"), evil);
      assert.equal(await p.getByRole("link", { name: evil, exact: true }).count(), 1);
      assert.equal(await p.locator("script").count(), 1, "the script of the page");
      assert.equal(await p.locator("img").count(), 0);
    }
    await look(ours, "interop_evil", 1);
    assert.equal(await ours.textContent("#list .chip"), `label=${evil}`);
    await ours.click("#list .chip");
    await counted(ours, 1);
    assert.equal(await page.locator("#list .name").first().evaluate((e) => e.firstChild.data), evil);
    assert.equal(await page.locator("#list .about").first().textContent(), evil);
    assert.equal(await page.locator("#list .chip").first().textContent(), `${evil}=${evil}`);
    const names = await page.$$eval("#list .name", (all) => all.map((e) => e.firstChild.data));
    assert.deepEqual(names, [evil, "h", "inf", "nan", "x"], "invalid lines are ignored");
    assert.deepEqual(await values(page), ["1", "2", "+Inf", "NaN", "4", "3", "5"]);
    assert.equal(await page.locator("#list .series .chip").last().textContent(), "a\\b\nc");
    assert.equal(await page.locator("#list .series .chip").last().getAttribute("title"), "y=a\\b\nc");
    // The panel shows them as text, too.
    await page.locator("#list .solo .value").first().click();
    assert.equal(await page.textContent("#panel h2"), evil);
    assert.deepEqual(await page.$$eval(".copy input", (all) => all.map((e) => e.value)), Array(2).fill(`{"${evil}", "${evil}"="${evil}"}`));
  },

  /** A counter reset has no negative rate. Quantiles and numbers are formatted. */
  async numbers() {
    const expositions = [100, 110, 4].map((n) => `# TYPE c_total counter\nc_total ${n}\n`);
    let place = 0;
    const counter = await open({ mocked: (route) => text(expositions[Math.min(place++, 2)])(route) });
    for (const n of ["110", "4"]) {
      await until(counter, (n) => document.querySelector("#list .value")?.textContent === n, n);
      assert.match(await counter.textContent("#list .rate"), /^[\d.]+\/s$/);
    }
    const body = `# TYPE h_seconds histogram
h_seconds_bucket{le="1"} 0\nh_seconds_bucket{le="2"} 50\nh_seconds_bucket{le="+Inf"} 100\nh_seconds_sum 300\nh_seconds_count 100
# TYPE b_bytes gauge\nb_bytes 1536\n# TYPE r_ratio gauge\nr_ratio 0.125\n# TYPE s summary\ns{quantile="0.5"} 3\ns{quantile="0.99"} 9\ns_sum 12\ns_count 4
# TYPE up_time_seconds gauge\nup_time_seconds 7260\n`;
    const page = await open({ mocked: text(body) });
    await counted(page, 5);
    assert.deepEqual(await values(page), ["1.5 KiB", "p50 2 s p90 2 s p99 2 s", "12.5 %", "p50 3 p99 9", "2 h 1 min"]);
    assert.equal(await page.locator("#list .rate").nth(1).getAttribute("data-of"), "avg 3 s");
    const digits = await open({ mocked: text("a 1234567.5\nb 1234567\nc 12.3456\nd 0.00012345\ne 1e15\n# TYPE f summary\nf_count 1234567\nf_sum 0\n") });
    await counted(digits, 6);
    assert.deepEqual(await values(digits), ["1,234,567.5", "1,234,567", "12.35", "0.0001235", "1.000e+15", "count 1,234,567"]);
    // A line of 32-bit floats had times with an error of two minutes.
    const stamp = await open({ mocked: text("t_timestamp_seconds 1700000001\n") });
    await counted(stamp, 1);
    const [moment, line] = [await stamp.textContent("#list .value"), await stamp.getAttribute("#list .graph", "title")];
    assert.match(line, /: [\d,]+ d \d+ h ago to [\d,]+ d \d+ h ago$/);
    assert.ok(line.endsWith(` to ${moment}`), `${moment}; ${line}`);
  },

  async faults() {
    // The browser logs these itself.
    const page = await open({ expected: ["Failed to load resource"] });
    await until(page, () => document.getElementById("status").textContent === "Live");
    const table = [
      [(route) => route.abort("connectionrefused"), /cannot be reached/],
      [(route) => route.fulfill({ status: 401 }), /401/],
      [(route) => route.fulfill({ status: 403 }), /403/],
      [(route) => route.fulfill({ status: 503 }), /503/],
      [(route) => route.fulfill({ status: 500 }), /500/],
    ];
    for (const [answer, says] of table) {
      await page.route("**/metrics", answer);
      await until(page, (says) => new RegExp(says).test(document.getElementById("status").textContent), says.source);
      await page.unroute("**/metrics");
      await until(page, () => document.getElementById("status").textContent === "Live");
    }
    await look(page, "interop_depth", 1);
    await moves(page, "#list .value");
  },

  /** Takes the picture of the README. This is not a test: node page.mjs screenshot URL FILE [light|dark] [WIDTH] */
  async screenshot() {
    const [file, colorScheme = "light", width = "1200"] = process.argv.slice(4);
    const page = await open({ colorScheme, viewport: { width: Number(width), height: 820 } });
    // Waits for enough points to draw lines. This takes less than the time limit of a scenario.
    for (let i = 0; i < 50; i++) await page.waitForResponse("**/metrics");
    await page.screenshot({ path: file });
  },
};

Object.assign(scenarios, sights({ assert, counted, look, moving, names, open, origin, refreshed, require, settle, status, text, until, values }));

try {
  await scenarios[scenario]();
} catch (error) {
  console.error(error);
  process.exitCode = 1;
} finally {
  await browser.close();
  // Also after another failure, because a problem may be its cause.
  if (problems.length) {
    console.error("The page has problems:", problems);
    process.exitCode = 1;
  }
}
