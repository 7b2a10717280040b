//! What holds where something is said, where nothing is, and after a reload.

use super::*;

fn resolve(config: Config) -> anyhow::Result<Settings> {
    Settings::resolve(&Config {
        data: Some("/tmp/a b".into()),
        ..config
    })
}

#[test]
fn another_address_needs_tls_or_a_proxy() {
    let config = Config {
        listen: Some("0.0.0.0:1".parse().unwrap()),
        ..Config::default()
    };
    let refusal = resolve(config.clone()).unwrap_err().to_string();
    assert!(refusal.contains("--behind-proxy"), "{refusal}");
    let proxied = Config {
        behind_proxy: Some(true),
        ..config
    };
    assert!(!resolve(proxied).unwrap().open_metrics);
}

#[test]
fn metrics_are_open_on_loopback_alone_and_not_through_a_proxy() {
    let open = |behind_proxy, open_metrics| {
        let config = Config {
            behind_proxy,
            open_metrics,
            ..Config::default()
        };
        resolve(config).unwrap().open_metrics
    };
    assert!(open(None, None));
    assert!(!open(Some(true), None));
    assert!(open(Some(true), Some(true)));
}

#[test]
fn what_cannot_hold_is_refused_with_its_name() {
    let limits = |text: &str| Some(text.parse().unwrap());
    for (config, words) in [
        (
            Config {
                default_limits: limits("fuel=1000000000000"),
                ..Config::default()
            },
            "default-limits: fuel is 1000000000000, more than the maximum of 100000000000",
        ),
        (
            Config {
                maximum_limits: limits("time-ms=5"),
                default_limits: limits("time-ms=6"),
                ..Config::default()
            },
            "time-ms is 6",
        ),
        (
            Config {
                waiting_calls: Some(100_001),
                ..Config::default()
            },
            "waiting-calls",
        ),
    ] {
        let refusal = format!("{:#}", resolve(config).unwrap_err());
        assert!(refusal.contains(words), "{refusal}");
    }
    // A maximum below what is the default anyway lowers that too.
    let lower = Config {
        maximum_limits: limits("fuel=5"),
        ..Config::default()
    };
    assert_eq!(resolve(lower).unwrap().live.default_limits.fuel, 5);
    let longest = Config {
        shutdown_grace: Some(u64::MAX),
        ..Config::default()
    };
    let grace = resolve(longest).unwrap().shutdown_grace;
    assert!(std::time::Instant::now().checked_add(grace).is_some());
}

#[test]
fn the_database_url_survives_odd_folders() {
    let settings = resolve(Config::default()).unwrap();
    assert_eq!(settings.database, "sqlite:///tmp/a%20b/soma.db?mode=rwc");
}

#[test]
fn a_reload_stays_within_the_pool() {
    let start = resolve(Config::default()).unwrap().live;
    let more = Live {
        concurrent_calls: start.concurrent_calls + 1,
        ..start.clone()
    };
    assert_eq!(
        more.within(&start),
        (start.clone(), vec!["concurrent-calls"])
    );
    let longer = |time_ms: u64| Live {
        maximum_limits: Limits {
            time_ms,
            ..start.maximum_limits
        },
        ..start.clone()
    };
    let most = start.maximum_limits.time_ms;
    assert_eq!(
        longer(most + 1).within(&start),
        (start.clone(), vec!["maximum-limits.time-ms"])
    );
    // It can be lowered, and raised again up to what it was.
    assert_eq!(
        longer(most - 1).within(&start),
        (longer(most - 1), Vec::new())
    );
}

#[test]
fn a_reload_names_what_changed_and_no_values() {
    let live = |file: &str| resolve(toml::from_str(file).unwrap()).unwrap().live;
    let start = live("");
    assert_eq!(start.changed(&start), [""; 0]);
    for (file, name) in [
        ("default-limits = { fuel = 5 }", "default-limits"),
        ("prices = { second = 2 }", "prices"),
        ("allow-http = [\"https://a.test\"]", "allow-http"),
        ("allowed-hosts = [\"a.test\"]", "allowed-hosts"),
        ("allowed-origins = [\"https://a.test\"]", "allowed-origins"),
        ("concurrent-calls = 5", "concurrent-calls"),
        ("waiting-calls = 5", "waiting-calls"),
        ("key-calls-per-minute = 5", "key-calls-per-minute"),
        ("capsule-calls-per-minute = 5", "capsule-calls-per-minute"),
        ("key-concurrent = 5", "key-concurrent"),
        ("capsule-concurrent = 5", "capsule-concurrent"),
        ("tenant-capsules = 5", "tenant-capsules"),
        ("tenant-mib = 5", "tenant-mib"),
        ("trust = { minimum-age = 5 }", "trust"),
        ("keep = { usage = 5 }", "keep.usage"),
        ("keep = { ledger = 5 }", "keep.ledger"),
        ("audit-full = true", "audit-full"),
        ("audit-calls = false", "audit-calls"),
        ("log = \"warn\"", "log"),
    ] {
        assert_eq!(start.changed(&live(file)), [name], "{file}");
    }
    let kept = start.changed(&live("audit-days = 5"));
    assert_eq!(kept, ["keep.calls", "keep.changes"]);
    let two = live("log = \"warn\"\nmaximum-limits = { memory-bytes = 33554432 }");
    let changed = start.changed(&two);
    assert!(
        changed.contains(&"maximum-limits") && changed.contains(&"log"),
        "{changed:?}"
    );
}
