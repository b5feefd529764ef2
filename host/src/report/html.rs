//! The pieces that the page is put together from: escaped text, tables, pictures, and numbers as
//! they are read. Knows HTML; nothing of models.

use super::chart::Chart;
use super::figures::{Share, Shown};

/// `text` as it must stand in HTML, in an attribute too.
pub fn escape(text: &str) -> String {
    let mut safe = String::with_capacity(text.len());
    for c in text.chars() {
        match c {
            '&' => safe.push_str("&amp;"),
            '<' => safe.push_str("&lt;"),
            '>' => safe.push_str("&gt;"),
            '"' => safe.push_str("&quot;"),
            '\'' => safe.push_str("&#39;"),
            _ => safe.push(c),
        }
    }
    safe
}

/// A chart with its title, its key and, folded away, its numbers.
pub fn figure(title: &str, subtitle: &str, key: &str, chart: Chart, numbers: &str) -> String {
    format!(
        "<figure><figcaption><b>{title}</b>{subtitle}</figcaption>{key}{}\
         <details><summary>Numbers</summary>{numbers}</details></figure>",
        chart.finish()
    )
}

/// What lines of a chart mean; classes and names.
pub fn key(lines: &[(&str, &str)]) -> String {
    let lines: String = lines
        .iter()
        .map(|(class, name)| {
            format!(
                "<li><svg viewBox=\"0 0 26 12\" aria-hidden=true><path class=\"line {class}\" d=\"M2 6H24\" /></svg>{}</li>",
                escape(name)
            )
        })
        .collect();
    format!("<ul class=key>{lines}</ul>")
}

/// A table whose cells are HTML; all but the first column are numbers.
pub fn table(head: &[&str], rows: Vec<Vec<String>>) -> String {
    let head: String = head
        .iter()
        .map(|name| format!("<th scope=col>{name}</th>"))
        .collect();
    let rows: String = rows
        .iter()
        .map(|row| {
            let cells: String = row.iter().map(|cell| format!("<td>{cell}</td>")).collect();
            format!("<tr>{cells}</tr>")
        })
        .collect();
    format!(
        "<div class=scroll><table><thead><tr>{head}</tr></thead><tbody>{rows}</tbody></table></div>"
    )
}

/// Count, of how many, share and interval, for a table.
pub fn share_cells(share: &Share) -> [String; 4] {
    [
        grouped(share.count),
        grouped(share.of),
        percent(share.share),
        interval(share.ci95),
    ]
}

/// A sentence in the place of what could not be measured.
pub fn missing(sentence: &str) -> String {
    missing_html(&escape(sentence))
}

/// The same of a sentence that is HTML.
pub fn missing_html(sentence: &str) -> String {
    format!("<p class=missing>{sentence}</p>")
}

/// A picture that travels in the page; nothing where there is none.
pub fn image(png: &[u8], alt: &str, class: &str) -> String {
    if png.is_empty() {
        return String::new();
    }
    format!(
        "<img class=\"{class}\" alt=\"{}\" src=\"data:image/png;base64,{}\">",
        escape(alt),
        base64(png)
    )
}

/// Group and class.
pub fn label(shown: &Shown) -> String {
    if shown.group == shown.class {
        shown.class.clone()
    } else {
        format!("{} / {}", shown.group, shown.class)
    }
}

/// RFC 4648, with padding.
pub fn base64(bytes: &[u8]) -> String {
    const DIGITS: &[u8; 64] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
    let mut text = String::with_capacity(bytes.len().div_ceil(3) * 4);
    for three in bytes.chunks(3) {
        let byte = |i: usize| u32::from(three.get(i).copied().unwrap_or(0));
        let all = byte(0) << 16 | byte(1) << 8 | byte(2);
        for digit in 0..4 {
            let is_padding = digit > three.len();
            let value = (all >> (18 - 6 * digit)) as usize % 64;
            text.push(if is_padding {
                '='
            } else {
                char::from(DIGITS[value])
            });
        }
    }
    text
}

/// What guessing would name of 100.
pub fn chance(ways: usize) -> String {
    plain((1000.0 / ways.max(1) as f64).round() / 10.0)
}

