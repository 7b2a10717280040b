//! The smallest grant of what was sent.

use std::collections::{BTreeMap, BTreeSet};

use soma_capability::{
    AddressRange, Authorities, CredentialName, Grant, HttpCapability, HttpGrant, MAX_ADDRESSES,
    MAX_HTTP_GRANTS, MAX_METHODS, MAX_OPERATIONS, MAX_PATHS, Method, Operation, OriginPattern,
    PathTemplate, Protocol,
};

use super::super::refusal::Wanted;

/// What was learned.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Lesson {
    /// The smallest grant that covers it.
    pub grant: Grant,
    /// Requests that no grant can name, such as with a method in lower case, and those for which
    /// there is no room in one.
    pub nameless: Vec<String>,
}

/// Where requests went, and how they said what they do there, where that was seen.
#[derive(PartialEq, Eq, PartialOrd, Ord)]
struct Place {
    origin: OriginPattern,
    company: Company,
    path: PathTemplate,
    protocol: Option<Protocol>,
}

/// What an entry has beside the requests that it is for.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord)]
struct Company {
    credential: Option<CredentialName>,
    ca: Option<Authorities>,
    client_certificate: Option<CredentialName>,
    addresses: Vec<AddressRange>,
}

/// The requests of one place.
#[derive(Default)]
struct Seen {
    methods: BTreeSet<Method>,
    operations: BTreeSet<Operation>,
}

impl Lesson {
    /// The smallest grant of these requests. Where one is `granted` already, what the entry has that
    /// it is sent by is part of it, and so are the addresses that are granted for its server.
    pub fn of<'a>(
        requests: impl IntoIterator<Item = &'a Wanted>,
        asked: &[HttpCapability],
        granted: &Grant,
    ) -> Self {
        let mut lesson = Self::default();
        let mut seen_at: BTreeMap<Place, Seen> = BTreeMap::new();
        for wanted in requests {
            match name(wanted) {
                Some((origin, path, method)) => {
                    let place = Place {
                        origin,
                        company: Company::of(wanted, asked, granted),
                        path,
                        protocol: wanted.operations.first().map(Operation::protocol),
                    };
                    seen_at.entry(place).or_default().add(wanted, method);
                }
                None => lesson.nameless.push(wanted.to_string()),
            }
        }
        // One entry for the paths of an origin that are asked with the same methods and operations.
        let mut paths: BTreeMap<_, Vec<PathTemplate>> = BTreeMap::new();
        for (place, seen) in seen_at {
            let operations = seen.named();
            let methods: Vec<Method> = seen.methods.into_iter().collect();
            for methods in methods.chunks(MAX_METHODS) {
                let (origin, company) = (place.origin.clone(), place.company.clone());
                let together = (origin, company, methods.to_vec(), operations.clone());
                paths.entry(together).or_default().push(place.path.clone());
            }
        }
        for ((origin, company, methods, operations), paths) in paths {
            for paths in paths.chunks(MAX_PATHS) {
                let Company {
                    credential,
                    ca,
                    client_certificate,
                    addresses,
                } = company.clone();
                lesson.push(HttpGrant {
                    origin: origin.clone(),
                    methods: methods.clone(),
                    paths: paths.to_vec(),
                    operations: operations.clone(),
                    credential,
                    ca,
                    client_certificate,
                    addresses,
                });
            }
        }
        lesson
    }

    /// Adds an entry while there is room.
    fn push(&mut self, entry: HttpGrant) {
        if self.grant.http.len() < MAX_HTTP_GRANTS {
            self.grant.http.push(entry);
        } else {
            let lines = entry.to_string();
            self.nameless.extend(lines.lines().map(str::to_owned));
        }
    }
}

impl Company {
    fn of(wanted: &Wanted, asked: &[HttpCapability], granted: &Grant) -> Self {
        let (entry, credential) = wanted.sent_by(asked, &granted.http).unzip();
        Self {
            credential: credential.flatten().cloned(),
            ca: entry.and_then(|it| it.ca.clone()),
            client_certificate: entry.and_then(|it| it.client_certificate.clone()),
            addresses: addresses(wanted, granted),
        }
    }
}

impl Seen {
    fn add(&mut self, wanted: &Wanted, method: Method) {
        self.methods.insert(method);
        self.operations.extend(wanted.operations.iter().cloned());
    }

