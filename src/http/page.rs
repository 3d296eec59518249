//! The page that shows the metrics live: its options and its document.

mod utc;

use std::fmt::Write;
use std::time::SystemTime;

use crate::exposition::encode::{Format, TEXT_004};
use crate::http::document::{Document, Endpoints, Program, Render};

use utc::utc;

/// The document, with `{{names}}` as placeholders.
const DOCUMENT: &str = include_str!("page/index.html");
const STYLE: &str = include_str!("page/style.css");
/// The script. The files are joined into one module.
const SCRIPT: &str = concat!(
    include_str!("page/script/page.js"),
    include_str!("page/script/model.js"),
    include_str!("page/script/values.js"),
    include_str!("page/script/totals.js"),
    include_str!("page/script/graph.js"),
    include_str!("page/script/panel.js"),
    include_str!("page/script/query.js"),
    include_str!("page/script/format.js"),
    include_str!("page/script/scrape.js"),
    include_str!("page/script/notices.js"),
    include_str!("page/script/layout.js"),
    include_str!("page/script/rows.js"),
    include_str!("page/script/state.js"),
    include_str!("page/script/controls.js"),
);

/// The content security policy (CSP level 3, section 2.3.1).
///
/// A browser runs only this script and this style and requests only this server, even if an attacker injects text.
/// The hashes are constants, because a build script or a dependency has a cost for every user. A test compares them
/// with the files.
const SECURITY_POLICY: &str = concat!(
    "default-src 'none'; script-src 'sha256-WtokmxlT2EK4caYV6juFytrw5mvLHQ+M3tYf/Re/9zU='; ",
    "style-src 'sha256-65WEJhchu4fnSdmrOpB/2g8kiBDhWOy5TRN/0U1VOkE='; img-src data:; ",
    "connect-src 'self'; form-action 'self'; base-uri 'none'; frame-ancestors 'none'",
);

/// Names and describes the page that shows the metrics live.
///
/// [`Builder::landing_page`](crate::Builder::landing_page) serves it at `/`, and
/// [`Handler::page`](crate::Handler::page) at a path of your choice. All parts are text, so HTML is shown unchanged.
///
/// ```
/// # fn main() -> std::io::Result<()> {
/// use prometheus_hyper::{Page, Server};
///
/// let page = Page::new("My exporter")
///     .description("Temperatures of the boiler in the cellar.")
///     .version("1.2.3")
///     .link("Manual", "https://example.org/manual")
///     .link("Source", "https://example.org/source");
/// let guard = Server::builder().landing_page(page).listen("127.0.0.1:0").bind()?.start()?;
/// # Ok(())
/// # }
/// ```
#[derive(Clone, Debug)]
#[must_use = "a page is shown by `Builder::landing_page`"]
pub struct Page {
    name: Option<String>,
    description: Option<String>,
    version: Option<String>,
    /// The links, each with its text and address.
    links: Vec<(String, String)>,
}

impl Page {
    /// Creates a page with this name, which is also its title.
    pub fn new(name: impl Into<String>) -> Self {
        Page { name: Some(name.into()), ..Page::unnamed() }
    }

    /// Sets a short description below the name.
    ///
    /// Default: none.
    pub fn description(mut self, text: impl Into<String>) -> Self {
        self.description = Some(text.into());
        self
    }

    /// Sets the version next to the name.
    ///
    /// Default: the version of [`Builder::build_info`](crate::Builder::build_info), or else none. On a page of
    /// [`Handler::page`](crate::Handler::page): none.
    pub fn version(mut self, text: impl Into<String>) -> Self {
        self.version = Some(text.into());
        self
    }

    /// Adds a link after those to the metrics and to health.
    ///
    /// Default: none. Further links follow in the order of the calls.
    ///
    /// The address must begin with `http://`, `https://` or `mailto:`, or be a path of this server, which begins with a
    /// single slash. [`bind`](crate::Builder::bind) and [`Handler::page`](crate::Handler::page) reject other addresses, such
    /// as `javascript:`.
    pub fn link(mut self, text: impl Into<String>, address: impl Into<String>) -> Self {
        self.links.push((text.into(), address.into()));
        self
    }

    pub(crate) fn unnamed() -> Self {
        Page { name: None, description: None, version: None, links: Vec::new() }
    }

