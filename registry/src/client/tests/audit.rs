//! Audits of a marketplace that shows what follows from its log, and of some that do not.

use serde_json::{Value, json};
use soma_capability::Digest;

use super::{Answers, log_answers, log_secret, marketplace, serve};
use crate::change::{Change, ChangeRequest, Owner, OwnerKey};
use crate::client::Audit;
use crate::index::Index;
use crate::key::SecretKey;
use crate::log::{Act, Leaf, NoteSecret};

/// Where, in what way, and what an audit says of it.
type Lie = (&'static str, fn(&mut Value), &'static [&'static str]);

const PACKAGE: &str = "/v1/packages/acme/web";

fn leaves(secret: &NoteSecret) -> Vec<Vec<u8>> {
    let key = SecretKey::generate().unwrap();
    let owner = Owner {
        account: "ada".parse().unwrap(),
        key: OwnerKey {
            public: key.public(),
            expires: None,
        },
    };
    let create = Change::Create {
        namespace: "acme".parse().unwrap(),
        owner,
    };
    let publish = |version: &str| Change::Publish {
        capsule: "acme/web".parse().unwrap(),
        version: version.parse().unwrap(),
        digest: Digest::of(version.as_bytes()),
        statement: Digest::of(b"statement"),
    };
    let changes = [create, publish("1.0.0"), publish("1.1.0")];
    let leaf = |change| {
        let request = ChangeRequest::new(secret.name(), change);
        let act = Act::Signed(request.sign(&[&key]).unwrap());
        Leaf { time: 1, act }.to_bytes().unwrap()
    };
    changes.into_iter().map(leaf).collect()
}

/// A marketplace that shows what follows from these leaves.
fn honest(secret: &NoteSecret, leaves: &[Vec<u8>]) -> Answers {
    let mut index = Index::default();
    for leaf in leaves {
        index.push(leaf, secret.name()).unwrap();
    }
    let mut answers = log_answers(secret, leaves);
    let mut show = |path: String, value: Value| {
        answers.insert(path, (200, value.to_string().into()));
    };
    for (name, namespace) in &index.namespaces {
        let mut value = serde_json::to_value(namespace).unwrap();
        value["name"] = json!(name);
        show(format!("/v1/namespaces/{name}"), value);
    }
    let releases = index.releases.values().next().unwrap();
    let versions: Vec<_> = releases.values().rev().collect();
    let package = json!({"capsule": "acme/web", "downloads": 0, "versions": versions});
    show(PACKAGE.into(), package);
    for release in &versions {
        let manifest = json!({
            "name": "acme/web", "version": release.version, "description": "Reads.",
        });
        let value = json!({"release": release, "manifest": manifest, "tools": [], "size": 1});
        show(format!("{PACKAGE}/{}", release.version), value);
    }
    let hit = json!({
        "capsule": "acme/web", "version": "1.1.0", "description": "Reads.", "keywords": [],
        "downloads": 0, "updated": 1,
    });
    show("/v1/packages".into(), json!({"hits": [hit], "next": "2"}));
    show("/v1/packages?after=2".into(), json!({"hits": []}));
    // Where it has too many for a search without a publisher.
    show("/v1/packages?publisher=acme".into(), json!({"hits": []}));
    answers
}

async fn audited(answers: Answers, secret: &NoteSecret) -> Audit {
    let server = serve(answers).await;
    marketplace(&server, secret).audit().await.unwrap()
}

fn found(audit: &Audit) -> Vec<String> {
    audit.differences.iter().map(ToString::to_string).collect()
}

/// Changes what is shown at a path.
fn change(answers: &mut Answers, path: &str, change: impl FnOnce(&mut Value)) {
    let (_, body) = answers.get_mut(path).unwrap();
    let mut value = serde_json::from_slice(body).unwrap();
    change(&mut value);
    *body = value.to_string().into();
}

#[tokio::test]
async fn an_honest_marketplace_passes_and_every_lie_is_named() {
    let secret = log_secret();
    let leaves = leaves(&secret);
    let audit = audited(honest(&secret, &leaves), &secret).await;
    assert_eq!(found(&audit), Vec::<String>::new());
    assert_eq!(audit.walk.index.size(), 3);
    let older = super::log_answers(&secret, &leaves[..2]).remove("/log/checkpoint");
    let older = crate::log::Checkpoint::read(&older.unwrap().1, &secret.log_key()).unwrap();
    assert!(audit.walk.continues(&older));
    let other = super::log_answers(&secret, &leaves[1..]).remove("/log/checkpoint");
    let other = crate::log::Checkpoint::read(&other.unwrap().1, &secret.log_key()).unwrap();
    assert!(!audit.walk.continues(&other));

    let lies: [Lie; 5] = [
        (
            "/v1/namespaces/acme",
            |it| it["owners"] = json!({}),
            &["acme has other owners or keys than in the log"],
        ),
        (
            PACKAGE,
            |it| it["versions"][0]["standing"] = json!("yanked"),
            &["acme/web@1.1.0 is listed otherwise than in the log"],
        ),
        (
            PACKAGE,
            |it| it["versions"][0]["version"] = json!("9.0.0"),
            &[
                "acme/web@1.1.0 is listed otherwise than in the log",
                "acme/web@9.0.0 is shown and not in the log",
            ],
        ),
        (
            "/v1/packages/acme/web/1.0.0",
            |it| it["release"]["digest"] = json!(Digest::of(b"other")),
            &["acme/web@1.0.0 is shown otherwise than in the log"],
        ),
        (
            "/v1/packages",
            |it| it["hits"][0]["capsule"] = json!("acme/webb"),
            &[
                "acme/web is in the log and found by no search",
                "acme/webb is shown and not in the log",
            ],
        ),
    ];
    for (path, lie, differences) in lies {
        let mut answers = honest(&secret, &leaves);
        change(&mut answers, path, lie);
        assert_eq!(found(&audited(answers, &secret).await), differences);
    }
    let mut answers = honest(&secret, &leaves);
    answers.remove(PACKAGE);
    let audit = audited(answers, &secret).await;
    assert_eq!(found(&audit), ["acme/web is in the log and not shown"]);
}

#[tokio::test]
async fn a_log_that_breaks_its_rules_is_named_by_its_leaf() {
    let secret = log_secret();
    let mut leaves = leaves(&secret);
    leaves.remove(0);
    let server = serve(log_answers(&secret, &leaves)).await;
    let error = marketplace(&server, &secret).walk().await.unwrap_err();
    assert!(error.is_alarm());
    assert!(
        error.to_string().contains("leaf 0: there is no namespace"),
        "{error}"
    );
}
