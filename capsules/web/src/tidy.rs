//! Takes from a page what only a browser needs, and gives the rest a form that Markdown has.

use dom_query::{Document, NodeRef};
use url::Url;

use crate::page::words;

/// What is no content in any page.
const NOISE: &str = "script, style, noscript, template, iframe, object, embed, svg, canvas, \
    button, input, select, textarea, nav, aside, dialog, [hidden], [aria-hidden=true], \
    [role=navigation], [role=banner], [role=contentinfo], [role=search], [role=dialog], \
    body > header, body > footer";

/// What the style sheets of widespread generators hide or push aside: rustdoc's toolbars and
/// links to the source, mdBook's hidden lines, MediaWiki's edit links.
const ASIDE: &str = "summary.hideme, .rightside, .sub-heading, .out-of-band, rustdoc-toolbar, \
    rustdoc-topbar, a.src, a.test-arrow, .example-wrap > a.tooltip, span.boring, .mw-editsection, \
    .sr-only, .visually-hidden";

/// Removes all that is no content.
pub(crate) fn remove_noise(dom: &Document) {
    dom.select(NOISE).remove();
    dom.select(ASIDE).remove();
}

/// Makes links and pictures absolute, and plain text of links that lead nowhere else.
pub(crate) fn resolve(main: &NodeRef<'_>, url: &Url, base: &Url) {
    for link in named(main, &["a"]) {
        link.remove_attr("title");
        // With a `<base>` this would lead to another page; no author means that.
        let away = link
            .attr("href")
            .filter(|href| !href.trim_start().starts_with('#'));
        let target = away.and_then(|href| base.join(href.trim()).ok());
        let text = link.text();
        let says_something = text.chars().any(char::is_alphanumeric);
        match target.filter(|target| leads_away(target, url)) {
            Some(target) if says_something || holds_picture(&link) => {
                link.set_attr("href", target.as_str());
            }
            // A mark that links to its own place, such as `§` beside a heading, or nothing at all.
            None if !says_something && !holds_picture(&link) => link.remove_from_parent(),
            _ => dissolve(&link),
        }
    }
    for picture in named(main, &["img"]) {
        let source = picture
            .attr("src")
            .and_then(|src| base.join(src.trim()).ok());
        let described = picture
            .attr("alt")
            .is_some_and(|alt| !alt.trim().is_empty());
        match source.filter(|source| described && source.scheme() != "data") {
            Some(source) => picture.set_attr("src", source.as_str()),
            None => picture.remove_from_parent(),
        }
    }
}

/// Not to another place of the same page, and not to a script.
fn leads_away(target: &Url, page: &Url) -> bool {
    let place = |url: &Url| {
        let mut url = url.clone();
        url.set_fragment(None);
        url
    };
    matches!(target.scheme(), "http" | "https" | "mailto") && place(target) != place(page)
}

fn holds_picture(link: &NodeRef<'_>) -> bool {
    link.descendants_it().any(|node| node.has_name("img"))
}

/// Gives what Markdown has no form for the nearest form it has.
pub(crate) fn shape(main: &NodeRef<'_>) {
    for heading in named(main, &["h1", "h2", "h3", "h4", "h5", "h6"]) {
        shape_heading(&heading);
    }
    for block in named(main, &["pre"]) {
        shape_code(&block);
    }
    for list in named(main, &["dl"]) {
        shape_definitions(&list);
    }
    for block in named(
        main,
        &[
            "details",
            "summary",
            "figure",
            "figcaption",
            "header",
            "footer",
            "dt",
            "dd",
            "address",
            "fieldset",
        ],
    ) {
        block.rename("div");
    }
}

/// A heading has no links in it; one that is a signature is code.
fn shape_heading(heading: &NodeRef<'_>) {
    if heading.has_class("code-header") {
        for block in named(heading, &["div"]) {
            block.prepend_html(" ");
        }
        let signature = words(&heading.text());
        heading.set_html("<code></code>");
        if let Some(code) = heading.first_element_child() {
            code.set_text(signature);
        }
    } else if words(&heading.text()).is_empty() {
        heading.remove_from_parent();
    } else {
        for link in named(heading, &["a"]) {
            dissolve(&link);
        }
    }
}

/// A code block says its language where the page does, in one of the usual ways.
fn shape_code(block: &NodeRef<'_>) {
    let Some(code) = named(block, &["code"]).into_iter().next() else {
        return;
    };
    let classes = |node: &NodeRef<'_>| node.class().unwrap_or_default().to_string();
    let classes = format!("{} {}", classes(&code), classes(block));
    let language = classes.split_whitespace().find_map(|class| {
        class
            .strip_prefix("language-")
            .or_else(|| class.strip_prefix("lang-"))
            .or_else(|| (class == "rust").then_some(class))
    });
    if let Some(language) = language {
        code.set_attr("class", &format!("language-{language}"));
    }
    // Blocks inside code, such as rustdoc's `where` clauses, are lines of their own.
    for line in named(&code, &["div"]) {
        let text = line.text();
        line.replace_with_html(format!("\n{}\n", escape(text.trim_matches('\n'))));
    }
}

/// `<dl>` as a list: the term in bold, then what it means.
fn shape_definitions(list: &NodeRef<'_>) {
    let mut term: Option<NodeRef<'_>> = None;
    for part in list.element_children() {
        if part.has_name("dt") {
            part.rename("li");
            part.set_html(format!("<b>{}</b>", part.inner_html()));
            term = Some(part);
        } else if part.has_name("dd") {
            match &term {
                Some(term) => {
                    term.append_html(": ");
                    if let Some(first) = part.first_child() {
                        term.append_children(&first);
                    }
                    part.remove_from_parent();
                }
                None => part.rename("li"),
            }
        }
    }
    list.rename("ul");
}

/// All elements below `node` of one of these names, in document order.
fn named<'a>(node: &NodeRef<'a>, names: &[&str]) -> Vec<NodeRef<'a>> {
    node.descendants_it()
        .filter(|node| names.iter().any(|name| node.has_name(name)))
        .collect()
}

/// Puts an element's children in its place.
fn dissolve(element: &NodeRef<'_>) {
    if let Some(first) = element.first_child() {
        element.insert_siblings_before(&first);
    }
    element.remove_from_parent();
}

fn escape(text: &str) -> String {
    text.replace('&', "&amp;")
        .replace('<', "&lt;")
        .replace('>', "&gt;")
}
