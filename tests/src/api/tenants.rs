//! `/v1/admin/tenants`: and that tenants see nothing of each other.

use serde_json::{Value, json};

use crate::harness::{Client, Setup, TestHost, pack_guest};

/// A tenant with a key of all scopes.
pub(crate) async fn tenant(host: &TestHost, name: &str) -> Client {
    host.admin
        .post("/v1/admin/tenants", &json!({"name": name}))
        .await
        .expect(201);
    key(
        host,
        json!({"tenant": name, "scopes": ["install", "invoke"]}),
    )
    .await
}

/// A client with a new key.
pub(crate) async fn key(host: &TestHost, wanted: Value) -> Client {
    let key = host.admin.post("/v1/admin/keys", &wanted).await.expect(201);
    host.admin.with_key(key["secret"].as_str().unwrap())
}

#[test]
fn what_one_tenant_has_is_not_there_for_another() {
    Setup::default().run(async |host| {
        let (acme, other) = (tenant(&host, "acme").await, tenant(&host, "other").await);
        acme.install(pack_guest("echo").bytes()).await.expect(201);
        acme.call("tests/echo", "run", &json!({})).await.expect(200);

        other
            .get("/v1/capsules/tests/echo")
            .await
            .problem(404, "unknown-capsule");
        other
            .call("tests/echo", "run", &json!({}))
            .await
            .problem(404, "unknown-capsule");
        let admin =
            async |tenant: &str| key(&host, json!({"tenant": tenant, "scopes": ["admin"]})).await;
        admin("other")
            .await
            .delete("/v1/capsules/tests/echo")
            .await
            .problem(404, "unknown-capsule");
        assert_eq!(
            other.get("/v1/capsules").await.expect(200),
            json!({"capsules": []})
        );
        assert_eq!(
            other.get("/v1/tools").await.expect(200),
            json!({"tools": []})
        );

        // The same file for both, and each has its own.
        other.install(pack_guest("echo").bytes()).await.expect(201);
        admin("acme")
            .await
            .delete("/v1/capsules/tests/echo")
            .await
            .expect(204);
        other
            .call("tests/echo", "run", &json!({}))
            .await
            .expect(200);
    });
}

#[test]
fn suspend_resume_delete() {
    Setup::default().run(async |host| {
        let acme = tenant(&host, "acme").await;
        acme.install(pack_guest("echo").bytes()).await.expect(201);
        let post = async |path: &str| {
            host.admin
                .post(&format!("/v1/admin/tenants/acme/{path}"), &json!({}))
                .await
        };
        post("suspend").await.expect(200);
        acme.call("tests/echo", "run", &json!({}))
            .await
            .problem(403, "tenant-suspended");
        let listed = host.admin.get("/v1/admin/tenants").await.expect(200);
        let listed = listed["tenants"].as_array().unwrap().clone();
        let names: Vec<&str> = listed
            .iter()
            .map(|one| one["name"].as_str().unwrap())
            .collect();
        assert_eq!(names.len(), 2);
        assert!(
            names.contains(&"acme") && names.contains(&"default"),
            "{names:?}"
        );

        post("resume").await.expect(200);
        acme.call("tests/echo", "run", &json!({})).await.expect(200);

        host.admin
            .delete("/v1/admin/tenants/acme")
            .await
            .expect(204);
        acme.get("/v1/capsules").await.problem(401, "unauthorized");
        post("suspend").await.problem(404, "unknown-tenant");
        host.admin
            .delete("/v1/admin/tenants/acme")
            .await
            .problem(404, "unknown-tenant");
        // Nothing of it is left for whoever takes the name next.
        let again = tenant(&host, "acme").await;
        assert_eq!(
            again.get("/v1/capsules").await.expect(200),
            json!({"capsules": []})
        );
    });
}

#[test]
fn names_and_rights() {
    Setup::default().run(async |host| {
        let create = async |name: &str| {
            host.admin
                .post("/v1/admin/tenants", &json!({"name": name}))
                .await
        };
        create("acme").await.expect(201);
        create("acme").await.problem(409, "conflict");
        let long = "a".repeat(65);
        for bad in ["", "Acme", "a b", "../a", "1a", long.as_str()] {
            create(bad).await.problem(400, "bad-request");
        }
        let unknown = json!({"name": "b", "admin": true});
        host.admin
            .post("/v1/admin/tenants", &unknown)
            .await
            .problem(400, "bad-request");

        host.admin
            .delete("/v1/admin/tenants/default")
            .await
            .problem(409, "conflict");
        let key = key(
            &host,
            json!({"tenant": "acme", "scopes": ["install", "invoke"]}),
        )
        .await;
        key.get("/v1/admin/tenants").await.problem(403, "forbidden");
        key.delete("/v1/admin/tenants/acme")
            .await
            .problem(403, "forbidden");
        key.post("/v1/admin/tenants", &json!({"name": "mine"}))
            .await
            .problem(403, "forbidden");
    });
}
