//! The capsule `soma/web`: reads a page of the web as Markdown.

mod charset;
mod fetch;
mod markdown;
mod page;
mod tidy;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use soma_sdk::{Error, Output, tool};
use url::Url;

use fetch::{Document, Kind};

/// A page of the web, or the asked-for part of it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
struct Page {
    /// Where the page was in the end, all redirects followed.
    url: String,
    /// The page's title; empty where it has none.
    title: String,
    /// The main content as Markdown; other text as it is.
    markdown: String,
    /// Where the content links to, in its order, each place once.
    links: Vec<Link>,
    /// The `start` with which to read on, where there is more.
    next_start: Option<usize>,
}

/// A link in the content.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
struct Link {
    /// What the page calls it.
    text: String,
    /// An absolute URL.
    url: String,
}

fn default_max_chars() -> usize {
    40_000
}

fn default_max_links() -> usize {
    100
}

/// Reads a page of the web: its title, its main content as Markdown without menus and
/// advertisements, and its links.
///
/// It reads HTML, and plain text, JSON, XML and the like as they are; not pictures, PDF or other
/// binary files. A long page comes in parts: read on with `start` set to the `next_start` that
/// came back.
#[tool(title = "Read a web page", read_only, idempotent, open_world)]
fn read(
    /// The page's absolute http or https URL.
    url: String,
    /// How many characters to give back at most.
    #[serde(default = "default_max_chars")]
    #[schemars(range(min = 1, max = 1_000_000))]
    max_chars: usize,
    /// Where to begin, in characters.
    #[serde(default)]
    start: usize,
    /// How many links to list at most.
    #[serde(default = "default_max_links")]
    #[schemars(range(max = 1000))]
    max_links: usize,
) -> Result<Output<Page>, Error> {
    let mut url = fetch::parse(&url)?;
    let mut document = fetch::document(&mut url)?;
    // A page may say in HTML what a redirect says in HTTP.
    if let Some(next) = page::refresh(&document) {
        url = next;
        document = fetch::document(&mut url)?;
    }
    let mut page = whole(document, &url);
    page.links.truncate(max_links);
    cut(&mut page, start, max_chars)?;
    let text = match page.title.as_str() {
        "" => page.markdown.clone(),
        title if start == 0 && !page.markdown.starts_with("# ") => {
            format!("# {title}\n\n{}", page.markdown)
        }
        _ => page.markdown.clone(),
    };
    Ok(Output::new(page).with_text(text))
}

fn whole(document: Document, url: &Url) -> Page {
    match document.kind {
        Kind::Html => page::read(&document.text, url),
        Kind::Text => Page {
            url: url.to_string(),
            title: String::new(),
            markdown: document.text,
            links: Vec::new(),
            next_start: None,
        },
    }
}

/// Keeps `max` characters from `start` on, ended at a line's end where one is near.
fn cut(page: &mut Page, start: usize, max: usize) -> Result<(), Error> {
    let text = &page.markdown;
    let at = |chars: usize| text.char_indices().nth(chars).map(|(byte, _)| byte);
    let begin = match at(start) {
        Some(byte) => byte,
        None if start == 0 => 0,
        None => {
            let chars = text.chars().count();
            return Err(Error::invalid_input(format!(
                "`start` is {start}, but the page has {chars} characters"
            )));
        }
    };
    let Some(end) = at(start.saturating_add(max)) else {
        page.markdown = text[begin..].to_owned();
        return Ok(());
    };
    let part = &text[begin..end];
    let part = match part.rfind('\n') {
        Some(line_end) if line_end >= part.len() / 2 => &part[..=line_end],
        _ => part,
    };
    page.next_start = Some(start + part.chars().count());
    page.markdown = part.to_owned();
    Ok(())
}

soma_sdk::capsule![read];

#[cfg(test)]
mod tests;
