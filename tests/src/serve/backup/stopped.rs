//! A backup or a restore that a signal ends leaves nothing: no file, no folder, no row.

use std::fs;
use std::io::{Read as _, Write as _};
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::time::Duration;

use rustix::process::{Pid, Signal, kill_process};
use sqlx::{Connection as _, Executor as _, PgConnection};

use super::{furnish, restore};
use crate::cli::Said;
use crate::harness::{
    Database, Setup, TestHost, Upstream, backed_up, command, database_flag, lacking, postgres,
    repack, unpacked, until,
};

/// Begins a command, with pipes for what goes in and out.
fn begun(command: &mut Command, arguments: &[&str]) -> Child {
    let command = command.args(arguments).stdin(Stdio::piped());
    let command = command.stdout(Stdio::piped()).stderr(Stdio::piped());
    command.spawn().unwrap()
}

/// Begins a backup of the host.
fn backing_up(host: &TestHost, command: &mut Command, to: &str) -> Child {
    let mut arguments = vec!["backup", to];
    arguments.extend(database_flag(host.database()));
    begun(command, &arguments)
}

/// Ends it: it says so with these words, and as a shell would by its exit code.
#[track_caller]
fn stopped(mut child: Child, signal: Signal, words: &str) {
    // Open to the end: neither is what ends it.
    let _pipes = (child.stdin.take(), child.stdout.take());
    kill_process(Pid::from_child(&child), signal).unwrap();
    let said = Said::of(child.wait_with_output().unwrap()).exits(128 + signal.as_raw());
    assert!(said.err.contains(words), "{}", said.err);
    assert!(said.err.contains("interrupted by SIG"), "{}", said.err);
}

/// What a folder has, and the folders in it.
fn names(folder: &Path) -> Vec<String> {
    let mut names = Vec::new();
    for entry in folder.read_dir().unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() && !path.is_symlink() {
            names.extend(self::names(&path));
        }
        names.push(path.to_str().unwrap().to_owned());
    }
    names.sort();
    names
}

#[test]
fn a_restore_that_waits_for_its_archive() {
    Setup::default().waits().run(async |host| {
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("b.tar");
        host.install_guests(&["echo"]).await;
        backed_up(&host, &file).await.exits(0);
        let whole = fs::read(&file).unwrap();
        fs::create_dir(folder.path().join("empty")).unwrap();
        for (name, signal) in [("missing", Signal::TERM), ("empty", Signal::INT)] {
            let before = names(folder.path());
            let data = folder.path().join(name);
            let mut child = begun(&mut command(&data), &["restore", "-"]);
            let to = child.stdin.as_mut().unwrap();
            to.write_all(&whole[..whole.len() / 2]).unwrap();
            let under_way = data.join("restoring/database/tenants.jsonl");
            until(async || under_way.exists()).await;
            stopped(child, signal, "nothing was restored");
            assert_eq!(names(folder.path()), before);
            restore(&data, None, &file).exits(0);
        }
    });
}

#[test]
fn a_restore_that_waits_for_its_database() {
    Setup::default().waits().run(async |host| {
        let Some(server) = postgres() else {
            lacking("an interrupted restore into Postgres: SOMA_TEST_POSTGRES is not set");
            return;
        };
        let folder = tempfile::tempdir().unwrap();
        let (file, data) = (folder.path().join("b.tar"), folder.path().join("data"));
        host.install_guests(&["echo"]).await;
        backed_up(&host, &file).await.exits(0);
        let database = Database::fresh_schema(server).await;
        let url = database.url().unwrap();
        // One that is refused once the tables are there.
        let torn = folder.path().join("torn.tar");
        let mut files = unpacked(&file);
        files.retain(|name, _| !name.starts_with("capsules/"));
        repack(&torn, &files);
        let said = restore(&data, Some(&url), &torn).exits(1);
        assert!(said.err.contains("rows name"), "{}", said.err);

        // Somebody else has the last of them.
        let mut other = PgConnection::connect(&url).await.unwrap();
        other.execute("BEGIN").await.unwrap();
        let lock = "LOCK TABLE pins IN ACCESS EXCLUSIVE MODE";
        other.execute(lock).await.unwrap();
        let arguments = ["restore", "--database", &url, file.to_str().unwrap()];
        let child = begun(&mut command(&data), &arguments);
        let waiting = "SELECT COUNT(*) FROM pg_locks
             WHERE relation = CAST('pins' AS regclass) AND NOT granted";
        until(async || count(&mut other, waiting).await > 0).await;
        stopped(child, Signal::TERM, "nothing was restored");
        assert!(!data.exists());
        other.execute("ROLLBACK").await.unwrap();
        let tenants = "SELECT COUNT(*) FROM tenants";
        assert_eq!(count(&mut other, tenants).await, 0);
        restore(&data, Some(&url), &file).exits(0);
        assert_ne!(count(&mut other, tenants).await, 0);
        other.close().await.unwrap();
        database.drop().await;
    });
}

