// Scenarios of page.mjs that test the layout of the page at `/` and the values that it shows.

import { readFileSync } from "node:fs";

const BUILT_IN = "# TYPE process_cpu_seconds_total counter\nprocess_cpu_seconds_total 1\n# TYPE process_max_fds gauge\nprocess_max_fds 18446744073709551615\n"
  + "# TYPE process_virtual_memory_max_bytes gauge\nprocess_virtual_memory_max_bytes 18446744073709551615\n# TYPE tokio_workers gauge\ntokio_workers 2\n"
  + "# TYPE prometheus_exporter_errors_total counter\n" + ["accept", "gather", "panic", "timeout"].map((cause) => `prometheus_exporter_errors_total{cause="${cause}"} 0\n`).join("");

const series = (name, n, value = (i) => i) => Array.from({ length: n }, (_, i) => `${name}{host="a",number="${i}"} ${value(i)}\n`).join("");

export default ({ assert, counted, look, moving, names, open, refreshed, require, settle, status, text, until, values }) => ({
  /** The program's families come first. Built-in groups come last and closed. Error counters at zero are hidden. */
  async first() {
    const page = await open({ mocked: text(BUILT_IN + "# TYPE zz gauge\nzz 1\n# TYPE process_orders_total counter\nprocess_orders_total 1\n") });
    await counted(page, 10);
    assert.deepEqual(await names(page), ["process_orders_total", "zz", "process", "prometheus_exporter", "tokio"]);
    await page.click("#list .group >> text=prometheus_exporter");
    await until(page, () => document.querySelector("#list .more"));
    assert.equal(await page.locator("#list .series").count(), 0);
    assert.equal(await page.textContent("#list .more"), "Show 4 of zero");
    await page.click("#list .more");
    await until(page, () => document.querySelectorAll("#list .series").length === 4);
    await look(page, "tokio", 1);
    assert.deepEqual(await names(page), ["tokio", "tokio_workers"], "a search opens sections");
  },

  /** A graph is filled only from zero. Close values are drawn close, constants as a thin line. Resets are marked. */
  async graphs() {
    const source = moving((n) => `# TYPE c_total counter\nc_total ${[5, 15, 30, 2, 12][n - 1] ?? n * 10}\n# TYPE flat gauge\nflat 18\n# TYPE near gauge\nnear ${n % 2 ? 17 : 18}\n# TYPE wide gauge\nwide ${n % 2 ? 1 : 18}\n# TYPE zero gauge\nzero 0\n`);
    const page = await open({ mocked: source.mocked, clock: true });
    await counted(page, 5);
    for (let i = 0; i < 4; i++) await refreshed(page, 2000);
    const drawn = await page.$$eval("#list canvas", (all) => all.map((e) => [e.fills, Math.min(...e.widths)]));
    assert.deepEqual(drawn, [[1, 1], [0, 1], [0, 1.5], [1, 1.5], [0, 1]], "fills, and the minimum line widths");
    const heights = await page.$$eval("#list canvas", (all) => all.map((e) => {
      const dots = e.getContext("2d").getImageData(0, 0, e.width, e.height).data, rows = [];
      for (let y = 0; y < e.height; y++) if (dots.slice(y * e.width * 4, (y + 1) * e.width * 4).some((dot, i) => i % 4 === 3 && dot > 100)) rows.push(y);
      return (rows.at(-1) - rows[0] + 1) / e.height;
    }));
    assert.ok(heights[2] < .5 && heights[3] > .7, `${heights}: a small change is drawn lower than a big one`);
    const titles = await page.$$eval("#list canvas", (all) => all.map((e) => e.title));
    assert.match(titles[0], /: [\d.]+\/s to [\d.]+\/s, reset 2 s ago$/);
    assert.match(titles[2], /^last 8 s: 17 to 18$/);
  },

  /** Shared labels are in the head. If one label differs, rows have its value only. Long labels lack their start. */
  async labels() {
    const long = (end) => "x".repeat(300) + end;
    const page = await open({ mocked: text(`a{cluster="eu",path="/a"} 1\na{cluster="eu",path="/b"} 2\nb{k="${long("1")}",l="1"} 1\nb{k="${long("2")}",l="2"} 2\n`) });
    await counted(page, 4);
    assert.deepEqual(await page.$$eval("#list .family", (all) => all.map((e) => [...e.querySelectorAll(".chip")].map((chip) => chip.textContent).join())), ["cluster=eu", ""]);
    assert.deepEqual(await page.$$eval("#list .by", (all) => all.map((e) => e.textContent)), ["by path · 2", "by k, l · 2"]);
    const chips = page.locator("#list .series .chip");
    assert.deepEqual(await chips.evaluateAll((all) => all.slice(0, 2).map((e) => e.textContent)), ["/a", "/b"]);
    const [end, start, whole] = await chips.evaluateAll((all) => {
      const [button, text] = [all[2].getBoundingClientRect(), all[2].firstChild.getBoundingClientRect()];
      return [button.right - text.right, button.left - text.left, all[3].scrollWidth <= all[3].clientWidth];
    });
    assert.ok(end >= 0 && start > 0 && whole, `${[end, start, whole]}: the end of a long label is visible, and a short one is complete`);
    const [labels, graph] = await page.evaluate(() => [".labels", ".graph"].map((part) => document.querySelector(`#list .series ${part}`).getBoundingClientRect()));
    assert.ok(labels.width > 300 && graph.left - labels.right < 40, "the column takes the free width");
  },

  /** A big family shows its top five series. Its head sticks. All families can be closed. The contents link to each. */
  async large() {
    const page = await open({ mocked: text("# TYPE big gauge\n" + series("big", 600) + "# TYPE small gauge\n" + series("small", 10)), viewport: { width: 1440, height: 900 } });
    await counted(page, 610);
    const of = (name) => page.$$eval("#list .series", (all, name) => all.filter((e) => e.row.up === name).map((e) => e.textContent), name);
    assert.deepEqual((await of("big")).map((row) => /^\d+/.exec(row)[0].slice(0, 3)), ["599", "598", "597", "596", "595"]);
    assert.equal((await of("small")).length, 10);
    assert.equal(await page.textContent("#list .more"), "Show 595 more");
    assert.ok(await page.evaluate(() => document.body.scrollHeight) < 1500);
    await page.click("#list .more");
    await until(page, () => document.getElementById("list").offsetHeight > 20_000);
    await page.evaluate(() => scrollTo(0, 9000));
    await until(page, () => [...document.querySelectorAll("#list .series")].some((e) => e.getBoundingClientRect().top > 300));
    const [head, tools] = await page.evaluate(() => [document.querySelector("#list .family").getBoundingClientRect(), document.getElementById("heads").getBoundingClientRect()]);
    assert.ok(Math.abs(head.top - tools.bottom) <= 1, `${head.top}, ${tools.bottom}: the head sticks below the columns' heads`);
    assert.equal(await page.textContent("#list .family .name"), "big");
    await page.click("#contents >> text=small");
    await until(page, () => document.activeElement.row?.key === "small");
    const [small, heads] = await page.evaluate(() => [document.activeElement.getBoundingClientRect().top, document.getElementById("heads").getBoundingClientRect().bottom]);
    assert.ok(small >= heads - 1 && small < 900);
    await page.click("#fold");
    await until(page, () => !document.querySelector("#list .series"));
    await page.click("#fold");
    await until(page, () => document.querySelector("#list .series"));
    await page.setViewportSize({ width: 1000, height: 900 });
    assert.ok(!await page.isVisible("#contents"));
  },

  /** A head has sums where they have a meaning, and merged quantiles. Each group has its own totals. */
  async totals() {
    const buckets = (of, one, two) => `h_seconds_bucket{of="${of}",le="1"} ${one}\nh_seconds_bucket{of="${of}",le="2"} ${two}\nh_seconds_bucket{of="${of}",le="+Inf"} ${two}\nh_seconds_sum{of="${of}"} ${two}\nh_seconds_count{of="${of}"} ${two}\n`;
    const source = moving((n) => `# TYPE c_total counter\nc_total{code="200",p="a"} ${n * 20}\nc_total{code="200",p="b"} ${n * 40}\nc_total{code="500",p="a"} ${n * 2}\n# TYPE g gauge\ng{q="a"} 3\ng{q="b"} 4\n# TYPE g_ratio gauge\ng_ratio{q="a"} 0.1\ng_ratio{q="b"} 0.9\n`
      + `# TYPE h_seconds histogram\n${buckets("a", 100, 100)}${buckets("b", 0, 100)}# TYPE n gauge\nn{q="a"} NaN\nn{q="b"} 1\n`);
    const page = await open({ mocked: source.mocked, clock: true });
    await counted(page, 11);
    await refreshed(page, 2000);
    const heads = () => page.$$eval("#list .family", (all) => all.map((e) => [e.querySelector(".name").textContent, ...[...e.querySelectorAll(".value span")].map((one) => `${one.dataset.of} ${one.textContent}`.trim()), e.querySelector(".rate").textContent].join("; ")));
    assert.deepEqual(await heads(), ["c_total; sum of 3 124; 31/s", "g; sum of 2 7; ", "g_ratio; range of 2 10 % to 90 %; ", "h_seconds; p50 1 s; p90 1.8 s; p99 1.98 s; 0/s", "n; sum of 2 NaN; "]);
    assert.ok(await page.$$eval("#list .family canvas", (all) => all.slice(0, 2).every((e) => e.strokes > 0)), "each head has a line");
    await page.selectOption("#group", "label code");
    await page.clock.runFor(100);
    await until(page, () => document.querySelectorAll("#list .group").length === 3);
    assert.deepEqual((await heads()).slice(0, 2), ["c_total; sum of 2 120; 30/s", "c_total; 4; 1/s"]);
    assert.deepEqual((await names(page)).filter((name) => /code/.test(name)), ["code = 200", "code = 500", "no `code` label"]);
  },

  /** The panel shows the details of a series and of a family. */
  async panel() {
    const help = "Words ".repeat(60).trim();
    const source = moving((n) => `# HELP c_total ${help}\n# TYPE c_total counter\nc_total{path="/a"} ${n * 20}\nc_total{path="/b"} ${n * 60}\n# TYPE h_seconds histogram\nh_seconds_bucket{le="1"} ${n * 5}\nh_seconds_bucket{le="2"} ${n * 10}\nh_seconds_bucket{le="+Inf"} ${n * 10}\nh_seconds_sum ${n * 10}\nh_seconds_count ${n * 10}\n# TYPE m_timestamp_seconds gauge\nm_timestamp_seconds 1893499200\n`);
    const page = await open({ mocked: source.mocked, clock: true });
    await counted(page, 4);
    for (let i = 0; i < 5; i++) await refreshed(page, 2000);
    const facts = () => page.$$eval("#panel .facts span", (all) => Object.fromEntries(all.map((e) => [e.dataset.of, e.textContent])));
    const opened = async (selector) => {
      await page.click(selector);
      await page.clock.runFor(100);
    };
    const copied = () => page.$$eval(".copy input", (all) => all.map((e) => e.value));
    await opened("#list .series .value");
    assert.equal(await page.textContent("#panel > p"), help);
    assert.deepEqual(await page.$$eval("#panel .chip", (all) => all.map((e) => e.textContent)), ["path=/a"]);
    assert.deepEqual(await facts(), { last: "120", rate: "10/s", "min rate": "10/s", "avg rate": "10/s", "max rate": "10/s" });
    assert.deepEqual(await copied(), ['c_total{path="/a"}', 'rate(c_total{path="/a"}[1m])']);
    const reading = () => page.textContent("#panel .reading");
    const latest = await reading();
    assert.match(latest, /^\d\d:\d\d:\d\d: 10\/s$/);
    assert.ok(await page.evaluate(() => document.querySelector(".chart").strokes > 0));
    await page.focus("#panel [type=range]");
    await page.keyboard.press("ArrowLeft");
    assert.notEqual(await reading(), latest, "a key moves the cursor");
    await page.hover(".chart", { position: { x: 300, y: 50 } });
    await page.hover(".chart", { position: { x: 400, y: 50 } });
    assert.match(await reading(), /: 10\/s$/);
    await page.context().grantPermissions(["clipboard-read", "clipboard-write"]);
    assert.deepEqual(await page.$$eval(".copy button", (all) => all.map((e) => e.textContent)), ["Copy name", "Copy PromQL"]);
    await page.click(".copy button >> nth=1");
    assert.equal(await page.textContent(".copy button >> nth=1"), "Copied");
    assert.equal(await page.evaluate(() => navigator.clipboard.readText()), 'rate(c_total{path="/a"}[1m])');
    // The panel of a family has sums.
    await page.keyboard.press("Escape");
    await opened("#list .details");
    assert.deepEqual(await copied(), ["c_total", "sum(rate(c_total[1m]))"]);
    assert.equal((await facts())["sum of 2"], "480");
    await page.keyboard.press("Escape");
    await opened("#list .histogram .value");
    assert.deepEqual(await page.$$eval("#panel tr", (all) => all.map((row) => [row.cells[0].textContent, row.cells[2].textContent].join())), ["≤ 1 s,25", "≤ 2 s,25", "≤ +Inf,0"]);
    assert.match(await page.textContent("#panel caption"), /^Buckets, over the last 10 s$/);
    assert.match(await reading(), /p50 1 s, p90 1\.8 s, p99 1\.98 s$/);
    assert.equal((await copied())[1], "histogram_quantile(0.99, sum by (le) (rate(h_seconds_bucket[1m])))");
    await refreshed(page, 2000);
    assert.match(await page.textContent("#panel caption"), /12 s$/, "the panel is updated");
    await page.keyboard.press("Escape");
    assert.ok(!await page.isVisible("#panel"));
  },

  /** Series are sorted by name, value, rate or change. Zeros and constants can be hidden. The address has the state. */
  async sorted() {
    const body = (n) => `# TYPE a_total counter\na_total{k="1"} ${1000 + n}\na_total{k="2"} ${n * 100}\na_total{k="3"} 0\na_total{k="4"} 7\n`;
    const page = await open({ mocked: moving(body).mocked, clock: true });
    await counted(page, 4);
    for (let i = 0; i < 3; i++) await refreshed(page, 2000);
    const of = () => page.$$eval("#list .series .chip", (all) => all.map((e) => e.textContent).join(""));
    for (const [sort, order] of [["name", "1234"], ["value", "1243"], ["rate", "2134"]]) {
      await page.selectOption("#sort", sort);
      await page.clock.runFor(100);
      assert.equal(await of(), order, sort);
    }
    for (const [show, order] of [["zero", "214"], ["moving", "21"]]) {
      await page.selectOption("#show", show);
      await page.clock.runFor(100);
      assert.equal(await of(), order, show);
    }
    await page.selectOption("#group", "prefix");
    await page.fill("#search", "a_total");
    await page.clock.runFor(100);
    await page.click("#list .family .name");
    await page.clock.runFor(100);
    assert.equal(await of(), "");
    const hash = new URL(page.url()).hash;
    assert.deepEqual([...new URLSearchParams(hash.slice(1))], [["q", "a_total"], ["group", "prefix"], ["sort", "rate"], ["show", "moving"], ["closed", "a\na_total"]]);
    const other = await open({ mocked: moving(body).mocked, clock: true, hash: hash.replace(/&closed=[^&]*/, "") });
    await counted(other, 4).catch(() => {});
    for (let i = 0; i < 3; i++) await refreshed(other, 2000);
    assert.deepEqual(await other.$$eval("#search, select", (all) => all.map((e) => e.value)), ["a_total", "prefix", "rate", "moving"]);
    assert.equal(await other.$$eval("#list .series .chip", (all) => all.map((e) => e.textContent).join("")), "21");

    const change = await open({ mocked: moving((n) => `# TYPE g gauge\ng{k="1"} ${100 + n % 2}\ng{k="2"} ${1 + n % 2}\ng{k="3"} 500\n`).mocked, clock: true });
    await counted(change, 3);
    for (let i = 0; i < 3; i++) await refreshed(change, 2000);
    await change.selectOption("#sort", "change");
    await change.clock.runFor(100);
    assert.equal(await change.$$eval("#list .series .chip", (all) => all.map((e) => e.textContent).join("")), "213");
  },

  /** Columns have headers, unlimited limits are named, times have a zone, and there are no duplicate links. */
  async words() {
    const page = await open({ mocked: text(BUILT_IN + "# TYPE t_timestamp_seconds gauge\nt_timestamp_seconds 1893466800\n"), clock: true, timezoneId: "Europe/Berlin" });
    await counted(page, 9);
    assert.deepEqual(await page.$$eval("#heads [role=columnheader]", (all) => all.map((e) => e.textContent)), ["Metric", "Last minutes", "Value", "Rate"]);
    assert.deepEqual(await values(page), ["2030-01-01 04:00:00 CET 9 h 0 min ago"]);
    await page.click("#list .group >> text=process");
    await until(page, () => document.querySelectorAll("#list .solo").length === 4);
    assert.deepEqual((await values(page)).slice(1), ["1 s", "unlimited", "unlimited"]);
    const links = await page.$$eval("nav[aria-label=Links] a", (all) => all.map((e) => [e.textContent, e.pathname + e.search]));
    assert.deepEqual(links, [["Metrics", "/metrics"], ["OpenMetrics", "/metrics?format=openmetrics"], ["Health", "/-/healthy"], ["Ready", "/-/ready"]]);
    assert.match(await page.textContent("#up"), /, since \d{4}-\d\d-\d\d \d\d:\d\d:\d\d CES?T$/);
  },

  /** After a fault old values look different, and the page shows the fault and their age. */
  async stale() {
    let fault = null;
    const page = await open({ mocked: (route) => fault ? fault(route) : text("a 1\n")(route), clock: true, expected: ["Failed to load resource"] });
    await counted(page, 1);
    const looks = () => page.evaluate(() => [getComputedStyle(document.querySelector("#list .value")).fontWeight, getComputedStyle(document.querySelector("#list canvas")).opacity]);
    // Answers take real time, which does not depend on the page's clock.
    const reached = async (says) => {
      for (let i = 0; i < 60 && !new RegExp(says).test(await page.textContent("#status")); i++) {
        await page.clock.runFor(1000);
        await settle(page);
      }
      await status(page, says);
    };
    const fresh = await looks();
    for (const [answer, says] of [[(route) => route.fulfill({ status: 401 }), "401"], [(route) => route.fulfill({ status: 503 }), "503"], [(route) => route.abort("connectionrefused"), "cannot be reached"]]) {
      fault = answer;
      await reached(says);
      await page.clock.runFor(1000);
      assert.match(await page.textContent("#age"), /^Values are of \d\d:\d\d:\d\d, \d+ .*s ago\.$/);
      assert.notDeepEqual(await looks(), fresh);
      assert.equal(await page.textContent("#list .value"), "1");
      const [first, next] = [await page.textContent("#age"), (await page.clock.runFor(2000), await page.textContent("#age"))];
      assert.notEqual(first, next, "the age grows");
      fault = null;
      await reached("^Live$");
      assert.equal(await page.textContent("#age"), "");
      assert.deepEqual(await looks(), fresh);
    }
  },

  /** A fault that the server counts while the page is open is a warning with advice. */
  async warned() {
    const errors = (...samples) => "a 1\n# TYPE prometheus_exporter_errors_total counter\n" + samples.map(([labels, value]) => `prometheus_exporter_errors_total{${labels}} ${value}\n`).join("");
    const skipped = (n) => `A line, a sample or a collector was skipped. The program's log names the first. Since the start: ${n}.`;
    const conflict = (n) => `A name has two types. The program's log names it. Only the first is served. Rename the other. Since the start: ${n}.`;
    // The counters of the first and of the second scrape, and the warnings after the second. The first has no rate, so there are none.
    const table = [
      [[['cause="skipped"', 0], ['cause="type_conflict"', 0]], [['cause="skipped"', 3], ['cause="type_conflict"', 1]], `${skipped(3)}\n${conflict(1)}`],
      [[['app="x",cause="skipped"', 1]], [['app="x",cause="skipped"', 2]], skipped(2)],
      [[['app="skipped",cause="timeout"', 1]], [['app="skipped",cause="timeout"', 2]], ""],
      [[['cause="constructor"', 1]], [['cause="constructor"', 2]], ""],
      [[["", 1]], [["", 2]], ""],
      // It rose before the page was opened.
      [[['cause="skipped"', 3], ['cause="type_conflict"', 1]], [['cause="skipped"', 3], ['cause="type_conflict"', 1]], ""],
      // The program has restarted.
      [[['cause="skipped"', 3]], [['cause="skipped"', 1]], skipped(1)],
    ];
    for (const [first, second, after] of table) {
      const source = moving((asked) => errors(...asked === 1 ? first : second)), page = await open({ mocked: source.mocked, clock: true }), row = JSON.stringify([first, second]);
      await status(page, "^Live$");
      assert.equal(await page.textContent("#warnings"), "", row);
      assert.equal(await page.isVisible("#warnings"), false, row);
      await refreshed(page, 2000);
      await status(page, "^Live$");
      assert.equal(await page.textContent("#warnings"), after, row);
      await page.context().close();
    }
    // A warning goes when its rise is no longer among the points that are kept.
    const source = moving((asked) => errors(['cause="skipped"', asked === 1 ? 0 : 3])), page = await open({ mocked: source.mocked, clock: true });
    await status(page, "^Live$");
    await refreshed(page, 2000);
    const [warnings, list] = await page.evaluate(() => ["warnings", "list"].map((id) => document.getElementById(id).getBoundingClientRect()));
    assert.ok(warnings.bottom <= list.top && warnings.height > 30);
    for (let i = 1; i < 150; i++) await refreshed(page, 2000);
    assert.equal(await page.textContent("#warnings"), skipped(3));
    await refreshed(page, 2000);
    assert.equal(await page.textContent("#warnings"), "");
    assert.ok(!await page.isVisible("#warnings"));
  },

  /** Without own metrics the page shows the reason from the exposition, and a snippet that registers one. */
  async empty() {
    const source = moving("# The registries of this server have no samples.\n# register_*! registers elsewhere.\n" + BUILT_IN), page = await open({ mocked: source.mocked });
    await until(page, () => !document.getElementById("empty").hidden);
    assert.equal(await page.textContent("#why"), "The registries of this server have no samples. register_*! registers elsewhere.");
    assert.match(await page.textContent("#empty pre"), /register_int_counter!\("jobs_total"/);
    source.body = "";
    await until(page, () => /^Nothing is registered/.test(document.getElementById("why").textContent));
    await page.setViewportSize({ width: 390, height: 844 });
    assert.equal(await page.evaluate(() => document.documentElement.scrollWidth), 390);
    source.body = "a 1\n";
    await until(page, () => document.getElementById("empty").hidden);
  },

  /** On a phone there is one grid with low rows, and touch targets are large. */
  async phone() {
    const page = await open({ viewport: { width: 390, height: 844 }, hasTouch: true, isMobile: true });
    await until(page, () => document.querySelector("#list .series"));
    const rows = await page.$$eval("#list .family, #list .series", (all) => all.map((e) => [e.offsetHeight, ...[".graph", ".value"].flatMap((part) => {
      const box = e.querySelector(part).getBoundingClientRect();
      return [box.left, box.right];
    })]));
    assert.ok(rows.every(([height]) => height >= 44 && height <= 72), `${rows}`);
    assert.equal(new Set(rows.map(([, ...edges]) => edges.map(Math.round).join())).size, 1, "graphs and values begin and end at the same places");
    const small = () => page.$$eval("button, select, input:not([type=checkbox]), nav a", (all) => all.filter((e) => e.offsetHeight && getComputedStyle(e).pointerEvents !== "none" && e.offsetHeight < 44).map((e) => e.outerHTML));
    assert.deepEqual(await small(), []);
    await page.tap("#list .histogram .value");
    assert.ok(await page.evaluate(() => document.querySelector("#panel:modal") !== null));
    assert.deepEqual(await small(), []);
    await page.tap("#panel .close");
    await page.tap("#list .series .labels");
    assert.ok(await page.isVisible("#panel"), "a tap on labels opens the panel of their row");
  },

  /** There are no serious violations and no horizontal scrolling, at each width and zoom and in each colour scheme. */
  async accessible() {
    const axe = readFileSync(require.resolve("axe-core/axe.min.js"), "utf8");
    const looks = [];
    for (const width of [360, 390, 768, 1440]) for (const colorScheme of ["light", "dark"]) looks.push({ colorScheme, viewport: { width, height: 900 } });
    looks.push({ forcedColors: "active", viewport: { width: 1440, height: 900 } }, { viewport: { width: 640, height: 400 }, deviceScaleFactor: 2 }, { reducedMotion: "reduce" });
    for (const look of looks) {
      const page = await open(look), width = look.viewport?.width ?? 1280;
      for (const state of ["list", "panel", "keys", "search"]) {
        if (state === "panel") {
          await page.keyboard.press("j");
          await page.keyboard.press("i");
        } else if (state === "keys") {
          await page.keyboard.press("Escape");
          await page.keyboard.press("?");
        } else if (state === "search") await page.fill("#search", "interop_");
        await until(page, () => document.querySelector("#list .value")?.textContent);
        await page.evaluate(axe);
        const { violations } = await page.evaluate(() => window.axe.run());
        const grave = violations.filter((v) => ["serious", "critical"].includes(v.impact));
        assert.deepEqual(grave.map((v) => `${v.id}: ${v.nodes.map((n) => n.html).join("\n")}`), [], `${state}, ${JSON.stringify(look)}`);
        const wide = await page.evaluate(() => document.documentElement.scrollWidth);
        assert.ok(wide <= width, `${state}: ${wide} px of ${width}`);
        assert.equal(await page.evaluate(() => document.getAnimations().length), 0, "nothing moves by itself");
      }
      await page.context().close();
    }
  },

  /** 10,000 series need few nodes and little CPU time. The time of the thread does not depend on other processes. */
  async many() {
    const page = await open({ viewport: { width: 1440, height: 900 } });
    await until(page, () => Number(document.getElementById("count").dataset.series) >= 10_000);
    const nodes = () => page.evaluate(() => document.querySelectorAll("*").length), top = await nodes();
    const devtools = await page.context().newCDPSession(page);
    await devtools.send("Performance.enable", { timeDomain: "threadTicks" });
    const worked = async () => (await devtools.send("Performance.getMetrics")).metrics.find((one) => one.name === "TaskDuration").value * 1000;
    const took = [];
    for (let i = 0; i < 9; i++) {
      const before = await worked();
      await page.evaluate(() => delete document.getElementById("count").dataset.took);
      await page.waitForFunction(() => document.getElementById("count").dataset.took, null, { polling: 500 });
      took.push(await worked() - before);
    }
    took.sort((a, b) => a - b);
    console.log(`10,000 series: ${top} nodes; a refresh takes ${took.map(Math.round).join(", ")} ms of the thread`);
    // The target is 50 ms. Slow machines may take twice that.
    assert.ok(took[4] < 100, `${took[4]} ms in the middle`);
    await page.click("#list .more");
    await until(page, () => document.getElementById("list").offsetHeight > 300_000);
    await page.evaluate(() => scrollTo(0, document.documentElement.scrollHeight));
    await until(page, () => [...document.querySelectorAll("#list .series")].some((e) => e.textContent.includes("09999")));
    const end = await nodes();
    console.log(`${end} nodes at the end of all`);
    assert.ok(Math.max(top, end) <= 400, `${top} and ${end} nodes`);
    await look(page, "number=00042", 1);
  },

  /** A mounted page scrapes the given path. */
  async mounted() {
    const asked = [], page = await open({ path: "/ui/page" });
    page.on("request", (request) => asked.push(new URL(request.url()).pathname));
    await until(page, () => document.querySelector("#list .value")?.textContent);
    await refreshed(page);
    assert.ok(asked.length && asked.every((path) => path === "/internal/metrics"), `${asked}`);
    assert.equal(await page.textContent("h1"), "Mounted");
    assert.deepEqual(await page.$$eval("nav[aria-label=Links] a", (all) => all.map((e) => e.pathname)), ["/internal/metrics"]);
    await settle(page);
  },
});
