//! Scripted HTTP: what a test says the network answers, and what was sent to it.

use std::cell::RefCell;
use std::rc::Rc;

use serde::Serialize;
use serde::de::DeserializeOwned;

use crate::http::{Error, Headers, Parts};

thread_local! {
    static SCRIPT: RefCell<Option<Rc<RefCell<Script>>>> = const { RefCell::new(None) };
}

/// The network of this thread for as long as the value lives. Requests are answered as scripted;
/// all others are denied. Where one request is scripted several times the replies come in order,
/// and the last of them again and again.
#[must_use = "the network is scripted only while this value lives: `let _net = …`"]
pub struct Http(Rc<RefCell<Script>>);

type Answer = dyn Fn(&Sent) -> Option<Reply>;

#[derive(Default)]
struct Script {
    rules: Vec<Rule>,
    otherwise: Option<Box<Answer>>,
    sent: Vec<Sent>,
}

struct Rule {
    method: String,
    url: String,
    reply: Reply,
    used: bool,
}

/// What the network answers: begun with [`reply`] or [`fails`].
#[derive(Clone, Debug)]
pub struct Reply(Result<Scripted, Error>);

/// A response, its body in the pieces in which a stream gives it.
#[derive(Clone, Debug)]
pub(crate) struct Scripted {
    pub(crate) status: u16,
    pub(crate) headers: Headers,
    pub(crate) chunks: Vec<Vec<u8>>,
}

/// A request that the code under test sent.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Sent {
    /// The method, such as `GET`.
    pub method: String,
    /// The URL, query and all.
    pub url: String,
    /// The header fields.
    pub headers: Headers,
    /// The body.
    pub body: Vec<u8>,
    /// The bound it asked for, in milliseconds.
    pub timeout_ms: Option<u32>,
}

/// A response with this status and nothing else yet.
pub fn reply(status: u16) -> Reply {
    Reply(Ok(Scripted {
        status,
        headers: Headers::default(),
        chunks: Vec::new(),
    }))
}

/// An exchange that fails.
pub fn fails(error: Error) -> Reply {
    Reply(Err(error))
}

impl Reply {
    /// With one more header field.
    #[must_use]
    pub fn header(mut self, name: impl Into<String>, value: impl Into<String>) -> Self {
        if let Ok(response) = &mut self.0 {
            response.headers.push(name.into(), value.into());
        }
        self
    }

    /// With this body.
    #[must_use]
    pub fn body(mut self, body: impl Into<Vec<u8>>) -> Self {
        if let Ok(response) = &mut self.0 {
            response.chunks.clear();
        }
        self.chunk(body)
    }

    /// With one more piece of body, for code that reads it as a stream.
    #[must_use]
    pub fn chunk(mut self, piece: impl Into<Vec<u8>>) -> Self {
        if let Ok(response) = &mut self.0 {
            response.chunks.push(piece.into());
        }
        self
    }

    /// With this value as its body, and `content-type: application/json`.
    ///
    /// # Panics
    /// Where the value cannot be written as JSON.
    #[must_use]
    pub fn json<T: Serialize + ?Sized>(self, value: &T) -> Self {
        let body = serde_json::to_vec(value).expect("the scripted body can be written as JSON");
        self.header("content-type", "application/json").body(body)
    }
}

impl Sent {
    /// The body read as JSON.
    ///
    /// # Panics
    /// Where it is not JSON of this form.
    pub fn json<T: DeserializeOwned>(&self) -> T {
        serde_json::from_slice(&self.body).expect("the body sent is JSON of the expected form")
    }
}

