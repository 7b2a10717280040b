//! Redirects, charsets, other files than pages, and the parts of a long page.

use soma_sdk::http;
use soma_sdk::serde_json::json;

use super::*;
use crate::Link;

const PAGE: &str =
    "<title>T</title><main><p>Some text that is long enough to be a page.</p></main>";

fn page(body: impl Into<Vec<u8>>) -> testing::Reply {
    testing::reply(200)
        .header("content-type", "text/html")
        .body(body)
}

fn to(location: &str) -> testing::Reply {
    testing::reply(302).header("location", location)
}

fn refusal(url: &str) -> Error {
    read_all(url).unwrap_err()
}

#[test]
fn redirects_are_followed() {
    let net = Http::new()
        .on_get("https://a.test/#part", to("/b?c"))
        .on_get("https://a.test/b?c#part", to("https://b.test/"))
        .on_get("https://b.test/#part", page(PAGE));
    let page = read_all("https://a.test#part").unwrap().structured;
    assert_eq!(page.url, "https://b.test/#part");
    let sent = net.sent();
    assert_eq!(sent.len(), 3);
    assert!(
        sent[0]
            .headers
            .get("accept")
            .unwrap()
            .starts_with("text/html")
    );
}

#[test]
fn redirects_end_somewhere() {
    let _net = Http::new()
        .on_get("https://a.test/loop", to("/loop"))
        .on_get("https://a.test/nowhere", testing::reply(301))
        .on_get("https://a.test/file", to("file:///etc/passwd"));
    assert!(matches!(
        refusal("https://a.test/loop"),
        Error::Upstream { .. }
    ));
    assert!(matches!(
        refusal("https://a.test/nowhere"),
        Error::Upstream {
            status: Some(301),
            ..
        }
    ));
    assert!(matches!(
        refusal("https://a.test/file"),
        Error::InvalidInput(_)
    ));
}

#[test]
fn what_is_no_url_is_refused() {
    for url in [
        "",
        "a.test",
        "/a",
        "ftp://a.test/",
        "file:///etc/passwd",
        "http://",
    ] {
        assert!(matches!(refusal(url), Error::InvalidInput(_)), "{url}");
    }
}

#[test]
fn failures_say_whose_they_are() {
    let _net = Http::new()
        .on_get("https://a.test/404", testing::reply(404))
        .on_get("https://a.test/503", testing::reply(503))
        .on_get("https://a.test/slow", testing::fails(http::Error::Timeout));
    assert!(matches!(refusal("https://a.test/404"), Error::NotFound(_)));
    assert!(matches!(
        refusal("https://a.test/503"),
        Error::Upstream {
            status: Some(503),
            ..
        }
    ));
    assert!(matches!(
        refusal("https://a.test/slow"),
        Error::Upstream { status: None, .. }
    ));
    assert!(matches!(refusal("https://a.test/other"), Error::Denied(_)));
}

#[test]
fn other_text_passes_and_binary_is_refused() {
    let file = |media_type: &str, body: &[u8]| {
        testing::reply(200)
            .header("content-type", media_type)
            .body(body)
    };
    let _net = Http::new()
        .on_get(
            "https://a.test/json",
            file("application/json", b"{\"a\": [1]}"),
        )
        .on_get(
            "https://a.test/text",
            file("text/plain; charset=latin1", b"caf\xe9 *"),
        )
        .on_get(
            "https://a.test/bare",
            file("", PAGE.as_bytes()).header("x", "y"),
        )
        .on_get(
            "https://a.test/page",
            file(
                "",
                b"<!DOCTYPE html><main><p>Text that is long enough to be read here.</main>",
            ),
        )
        .on_get("https://a.test/png", file("image/png", b"\x89PNG"))
        .on_get(
            "https://a.test/blob",
            file("application/octet-stream", b"\0\x01\xff"),
        );
    let text = |path: &str| {
        read_all(&format!("https://a.test/{path}"))
            .unwrap()
            .structured
            .markdown
    };
    assert_eq!(text("json"), "{\"a\": [1]}");
    assert_eq!(text("text"), "café *");
    assert_eq!(text("bare"), PAGE);
    assert_eq!(text("page"), "Text that is long enough to be read here.");
    for path in ["png", "blob"] {
        let error = refusal(&format!("https://a.test/{path}"));
        assert!(matches!(error, Error::InvalidInput(_)), "{error}");
        assert!(error.message().contains("bytes"), "{error}");
    }
}

