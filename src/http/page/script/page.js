
// The start of the page's script. It is a module, so its names are private. page.rs joins its files.

const $ = (id) => document.getElementById(id);
const list = $("list"), search = $("search");
const narrow = matchMedia("(max-width: 760px)"), dark = matchMedia("(prefers-color-scheme: dark)");
