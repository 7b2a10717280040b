//! A real Prometheus, Debian's, with the rules of host/ops.

use std::fs;
use std::net::SocketAddr;
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use reqwest::Url;
use serde_json::{Value, json};
use tempfile::TempDir;

use super::paths::repository;

/// How much faster its time runs: a minute of the rules lasts two seconds.
const FASTER: u64 = 30;
/// Milliseconds of the shortest range: a rate needs more than one scrape in it.
const SHORTEST: u64 = 4000;
/// Longer than any alert takes on a busy machine.
const PATIENCE: Duration = Duration::from_secs(120);
const PACE: Duration = Duration::from_millis(300);

/// A running server that scrapes every second, and ends with this value.
pub(crate) struct Prometheus {
    process: Child,
    folder: TempDir,
    url: String,
    http: reqwest::Client,
    targets: usize,
}

impl Prometheus {
    /// Scrapes these, and evaluates the project's own rules, with time that runs faster.
    pub(crate) async fn start(hosts: &[SocketAddr], marketplaces: &[SocketAddr]) -> Self {
        let folder = tempfile::tempdir().expect("a temporary folder");
        write_rules(&folder.path().join("rules"));
        let file = folder.path().join("prometheus.yml");
        // JSON is YAML.
        fs::write(&file, configuration(hosts, marketplaces).to_string()).expect("a file");
        let log = fs::File::create(folder.path().join("log")).expect("a file");
        let data = folder.path().join("data");
        let process = Command::new("prometheus")
            .arg(format!("--config.file={}", file.display()))
            .arg(format!("--storage.tsdb.path={}", data.display()))
            .arg("--web.listen-address=127.0.0.1:0")
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(log)
            .spawn()
            .expect("prometheus, which `./dev test` brings");
        let _ = rustls::crypto::ring::default_provider().install_default();
        let http = reqwest::Client::builder().no_proxy().timeout(PATIENCE);
        let mut server = Self {
            process,
            folder,
            url: String::new(),
            http: http.build().expect("a client"),
            targets: hosts.len() + marketplaces.len(),
        };
        server.url = server.listening().await;
        server.ready().await;
        server
    }