    /// None for every operation: where none was seen, or more than an entry has.
    fn named(&self) -> Option<Vec<Operation>> {
        let fits = (1..=MAX_OPERATIONS).contains(&self.operations.len());
        fits.then(|| self.operations.iter().cloned().collect())
    }
}

/// The special addresses that a server of this name may be at.
fn addresses(wanted: &Wanted, granted: &Grant) -> Vec<AddressRange> {
    let host = wanted.origin.host();
    let of_host = granted.http.iter();
    let of_host = of_host.filter(|entry| entry.origin.host().matches(host));
    let addresses: BTreeSet<_> = of_host.flat_map(|entry| &entry.addresses).collect();
    addresses.into_iter().copied().take(MAX_ADDRESSES).collect()
}

/// The entry's parts that stand for this request and for no other: what is a wildcard in a grant is
/// an ordinary character in a request, and would have whoever sends it propose more.
fn name(wanted: &Wanted) -> Option<(OriginPattern, PathTemplate, Method)> {
    if wanted.path.contains('*') || wanted.origin.host().contains('*') {
        return None;
    }
    let origin = wanted.origin.to_string().parse().ok()?;
    let path = wanted.path.parse().ok()?;
    Some((origin, path, wanted.method.parse().ok()?))
}

#[cfg(test)]
mod tests {
    use super::super::Learned;
    use super::*;

    fn wanted(method: &str, origin: &str, path: &str) -> Wanted {
        Wanted {
            method: method.to_owned(),
            origin: origin.parse().unwrap(),
            path: path.to_owned(),
            operations: Vec::new(),
        }
    }

    fn doing(method: &str, path: &str, operations: &[&str]) -> Wanted {
        Wanted {
            operations: operations.iter().map(|it| it.parse().unwrap()).collect(),
            ..wanted(method, "https://a.test", path)
        }
    }

    fn entries(grant: &Grant) -> Vec<String> {
        grant.http.iter().map(ToString::to_string).collect()
    }

    #[test]
    fn the_smallest_grant_that_covers_what_was_sent() {
        let learned = Learned::default();
        for (method, origin, path) in [
            ("GET", "https://b.test", "/x"),
            ("GET", "https://a.test", "/items/2"),
            ("GET", "https://a.test", "/items/1"),
            ("GET", "https://a.test", "/items/1"),
            ("POST", "https://a.test", "/items"),
            ("GET", "https://a.test", "/items"),
            ("put", "https://a.test", "/items"),
            // Which would be everything below, where it stood for more than itself.
            ("GET", "https://a.test", "/**"),
            ("GET", "https://a.test", "/a*"),
        ] {
            learned.clone().record(wanted(method, origin, path), true);
        }
        let lesson = learned.lesson(&Grant::default());
        assert_eq!(
            entries(&lesson.grant),
            [
                "GET https://a.test/items/1\nGET https://a.test/items/2",
                "GET,POST https://a.test/items",
                "GET https://b.test/x",
            ]
        );
        assert_eq!(
            lesson.nameless,
            [
                "GET https://a.test/**",
                "GET https://a.test/a*",
                "put https://a.test/items"
            ]
        );
        let again = learned.lesson(&lesson.grant);
        assert!(again.grant.is_empty());
        let star = "https://*.a.test/".parse().unwrap();
        let star = Wanted {
            origin: soma_capability::Origin::of(&star).unwrap(),
            ..wanted("GET", "https://a.test", "/")
        };
        assert!(Lesson::of([&star], &[], &Grant::default()).grant.is_empty());
    }

    #[test]
    fn what_is_granted_keeps_its_credential_and_addresses() {
        let asked = |text: &str, credential: Option<&str>| {
            let grant: HttpGrant = text.parse().unwrap();
            HttpCapability {
                origin: grant.origin,
                methods: grant.methods,
                paths: grant.paths,
                operations: grant.operations,
                credential: credential.map(|name| name.parse().unwrap()),
                why: "A test.".to_owned(),
            }
        };
        let asked = [
            asked("GET https://x.a.test/own/**", Some("key")),
            asked("GET https://x.a.test/**", None),
        ];
        let granted = |text: &str, credential: &str, addresses: &[&str]| HttpGrant {
            credential: Some(credential.parse().unwrap()),
            addresses: addresses.iter().map(|it| it.parse().unwrap()).collect(),
            ..text.parse().unwrap()
        };
        let granted = Grant {
            http: vec![
                granted("GET https://*.a.test/own/**", "key", &["10.0.0.0/8"]),
                granted("GET https://*.a.test/**", "other", &["10.0.0.0/8"]),
            ],
            ..Grant::default()
        };
        let requests = [
            wanted("GET", "https://x.a.test", "/own/1"),
            wanted("GET", "https://x.a.test", "/2"),
        ];
        let lesson = Lesson::of(&requests, &asked, &granted);
        let shown = |entry: &HttpGrant| {
            let credential = entry.credential.as_ref().map(ToString::to_string);
            (entry.to_string(), credential, entry.addresses.len())
        };
        let shown: Vec<_> = lesson.grant.http.iter().map(shown).collect();
        assert_eq!(
            shown,
            [
                ("GET https://x.a.test/2".to_owned(), None, 1),
                (
                    "GET https://x.a.test/own/1".to_owned(),
                    Some("key".to_owned()),
                    1
                ),
            ]
        );
    }

