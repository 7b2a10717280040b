//! `Host` and `Origin`: other names are turned away, so that no web page can reach the host
//! through a name of its own.

use reqwest::Method;

use crate::harness::{Setup, TestHost, send};

async fn named(host: &TestHost, header: &str, value: &str) -> crate::harness::Answer {
    send(
        host.invoke
            .request(Method::GET, "/v1/tools")
            .header(header, value),
    )
    .await
}

#[test]
fn only_known_names_and_origins() {
    let setup = Setup::default()
        .flag("--allowed-hosts", "tools.example")
        .flag("--allowed-origins", "https://app.example");
    setup.run(async |host| {
        let port = host.address().port();
        for name in ["localhost", "tools.example", &format!("127.0.0.1:{port}")] {
            named(&host, "host", name).await.expect(200);
        }
        for name in ["evil.example", "localhost.evil.example", ""] {
            named(&host, "host", name).await.problem(421, "misdirected");
        }
        for origin in ["https://app.example", "http://localhost:3000"] {
            named(&host, "origin", origin).await.expect(200);
        }
        for origin in ["null", "https://evil.example", "http://app.example"] {
            named(&host, "origin", origin)
                .await
                .problem(403, "foreign-origin");
        }
    });
}
