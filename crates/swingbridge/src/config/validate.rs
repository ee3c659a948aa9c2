//! Checks that several sections share.

use super::problem::Problem;

/// Notes a problem when `text` is no address of the web.
pub fn http_url(path: &str, text: &str, cure: &str, problems: &mut Vec<Problem>) {
    let cause = match url::Url::parse(text) {
        _ if text.is_empty() => "is not set",
        Ok(url) if !matches!(url.scheme(), "http" | "https") => "must begin with http:// or https://",
        Ok(url) if url.host_str().is_none_or(str::is_empty) => "names no host",
        Ok(url) if !url.username().is_empty() || url.password().is_some() => "must hold no user or password",
        Ok(_) => return,
        Err(_) => "is no address: it must begin with http:// or https://",
    };
    problems.push(Problem::new(path, cause).cure(cure));
}

/// Whether `text` can be a homeserver's name (Matrix specification, appendix "Server name"): a host, perhaps with a port.
pub fn server_name(text: &str) -> bool {
    let host = text.rsplit_once(':').map_or(text, |(host, port)| {
        if !port.is_empty() && port.bytes().all(|b| b.is_ascii_digit()) {
            host
        } else {
            text
        }
    });
    let host = host
        .strip_prefix('[')
        .and_then(|host| host.strip_suffix(']'))
        .unwrap_or(host);
    !host.is_empty()
        && host
            .bytes()
            .all(|b| b.is_ascii_alphanumeric() || matches!(b, b'.' | b'-' | b':'))
}

/// Whether `text` can be a Matrix user id.
pub fn user_id(text: &str) -> bool {
    text.strip_prefix('@')
        .and_then(|rest| rest.split_once(':'))
        .is_some_and(|(local, server)| !local.is_empty() && server_name(server))
}

/// The 32 bytes of a site key, written as 64 hexadecimal digits.
pub fn site_key(text: &str) -> Option<[u8; 32]> {
    let bytes = data_encoding::HEXLOWER_PERMISSIVE
        .decode(text.trim().as_bytes())
        .ok()?;
    bytes.try_into().ok()
}
