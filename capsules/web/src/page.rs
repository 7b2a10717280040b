//! From HTML to a [`Page`].

use dom_query::{Document as Dom, NodeRef};
use dom_smoothie::Readability;
use url::Url;

use crate::fetch::{Document, Kind};
use crate::{Link, Page, markdown, tidy};

/// Where a page says its content is, the most exact first.
const MAIN: [&str; 4] = ["main", "[role=main]", "article", "#content"];

/// A page with less text than this (in bytes) in what it calls its main part keeps it elsewhere.
const TOO_LITTLE: usize = 40;

/// Reads a page that came from `url`.
pub(crate) fn read(html: &str, url: &Url) -> Page {
    let dom = Dom::from(html);
    let base = base(&dom, url);
    let title = title(&dom);
    tidy::remove_noise(&dom);
    let (markdown, links) = match main(&dom) {
        Some(main) => render(&main, url, &base),
        None => readable(html, url, &base)
            .or_else(|| dom.body().map(|body| render(&body, url, &base)))
            .unwrap_or_default(),
    };
    Page {
        url: url.to_string(),
        title,
        markdown,
        links,
        next_start: None,
    }
}

/// Where `<meta http-equiv="refresh">` sends the reader at once.
pub(crate) fn refresh(document: &Document) -> Option<Url> {
    // Only a page with nothing else to say is left for another: such pages are short.
    const LONGEST: usize = 4096;
    if document.kind != Kind::Html || document.text.len() > LONGEST {
        return None;
    }
    let dom = Dom::from(document.text.as_str());
    let content = dom
        .select_single("meta[http-equiv=refresh i]")
        .attr("content")?;
    let (delay, target) = content.split_once([';', ','])?;
    let delay: f32 = delay.trim().parse().ok()?;
    let target = target.trim();
    let target = match target.get(..4) {
        Some(key) if key.eq_ignore_ascii_case("url=") => &target[4..],
        _ => target,
    };
    let next = document
        .url
        .join(target.trim_matches(['"', '\'', ' ']))
        .ok()?;
    (delay <= 5.0 && matches!(next.scheme(), "http" | "https")).then_some(next)
}

fn base(dom: &Dom, url: &Url) -> Url {
    dom.base_uri()
        .and_then(|base| url.join(&base).ok())
        .unwrap_or_else(|| url.clone())
}

fn title(dom: &Dom) -> String {
    let of = |selector: &str| words(&dom.select_single(selector).text());
    [of("head title"), of("h1")]
        .into_iter()
        .find(|title| !title.is_empty())
        .unwrap_or_default()
}

/// The part that the page itself calls its main one; the only one of its kind.
fn main(dom: &Dom) -> Option<NodeRef<'_>> {
    MAIN.iter().find_map(|selector| {
        let found = dom.select(selector);
        let node = (found.length() == 1).then(|| found.get(0).copied())??;
        (node.text().trim().len() >= TOO_LITTLE).then_some(node)
    })
}

/// The part that looks most like an article, where the page calls none its main one.
fn readable(html: &str, url: &Url, base: &Url) -> Option<(String, Vec<Link>)> {
    let mut readability = Readability::new(html, Some(url.as_str()), None).ok()?;
    let article = readability.parse().ok()?;
    let dom = Dom::fragment(article.content);
    let rendered = render(&dom.root(), url, base);
    // What it leaves of a page that is no article is not worth having.
    (rendered.0.len() >= TOO_LITTLE).then_some(rendered)
}

fn render(main: &NodeRef<'_>, url: &Url, base: &Url) -> (String, Vec<Link>) {
    tidy::resolve(main, url, base);
    let links = links(main, url);
    tidy::shape(main);
    (markdown::finish(&main.md(None)), links)
}

/// The links, each place once, without those to the page itself.
fn links(main: &NodeRef<'_>, url: &Url) -> Vec<Link> {
    let place = |url: &str| url.split('#').next().unwrap_or_default().to_owned();
    let mut seen = std::collections::HashSet::from([place(url.as_str())]);
    main.descendants_it()
        .filter(|node| node.has_name("a"))
        .filter_map(|node| {
            let url = node.attr("href")?.to_string();
            let text = words(&node.text());
            (!text.is_empty() && seen.insert(place(&url))).then_some(Link { text, url })
        })
        .collect()
}

/// A text with every run of white space as one space.
pub(crate) fn words(text: &str) -> String {
    text.split_whitespace().collect::<Vec<_>>().join(" ")
}
