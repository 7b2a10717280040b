//! The action of a request to a service of AWS: `Action` (Query protocol) or `X-Amz-Target` (JSON
//! protocols).

use http::{HeaderName, Method};
use soma_capability::Operation;

use super::{Sent, Unread, field, malformed, media_type, pairs};

const TARGET: HeaderName = HeaderName::from_static("x-amz-target");
/// Says that the path names the action, in yet another protocol.
const SMITHY: HeaderName = HeaderName::from_static("smithy-protocol");

/// The one action, said in one place.
pub(super) fn read(sent: &Sent<'_>) -> Result<Operation, Unread> {
    if sent.headers.contains_key(SMITHY) {
        return Err(malformed("`smithy-protocol` goes with no action"));
    }
    if !matches!(*sent.method, Method::GET | Method::POST) {
        return Err(malformed("an action is asked for with GET or POST"));
    }
    let mut actions = parameters(sent.url.query().unwrap_or_default())?;
    let media_type = media_type(sent.headers)?;
    let target = field(sent.headers, &TARGET)?;
    match media_type.as_str() {
        "application/x-amz-json-1.0" | "application/x-amz-json-1.1" if target.is_some() => {}
        "application/x-www-form-urlencoded" if *sent.method == Method::POST => {
            let form = std::str::from_utf8(sent.body).map_err(|_| malformed("it is not UTF-8"))?;
            actions.extend(parameters(form)?);
        }
        _ if *sent.method == Method::GET && sent.body.is_empty() => {}
        _ => {
            return Err(malformed(
                "only forms and, with `x-amz-target`, application/x-amz-json-1.0 and 1.1 are read",
            ));
        }
    }
    actions.extend(target.map(str::to_owned));
    let [action] = actions.as_slice() else {
        let count = actions.len();
        return Err(malformed(format!(
            "`Action` and `x-amz-target` name {count} actions, not one"
        )));
    };
    match action.parse() {
        Ok(operation @ Operation::Aws(_)) => Ok(operation),
        _ => Err(malformed("its action has no name that one could grant")),
    }
}

/// What `Action` says, each time that it is there.
fn parameters(text: &str) -> Result<Vec<String>, Unread> {
    let mut actions = Vec::new();
    for (name, value) in pairs(text)? {
        if name == "Action" {
            actions.push(value);
            continue;
        }
        let bare = name.trim_matches(|c: char| !c.is_ascii_alphanumeric());
        let like = |known: &str| bare.eq_ignore_ascii_case(known);
        if like("Action") || like("X-Amz-Target") {
            return Err(malformed("a parameter could be read as `Action`"));
        }
    }
    Ok(actions)
}

#[cfg(test)]
mod tests {
    use soma_capability::Protocol;

    use super::super::read_texts;
    use super::*;

    fn asked(
        method: &Method,
        query: &str,
        fields: &[(&'static str, &str)],
        body: &str,
    ) -> Result<String, Unread> {
        let url = format!("https://a.test/{query}");
        read_texts(Protocol::Aws, method, &url, fields, body)
    }

    const FORM: (&str, &str) = ("content-type", "application/x-www-form-urlencoded");
    const JSON: (&str, &str) = ("content-type", "application/x-amz-json-1.0");
    const GET_ITEM: (&str, &str) = ("x-amz-target", "DynamoDB_20120810.GetItem");

    #[test]
    fn each_way_to_say_it() {
        let post = |query, fields: &[_], body| asked(&Method::POST, query, fields, body).unwrap();
        let form = "Version=2016-11-15&Action=DescribeInstances&A.1=%3B";
        assert_eq!(post("", &[FORM], form), "DescribeInstances");
        let form = "Ac%74ion=Describe%49nstances";
        assert_eq!(post("", &[FORM], form), "DescribeInstances");
        let utf8 = (
            "content-type",
            "application/x-www-form-urlencoded; charset=utf-8",
        );
        assert_eq!(post("", &[utf8], "Action=A"), "A");
        assert_eq!(post("?Action=A", &[FORM], "Version=1"), "A");
        let target = "DynamoDB_20120810.GetItem";
        assert_eq!(post("", &[JSON, GET_ITEM], "{\"Action\": \"A\"}"), target);
        let get = asked(&Method::GET, "?Action=ListTopics", &[], "");
        assert_eq!(get.unwrap(), "ListTopics");
    }

    #[test]
    fn what_could_be_read_in_two_ways_is_refused() {
        let other = ("x-amz-target", "DynamoDB_20120810.DeleteItem");
        let text = ("content-type", "text/plain");
        let multipart = ("content-type", "multipart/form-data; boundary=x");
        let latin = (
            "content-type",
            "application/x-www-form-urlencoded; charset=latin-1",
        );
        let gzip = ("content-encoding", "gzip");
        let cbor = ("smithy-protocol", "rpc-v2-cbor");
        let action = "Action=A";
        for (query, fields, body) in [
            ("", &[FORM][..], ""),
            ("", &[FORM], "action=A"),
            ("", &[FORM], "Action=A&Action=B"),
            ("", &[FORM], "Action=A&action=B"),
            ("", &[FORM], "Action=A&%20Action=B"),
            ("", &[FORM], "Action=A&Action%00=B"),
            ("", &[FORM], "Action=A&Action[]=B"),
            ("", &[FORM], "Version=1;Action=B&Action=A"),
            ("", &[FORM], "Action="),
            ("", &[FORM], "Action=query%20a"),
            ("", &[FORM], "Action=A%0A"),
            ("?Action=A", &[FORM], "Action=A"),
            ("?Action=A&X-Amz-Target=B", &[FORM], ""),
            ("", &[FORM, GET_ITEM], action),
            ("?Action=A", &[JSON, GET_ITEM], "{}"),
            ("", &[JSON, GET_ITEM, other], "{}"),
            ("", &[JSON, GET_ITEM, cbor], "{}"),
            ("", &[JSON], "{}"),
            ("", &[GET_ITEM], "{}"),
            ("", &[text, GET_ITEM], "{}"),
            ("", &[], action),
            ("", &[text], action),
            ("", &[multipart], action),
            ("", &[latin], action),
            ("", &[FORM, gzip], action),
            ("", &[FORM, FORM], action),
        ] {
            let refused = asked(&Method::POST, query, fields, body);
            let is_refused = matches!(refused, Err(Unread::Malformed(_)));
            assert!(is_refused, "{query} {fields:?} {body}: {refused:?}");
        }
        assert!(asked(&Method::PUT, "", &[FORM], action).is_err());
        assert!(asked(&Method::GET, "?Action=A", &[], "Action=B").is_err());
    }
}
