//! The little of HTML that the page is made of.

/// `text` where HTML expects text or an attribute's value.
pub(super) fn escaped(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    for c in text.chars() {
        match c {
            '&' => out.push_str("&amp;"),
            '<' => out.push_str("&lt;"),
            '>' => out.push_str("&gt;"),
            '"' => out.push_str("&quot;"),
            '\'' => out.push_str("&#39;"),
            c => out.push(c),
        }
    }
    out
}

/// The HTML of each part, one after the other.
pub(super) fn each<T>(parts: impl IntoIterator<Item = T>, html: impl FnMut(T) -> String) -> String {
    parts.into_iter().map(html).collect()
}

/// A table that scrolls by itself where it is wider than the page; in `numeric` columns figures stand below each other.
pub(super) fn table(header: &[&str], numeric: &[bool], rows: &[Vec<String>]) -> String {
    let class = |column: usize| if numeric.get(column).copied().unwrap_or(false) { " class=\"n\"" } else { "" };
    let head = each(header.iter().enumerate(), |(i, name)| format!("<th{}>{}</th>", class(i), escaped(name)));
    let row = |cells: &Vec<String>| {
        let cells = each(cells.iter().enumerate(), |(i, cell)| format!("<td{}>{}</td>", class(i), breakable(cell)));
        format!("<tr>{cells}</tr>")
    };
    let body = each(rows, row);
    format!("<div class=\"wide\" tabindex=\"0\"><table><thead><tr>{head}</tr></thead><tbody>{body}</tbody></table></div>")
}

/// `text` as HTML that may break inside the long names of settings.
fn breakable(text: &str) -> String {
    escaped(text).replace('_', "_<wbr>")
}

/// RFC 4648, section 4.
pub(super) fn base64(bytes: &[u8]) -> String {
    const DIGITS: &[u8; 64] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
    let mut out = String::with_capacity(bytes.len().div_ceil(3) * 4);
    for three in bytes.chunks(3) {
        let at = |i: usize| u32::from(three.get(i).copied().unwrap_or(0));
        let word = at(0) << 16 | at(1) << 8 | at(2);
        for digit in 0..4 {
            let shown = digit <= three.len();
            out.push(if shown { char::from(DIGITS[(word >> (18 - 6 * digit) & 63) as usize]) } else { '=' });
        }
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn base64_is_that_of_the_standard() {
        // RFC 4648, section 10.
        for (plain, coded) in [("", ""), ("f", "Zg=="), ("fo", "Zm8="), ("foo", "Zm9v"), ("foobar", "Zm9vYmFy")] {
            assert_eq!(base64(plain.as_bytes()), coded);
        }
    }

    #[test]
    fn nothing_in_a_cell_is_markup() {
        let made = table(&["<b>"], &[true], &[vec!["a & \"b\"".to_owned()]]);
        assert!(made.contains("<th class=\"n\">&lt;b&gt;</th>") && made.contains("a &amp; &quot;b&quot;"), "{made}");
    }
}
