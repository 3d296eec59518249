
// Parses text 0.0.4. Lines that are not samples are ignored.

const unescape = (text) => text.replace(/\\([\\"n])/g, (_, c) => c === "n" ? "\n" : c);

// Matches a float as Prometheus does, without hexadecimal digits and underscores.
const FLOAT = /^[+-]?(inf(inity)?|nan|(\d+\.?\d*|\.\d+)(e[+-]?\d+)?)$/i;

function number(text) {
  if (FLOAT.test(text)) return Number(text.replace(/inf.*/i, "Infinity"));
}

// Parses `name{a="b"}` or `{"name",a="b"}` as [name, labels]. Returns null for other texts.
function identity(raw) {
  const brace = `${raw}{`.indexOf("{"), labels = [], end = raw.length - 1;
  const part = /\s*(?:"((?:[^"\\]|\\[^])*)"|([a-z_]\w*))\s*(=\s*"((?:[^"\\]|\\[^])*)"\s*)?(?:,|(?=\}))/iy;
  let name = raw.slice(0, brace).trim(), at = brace + 1;
  if (!/^([a-z_:][\w:]*)?$/i.test(name)) return null;
  while (raw.slice(at, end).trim()) {
    part.lastIndex = at;
    const found = part.exec(raw);
    if (!found) return null;
    const key = found[2] || unescape(found[1]);
    if (!key || !found[3] && (name || found[2])) return null;
    if (found[3]) labels.push([key, unescape(found[4])]);
    else name = key;
    at = part.lastIndex;
  }
  return name ? [name, labels] : null;
}

// Returns [keyword, name, text] of a HELP or a TYPE line.
function described(line) {
  const found = /^#\s+(HELP|TYPE)\s+("(?:[^"\\]|\\[^])*"|\S+)\s*(.*)/.exec(line);
  if (!found) return null;
  const [, what, name, text] = found;
  return [what, name[0] === '"' ? unescape(name.slice(1, -1)) : name, unescape(text)];
}
