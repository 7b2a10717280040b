//! What a capsule asks for beside what it is granted: what is missing, whole or in part, and what is
//! there in vain. Authorities, certificates and addresses are the operator's alone, and compared with
//! nothing.

use soma_capability::{
    Capabilities, Grant, HttpCapability, HttpGrant, KvCapability, Method, Operation, PathTemplate,
    ToolCapability,
};

use super::standing::{lines, unset};

/// A line for each thing that is not granted exactly as it is asked for.
#[derive(Debug, Default, PartialEq, Eq, serde::Serialize)]
pub(super) struct Compared {
    pub(super) not_granted: Vec<String>,
    pub(super) in_part: Vec<String>,
    pub(super) without_effect: Vec<String>,
}

impl Compared {
    pub(super) fn of(asked: &Capabilities, granted: &Grant) -> Self {
        let mut compared = Self::default();
        compared.requests("", &asked.http, &granted.http);
        compared.requests("links to ", &asked.links, &granted.links);
        match (asked.kv, granted.kv) {
            (Some(asked), None) => compared.not_granted.push(store(asked)),
            (Some(asked), Some(granted)) if !granted.covers(asked) => {
                let (some, all) = (granted.quota_kib, asked.quota_kib);
                let line = format!("a store: {some} KiB of {all} KiB");
                compared.in_part.push(line);
            }
            _ => {}
        }
        compared.tools(&asked.tools, granted);
        let unset = unset(asked, granted).map(|key| format!("setting `{key}`"));
        compared.not_granted.extend(unset);
        compared.without_effect = without_effect(asked, granted);
        compared
    }

    pub(super) fn is_empty(&self) -> bool {
        *self == Self::default()
    }

    fn requests(&mut self, kind: &str, asked: &[HttpCapability], granted: &[HttpGrant]) {
        let wanted = asked.iter().flat_map(|asked| {
            let each = asked.paths.iter();
            each.map(move |path| HttpCapability {
                paths: vec![path.clone()],
                ..asked.clone()
            })
        });
        for wanted in wanted {
            let all = line(&HttpGrant::from(&wanted));
            match granted_of(&wanted, granted) {
                Part::All => {}
                Part::Some(some) => self.in_part.push(format!("{kind}{some} of {all}")),
                Part::None => self.not_granted.push(format!("{kind}{all}")),
            }
        }
    }

    fn tools(&mut self, asked: &[ToolCapability], granted: &Grant) {
        for wanted in asked.iter().flat_map(ToolCapability::patterns) {
            if granted.tools.iter().any(|it| it.includes(&wanted)) {
                continue;
            }
            let some = granted.tools.iter().filter(|it| it.meets(&wanted));
            let some: Vec<String> = some.map(ToString::to_string).collect();
            if some.is_empty() {
                self.not_granted.push(format!("the tool {wanted}"));
            } else {
                let some = some.join(", ");
                self.in_part.push(format!("the tools {some} of {wanted}"));
            }
        }
    }
}

/// How much of something is granted.
enum Part {
    All,
    Some(String),
    None,
}

/// What is granted of requests at one path.
fn granted_of(wanted: &HttpCapability, granted: &[HttpGrant]) -> Part {
    let is_whole = |method: &&Method| {
        let one = HttpCapability {
            methods: vec![(*method).clone()],
            ..wanted.clone()
        };
        granted.iter().any(|it| as_asked(it).covers(&one))
    };
    let (whole, rest): (Vec<&Method>, Vec<&Method>) = wanted.methods.iter().partition(is_whole);
    if rest.is_empty() {
        return Part::All;
    }
    let whole: Vec<Method> = whole.into_iter().cloned().collect();
    let rest: Vec<Method> = rest.into_iter().cloned().collect();
    let rest = HttpCapability {
        methods: rest,
        ..wanted.clone()
    };
    let mut some: Vec<String> = granted.iter().flat_map(|it| narrower(&rest, it)).collect();
    if some.is_empty() && whole.is_empty() {
        return Part::None;
    }
    if some.is_empty() {
        let whole: Vec<&str> = whole.iter().map(Method::as_str).collect();
        return Part::Some(whole.join(","));
    }
    if !whole.is_empty() {
        let whole = HttpGrant {
            methods: whole,
            ..HttpGrant::from(wanted)
        };
        some.insert(0, line(&whole));
    }
    Part::Some(some.join("; "))
}

