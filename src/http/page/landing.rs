//! The options of the page.

use crate::http::document::Program;

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
        let (text, address) = self.links().find(|(_, address)| !is_linkable(address))?;
        Some(format!(
            "link {text:?}: address {address:?} must start with http://, https://, mailto: or a single \"/\""
        ))
    }

    pub(super) fn name_or<'a>(&'a self, program: &Program<'a>) -> &'a str {
        self.name.as_deref().or(program.name).unwrap_or("Metrics")
    }

    pub(super) fn version_or<'a>(&'a self, program: &Program<'a>) -> Option<&'a str> {
        self.version.as_deref().or(program.version)
    }

    pub(super) fn described(&self) -> Option<&str> {
        self.description.as_deref()
    }

    pub(super) fn links(&self) -> impl Iterator<Item = (&str, &str)> {
        self.links.iter().map(|(text, address)| (text.as_str(), address.as_str()))
    }
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
    use super::*;

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
        let known = Program { name: Some("known"), version: Some("1") };
        let unknown = Program { name: None, version: None };
        let table = [
            (Page::new("said").version("2"), known, ("said", Some("2"))),
            (Page::new("said"), known, ("said", Some("1"))),
            (Page::unnamed(), known, ("known", Some("1"))),
            (Page::unnamed().version("2"), unknown, ("Metrics", Some("2"))),
            (Page::unnamed(), unknown, ("Metrics", None)),
        ];
        for (page, program, expected) in table {
            assert_eq!(
                (page.name_or(&program), page.version_or(&program)),
                expected,
                "{page:?}, {program:?}"
            );
        }
    }
}