    /// Returns the fault of the first link with an invalid address.
    pub(crate) fn fault(&self) -> Option<String> {
        let (text, address) = self.links.iter().find(|(_, address)| !is_linkable(address))?;
        Some(format!(
            "link {text:?}: address {address:?} must start with http://, https://, mailto: or a single \"/\""
        ))
    }
}

/// The page before `bind`, which determines the paths.
#[derive(Debug)]
pub(crate) struct Landing(pub(crate) Page);

impl Render for Landing {
    fn document(self: Box<Self>, program: Program, endpoints: Endpoints) -> Document {
        let since = SystemTime::now();
        Document::new(move || render(&self.0, &program, &endpoints, since), SECURITY_POLICY)
    }
}

fn render(page: &Page, program: &Program, endpoints: &Endpoints, since: SystemTime) -> String {
    let Endpoints { metrics, formats, probes, health } = endpoints;
    let name = escape(page.name.as_ref().or(program.name.as_ref()).map_or("Metrics", String::as_str));
    let metrics = escape(metrics);
    let version = page.version.as_ref().or(program.version.as_ref()).map(|version| escape(version));
    let description = page.description.as_deref().map(escape);
    let (date, time) = utc(since);

    let mut filled = String::with_capacity(DOCUMENT.len() + STYLE.len() + SCRIPT.len() + 1024);
    for (index, part) in DOCUMENT.split("{{").enumerate() {
        let (marker, rest) =
            if index == 0 { ("", part) } else { part.split_once("}}").unwrap_or(("", part)) };
        // Writing to a String cannot fail.
        let _ = match marker {
            "name" => filled.write_str(&name),
            "version" => version.iter().try_for_each(|version| write!(filled, " <small>{version}</small>")),
            "description" => description.iter().try_for_each(|text| writeln!(filled, "<p>{text}</p>")),
            "metrics" => filled.write_str(&metrics),
            "since" => write!(filled, "<time datetime=\"{date}T{time}Z\">{date} {time} UTC</time>"),
            "formats" => shown(formats).try_for_each(|(format, text)| {
                writeln!(filled, "<li><a href=\"{metrics}?format={format}\">{text}</a></li>")
            }),
            "health" if *health => filled.write_str(HEALTH),
            "links" => page.links.iter().try_for_each(|(text, address)| {
                let (text, address) = (escape(text), escape(address));
                writeln!(filled, "<li><a href=\"{address}\" rel=\"noreferrer\">{text}</a></li>")
            }),
            "probes" => probes.iter().map(|path| escape(path)).try_for_each(|path| {
                let field = "<input name=\"target\" required spellcheck=\"false\" autocomplete=\"off\">";
                let label = format!("<label>{path} <span>target</span> {field}</label>");
                writeln!(
                    filled,
                    "<form action=\"{path}\" method=\"get\">{label}<button>Probe</button></form>"
                )
            }),
            "own_version" => filled.write_str(env!("CARGO_PKG_VERSION")),
            "style" => write_lines(&mut filled, STYLE),
            "script" => write_lines(&mut filled, SCRIPT),
            _ => Ok(()),
        };
        filled.push_str(rest);
    }
    filled
}

const HEALTH: &str = "<li><a href=\"/-/healthy\">Health</a></li>\n<li><a href=\"/-/ready\">Ready</a></li>\n";

/// Writes the lines without their indentation. Omits empty lines and comments.
fn write_lines(to: &mut String, text: &str) -> std::fmt::Result {
    let lines = text.lines().map(str::trim_start).filter(|line| !line.is_empty() && !line.starts_with("//"));
    lines.into_iter().try_for_each(|line| writeln!(to, "{line}"))
}

