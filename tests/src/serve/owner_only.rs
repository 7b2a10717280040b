//! The data folder is its owner's alone: what others can reach is refused, with what to do.

use std::fs::{self, Permissions};
use std::os::unix::fs::PermissionsExt as _;
use std::path::Path;

use crate::harness::{Setup, command};

fn mode(path: &Path) -> u32 {
    path.metadata().unwrap().permissions().mode() & 0o777
}

/// What `soma serve` says when it ends by itself on this folder.
fn refusal(data: &Path, arguments: &[&str]) -> String {
    let output = command(data)
        .args(["serve", "--listen", "127.0.0.1:0"])
        .args(arguments)
        .output()
        .unwrap();
    assert!(!output.status.success());
    String::from_utf8(output.stderr).unwrap()
}

#[test]
fn what_others_can_reach_is_refused() {
    Setup::default().run(async |mut host| {
        host.signal(rustix::process::Signal::TERM);
        host.ended().await;
        let data = host.data();
        for (path, open, command) in [
            ("", 0o755, "chmod 700"),
            ("", 0o710, "chmod 700"),
            ("keys", 0o750, "chmod 700"),
            ("keys/admin.key", 0o644, "chmod 600"),
            ("keys/invoke.key", 0o604, "chmod 600"),
        ] {
            let path = data.join(path);
            let before = path.metadata().unwrap().permissions();
            fs::set_permissions(&path, Permissions::from_mode(open)).unwrap();
            let said = refusal(&data, &[]);
            let command = format!("{command} {}", path.display());
            assert!(said.contains(command.trim_end_matches('/')), "{said}");
            fs::set_permissions(&path, before).unwrap();
        }
    });
}

#[test]
fn an_empty_folder_becomes_the_owners_alone() {
    let folder = tempfile::tempdir().unwrap();
    fs::set_permissions(folder.path(), Permissions::from_mode(0o755)).unwrap();
    // It gets as far as the database.
    let said = refusal(folder.path(), &["--database", "mysql://x"]);
    assert!(said.contains("mysql"), "{said}");
    assert_eq!(mode(folder.path()), 0o700);
}

#[test]
fn the_database_file_is_its_owners_alone() {
    Setup::default().run(async |mut host| {
        let file = host.data().join("soma.db");
        if !file.exists() {
            return;
        }
        assert_eq!(mode(&file), 0o600);
        // As an earlier version left it.
        host.restart(|_| fs::set_permissions(&file, Permissions::from_mode(0o644)).unwrap())
            .await;
        assert_eq!(mode(&file), 0o600);
    });
}