/// A share as a percentage, finer where it is small.
pub fn percent(share: f64) -> String {
    let rate = 100.0 * share;
    let digits = match rate.abs() {
        0.0 => 0,
        rate if rate < 0.000_995 => 5,
        rate if rate < 0.009_95 => 4,
        rate if rate < 0.099_5 => 3,
        rate if rate < 0.995 => 2,
        _ => 1,
    };
    format!("{rate:.digits$}\u{a0}%")
}

/// The ends of an interval of a share.
pub fn interval([low, high]: [f64; 2]) -> String {
    let low = percent(low);
    let low = low.trim_end_matches(['\u{a0}', '%']);
    format!("{low} to {}", percent(high))
}

/// p with the digits that tell it from 0 and 1.
pub fn probability(p: f32) -> String {
    if p == 0.0 || p == 1.0 {
        format!("{p}")
    } else if p < 0.001 {
        format!("{p:.1e}")
    } else if p > 0.9999 {
        format!("{p:.6}")
    } else if p > 0.99 {
        format!("{p:.4}")
    } else {
        format!("{p:.3}")
    }
}

/// A number without needless digits.
pub fn plain(number: f64) -> String {
    let text = format!("{number:.6}");
    let text = text.trim_end_matches('0').trim_end_matches('.');
    text.to_owned()
}

/// 1,234,567.
pub fn grouped(number: u64) -> String {
    let digits = number.to_string();
    let mut text = String::new();
    for (i, digit) in digits.chars().enumerate() {
        if i > 0 && (digits.len() - i).is_multiple_of(3) {
            text.push(',');
        }
        text.push(digit);
    }
    text
}

/// 10 k, 1 M.
pub fn abbreviated(number: f64) -> String {
    match number {
        n if n < 1e3 => plain(n),
        n if n < 1e6 => format!("{}\u{a0}k", plain(n / 1e3)),
        n => format!("{}\u{a0}M", plain(n / 1e6)),
    }
}

/// 12.1 million.
pub fn short(number: u64) -> String {
    match number {
        0..10_000 => grouped(number),
        10_000..1_000_000 => format!("{:.0}\u{a0}thousand", number as f64 / 1e3),
        _ => format!("{:.1}\u{a0}million", number as f64 / 1e6),
    }
}

/// 249 kB.
pub fn bytes(number: u64) -> String {
    match number {
        0..1_000_000 => format!("{:.0}\u{a0}kB", number as f64 / 1e3),
        _ => format!("{:.1}\u{a0}MB", number as f64 / 1e6),
    }
}

/// In the unit that suits it.
pub fn duration(seconds: f64) -> String {
    match seconds {
        s if s < 90.0 => format!("{s:.0} seconds"),
        s if s < 5400.0 => format!("{:.0} minutes", s / 60.0),
        s => format!("{:.1} hours", s / 3600.0),
    }
}

/// A number with its unit set smaller.
pub fn big(text: &str) -> String {
    match text.split_once('\u{a0}') {
        Some((number, unit)) => format!("{number}<small>\u{a0}{unit}</small>"),
        None => text.to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_stands_in_html_is_escaped() {
        assert_eq!(escape("<b a='1'>\"&"), "&lt;b a=&#39;1&#39;&gt;&quot;&amp;");
    }

    #[test]
    fn the_test_vectors_of_rfc_4648() {
        let vectors = [
            "", "Zg==", "Zm8=", "Zm9v", "Zm9vYg==", "Zm9vYmE=", "Zm9vYmFy",
        ];
        for (length, text) in vectors.iter().enumerate() {
            assert_eq!(base64(&b"foobar"[..length]), *text);
        }
    }

    #[test]
    fn numbers_as_they_are_read() {
        assert_eq!(grouped(1_234_567), "1,234,567");
        assert_eq!(grouped(999), "999");
        assert_eq!(percent(0.864), "86.4\u{a0}%");
        assert_eq!(percent(0.000_123), "0.012\u{a0}%");
        assert_eq!(interval([0.857, 0.87]), "85.7 to 87.0\u{a0}%");
        assert_eq!(
            (plain(20.0), plain(0.001)),
            ("20".to_owned(), "0.001".to_owned())
        );
        assert_eq!((chance(20), chance(3)), ("5".to_owned(), "33.3".to_owned()));
        assert_eq!(probability(0.97), "0.970");
    }
}