/// A line for each part of these requests that an entry grants: of methods, paths and operations those
/// that are meant by both.
fn narrower(wanted: &HttpCapability, granted: &HttpGrant) -> Vec<String> {
    let wanted = HttpGrant::from(wanted);
    let methods = common_methods(&wanted, granted);
    let operations = common_operations(wanted.operations.as_deref(), granted.operations.as_deref());
    let (Some(origin), false, Some(operations)) = (
        [&wanted.origin, &granted.origin]
            .into_iter()
            .find(|it| wanted.origin.covers(it) && granted.origin.covers(it)),
        methods.is_empty(),
        operations,
    ) else {
        return Vec::new();
    };
    let has_credential = wanted.credential == granted.credential;
    let without = match &wanted.credential {
        Some(_) if !has_credential => " without the credential",
        _ => "",
    };
    let paths = wanted.paths.iter().flat_map(|path| {
        let theirs = granted.paths.iter().filter(move |it| meet(path, it));
        theirs.map(move |it| if it.covers(path) { path } else { it })
    });
    let each = paths.map(|path| HttpGrant {
        origin: origin.clone(),
        methods: methods.clone(),
        paths: vec![path.clone()],
        operations: operations.clone(),
        credential: wanted.credential.clone().filter(|_| has_credential),
        ca: None,
        client_certificate: None,
        addresses: Vec::new(),
    });
    each.map(|it| format!("{}{without}", line(&it))).collect()
}

/// What is granted although nothing asks for it.
pub(super) fn without_effect(asked: &Capabilities, granted: &Grant) -> Vec<String> {
    let mut vain = Vec::new();
    for (kind, asked, granted) in [
        ("", &asked.http, &granted.http),
        ("links to ", &asked.links, &granted.links),
    ] {
        let unasked = granted.iter().flat_map(|it| unasked(asked, it));
        vain.extend(unasked.map(|line| format!("{kind}{line}")));
    }
    match (asked.kv, granted.kv) {
        (None, Some(granted)) => vain.push(store(granted)),
        (Some(asked), Some(granted)) if granted.quota_kib > asked.quota_kib => {
            let more = granted.quota_kib - asked.quota_kib;
            let all = store(granted);
            vain.push(format!("{more} KiB of {all}"));
        }
        _ => {}
    }
    let wanted = asked.tools.iter().flat_map(ToolCapability::patterns);
    let wanted: Vec<_> = wanted.collect();
    let tools = granted.tools.iter();
    let tools = tools.filter(|tool| !wanted.iter().any(|wanted| wanted.meets(tool)));
    vain.extend(tools.map(|tool| format!("the tool {tool}")));
    let settings = granted.config.iter().map(|(key, _)| key);
    let settings = settings.filter(|key| !asked.asks_setting(key));
    vain.extend(settings.map(|key| format!("setting `{key}`")));
    vain
}

/// A line for each path of an entry that nothing asks for, with the methods that are meant.
fn unasked(asked: &[HttpCapability], granted: &HttpGrant) -> Vec<String> {
    let asked: Vec<HttpGrant> = asked.iter().map(HttpGrant::from).collect();
    let is_asked = |method: &Method, path: &PathTemplate| {
        asked.iter().any(|it| {
            let origins = it.origin.covers(&granted.origin) || granted.origin.covers(&it.origin);
            let operations =
                common_operations(it.operations.as_deref(), granted.operations.as_deref());
            origins
                && operations.is_some()
                && it.methods.contains(method)
                && it.paths.iter().any(|asked| meet(asked, path))
        })
    };
    let mut lines = Vec::new();
    for path in &granted.paths {
        let vain = granted.methods.iter().filter(|&it| !is_asked(it, path));
        let methods: Vec<Method> = vain.cloned().collect();
        if !methods.is_empty() {
            lines.push(line(&HttpGrant {
                methods,
                paths: vec![path.clone()],
                ca: None,
                client_certificate: None,
                addresses: Vec::new(),
                ..granted.clone()
            }));
        }
    }
    lines
}

/// What an entry of a grant would be, if it were asked for.
fn as_asked(granted: &HttpGrant) -> HttpCapability {
    HttpCapability {
        origin: granted.origin.clone(),
        methods: granted.methods.clone(),
        paths: granted.paths.clone(),
        operations: granted.operations.clone(),
        credential: granted.credential.clone(),
        why: String::new(),
    }
}

fn common_methods(one: &HttpGrant, other: &HttpGrant) -> Vec<Method> {
    let both = one.methods.iter().filter(|it| other.methods.contains(it));
    both.cloned().collect()
}

/// The operations that are meant by both, of which none named are all; nothing where there are none.
fn common_operations(
    one: Option<&[Operation]>,
    other: Option<&[Operation]>,
) -> Option<Option<Vec<Operation>>> {
    let (one, other) = match (one, other) {
        (None, all) | (all, None) => return Some(all.map(<[_]>::to_vec)),
        (Some(one), Some(other)) => (one, other),
    };
    let inside = |of: &[Operation], by: &[Operation]| -> Vec<Operation> {
        let of = of.iter().filter(|it| by.iter().any(|by| by.covers(it)));
        of.cloned().collect()
    };
    let mut both = inside(one, other);
    for operation in inside(other, one) {
        if !both.contains(&operation) {
            both.push(operation);
        }
    }
    (!both.is_empty()).then_some(Some(both))
}

