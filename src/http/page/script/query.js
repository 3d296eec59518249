
// Parses the search, and writes PromQL.

function tokens() {
  const found = [], each = /(?:"((?:[^"\\]|\\.)+)"|([^\s="]+))=(?:"((?:[^"\\]|\\.)*)"|(\S*))|\S+/g;
  for (const [text, quoted, label = quoted && unescape(quoted), inside, value] of search.value.matchAll(each)) {
    found.push(label ? { label, value: value ?? unescape(inside), text } : { word: text.toLowerCase(), text });
  }
  return found;
}

const is = (token, [label, value]) => token.label === label && token.value === value;

function matches(s, token) {
  if (token.label) return s.labels.some((label) => is(token, label));
  return [s.words, s.f.name, s.f.help].some((text) => text.toLowerCase().includes(token.word));
}

// Adds a label to the search, or removes it.
function filterBy(label) {
  const quoted = (text) => /^[^\s"=\\]+$/.test(text) ? text : `"${text.replace(/[\\"]/g, "\\$&").replace(/\n/g, "\\n")}"`;
  const had = tokens(), rest = had.filter((token) => !is(token, label)).map((token) => token.text);
  if (rest.length === had.length) rest.push(label.map(quoted).join("="));
  search.value = rest.join(" ");
  redraw(true);
}

function selector(name, labels) {
  const plain = /^[a-z_:][\w:]*$/i.test(name), inside = plain ? [] : [JSON.stringify(name)];
  for (const [label, value] of labels) inside.push(`${/^[a-z_]\w*$/i.test(label) ? label : JSON.stringify(label)}=${JSON.stringify(value)}`);
  return (plain ? name : "") + (inside.length ? `{${inside.join(", ")}}` : "");
}

// Returns the PromQL query for the values of a row. `by` are the labels in which its series differ.
function promql(f, labels, by) {
  const series = selector(f.name, labels), part = (suffix) => `rate(${selector(f.name + suffix, labels)}[1m])`;
  const sum = (inside) => by.length ? `sum(${inside})` : inside;
  if (f.type === "counter") return sum(`rate(${series}[1m])`);
  if (f.type === "histogram") return `histogram_quantile(0.99, sum by (le) (${part("_bucket")}))`;
  if (f.type === "summary") return `${sum(part("_sum"))} / ${sum(part("_count"))}`;
  return summed(f) ? sum(series) : series;
}