#[test]
fn noise_goes_and_links_become_absolute() {
    let page = html(
        r##"<html><head><title> A
            title </title><base href="/base/"></head><body><nav>Menu</nav><main>
        <h1>Head<a href="#h">¶</a></h1><button>Copy</button><script>x()</script>
        <p>See <a href="b?c=1#d" title="t">the <b>other</b></a>, <a href="#h">above</a>,
        <a href="javascript:x()">this</a> and <a href="//c.test/"><img src="i.png" alt="a picture"></a>.</p>
        <img src="data:image/png;base64,AA" alt="dot"><a href="b?c=1">again</a><a href="/x"></a>
        <table><tr><th>k<th>v<tr><td>a<td>1</table><pre><code class="lang-js">let a;
</code></pre><dl><dt>Term<dd>Meaning<dt>Other<dd>More</dl></main><footer>©</footer></body></html>"##,
    );
    assert_eq!(page.title, "A title");
    assert_eq!(
        page.markdown,
        "# Head\n\nSee [the other](https://a.test/base/b?c=1#d), above, this and \
         [![a picture](https://a.test/base/i.png)](https://c.test/).\n\n\
         [again](https://a.test/base/b?c=1)\n\n| k | v |\n| - | - |\n| a | 1 |\n\n\
         ```js\nlet a;\n```\n\n- **Term**: Meaning\n- **Other**: More"
    );
    let link = |text: &str, url: &str| Link {
        text: text.into(),
        url: url.into(),
    };
    assert_eq!(
        page.links,
        [link("the other", "https://a.test/base/b?c=1#d")]
    );
}

#[test]
fn a_page_without_a_main_part_is_searched_for_its_article() {
    let paragraph =
        "<p>This is a paragraph of the article, with commas, and enough words to count as one.</p>";
    let page = html(&format!(
        "<title>News</title><div class=sidebar><a href=/a>Ad</a></div><div class=post>{}</div>",
        paragraph.repeat(8)
    ));
    assert!(
        page.markdown.starts_with("This is a paragraph"),
        "{}",
        page.markdown
    );
    assert!(!page.markdown.contains("Ad"), "{}", page.markdown);
    let short = html("<title>S</title><p>Short.");
    assert_eq!(short.markdown, "Short.");
    assert_eq!(html("").markdown, "");
}

#[test]
fn a_long_page_comes_in_parts() {
    let lines: String = (0..100)
        .map(|n| format!("<p>Line {n} is ünusual.</p>"))
        .collect();
    let _net = Http::new().on_get("https://a.test/", page(format!("<main>{lines}</main>")));
    let part = |start| {
        read("https://a.test/".into(), 300, start, 0)
            .unwrap()
            .structured
    };
    let whole = read_all("https://a.test/").unwrap().structured;
    assert_eq!(whole.next_start, None);
    let (mut text, mut next) = (String::new(), Some(0));
    while let Some(start) = next {
        let page = part(start);
        assert!(page.markdown.chars().count() <= 300);
        text.push_str(&page.markdown);
        next = page.next_start;
    }
    assert_eq!(text, whole.markdown);
    let beyond = read("https://a.test/".into(), 300, 1_000_000, 0).unwrap_err();
    assert!(matches!(beyond, Error::InvalidInput(_)), "{beyond}");
}

#[test]
fn it_is_called_as_the_host_calls_it() {
    let _net = Http::new().on_get("https://a.test/", page(PAGE));
    let answer = testing::call::<read>(&json!({"url": "https://a.test/"})).unwrap();
    let text = "Some text that is long enough to be a page.";
    assert_eq!(answer.structured.unwrap()["markdown"], text);
    assert_eq!(
        answer.content,
        [soma_sdk::Content::Text(format!("# T\n\n{text}"))]
    );
}

#[test]
fn depth_is_no_danger() {
    let deep = format!(
        "<main>{}text that is long enough to be a page of its own",
        "<div>".repeat(20_000)
    );
    assert!(html(&deep).markdown.starts_with("text"));
}