async fn count(connection: &mut PgConnection, statement: &'static str) -> i64 {
    let counted = sqlx::query_scalar(statement).fetch_one(connection);
    counted.await.unwrap()
}

#[test]
fn a_backup_that_waits_for_a_signature() {
    Setup::default().run(async |mut host| {
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("b.tar");
        host.signal(Signal::TERM);
        host.ended().await;
        // As of a host that was killed: the last line is not signed, and never will be.
        let records = host.data().join("audit/records/000000000000.jsonl");
        let log = fs::read(&records).unwrap();
        fs::write(&records, [&log[..], b"{}\n"].concat()).unwrap();
        let before = names(&host.data());
        let child = backing_up(&host, &mut command(&host.data()), file.to_str().unwrap());
        until(async || !names(folder.path()).is_empty()).await;
        stopped(child, Signal::TERM, "no backup was taken");
        assert_eq!(names(folder.path()), Vec::<String>::new());
        assert_eq!(names(&host.data()), before);
        fs::write(&records, log).unwrap();
        backed_up(&host, &file).await.exits(0);
        host.start_again(|_| {}).await;
    });
}

#[test]
fn a_backup_that_reads_what_its_host_has() {
    Setup::default().run(async |mut host| {
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("b.tar");
        host.signal(Signal::TERM);
        host.ended().await;
        // It comes to this after it has waited for the last time.
        let key = host.data().join("keys/admin.key");
        let text = fs::read(&key).unwrap();
        fs::remove_file(&key).unwrap();
        assert!(Command::new("mkfifo").arg(&key).status().unwrap().success());
        let child = backing_up(&host, &mut command(&host.data()), file.to_str().unwrap());
        let mut pipe = fs::OpenOptions::new().write(true).open(&key).unwrap();
        let ended = std::thread::spawn(|| stopped(child, Signal::TERM, "no backup was taken"));
        tokio::time::sleep(Duration::from_millis(500)).await;
        pipe.write_all(&text).unwrap();
        drop(pipe);
        ended.join().unwrap();
        assert_eq!(names(folder.path()), Vec::<String>::new());
    });
}

#[test]
fn a_backup_that_waits_for_its_reader() {
    let upstream = Upstream::start();
    Setup::default().waits().run(async |host| {
        let folder = tempfile::tempdir().unwrap();
        let temporary = folder.path().join("tmp");
        fs::create_dir(&temporary).unwrap();
        furnish(&host, &upstream).await;
        let file = folder.path().join("b.tar");
        backed_up(&host, &file).await.exits(0);
        // A pipe takes 64 KiB.
        assert!(fs::metadata(&file).unwrap().len() > 96 << 10);

        let mut taking = command(&host.data());
        let mut child = backing_up(&host, taking.env("TMPDIR", &temporary), "-");
        let from = child.stdout.as_mut().unwrap();
        from.read_exact(&mut [0]).unwrap();
        stopped(child, Signal::INT, "not written to its end");
        assert_eq!(names(&temporary), Vec::<String>::new());
    });
}
