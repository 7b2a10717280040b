//! The log over HTTP: C2SP's resources, checked by code that is not the marketplace's.

use std::path::Path;
use std::process::Command;

use soma_registry::SecretKey;
use soma_registry::log::{NoteSecret, Resource, read_bundle};
use tlog_tiles::{
    Hash, Tile, TileHashReader, TileReader, check_tree, prove_tree, record_hash, stored_hash_index,
    tree_hash,
};

use crate::harness::{TestMarketplace, echo, lacking, repository, target};

/// Fetches tiles under C2SP's paths, for the library that checks them against a tree.
struct Fetch {
    url: String,
}

impl TileReader for Fetch {
    fn height(&self) -> u8 {
        8
    }

    fn read_tiles(&self, tiles: &[Tile]) -> Result<Vec<Vec<u8>>, tlog_tiles::Error> {
        let fetch = |tile: &Tile| {
            // Go's `tile/8/L/N[.p/W]` without the height is C2SP's.
            let path = tile.path().replacen("tile/8/", "tile/", 1);
            let url = format!("{}/log/{path}", self.url);
            let body = std::thread::spawn(move || {
                let runtime = tokio::runtime::Builder::new_current_thread()
                    .enable_all()
                    .build();
                runtime.unwrap().block_on(async move {
                    let response = reqwest::get(&url).await.unwrap();
                    assert!(response.status().is_success(), "{url}");
                    response.bytes().await.unwrap().to_vec()
                })
            });
            body.join().unwrap()
        };
        Ok(tiles.iter().map(fetch).collect())
    }

    fn save_tiles(&self, _: &[Tile], _: &[Vec<u8>]) {}
}

#[test]
fn tiles_entries_and_checkpoints_agree_by_the_library_s_reckoning() {
    TestMarketplace::run(async |market| {
        let ada = market.publisher("ada").await;
        let before = market.client().checkpoint().await.unwrap();
        ada.publish(&echo("ada/echo", "1.0.0").await).await.unwrap();
        // Past a full tile, so that there are two levels.
        for n in 0..258 {
            ada.create(&format!("n{}", letters(n))).await.unwrap();
        }
        let checkpoint = market.client().checkpoint().await.unwrap();
        assert_eq!(checkpoint.size(), 260);
        let root: Hash = checkpoint.root().into();
        let fetch = Fetch {
            url: market.url.clone(),
        };
        let reader = TileHashReader::new(260, root, &fetch);
        assert_eq!(tree_hash(260, &reader).unwrap(), root);
        let proof = prove_tree(260, before.size(), &reader).unwrap();
        check_tree(&proof, 260, root, before.size(), before.root().into()).unwrap();

        let mut index = 0;
        for bundle in Resource::entries_from(0, 260) {
            let url = format!("{}/log/{bundle}", market.url);
            let response = reqwest::get(url).await.unwrap();
            let caching = response.headers()["cache-control"].to_str().unwrap();
            assert!(caching.contains("immutable"), "{caching}");
            let body = response.bytes().await.unwrap();
            for entry in read_bundle(&body).unwrap() {
                use tlog_tiles::HashReader as _;
                let stored = reader.read_hashes(&[stored_hash_index(0, index)]).unwrap();
                assert_eq!(stored[0], record_hash(entry));
                index += 1;
            }
        }
        assert_eq!(index, 260);
        sumdb_agrees(&market);
        for missing in [
            "tile/0/001",
            "tile/0/001.p/5",
            "tile/entries/002",
            "tile/8/0/000",
            "tile/2/000",
        ] {
            let response = reqwest::get(format!("{}/log/{missing}", market.url))
                .await
                .unwrap();
            assert_eq!(response.status(), 404, "{missing}");
        }
    });
}

/// Has Go's own sumdb packages read checkpoint, tiles and entries, under the log's key and under
/// another one of the same origin.
fn sumdb_agrees(market: &TestMarketplace) {
    let other = NoteSecret::new(market.key.origin(), SecretKey::generate().unwrap()).unwrap();
    for (key, agrees) in [(&market.key, true), (&other.log_key(), false)] {
        let mut go = Command::new("go");
        go.args(["run", "tests/sumdb/check.go"])
            .arg(format!("{}/log", market.url))
            .arg(key.to_string())
            // Debian's packages, and nothing from a network.
            .envs([("GO111MODULE", "off"), ("GOPATH", "/usr/share/gocode")])
            .env("GOCACHE", target().join("go"))
            .current_dir(repository());
        let packages = Path::new("/usr/share/gocode/src/golang.org/x/mod/sumdb/tlog");
        let output = go.output().ok().filter(|_| packages.exists());
        let Some(output) = output else {
            return lacking("what Go's sumdb says of the log: Go or its packages are not there");
        };
        assert_eq!(output.status.success(), agrees, "{output:?}");
        let said = String::from_utf8_lossy(&output.stdout);
        assert_eq!(
            said.contains("260 leaves, all included"),
            agrees,
            "{output:?}"
        );
    }
}

/// A name a number, of letters that look like no other.
fn letters(mut n: u32) -> String {
    let mut text = String::new();
    for _ in 0..4 {
        text.push(char::from(b"aefghjkqy"[(n % 9) as usize]));
        n /= 9;
    }
    text
}

#[test]
fn an_audit_walks_the_log_and_finds_the_index_to_follow_from_it() {
    TestMarketplace::run(async |market| {
        let ada = market.publisher("ada").await;
        ada.publish(&echo("ada/echo", "1.0.0").await).await.unwrap();
        let audit = market.client().audit().await.unwrap();
        assert!(audit.differences.is_empty(), "{:?}", audit.differences);
    });
}
