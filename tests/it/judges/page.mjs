// What a browser makes of the page at `/`. Started by page.rs: node page.mjs SCENARIO URL
//
// Nothing here sleeps: it waits for what is to happen, or runs the page's own clock.

import assert from "node:assert/strict";
import { readFileSync } from "node:fs";
import { createRequire } from "node:module";

// By NODE_PATH, which `import` does not read.
const require = createRequire(import.meta.url);
const { chromium } = require("playwright-core");

const PATIENCE = 30_000;
const [scenario, url] = process.argv.slice(2);
const origin = new URL(url).origin;

const OFFLINE = ["--headless", "--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run",
  "--disable-background-networking", "--disable-component-update", "--disable-sync"];
const browser = await chromium.launch({ executablePath: process.env.CHROMIUM, args: OFFLINE });

/** A page that notes what it should not do. `mocked` answers for the metrics, where it is given. */
async function open({ mocked, clock, expected = [], ...options } = {}) {
  const context = await browser.newContext(options);
  const page = await context.newPage();
  page.setDefaultTimeout(PATIENCE);
  page.complaints = [];
  page.scrapes = 0;
  const complain = (text) => expected.some((e) => text.includes(e)) || page.complaints.push(text);
  page.on("console", (m) => ["error", "warning"].includes(m.type()) && complain(`${m.type()}: ${m.text()}`));
  page.on("pageerror", (error) => complain(`error: ${error.stack}`));
  page.on("dialog", (dialog) => { complain(`dialog: ${dialog.message()}`); dialog.dismiss(); });
  page.on("request", (request) => {
    const asked = new URL(request.url());
    if (asked.pathname === "/metrics") page.scrapes++;
    if (asked.origin !== origin && asked.protocol !== "data:") complain(`asks elsewhere: ${asked}`);
  });
  await page.addInitScript(() => addEventListener("securitypolicyviolation", (e) => console.error(`CSP: ${e.violatedDirective} ${e.blockedURI}`)));
  if (mocked) await page.route("**/metrics", (route) => mocked(route));
  if (clock) await page.clock.install();
  await page.goto(url);
  return page;
}

const text = (body) => (route) => route.fulfill({ contentType: "text/plain; version=0.0.4", body });
/** Until it is so, in the page. */
const until = (page, is, argument) => page.waitForFunction(is, argument, { timeout: PATIENCE, polling: 50 });
const rows = (page) => page.locator("#list .series");
const counted = (page, all) => until(page, (all) => document.getElementById("count").dataset.series === all, String(all));

async function look(page, words, series) {
  await page.fill("#search", words);
  await counted(page, series);
}