/// Returns the formats that only `?format=` shows in a browser, with their titles.
fn shown(formats: &[&'static Format]) -> impl Iterator<Item = (&'static str, &'static str)> {
    let others = formats.iter().filter(|format| **format != &TEXT_004);
    others.filter_map(|format| Some((format.query_name?, format.title)))
}

/// Escapes a text for HTML text and quoted attribute values.
fn escape(text: &str) -> String {
    // The ampersand first, because the others contain it once they are escaped.
    let text = text.replace('&', "&amp;").replace('<', "&lt;").replace('>', "&gt;");
    text.replace('"', "&quot;").replace('\'', "&#39;")
}

/// Returns whether an address leads a browser to a page or a mail, without executing anything.
///
/// Browsers remove tabs and line ends from addresses, and read a backslash as a slash (URL standard, sections 4.1 and
/// 4.4). So an address with one of these is rejected.
fn is_linkable(address: &str) -> bool {
    let legal = !address.contains(|c: char| c.is_control() || c.is_whitespace() || c == '\\');
    let scheme = ["http://", "https://", "mailto:"].iter().any(|scheme| {
        address.get(..scheme.len()).is_some_and(|start| start.eq_ignore_ascii_case(scheme))
            && address.len() > scheme.len()
    });
    legal && (scheme || address.starts_with('/') && !address.starts_with("//"))
}

#[cfg(test)]
mod tests {
    use base64::Engine;
    use bytes::Bytes;
    use sha2::Digest;

    use super::*;
    use crate::exposition::compress::Coding;
    use crate::exposition::encode::{OPENMETRICS_001, OPENMETRICS_100, TEXT_100};

    const EVIL: &str = "<script>alert(1)</script><img src=x onerror=alert(1)>\"'&{{script}}";

    fn program(name: Option<&str>, version: Option<&str>) -> Program {
        Program { name: name.map(str::to_owned), version: version.map(str::to_owned) }
    }

    fn rendered(page: &Page, metrics: &str, probes: &[&str]) -> String {
        let endpoints = Endpoints {
            metrics: metrics.to_owned(),
            formats: vec![&TEXT_004, &OPENMETRICS_100],
            probes: probes.iter().map(|path| (*path).to_owned()).collect(),
            health: true,
        };
        render(page, &program(Some("program"), Some("1.2.3")), &endpoints, SystemTime::now())
    }

    /// Returns the page without its script and its style.
    fn markup(page: &str) -> String {
        page.replace(&written(SCRIPT), "").replace(&written(STYLE), "")
    }

    fn written(text: &str) -> String {
        let mut written = String::new();
        write_lines(&mut written, text).unwrap();
        written
    }

    #[test]
    fn user_texts_never_become_markup() {
        let page = Page::new(EVIL).description(EVIL).version(EVIL).link(EVIL, format!("/{EVIL}"));
        let html = markup(&rendered(&page, &format!("/{EVIL}"), &[&format!("/{EVIL}")]));
        // The script of the document.
        assert_eq!(html.matches("<script").count(), 1, "{html}");
        assert_eq!(html.matches("<img").count(), 0, "{html}");
        let escaped = "&lt;script&gt;alert(1)&lt;/script&gt;&lt;img src=x onerror=alert(1)&gt;&quot;&#39;&amp;{{script}}";
        for part in [
            format!("<title>{escaped}</title>"),
            format!("<h1>{escaped} <small>{escaped}</small></h1>"),
            format!("<p>{escaped}</p>"),
            format!("<a href=\"/{escaped}\" rel=\"noreferrer\">{escaped}</a>"),
            format!("<a id=\"metrics\" href=\"/{escaped}\">"),
            format!("<form action=\"/{escaped}\" method=\"get\">"),
        ] {
            assert!(html.contains(&part), "{part}: {html}");
        }
    }

    #[test]
    fn omits_parts_that_are_not_set() {
        let html = markup(&rendered(&Page::unnamed(), "/metrics", &[]));
        assert!(html.contains("<h1>program <small>1.2.3</small></h1>"), "{html}");
        for absent in ["<form", "{{", "}}", "<p></p>"] {
            assert!(!html.contains(absent), "{absent}: {html}");
        }
        assert!(html.contains("<p id=\"up\">since <time datetime=\"2"), "{html}");
        let html = markup(&rendered(&Page::new("mine").version("2"), "/metrics", &["/probe", "/snmp"]));
        assert!(html.contains("<h1>mine <small>2</small></h1>"), "{html}");
        assert_eq!(html.matches("<input name=\"target\"").count(), 2, "{html}");
    }

    #[test]
    fn links_formats_that_the_metrics_link_does_not_show() {
        let table: &[(&[&'static Format], &[&str])] = &[
            (&[&TEXT_004], &[]),
            (&[&TEXT_004, &OPENMETRICS_100], &["openmetrics"]),
            (&[&TEXT_004, &TEXT_100, &OPENMETRICS_001], &[]),
        ];
        for (formats, linked) in table {
            assert_eq!(&shown(formats).map(|(format, _)| format).collect::<Vec<_>>(), linked, "{formats:?}");
        }
    }

    #[test]
    fn policy_allows_this_script_and_this_style() {
        for (directive, text) in [("script-src", SCRIPT), ("style-src", STYLE)] {
            let hash = base64::engine::general_purpose::STANDARD.encode(sha2::Sha256::digest(written(text)));
            let source = format!("; {directive} 'sha256-{hash}';");
            assert!(SECURITY_POLICY.contains(&source), "{SECURITY_POLICY}: must contain{source}");
        }
    }

    /// Checks that the page has at most 60 KB, and compressed 20 KB.
    ///
    /// The compressed page fits into the first two round trips of a TCP connection (RFC 6928: 10 and 20 segments).
    #[test]
    fn page_is_small() {
        let page = Page::new("A program of some name").description("And a sentence.").link("Docs", "/docs");
        let endpoints = Endpoints {
            metrics: "/metrics".to_owned(),
            formats: vec![&TEXT_004],
            probes: Vec::new(),
            health: true,
        };
        let document = Box::new(Landing(page)).document(program(None, None), endpoints);
        let plain: usize = document.body(Coding::Identity).0.iter().map(Bytes::len).sum();
        assert!(plain <= 60_000, "{plain} bytes");
        for coding in crate::exposition::compress::codings() {
            let (chunks, made) = document.body(coding);
            let size: usize = chunks.iter().map(Bytes::len).sum();
            assert_eq!(made, coding);
            assert!(size <= 20_000, "{size} bytes with {coding:?}");
        }
    }

    /// Checks that the script writes values as text only.
    #[test]
    fn script_calls_nothing_that_parses_markup_or_code() {
        for word in [
            "innerHTML",
            "outerHTML",
            "insertAdjacentHTML",
            "document.write",
            "eval(",
            "Function(",
            "DOMParser",
            "srcdoc",
            "createContextualFragment",
            "</script",
            "<!--",
            "http:",
        ] {
            let code = SCRIPT.replace("http://www.w3.org/2000/svg", "");
            assert!(!code.contains(word), "{word}");
        }
        for (file, text) in [("style", STYLE), ("document", DOCUMENT)] {
            for word in [" style=", " onclick", "@import", "url("] {
                assert!(!text.contains(word), "{file}: {word}");
            }
        }
    }

    #[test]
    fn accepts_addresses_of_pages_and_mails_only() {
        let table = [
            ("https://example.org/a?b=c#d", true),
            ("http://[::1]:9090/", true),
            ("HTTPS://EXAMPLE.ORG", true),
            ("mailto:me@example.org", true),
            ("/", true),
            ("/docs/a.html?x", true),
            ("/javascript:alert(1)", true),
            ("https://b\u{fc}cher.example/", true),
            ("", false),
            ("https://", false),
            ("mailto:", false),
            ("javascript:alert(1)", false),
            ("JavaScript:alert(1)", false),
            ("java\nscript:alert(1)", false),
            ("\u{1}javascript:alert(1)", false),
            (" javascript:alert(1)", false),
            (" https://example.org", false),
            ("data:text/html,<script>alert(1)</script>", false),
            ("vbscript:x", false),
            ("file:///etc/passwd", false),
            ("//example.org/", false),
            ("/\\example.org/", false),
            ("/\t/example.org/", false),
            ("docs/a.html", false),
            ("https:example.org", false),
        ];
        for (address, linkable) in table {
            assert_eq!(is_linkable(address), linkable, "{address:?}");
            assert_eq!(Page::new("x").link("y", address).fault().is_none(), linkable, "{address:?}");
        }
    }

    #[test]
    fn options_of_the_page_override_those_of_the_program() {
        let (known, unknown) = (program(Some("known"), Some("1")), program(None, None));
        let table = [
            (Page::new("said").version("2"), &known, "said <small>2</small>"),
            (Page::new("said"), &known, "said <small>1</small>"),
            (Page::unnamed(), &known, "known <small>1</small>"),
            (Page::unnamed().version("2"), &unknown, "Metrics <small>2</small>"),
            (Page::unnamed(), &unknown, "Metrics"),
        ];
        let metrics = "/metrics".to_owned();
        let endpoints = Endpoints { metrics, formats: Vec::new(), probes: Vec::new(), health: false };
        for (page, program, expected) in table {
            let html = render(&page, program, &endpoints, SystemTime::now());
            assert!(html.contains(&format!("<h1>{expected}</h1>")), "{page:?}, {program:?}");
        }
    }
}
