//! Which connections a request goes out on: none that was made for somebody else or under another
//! grant, and none to where a name must not lead.

use std::collections::HashSet;
use std::fs;
use std::net::{Ipv4Addr, SocketAddr};
use std::path::Path;
use std::time::Duration;

use serde_json::{Value, json};

use super::grants::{asked, asking, grant, of, path};
use super::tenant;
use crate::harness::{Client, Setup, Upstream, lacking, pack_with, wrapper_of_names};

/// What a guest says of a request. It may reach it by either door.
async fn get(client: &Client, guest: &str, url: &str) -> Value {
    asked(client, guest, "GET", url).await
}

/// The connections that some requests go out on, which are fewer than the requests.
async fn connections(client: &Client, guest: &str, upstream: &Upstream) -> HashSet<SocketAddr> {
    const REQUESTS: usize = 10;
    upstream.take_peers();
    for _ in 0..REQUESTS {
        assert_eq!(get(client, guest, &upstream.url("/hello")).await, 200);
    }
    let connections: HashSet<_> = upstream.take_peers().into_iter().collect();
    assert!(connections.len() < REQUESTS, "{connections:?}");
    connections
}

#[test]
fn a_connection_serves_one_tenant_and_one_grant() {
    let upstream = Upstream::start();
    Setup::default().run(async |host| {
        let acme = tenant(&host, "acme").await;
        let mut seen = HashSet::new();
        let mut are_new = |connections: HashSet<SocketAddr>| {
            for connection in connections {
                assert!(seen.insert(connection), "{connection} was used before");
            }
        };
        for guest in ["http", "wasi_http"] {
            let package = pack_with(guest, &asking(&upstream));
            host.install(&package).await;
            acme.install(package.bytes()).await.expect(201);
            let granted = of(&upstream, &["GET"], &["/hello"]);
            grant(&host, guest, &granted).await.expect(200);
            let of_acme = path(guest).replace("tenant=default", "tenant=acme");
            host.admin.put(&of_acme, &granted).await.expect(200);

            are_new(connections(&host.invoke, guest, &upstream).await);
            let theirs = connections(&acme, guest, &upstream).await;
            are_new(theirs.clone());
            // Another grant, although it allows the same request.
            let wider = of(&upstream, &["GET", "PUT"], &["/hello"]);
            grant(&host, guest, &wider).await.expect(200);
            are_new(connections(&host.invoke, guest, &upstream).await);
            // None, while what was open before may still be.
            host.admin.delete(&path(guest)).await.expect(204);
            let denied = get(&host.invoke, guest, &upstream.url("/hello")).await;
            assert_eq!((denied, upstream.take_peers().len()), (json!("denied"), 0));
            // The same as before is a grant of its own.
            grant(&host, guest, &wider).await.expect(200);
            are_new(connections(&host.invoke, guest, &upstream).await);
            // Nothing of this was the other tenant's business.
            let still = connections(&acme, guest, &upstream).await;
            assert!(!still.is_disjoint(&theirs), "{still:?}, {theirs:?}");
            are_new(still.difference(&theirs).copied().collect());
        }
    });
}

/// The names of one host's process.
struct Names<'a>(&'a Path);

impl Names<'_> {
    /// From now on the name leads to these. Whoever reads them looks whether the file's time, in
    /// seconds, is another.
    async fn lead_to(&self, addresses: &[Ipv4Addr]) {
        tokio::time::sleep(Duration::from_millis(1100)).await;
        let line = |address: &Ipv4Addr| format!("{address} {NAME}\n");
        fs::write(self.0, addresses.iter().map(line).collect::<String>()).unwrap();
    }
}

const NAME: &str = "rebind.example";
const GRANTED: Ipv4Addr = Ipv4Addr::new(127, 0, 0, 1);
const OTHER: Ipv4Addr = Ipv4Addr::new(127, 0, 0, 2);
/// Everybody's to reach; nothing in this test may try.
const PUBLIC: Ipv4Addr = Ipv4Addr::new(93, 184, 215, 14);

#[test]
fn a_name_that_comes_to_lead_elsewhere_is_not_followed() {
    let Some(library) = wrapper_of_names() else {
        return lacking("names that lead elsewhere: there is no libnss-wrapper");
    };
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("hosts");
    let names = Names(&file);
    fs::write(&file, "").unwrap();
    let setup = Setup::default()
        .env("LD_PRELOAD", library)
        .env("NSS_WRAPPER_HOSTS", &file);
    setup.run(async |host| {
        let mut upstream = Upstream::start();
        let address = upstream.address();
        let other = Upstream::start_at(SocketAddr::from((OTHER, address.port())));
        let origin = format!("http://{NAME}:{}", address.port());
        let url = format!("{origin}/hello");
        for guest in ["http", "wasi_http"] {
            let asked = asking(&upstream).replace(&upstream.origin(), &origin);
            host.install(&pack_with(guest, &asked)).await;
            let entry = json!({
                "origin": origin, "methods": ["GET"], "paths": ["/hello"], "addresses": ["127.0.0.1"],
            });
            let granted = json!({"grant": {"http": [entry]}});
            grant(&host, guest, &granted).await.expect(200);
            let get = async || get(&host.invoke, guest, &url).await;

            names.lead_to(&[GRANTED]).await;
            assert_eq!(get().await, 200, "{}", host.log());
            // The connection of before is the one that was looked at; once it has ended, the name is
            // looked up again.
            drop(upstream);
            upstream = Upstream::start_at(address);
            names.lead_to(&[OTHER]).await;
            assert_eq!(get().await, "denied");
            // A name that leads inside and outside is followed to neither.
            for both in [[GRANTED, OTHER], [OTHER, GRANTED], [PUBLIC, OTHER], [OTHER, PUBLIC]] {
                names.lead_to(&both).await;
                assert_eq!(get().await, "denied", "{both:?}");
            }
            assert_eq!((upstream.requests(), other.requests()), (0, 0));
            names.lead_to(&[GRANTED]).await;
            assert_eq!(get().await, 200, "{}", host.log());
        }
        host.logged("127.0.0.2").await;
    });
}