    #[test]
    fn a_grant_that_can_be_read_back() {
        let requests: Vec<Wanted> = (0..100)
            .flat_map(|n| {
                let origin = format!("https://h{n}.test");
                let methods = (b'A'..=b'Z').map(|letter| char::from(letter).to_string());
                methods.map(move |method| wanted(&method, &origin, "/"))
            })
            .collect();
        let lesson = Lesson::of(&requests, &[], &Grant::default());
        let text = serde_json::to_string(&lesson.grant).unwrap();
        assert_eq!(serde_json::from_str::<Grant>(&text).unwrap(), lesson.grant);
        assert_eq!(lesson.nameless.len(), 2 * 100 - MAX_HTTP_GRANTS);
    }

    #[test]
    fn operations_are_learned_where_they_were_seen() {
        let learned = Learned::default();
        let record = |operations: &[&str]| {
            learned.record(doing("POST", "/graphql", operations), true);
        };
        let lesson = |known: &[&str]| {
            let http = known.iter().map(|it| it.parse().unwrap()).collect();
            let known = Grant {
                http,
                ..Grant::default()
            };
            let lesson = learned.lesson(&known).grant.http;
            lesson.iter().map(ToString::to_string).collect::<Vec<_>>()
        };
        record(&["query a", "mutation b"]);
        record(&["query c"]);
        let whole = "POST https://a.test/graphql query a, query c, mutation b";
        assert_eq!(lesson(&[]), [whole]);
        assert!(lesson(&[whole]).is_empty());
        let rest = "POST https://a.test/graphql query a, mutation b";
        let known = "POST https://a.test/graphql query *";
        assert_eq!(lesson(&[known]), [rest]);
        // What could not be seen is covered by no entry that names some.
        record(&[]);
        let every = "POST https://a.test/graphql";
        assert_eq!(lesson(&[whole]), [every]);
        assert!(lesson(&[every]).is_empty());
    }

    #[test]
    fn what_is_granted_for_some_operations_keeps_what_its_entry_has() {
        let asked = HttpCapability {
            origin: "https://a.test".parse().unwrap(),
            methods: vec!["POST".parse().unwrap()],
            paths: vec!["/graphql".parse().unwrap()],
            operations: None,
            credential: Some("key".parse().unwrap()),
            why: "A test.".to_owned(),
        };
        let entry = HttpGrant {
            credential: Some("key".parse().unwrap()),
            client_certificate: Some("corp".parse().unwrap()),
            ..HttpGrant::from(&asked)
        };
        let granted = Grant {
            http: vec![HttpGrant {
                operations: Some(vec!["query *".parse().unwrap()]),
                ..entry
            }],
            ..Grant::default()
        };
        let requests = [
            doing("POST", "/graphql", &["query a"]),
            doing("POST", "/graphql", &["mutation b"]),
            // It may be one that is not granted, so that nothing goes along.
            doing("POST", "/graphql", &[]),
        ];
        let lesson = Lesson::of(&requests, &[asked], &granted);
        let shown = |entry: &HttpGrant| {
            let name = |it: &Option<CredentialName>| it.as_ref().map(ToString::to_string);
            let (credential, certificate) = (&entry.credential, &entry.client_certificate);
            (entry.to_string(), name(credential), name(certificate))
        };
        let shown: Vec<_> = lesson.grant.http.iter().map(shown).collect();
        let place = "POST https://a.test/graphql";
        let some = |text: &str| Some(text.to_owned());
        assert_eq!(
            shown,
            [
                (place.to_owned(), None, None),
                (format!("{place} mutation b"), None, None),
                (format!("{place} query a"), some("key"), some("corp")),
            ]
        );
    }
}