/** That a text changes by itself, `times`. */
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
    await look(page, "judged_depth", 1);
    await moves(page, "#list .series .value");
    await until(page, () => /L/.test(document.querySelector("#list .series .line").getAttribute("d")));
    await look(page, "judged_jobs_total", 2);
    await moves(page, "#list .series .value");
    await until(page, () => /^[\d.,]+\/s$/.test(document.querySelector("#list .series .rate").textContent));
    await look(page, "judged_seconds", 1);
    // All are in the bucket from 0.1 to 0.2, half of them below 0.15, as histogram_quantile has it.
    await until(page, () => document.querySelector("#list .value").textContent === "p50150 msp90190 msp99199 ms");
    await until(page, () => {
      const strip = document.querySelector("#list canvas");
      const dots = strip.getContext("2d").getImageData(0, 0, strip.width, strip.height).data;
      return dots.some((dot) => dot > 0);
    });
    assert.match(await page.textContent("#up"), /^up \d/);
    return [page];
  },

  async search() {
    const page = await open();
    await look(page, "judged_jobs", 2);
    await look(page, "judged_jobs kind=a", 1);
    await look(page, "judged_jobs kind=nobody", 0);
    assert.equal(await page.textContent("#empty"), "Nothing matches.");
    assert.match(await page.textContent("#count"), /^0 of \d+ series/);
    await look(page, "JOBS done", 2);
    // A click on a label filters by it, another one no longer does.
    await page.click("#list button:has-text('kind=b')");
    await counted(page, 1);
    assert.equal(await page.inputValue("#search"), "JOBS done kind=b");
    assert.equal(await page.getAttribute("#list button", "aria-pressed"), "true");
    await page.click("#list button:has-text('kind=b')");
    await counted(page, 2);
    await look(page, "judged_", 5);
    await page.selectOption("#group", { label: "by kind" });
    await until(page, () => [...document.querySelectorAll("#list .group .name")].map((e) => e.textContent).join() === "kind = a,kind = b,without it");
    await page.selectOption("#group", "prefix");
    await until(page, () => [...document.querySelectorAll("#list .group .name")].map((e) => e.textContent).join() === "judged");
    await page.click("#list .group");
    await until(page, () => !document.querySelector("#list .series"));
    return [page];
  },

  async pause() {
    const page = await open({ clock: true });
    await page.clock.runFor(100);
    await until(page, () => document.getElementById("status").textContent === "Live");
    const before = page.scrapes;
    const next = page.waitForResponse("**/metrics");
    await page.clock.runFor(2500);
    await next;
    assert.ok(page.scrapes > before, "it asks again after two seconds");
    await page.keyboard.press("p");
    await until(page, () => document.getElementById("status").textContent === "Paused");
    // One that was under way is over.
    await page.evaluate(() => fetch("/-/healthy"));
    const paused = page.scrapes;
    await page.clock.runFor(60_000);
    await page.evaluate(() => fetch("/-/healthy"));
    assert.equal(page.scrapes, paused, "it asks while it is paused");
    const again = page.waitForResponse("**/metrics");
    await page.click("#pause");
    await again;
    // Nobody looks.
    await page.evaluate(() => {
      Object.defineProperty(document, "hidden", { get: () => window.away, configurable: true });
      window.away = true;
      document.dispatchEvent(new Event("visibilitychange"));
    });
    await page.evaluate(() => fetch("/-/healthy"));
    const hidden = page.scrapes;
    await page.clock.runFor(60_000);
    await page.evaluate(() => fetch("/-/healthy"));
    assert.equal(page.scrapes, hidden, "it asks while nobody looks");
    const back = page.waitForResponse("**/metrics");
    await page.evaluate(() => { window.away = false; document.dispatchEvent(new Event("visibilitychange")); });
    await back;
    return [page];
  },

  /** A slow answer is waited for, not asked for twice. */
  async patience() {
    const held = [];
    const page = await open({ clock: true, mocked: (route) => held.push(route) });
    await page.clock.runFor(9000);
    await page.evaluate(() => fetch("/-/healthy"));
    assert.equal(held.length, 1, "one request at a time");
    await text("a 1\n")(held[0]);
    await counted(page, 1);
    return [page];
  },

  async keyboard() {
    const page = await open();
    await until(page, () => document.querySelector("#list .series"));
    const focused = () => page.evaluate(() => document.activeElement.className || document.activeElement.id);
    await page.keyboard.press("/");
    assert.equal(await focused(), "search");
    await page.keyboard.type("judged_jobs p t");
    assert.equal(await page.textContent("#status"), "Live", "letters in the search are letters");
    await page.keyboard.press("Escape");
    assert.equal(await page.inputValue("#search"), "");
    await look(page, "judged_jobs", 2);
    await page.locator("#search").blur();
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
    assert.equal(await page.evaluate(() => document.activeElement.textContent), "kind=a");
    await page.keyboard.press("Enter");
    await counted(page, 1);
    await page.keyboard.press("Escape");
    await until(page, () => document.getElementById("search").value === "");
    await page.keyboard.press("End");
    await page.keyboard.press("?");
    assert.ok(await page.isVisible("#keys"));
    await page.keyboard.press("t");
    const theme = await page.evaluate(() => document.documentElement.dataset.theme);
    assert.equal(theme, "dark");
    await page.reload();
    assert.equal(await page.evaluate(() => document.documentElement.dataset.theme), theme, "it is kept");
    return [page];
  },

  /** The program's own page has them in its name, its links and its label values; other servers have them in names, too. */
  async text() {
    const evil = "<script>alert(1)</script><img src=x onerror=alert(1)>";
    const quoted = `"${evil}"`;
    const body = `# HELP ${quoted} ${evil}\n# TYPE ${quoted} gauge\n{${quoted},${quoted}=${quoted}} 1\n# TYPE h ${evil}\nh{a="${evil}"} 2\n`
      + `x{y="}"} 3\nx{y="\\"} 4"} 4\nx{y="a\\\\b\\nc"} 5\n`
      + "rubbish{\nrubbish{a} 1\nrubbish{a=\"b} 1\n} 1\n{} 1\n{\"\n{\"a\",\"b\"} 1\n\"\" 1\n# TYPE\n# HELP \"\n\0\n \nnan NaN\ninf +Inf 17\n";
    const ours = await open();
    const page = await open({ mocked: text(body) });
    for (const p of [ours, page]) {
      await until(p, () => document.querySelector("#list .series"));
      assert.equal(await p.title(), `Evil ${evil}`);
      assert.equal(await p.textContent("h1"), `Evil ${evil} ${evil}`);
      assert.equal(await p.textContent("#who p"), evil);
      assert.equal(await p.getByRole("link", { name: evil, exact: true }).count(), 1);
      assert.equal(await p.locator("script").count(), 1, "the page's own");
      assert.equal(await p.locator("img").count(), 0);
    }
    await look(ours, "judged_evil", 1);
    assert.equal(await ours.textContent("#list .series button"), `label=${evil}`);
    await ours.click("#list .series button");
    await counted(ours, 1);
    assert.equal(await page.locator("#list .name").first().evaluate((e) => e.firstChild.data), evil);
    assert.equal(await page.locator("#list .about").first().textContent(), evil);
    assert.equal(await page.locator("#list .series button").first().textContent(), `${evil}=${evil}`);
    const names = await page.$$eval("#list .name", (all) => all.map((e) => e.firstChild.data));
    assert.deepEqual(names, [evil, "h", "inf", "nan", "x"], "bad lines are passed over");
    const values = await page.$$eval("#list .series .value", (all) => all.map((e) => e.textContent));
    assert.deepEqual(values, ["1", "2", "+Inf", "NaN", "3", "4", "5"]);
    assert.equal(await page.locator("#list .series button").last().textContent(), "y=a\\b\nc");
    return [ours, page];
  },

  /** A counter that begins anew has no negative rate; quantiles at the edges. */
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
    const values = await page.$$eval("#list .series .value", (all) => all.map((e) => e.textContent));
    assert.deepEqual(values, ["1.5 KiB", "p502 sp902 sp992 s", "12.5 %", "p503p999", "2 h 1 min"]);
    assert.match(await page.locator("#list .rate").nth(1).textContent(), /^avg 3 s/);
    return [counter, page];
  },

  async accessible() {
    const pages = [];
    const axe = readFileSync(require.resolve("axe-core/axe.min.js"), "utf8");
    for (const colorScheme of ["light", "dark"]) {
      for (const width of [1280, 360]) {
        const page = await open({ colorScheme, viewport: { width, height: 800 } });
        for (const words of ["", "judged_"]) {
          await page.fill("#search", words);
          await until(page, () => document.querySelector("#list .series .value")?.textContent);
          await page.evaluate(axe);
          const { violations } = await page.evaluate(() => window.axe.run());
          const grave = violations.filter((v) => ["serious", "critical"].includes(v.impact));
          assert.deepEqual(grave.map((v) => `${v.id}: ${v.nodes.map((n) => n.html).join("\n")}`), [], `${colorScheme}, ${width} px`);
        }
        const wide = await page.evaluate(() => document.documentElement.scrollWidth);
        assert.ok(wide <= width, `${wide} px of ${width}`);
        pages.push(page);
      }
    }
    return pages;
  },

  async many() {
    const page = await open();
    await until(page, () => Number(document.getElementById("count").dataset.series) >= 10_000);
    const few = await page.evaluate(() => document.querySelectorAll("*").length);
    assert.ok(few < 1500, `${few} nodes for 10,000 series`);
    const took = [];
    while (took.length < 5) {
      await page.waitForResponse("**/metrics");
      took.push(Number(await page.evaluate(() => document.getElementById("count").dataset.took)));
    }
    // What a refresh takes of the two seconds that it has; a slow machine takes a multiple of what is usual.
    assert.ok(Math.min(...took) < 1000, `${took} ms per refresh`);
    await page.evaluate(() => scrollTo(0, document.documentElement.scrollHeight));
    await until(page, () => [...document.querySelectorAll("#list .series")].some((e) => e.textContent.includes("number=09999")));
    const many = await page.evaluate(() => document.querySelectorAll("*").length);
    assert.ok(many < 1500, `${many} nodes at the end`);
    await look(page, "number=00042", 1);
    console.log(`10,000 series: ${few} nodes at the top, ${many} at the end; a refresh takes ${took.join(", ")} ms`);
    return [page];
  },

  async faults() {
    // The browser itself writes these, whatever a page does.
    const page = await open({ expected: ["Failed to load resource"] });
    await until(page, () => document.getElementById("status").textContent === "Live");
    const table = [
      [(route) => route.abort("connectionrefused"), /can not be reached/],
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
    await look(page, "judged_depth", 1);
    await moves(page, "#list .series .value");
    return [page];
  },

  /** Not a test: the picture in the README. node page.mjs screenshot URL FILE [light|dark] [WIDTH] */
  async screenshot() {
    const [file, colorScheme = "light", width = "1200"] = process.argv.slice(4);
    const page = await open({ colorScheme, viewport: { width: Number(width), height: 820 } });
    await page.fill("#search", "shop");
    // Two minutes fill a heat strip.
    for (let i = 0; i < 62; i++) await page.waitForResponse("**/metrics");
    await page.locator("#search").blur();
    await page.screenshot({ path: file });
    return [page];
  },
};

try {
  for (const page of await scenarios[scenario]()) assert.deepEqual(page.complaints, []);
} catch (error) {
  console.error(error);
  process.exitCode = 1;
} finally {
  await browser.close();
}