impl Http {
    /// Takes over the network of this thread; nothing is scripted yet.
    ///
    /// # Panics
    /// Where this thread's network is scripted already.
    #[expect(
        clippy::new_without_default,
        reason = "it takes over the thread's network"
    )]
    pub fn new() -> Self {
        let script = Rc::new(RefCell::new(Script::default()));
        SCRIPT.with_borrow_mut(|current| {
            assert!(
                current.is_none(),
                "this thread's network is scripted already: drop the other `testing::Http` first"
            );
            *current = Some(Rc::clone(&script));
        });
        Self(script)
    }

    /// Answers `GET` of exactly this URL.
    pub fn on_get(self, url: impl Into<String>, reply: Reply) -> Self {
        self.on("GET", url, reply)
    }

    /// Answers `POST` to exactly this URL.
    pub fn on_post(self, url: impl Into<String>, reply: Reply) -> Self {
        self.on("POST", url, reply)
    }

    /// Answers this method on exactly this URL.
    pub fn on(self, method: impl Into<String>, url: impl Into<String>, reply: Reply) -> Self {
        self.0.borrow_mut().rules.push(Rule {
            method: method.into(),
            url: url.into(),
            reply,
            used: false,
        });
        self
    }

    /// Answers what nothing else does; what this gives no reply to is denied.
    pub fn otherwise(self, answer: impl Fn(&Sent) -> Option<Reply> + 'static) -> Self {
        self.0.borrow_mut().otherwise = Some(Box::new(answer));
        self
    }

    /// The requests sent until now, in order, those that were denied too.
    pub fn sent(&self) -> Vec<Sent> {
        self.0.borrow().sent.clone()
    }
}

impl Drop for Http {
    fn drop(&mut self) {
        SCRIPT.set(None);
    }
}

impl Script {
    fn answer(&mut self, sent: Sent) -> Result<Scripted, Error> {
        let fits = |rule: &Rule| rule.method == sent.method && rule.url == sent.url;
        let unused = self.rules.iter().position(|rule| fits(rule) && !rule.used);
        let found = unused.or_else(|| self.rules.iter().rposition(fits));
        let reply = match (found, &self.otherwise) {
            (Some(index), _) => {
                let rule = &mut self.rules[index];
                rule.used = true;
                Some(rule.reply.clone())
            }
            (None, Some(otherwise)) => otherwise(&sent),
            (None, None) => None,
        };
        let denied = format!("no reply is scripted for {} {}", sent.method, sent.url);
        self.sent.push(sent);
        reply.map_or(Err(Error::Denied(denied)), |reply| reply.0)
    }
}

/// One exchange with the scripted network.
pub(crate) fn exchange(parts: Parts) -> Result<Scripted, Error> {
    let sent = Sent {
        method: parts.method,
        url: parts.url,
        headers: parts.headers,
        body: parts.body,
        timeout_ms: parts.timeout_ms,
    };
    let script = SCRIPT.with_borrow(Clone::clone).ok_or_else(|| {
        Error::Denied(format!(
            "{} {}: no network is scripted on this thread (`soma_sdk::testing::Http`)",
            sent.method, sent.url
        ))
    })?;
    script.borrow_mut().answer(sent)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::http::{get, post};

    #[test]
    fn replies_come_in_order_and_the_last_again() {
        let net = Http::new()
            .on_get("http://a/", reply(500))
            .on_get("http://a/", reply(200));
        let status = || get("http://a/").send().unwrap().status();
        assert_eq!([status(), status(), status()], [500, 200, 200]);
        assert_eq!(net.sent().len(), 3);
    }

    #[test]
    fn what_was_sent_can_be_looked_at() {
        let net = Http::new().on_post("http://a/?b=c+d", reply(204));
        let request = post("http://a/").query(&[("b", "c d")]).json(&[1, 2]);
        request.bearer_auth("t").send().unwrap();
        let sent = &net.sent()[0];
        assert_eq!(sent.json::<Vec<u8>>(), [1, 2]);
        assert_eq!(sent.headers.get("Content-Type"), Some("application/json"));
        assert_eq!(sent.headers.get("authorization"), Some("Bearer t"));
    }

    #[test]
    fn a_script_ends_with_its_value() {
        drop(Http::new().on_get("http://a/", reply(200)));
        let _net = Http::new().otherwise(|sent| sent.url.ends_with('b').then(|| reply(201)));
        assert!(matches!(get("http://a/").send(), Err(Error::Denied(_))));
        assert_eq!(get("http://a/b").send().unwrap().status(), 201);
    }

    #[test]
    fn failures_are_scripted_too() {
        let _net = Http::new().on_get("http://a/", fails(Error::Timeout));
        assert_eq!(get("http://a/").send().unwrap_err(), Error::Timeout);
    }
}