/// Whether a path can be one of both templates.
fn meet(one: &PathTemplate, other: &PathTemplate) -> bool {
    let (one, other) = (one.to_string(), other.to_string());
    let (mut one, mut other) = (one.split('/'), other.split('/'));
    loop {
        match (one.next(), other.next()) {
            (Some("**"), _) | (_, Some("**")) | (None, None) => return true,
            (Some(mine), Some(theirs)) => {
                let fills = |name: &str, text: &str| name.starts_with('{') && !text.is_empty();
                if mine != theirs && !fills(mine, theirs) && !fills(theirs, mine) {
                    return false;
                }
            }
            _ => return false,
        }
    }
}

fn store(kv: KvCapability) -> String {
    format!("a store of {} KiB", kv.quota_kib)
}

/// An entry of one path, as `soma grant show` says it.
fn line(entry: &HttpGrant) -> String {
    let grant = Grant {
        http: vec![entry.clone()],
        ..Grant::default()
    };
    lines(&grant).join("; ")
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn compared(asked: &serde_json::Value, granted: &serde_json::Value) -> [Vec<String>; 3] {
        let asked = serde_json::from_value(asked.clone()).unwrap();
        let granted = serde_json::from_value(granted.clone()).unwrap();
        let Compared {
            not_granted,
            in_part,
            without_effect,
        } = Compared::of(&asked, &granted);
        [not_granted, in_part, without_effect]
    }

    #[test]
    fn three_groups_in_plain_words() {
        let asked = json!({
            "http": [
                {"origin": "https://a.test", "methods": ["GET", "POST"],
                 "paths": ["/items/**", "/me"], "why": "w"},
                {"origin": "https://b.test", "methods": ["POST"], "paths": ["/graphql"],
                 "credential": "b", "why": "w"},
                {"origin": "https://c.test", "methods": ["GET"], "paths": ["/"], "why": "w"},
            ],
            "kv": {"quota-kib": 64},
            "tools": [{"capsule": "soma/jq"}, {"capsule": "soma/web", "tools": ["read"]}],
            "config": [{"key": "region", "why": "w"}],
        });
        let granted = json!({
            "http": [
                {"origin": "https://a.test", "methods": ["GET"], "paths": ["/items/**"],
                 "addresses": ["10.0.0.0/8"]},
                {"origin": "https://a.test", "methods": ["GET", "POST", "PUT"], "paths": ["/me"]},
                {"origin": "https://b.test", "methods": ["POST"], "paths": ["/graphql"],
                 "operations": ["query issues"]},
                {"origin": "https://z.test", "methods": ["GET"], "paths": ["/"]},
            ],
            "kv": {"quota-kib": 16},
            "tools": ["soma/jq/run", "soma/none/*"],
            "config": {"zone": "1"},
        });
        let [not_granted, in_part, without_effect] = compared(&asked, &granted);
        assert_eq!(
            not_granted,
            [
                "GET https://c.test/",
                "the tool soma/web/read",
                "setting `region`"
            ]
        );
        assert_eq!(
            in_part,
            [
                "GET of GET,POST https://a.test/items/**",
                "POST https://b.test/graphql query issues without the credential \
                 of POST https://b.test/graphql, every operation with `b`",
                "a store: 16 KiB of 64 KiB",
                "the tools soma/jq/run of soma/jq/*",
            ]
        );
        assert_eq!(
            without_effect,
            [
                "PUT https://a.test/me",
                "GET https://z.test/",
                "the tool soma/none/*",
                "setting `zone`",
            ]
        );
    }

    #[test]
    fn narrower_paths_are_a_part_and_wider_ones_are_all() {
        let asked = |paths: &[&str]| {
            json!({"http": [{"origin": "https://*.a.test", "methods": ["GET"], "paths": paths,
                             "why": "w"}]})
        };
        let granted = |origin: &str, paths: &[&str]| json!({"http": [{"origin": origin, "methods": ["GET"], "paths": paths}]});
        let all = compared(&asked(&["/v1/x"]), &granted("https://*.a.test", &["/**"]));
        assert_eq!(all, [const { Vec::<String>::new() }; 3]);
        let [none, part, vain] = compared(
            &asked(&["/v1/**"]),
            &granted("https://b.a.test", &["/v1/x", "/w"]),
        );
        assert_eq!(none, [""; 0]);
        assert_eq!(
            part,
            ["GET https://b.a.test/v1/x of GET https://*.a.test/v1/**"]
        );
        assert_eq!(vain, ["GET https://b.a.test/w"]);
        let more = json!({"kv": {"quota-kib": 24}});
        let [none, part, vain] = compared(&json!({"kv": {"quota-kib": 16}}), &more);
        assert_eq!((none.len(), part.len()), (0, 0));
        assert_eq!(vain, ["8 KiB of a store of 24 KiB"]);
    }
}
