
// The page. A module, so that its names are its own; its files are joined in the order that page.rs has.

const $ = (id) => document.getElementById(id);
const list = $("list"), search = $("search");
const narrow = matchMedia("(max-width: 760px)"), dark = matchMedia("(prefers-color-scheme: dark)");
