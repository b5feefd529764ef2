//! The pieces that the page is put together from: figures with their numbers, tables, pictures, folded lists. Every
//! string becomes HTML through `maud`, which escapes it. Knows nothing of models.

use base64::Engine;
use base64::prelude::BASE64_STANDARD;
use maud::{Markup, Render, html};

use super::chart::Chart;
use super::text::grouped;

/// Names or rows that are shown at once; a longer list is folded away.
pub(super) const LONGEST_LIST: usize = 40;

/// A chart with its title, its key and, folded away, its numbers.
pub(super) fn figure(
    title: &str,
    subtitle: &str,
    key: &Markup,
    chart: Chart,
    numbers: &Markup,
) -> Markup {
    html! {
        figure {
            figcaption { b { (title) } (subtitle) }
            (key)
            (chart.finish())
            details { summary { "Numbers" } (numbers) }
        }
    }
}

/// What lines of a chart mean; classes and names.
pub(super) fn key(lines: &[(&str, &str)]) -> Markup {
    html! {
        ul.key {
            @for (class, name) in lines {
                li {
                    svg viewBox="0 0 26 12" aria-hidden="true" { path class={ "line " (class) } d="M2 6H24" {} }
                    (name)
                }
            }
        }
    }
}

/// A table; all but the first column are numbers.
pub(super) fn table<Cell: Render>(
    head: &[&str],
    rows: impl IntoIterator<Item = Vec<Cell>>,
) -> Markup {
    html! {
        div.scroll {
            table {
                thead { tr { @for name in head { th scope="col" { (name) } } } }
                tbody { @for row in rows { tr { @for cell in row { td { (cell) } } } } }
            }
        }
    }
}

/// A sentence in the place of what could not be measured.
pub(super) fn missing(sentence: &str) -> Markup {
    html! { p.missing { (sentence) } }
}

/// A picture that travels in the page; nothing where there is none.
pub(super) fn image(png: &[u8], alt: &str, class: &str) -> Markup {
    html! {
        @if !png.is_empty() {
            img class=(class) alt=(alt) src={ "data:image/png;base64," (BASE64_STANDARD.encode(png)) };
        }
    }
}

/// Names, by commas; folded away where there are more than [`LONGEST_LIST`], under a line that counts them.
pub(super) fn name_list(names: &[String], noun: &str) -> Markup {
    let joined = names.join(", ");
    html! {
        @if names.len() > LONGEST_LIST {
            details { summary { (grouped(names.len() as u64)) " " (noun) } (joined) }
        } @else {
            (joined)
        }
    }
}

/// A number with its unit set smaller.
pub(super) fn big(text: &str) -> Markup {
    html! {
        @if let Some((number, unit)) = text.split_once('\u{a0}') {
            (number) small { "\u{a0}" (unit) }
        } @else {
            (text)
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_stands_in_html_is_escaped() {
        assert_eq!(
            missing("<b a='1'>\"&").into_string(),
            "<p class=\"missing\">&lt;b a='1'&gt;&quot;&amp;</p>"
        );
        let picture = image(b"f", "\" onload=\"", "patch").into_string();
        assert_eq!(
            picture,
            "<img class=\"patch\" alt=\"&quot; onload=&quot;\" src=\"data:image/png;base64,Zg==\">"
        );
        assert_eq!(image(&[], "nothing", "").into_string(), "");
    }

    #[test]
    fn a_long_list_of_names_is_folded_and_keeps_them_all() {
        let list = |count: usize| {
            let names: Vec<String> = (1..=count).map(|i| format!("<class {i}>")).collect();
            name_list(&names, "classes").into_string()
        };
        assert_eq!(list(2), "&lt;class 1&gt;, &lt;class 2&gt;");
        assert!(!list(LONGEST_LIST).contains("<details>"));
        let long = list(1839);
        assert!(
            long.starts_with("<details><summary>1,839 classes</summary>"),
            "{long}"
        );
        assert!(long.ends_with("&lt;class 1839&gt;</details>"), "{long}");
    }

    #[test]
    fn only_the_style_sheet_reaches_the_page_as_it_is() {
        let sources = [
            include_str!("chart.rs"),
            include_str!("page/cost.rs"),
            include_str!("page/hardest.rs"),
            include_str!("page/identification.rs"),
            include_str!("page/method.rs"),
            include_str!("page/model.rs"),
            include_str!("page/open_set.rs"),
            include_str!("page/training.rs"),
            include_str!("page/verification.rs"),
        ];
        // Spelled in two parts, for this file is no exception.
        let escape_hatch = concat!("Pre", "Escaped");
        assert!(sources.iter().all(|source| !source.contains(escape_hatch)));
        assert!(!include_str!("html.rs").contains(escape_hatch));
        let style = format!("const STYLE: {escape_hatch}<&str> = {escape_hatch}(include_str!");
        assert!(include_str!("page/mod.rs").contains(&style));
    }
}
