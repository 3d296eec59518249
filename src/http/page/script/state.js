
// Keeps the view in the address, so that it can be shared. Keeps the user's preferences in the browser.

const MOST_KEPT = 60;

function keep() {
  const p = new URLSearchParams();
  if (search.value) p.set("q", search.value);
  for (const name of ["group", "sort", "show"]) if (view[name] !== $(name).options[0].value) p.set(name, view[name]);
  if (view.folded) p.set("folded", "yes");
  for (const [key, state] of [...chosen].slice(-MOST_KEPT)) p.append(state, key);
  const hash = `${p}` && "#" + p;
  if (location.hash !== hash) history.replaceState(null, "", hash || location.pathname + location.search);
}

function restore() {
  const p = new URLSearchParams(location.hash.slice(1));
  search.value = p.get("q") || "";
  view.group = p.get("group") || "";
  for (const name of ["sort", "show"]) {
    $(name).value = p.get(name);
    view[name] = $(name).value ||= $(name).options[0].value;
  }
  view.folded = p.has("folded");
  chosen.clear();
  for (const [state, key] of p) if (/^(open|closed|all)$/.test(state)) chosen.set(key, state);
  offer();
}

// The browser may forbid storage. Preferences are then not kept.
function stored(name, value) {
  try {
    if (value) localStorage[name] = value;
    return localStorage[name] || "";
  } catch {
    return "";
  }
}
