//! Pages, made up and real, read through scripted HTTP.

mod fetching;
mod rust_docs;

use soma_sdk::testing::{self, Http};
use soma_sdk::{Error, Output};

use super::{Page, default_max_chars, default_max_links, read};

fn read_all(url: &str) -> Result<Output<Page>, Error> {
    read(url.into(), default_max_chars(), 0, default_max_links())
}

fn html(body: &str) -> Page {
    let _net = Http::new().on_get(
        "https://a.test/dir/page",
        testing::reply(200)
            .header("content-type", "text/html; charset=utf-8")
            .body(body),
    );
    read_all("https://a.test/dir/page").unwrap().structured
}
