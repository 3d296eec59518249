
// Handles the mouse and the keyboard.

const root = document.documentElement;

// The height of the part that sticks to the top.
let stuck;

function fit() {
  stuck = $("tools").offsetHeight + parseFloat(getComputedStyle($("tools")).top);
  root.style.setProperty("--edge", stuck + "px");
  graphWidth = 0;
  colours = new Map();
  for (const e of here.values()) e.drawn = 0;
  if (chart) chart.drawn = "";
  redraw(true);
}

function theme() {
  const { style } = root, now = style.colorScheme || (dark.matches ? "dark" : "light");
  stored("theme", style.colorScheme = now === "dark" ? "light" : "dark");
  fit();
}

function help() {
  $("keys").hidden = !$("keys").hidden;
  $("help").ariaExpanded = !$("keys").hidden;
  fit();
}

function foldAll() {
  view.folded = !view.folded;
  for (const key of [...chosen.keys()]) if (!key.endsWith("\n")) chosen.delete(key);
  redraw(true);
}

function choose(key, state) {
  chosen.set(key, state);
  changed = true;
  draw();
}

const toggle = (row) => choose(row.key, isOpen(row) ? "closed" : "open");
const isFlat = (row) => row.kind === "series" || row.solo;

function act(row) {
  if (isFlat(row)) return openPanel(row.key);
  if (row.kind !== "more") return toggle(row);
  const { up } = row, whole = chosen.get(up) === "all";
  choose(up, whole ? "open" : "all");
  if (whole) go(places.get(up));
}

// Moves the focus to a row. With `first` the row becomes the first visible one.
function go(to, first) {
  if (!rows.length) return;
  const i = Math.max(0, Math.min(rows.length - 1, to)), row = rows[i];
  active = row.key;
  const above = stuck + $("heads").offsetHeight + (i === row.block.head ? 0 : rows[row.block.head].height);
  const top = list.getBoundingClientRect().top + tops[i];
  if (top < above || first) scrollBy(0, top - above - 2);
  else if (top + row.height > innerHeight) scrollBy(0, top + row.height - innerHeight + 8);
  draw();
  hold();
}

list.onclick = ({ target }) => {
  const row = target.closest("[role=row]")?.row;
  if (row) act(row);
};
list.addEventListener("focusin", ({ target }) => {
  const row = target.closest("[role=row]")?.row;
  if (row) active = row.key;
});

function clear(target) {
  if (opened) return panel.close();
  search.value = "";
  changed = true;
  draw();
  if (target === search) list.focus({ preventScroll: true });
}

// Single-character keys can be switched off, as speech input needs (WCAG 2.1.4).
const single = () => stored("keys") !== "off";

// Returns the action of a key, if it has one.
function keyed(key, target, row, e) {
  const to = places.get(row?.key ?? active) ?? -1, buttons = e ? [...e.querySelectorAll("button")] : [], n = buttons.indexOf(target);
  const along = (step) => (buttons[n + step] || step < 0 && e)?.focus?.();
  const letters = {
    "/": () => search.focus(), p: pause, t: theme, c: foldAll, "?": help,
    j: () => go(to + 1), k: () => go(to - 1), i: row && (() => openPanel(row.key)),
  };
  const moves = {
    ArrowDown: letters.j, ArrowUp: letters.k, Home: () => go(0), End: () => go(rows.length - 1),
    ArrowRight: row && (() => isFlat(row) || isOpen(row) ? along(1) : toggle(row)),
    ArrowLeft: row && (() => n >= 0 ? along(-1) : row.up ? go(places.get(row.up)) : !isFlat(row) && isOpen(row) && toggle(row)),
    Enter: row && n < 0 && (() => act(row)),
  };
  return key === "Escape" ? () => clear(target) : single() && letters[key] || list.contains(target) && moves[key];
}

onkeydown = (event) => {
  const { key, target } = event, e = target.closest?.("#list [role=row]");
  if (event.ctrlKey || event.metaKey || event.altKey) return;
  // In the page's own fields only Escape is handled. The field of a probe gets all keys.
  if (/^(INPUT|SELECT)$/.test(target.tagName) && target.type !== "checkbox" && (key !== "Escape" || target.name)) return;
  const act = keyed(key, target, e?.row, e);
  if (!act) return;
  event.preventDefault();
  act();
};

for (const name of ["group", "sort", "show"]) {
  $(name).onchange = () => {
    view[name] = $(name).value;
    redraw(true);
  };
}
search.oninput = () => redraw(true);
for (const media of [narrow, dark, matchMedia("(forced-colors: active)")]) media.onchange = fit;
onresize = fit;
$("pause").onclick = pause;
$("theme").onclick = theme;
$("help").onclick = help;
$("fold").onclick = foldAll;
$("single").checked = single();
$("single").onchange = () => stored("keys", $("single").checked ? "on" : "off");
onscroll = () => redraw();
onhashchange = () => {
  restore();
  redraw(true);
};
document.onvisibilitychange = scrape;
setInterval(age, 1000);

root.style.colorScheme = stored("theme");
$("live").hidden = false;
restore();
fit();
say("Connecting");
if (document.activeElement === document.body) list.focus({ preventScroll: true });
scrape();
