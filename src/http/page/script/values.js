
// Formats values for people.

const format = (options) => new Intl.NumberFormat("en-US", options).format;
const significant = format({ maximumSignificantDigits: 4 }), tenths = format({ maximumFractionDigits: 1 });
const brief = format({ maximumSignificantDigits: 3 }), whole = format({ maximumFractionDigits: 0 });

const digits = (v) => Math.abs(v) >= 1e15 || Math.abs(v) < 1e-4 && v ? v.toExponential(3)
  : Math.abs(v) < 1000 ? significant(v) : tenths(v);
const short = (v) => Math.abs(v) < 100 ? brief(v) : whole(v);
const plural = (n, one, many = one + "s") => `${digits(n)} ${n === 1 ? one : many}`;

function duration(v) {
  const size = Math.abs(v);
  if (!size) return "0 s";
  for (const [below, unit, name] of [[1e-6, 1e-9, "ns"], [1e-3, 1e-6, "µs"], [1, 1e-3, "ms"], [120, 1, "s"]]) {
    if (size < below) return `${short(v / unit)} ${name}`;
  }
  const sign = v < 0 ? "−" : "", minutes = Math.floor(size / 60), hours = Math.floor(minutes / 60);
  if (minutes < 60) return `${sign}${minutes} min ${Math.floor(size % 60)} s`;
  if (hours < 48) return `${sign}${hours} h ${minutes % 60} min`;
  return `${sign}${digits(Math.floor(hours / 24))} d ${hours % 24} h`;
}

function bytes(v) {
  let unit = 0, size = v;
  while (Math.abs(size) >= 1024 && unit < 6) size /= 1024, unit++;
  return unit ? `${short(size)} ${"KMGTPE"[unit - 1]}iB` : digits(size) + " B";
}

// Formats a time in the browser's zone: 2026-02-28 12:34:56 CET. The Swedish locale has this form.
function date(v) {
  const d = new Date(v * 1000);
  return isNaN(d) ? digits(v) : d.toLocaleString("sv", { dateStyle: "short", timeStyle: "long" });
}

const clock = (ms) => new Date(ms).toLocaleTimeString("sv");

// Formats the time since then.
const lasted = (then) => duration(Math.floor(Math.max(0, Date.now() / 1000 - then)));
const isMoment = (v, name) => /_(timestamp|time)_seconds$/.test(name) && v > 1e8 && v < 1e12;

function shown(v, name) {
  if (!isFinite(v)) return isNaN(v) ? "NaN" : v > 0 ? "+Inf" : "−Inf";
  const unit = name.replace(/_total$/, "");
  if (isMoment(v, name)) return v * 1000 > Date.now() ? `in ${duration(v - Date.now() / 1000)}` : lasted(v) + " ago";
  // Unlimited limits are the largest number, or close to it.
  if (v >= 2 ** 62 && /_bytes$|_(max|limit)(_|$)/.test(unit)) return "unlimited";
  if (/_seconds$/.test(unit)) return duration(v);
  if (/_bytes$/.test(unit)) return bytes(v);
  if (/_ratio$/.test(unit)) return short(v * 100) + " %";
  return digits(v);
}

const perSecond = (v, name) => isFinite(v) ? (/_(seconds|bytes)_total$/.test(name) ? shown(v, name) : short(v)) + "/s" : "–";
// Formats the quantity of a line: a rate or the value.
const onLine = (v, f) => flows(f.type) ? perSecond(v, f.type === "counter" ? f.name : "") : shown(v, f.name);
