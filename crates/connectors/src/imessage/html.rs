//! What a sender marked in a text, as Matrix HTML.

use std::ops::Range;
use swingbridge_wire::typedstream::{Attributed, BOLD, ITALIC, LINK, Run, STRIKETHROUGH, UNDERLINE};

/// The stretch as HTML; `None` where nothing in it is marked beyond what a client finds by itself.
pub(super) fn html(said: &Attributed, stretch: &Range<usize>) -> Option<String> {
    let within = |run: &&Run| run.range.start < stretch.end && run.range.end > stretch.start;
    let runs: Vec<&Run> = said.runs.iter().filter(within).collect();
    let marked = |run: &&&Run| !tags(run).is_empty() || link(said, run).is_some();
    runs.iter().find(marked)?;
    let mut html = String::new();
    let mut at = stretch.start;
    for run in runs {
        let (start, end) = (run.range.start.max(at), run.range.end.min(stretch.end));
        if start >= end {
            continue;
        }
        escape(&said.text[at..start], &mut html);
        at = end;
        let tags = tags(run);
        let link = link(said, run);
        if let Some(url) = link {
            html.push_str("<a href=\"");
            escape(url, &mut html);
            html.push_str("\">");
        }
        for tag in &tags {
            html.push_str(&format!("<{tag}>"));
        }
        escape(&said.text[start..end], &mut html);
        for tag in tags.iter().rev() {
            html.push_str(&format!("</{tag}>"));
        }
        if link.is_some() {
            html.push_str("</a>");
        }
    }
    escape(&said.text[at..stretch.end], &mut html);
    Some(html.trim().to_owned())
}

fn tags(run: &Run) -> Vec<&'static str> {
    [
        (BOLD, "strong"),
        (ITALIC, "em"),
        (UNDERLINE, "u"),
        (STRIKETHROUGH, "del"),
    ]
    .into_iter()
    .filter(|(name, _)| run.has(name))
    .map(|(_, tag)| tag)
    .collect()
}

/// A link under other words than its own. Only to the web and to mail: other schemes do things on a reader's machine.
fn link<'a>(said: &Attributed, run: &'a Run) -> Option<&'a str> {
    let url = run.get(LINK)?.text()?;
    let safe = ["https://", "http://", "mailto:"]
        .iter()
        .any(|scheme| url.starts_with(scheme));
    (safe && said.text[run.range.clone()].trim() != url).then_some(url)
}

fn escape(text: &str, html: &mut String) {
    for character in text.chars() {
        match character {
            '&' => html.push_str("&amp;"),
            '<' => html.push_str("&lt;"),
            '>' => html.push_str("&gt;"),
            '"' => html.push_str("&quot;"),
            '\n' => html.push_str("<br>"),
            '\u{fffc}' | '\u{fffd}' | '\0' => {}
            other => html.push(other),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use swingbridge_wire::typedstream::Value;

    fn said(parts: &[(&str, Option<(&str, Value)>)]) -> Attributed {
        let mut said = Attributed {
            text: String::new(),
            runs: Vec::new(),
        };
        for (text, mark) in parts {
            let start = said.text.len();
            said.text.push_str(text);
            said.runs.push(Run {
                range: start..said.text.len(),
                attributes: mark
                    .iter()
                    .map(|(name, value)| ((*name).to_owned(), value.clone()))
                    .collect(),
            });
        }
        said
    }

    #[test]
    fn marks_become_tags_and_nothing_else_becomes_html() {
        let text = said(&[
            ("a<b ", None),
            ("bold", Some((BOLD, Value::Integer(1)))),
            (" & ", None),
            (
                "here",
                Some((LINK, Value::Text("https://example.org/?\"".into()))),
            ),
        ]);
        assert_eq!(
            html(&text, &(0..text.text.len())).as_deref(),
            Some("a&lt;b <strong>bold</strong> &amp; <a href=\"https://example.org/?&quot;\">here</a>")
        );
    }

    #[test]
    fn a_plain_text_and_a_bare_or_unsafe_link_need_none() {
        let bare = said(&[(
            "https://a.example",
            Some((LINK, Value::Text("https://a.example".into()))),
        )]);
        let unsafe_link = said(&[("here", Some((LINK, Value::Text("javascript:alert(1)".into()))))]);
        let off = said(&[("x", Some((BOLD, Value::Integer(0))))]);
        for text in [bare, unsafe_link, off] {
            assert_eq!(html(&text, &(0..text.text.len())), None);
        }
    }
}
