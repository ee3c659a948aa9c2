//! The old way to reply, in which the quoted text stood inside the answer (removed from Matrix in v1.13, still sent).

/// Takes the quoted lines off the front of `body`.
pub(super) fn strip_plain(body: &str) -> &str {
    let mut rest = body;
    while let Some(line) = rest
        .strip_prefix("> ")
        .or_else(|| rest.strip_prefix(">\n").map(|_| &rest[1..]))
    {
        match line.find('\n') {
            Some(end) => rest = &line[end + 1..],
            // Nothing but a quote: then it is what the person wrote.
            None => return body,
        }
    }
    if rest.len() == body.len() {
        return body;
    }
    rest.strip_prefix('\n').unwrap_or(rest)
}

/// Takes the `<mx-reply>` element off `html`.
pub(super) fn strip_html(html: &str) -> &str {
    if !html.trim_start().starts_with("<mx-reply>") {
        return html;
    }
    const END: &str = "</mx-reply>";
    html.find(END).map_or(html, |at| &html[at + END.len()..])
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_quote_goes_and_the_answer_stays() {
        assert_eq!(strip_plain("> <@a:b> hello\n> there\n\nhi > back"), "hi > back");
        assert_eq!(strip_plain("> <@a:b> hello\n>\n> there\n\nhi"), "hi");
        assert_eq!(strip_plain("> <@a:b> hello\n\n\nhi"), "\nhi");
        assert_eq!(strip_plain("> my own quote"), "> my own quote");
        assert_eq!(strip_plain("plain"), "plain");
        assert_eq!(
            strip_html("<mx-reply><blockquote>q</blockquote></mx-reply><b>hi</b>"),
            "<b>hi</b>"
        );
        assert_eq!(strip_html("<b>hi</b>"), "<b>hi</b>");
    }
}
