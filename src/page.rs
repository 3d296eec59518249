//! What `/` shows.

use std::borrow::Cow;

/// The page at `/`: what this is, where the metrics are. Made once; nothing in it comes from a request.
pub(crate) fn render(metrics_path: &str) -> String {
    include_str!("page/index.html")
        .replace("{version}", env!("CARGO_PKG_VERSION"))
        .replace("{metrics_path}", &escape(metrics_path))
}

/// Text as HTML text or a quoted attribute's value.
fn escape(text: &str) -> Cow<'_, str> {
    if !text.contains(['&', '<', '>', '"', '\'']) {
        return Cow::Borrowed(text);
    }
    let mut escaped = String::with_capacity(text.len() + 16);
    for c in text.chars() {
        match c {
            '&' => escaped.push_str("&amp;"),
            '<' => escaped.push_str("&lt;"),
            '>' => escaped.push_str("&gt;"),
            '"' => escaped.push_str("&quot;"),
            '\'' => escaped.push_str("&#39;"),
            c => escaped.push(c),
        }
    }
    Cow::Owned(escaped)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_path_is_text_never_markup() {
        let page = render("/<b>\"&'");
        assert!(page.contains("href=\"/&lt;b&gt;&quot;&amp;&#39;\""), "{page}");
        assert!(!page.contains("<b>") && !page.contains('{'), "{page}");
    }
}