    async fn listening(&mut self) -> String {
        let deadline = Instant::now() + PATIENCE;
        loop {
            let log = fs::read_to_string(self.folder.path().join("log")).expect("its log");
            if let Some((_, rest)) = log.split_once("msg=\"Listening on\" address=") {
                let address = rest.split_whitespace().next().unwrap_or_default();
                return format!("http://{address}");
            }
            let ended = self.process.try_wait().expect("a child");
            assert!(ended.is_none(), "it ended:\n{log}");
            assert!(Instant::now() < deadline, "it does not listen:\n{log}");
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    }

    async fn ready(&self) {
        let is_ready = async || {
            let answer = self.http.get(format!("{}/-/ready", self.url)).send().await;
            answer.is_ok_and(|answer| answer.status().is_success())
        };
        super::until(is_ready).await;
    }

    /// Waits until it has watched every target for as long as the rules look back: before that they
    /// cannot tell a counter that is new from one that they see for the first time.
    pub(crate) async fn settled(&self) {
        let watched = faster("count(up offset 10m == 1)");
        let targets = self.targets.to_string();
        let is_watched = async || {
            let counted = self.query(&watched).await;
            counted.first().is_some_and(|it| it["value"][1] == *targets)
        };
        super::until(is_watched).await;
    }

    /// The samples that an expression has at this moment.
    pub(crate) async fn query(&self, expression: &str) -> Vec<Value> {
        let data = self.ask("query", &[("query", expression)]).await;
        data["result"].as_array().expect("a vector").clone()
    }

    /// The values that a label has among the series that a selector selects.
    pub(crate) async fn label_values(&self, selector: &str, label: &str) -> Vec<Value> {
        let what = format!("label/{label}/values");
        let values = self.ask(&what, &[("match[]", selector)]).await;
        values.as_array().expect("a list").clone()
    }

    /// Does this again and again until each of these alerts has fired for the instance.
    pub(crate) async fn fires(
        &self,
        instance: SocketAddr,
        alerts: &[&str],
        mut again: impl AsyncFnMut(),
    ) {
        let mut missing = alerts.to_vec();
        let deadline = Instant::now() + PATIENCE;
        while !missing.is_empty() {
            again().await;
            let active = self.active(instance).await;
            let is_firing = |alert: &str| {
                let mut of_it = active.iter().filter(|(name, _)| name == alert);
                of_it.any(|(_, state)| state == "firing")
            };
            missing.retain(|alert| !is_firing(alert));
            assert!(
                Instant::now() < deadline,
                "{missing:?} do not fire for {instance}; active: {active:?}"
            );
            tokio::time::sleep(PACE).await;
        }
    }

    /// Waits until this alert has ended for the instance.
    pub(crate) async fn ends(&self, instance: SocketAddr, alert: &str) {
        let is_over = async || {
            let active = self.active(instance).await;
            !active.iter().any(|(name, _)| name == alert)
        };
        super::until(is_over).await;
    }

    /// The alerts of an instance that are pending or firing, and which of both each is.
    async fn active(&self, instance: SocketAddr) -> Vec<(String, String)> {
        let instance = instance.to_string();
        let all = self.ask("alerts", &[]).await;
        let all = all["alerts"].as_array().expect("a list").iter();
        let text = |value: &Value| value.as_str().unwrap_or_default().to_owned();
        all.filter(|alert| alert["labels"]["instance"] == *instance)
            .map(|alert| (text(&alert["labels"]["alertname"]), text(&alert["state"])))
            .collect()
    }

    async fn ask(&self, what: &str, parameters: &[(&str, &str)]) -> Value {
        let url = format!("{}/api/v1/{what}", self.url);
        let url = Url::parse_with_params(&url, parameters).expect("a URL");
        let answer = self.http.get(url).send().await.expect("an answer");
        let answer: Value = answer.json().await.expect("JSON");
        assert_eq!(answer["status"], "success", "{parameters:?}: {answer}");
        answer["data"].clone()
    }
}

impl Drop for Prometheus {
    fn drop(&mut self) {
        let _ = self.process.kill();
        let _ = self.process.wait();
    }
}

fn configuration(hosts: &[SocketAddr], marketplaces: &[SocketAddr]) -> Value {
    let job = |name: &str, targets: &[SocketAddr]| json!({"job_name": name, "static_configs": [{"targets": targets}]});
    json!({
        "global": {
            "scrape_interval": "1s", "scrape_timeout": "1s", "evaluation_interval": "1s",
        },
        "rule_files": ["rules/*.yml"],
        "scrape_configs": [job("soma-host", hosts), job("soma-marketplace", marketplaces)],
    })
}

/// Records and alerts, each file as it is but for its durations.
fn write_rules(folder: &Path) {
    fs::create_dir(folder).expect("a folder");
    let ops = repository().join("host/ops");
    let alerts = fs::read_dir(ops.join("alerts")).expect("the alerts");
    let mut files = vec![ops.join("records.yml")];
    files.extend(alerts.map(|file| file.expect("a file").path()));
    for file in files {
        let rules = fs::read_to_string(&file).expect("rules");
        let name = file.file_name().expect("a name");
        fs::write(folder.join(name), faster(&rules)).expect("a file");
    }
}

/// The same rules with time that runs [`FASTER`]: how long something must be so (`for: 5m`), and how
/// far back it is looked (`[10m]`, `offset 10m`). Expressions and thresholds are the real ones, those
/// in seconds too.
fn faster(rules: &str) -> String {
    let line_of = |line: &str| match line.trim_start().strip_prefix("for: ") {
        Some(duration) => line.replace(duration, &shorter(duration, 0)),
        None => shortened(&shortened(line, "["), "offset "),
    };
    let lines: Vec<_> = rules.lines().map(line_of).collect();
    lines.join("\n")
}

/// A text in which every duration that follows this mark is shorter.
fn shortened(text: &str, mark: &str) -> String {
    let mut parts = text.split(mark);
    let mut done = parts.next().unwrap_or_default().to_owned();
    for part in parts {
        let end = part.find(|c: char| !c.is_ascii_alphanumeric());
        let (duration, rest) = part.split_at(end.unwrap_or(part.len()));
        done += &format!("{mark}{}{rest}", shorter(duration, SHORTEST));
    }
    done
}

fn shorter(duration: &str, least: u64) -> String {
    let (number, unit) = duration.split_at(duration.len() - 1);
    let number: u64 = number.parse().expect("a duration");
    let milliseconds = match unit {
        "s" => 1000,
        "m" => 60_000,
        "h" => 3_600_000,
        "d" => 86_400_000,
        _ => panic!("no duration: {duration}"),
    };
    format!("{}ms", (number * milliseconds / FASTER).max(least))
}
