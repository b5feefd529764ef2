//! Numbers and names as they are read. Knows figures; nothing of HTML.

use super::figures::{Example, Share};

/// Count, of how many, share and interval, for a table.
pub(super) fn share_cells(share: &Share) -> [String; 4] {
    [
        grouped(share.count),
        grouped(share.of),
        percent(share.share),
        interval(share.ci95),
    ]
}

/// Group and class.
pub(super) fn label(shown: &Example) -> String {
    if shown.group == shown.class {
        shown.class.clone()
    } else {
        format!("{} / {}", shown.group, shown.class)
    }
}

/// What guessing would name of 100.
pub(super) fn chance(ways: usize) -> String {
    plain((1000.0 / ways.max(1) as f64).round() / 10.0)
}

/// A share as a percentage, finer where it is small.
pub(super) fn percent(share: f64) -> String {
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
pub(super) fn interval([low, high]: [f64; 2]) -> String {
    let low = percent(low);
    let low = low.trim_end_matches(['\u{a0}', '%']);
    format!("{low} to {}", percent(high))
}

/// p with the digits that tell it from 0 and 1.
pub(super) fn probability(p: f32) -> String {
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
pub(super) fn plain(number: f64) -> String {
    let text = format!("{number:.6}");
    let text = text.trim_end_matches('0').trim_end_matches('.');
    text.to_owned()
}

/// 1,234,567.
pub(super) fn grouped(number: u64) -> String {
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
pub(super) fn abbreviated(number: f64) -> String {
    match number {
        n if n < 1e3 => plain(n),
        n if n < 1e6 => format!("{}\u{a0}k", plain(n / 1e3)),
        n => format!("{}\u{a0}M", plain(n / 1e6)),
    }
}

/// 12.1 million.
pub(super) fn short(number: u64) -> String {
    match number {
        0..10_000 => grouped(number),
        10_000..1_000_000 => format!("{:.0}\u{a0}thousand", number as f64 / 1e3),
        _ => format!("{:.1}\u{a0}million", number as f64 / 1e6),
    }
}

/// 249 kB.
pub(super) fn bytes(number: u64) -> String {
    match number {
        0..1_000_000 => format!("{:.0}\u{a0}kB", number as f64 / 1e3),
        _ => format!("{:.1}\u{a0}MB", number as f64 / 1e6),
    }
}

/// In the unit that suits it.
pub(super) fn duration(seconds: f64) -> String {
    match seconds {
        s if s < 90.0 => format!("{s:.0} seconds"),
        s if s < 5400.0 => format!("{:.0} minutes", s / 60.0),
        s => format!("{:.1} hours", s / 3600.0),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

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
