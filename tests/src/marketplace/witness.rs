//! `soma witness`: what it cosigns, what it refuses, and that a marketplace gets its word.

use soma_registry::SecretKey;
use soma_registry::log::{AddCheckpoint, Checkpoint, Consistency, Frontier, NoteSecret, TreeHash};

use crate::harness::{TestMarketplace, TestWitness, echo};

#[test]
fn a_marketplace_s_checkpoints_carry_what_witnesses_say() {
    TestMarketplace::run(async |mut market| {
        let mut one = TestWitness::start("one.test/w", &market.key).await;
        let two = TestWitness::start("two.test/w", &market.key).await;
        let keys = [one.key.clone(), two.key.clone()];
        let ada = market.publisher("ada").await;
        market.stop();
        market.add_arguments(&["--witness", &one.argument(), "--witness", &two.argument()]);
        market.restart().await;

        let ada = market.login("ada", ada.key).await;
        ada.publish(&echo("ada/echo", "1.0.0").await).await.unwrap();
        let checkpoint = market.client().checkpoint().await.unwrap();
        assert_eq!(checkpoint.size(), 2);
        assert_eq!(checkpoint.cosignatures(&keys).len(), 2);

        // One is away: the other's word is there, and the marketplace goes on.
        one.kill();
        ada.publish(&echo("ada/echo", "1.1.0").await).await.unwrap();
        let checkpoint = market.client().checkpoint().await.unwrap();
        let seen = checkpoint.cosignatures(&keys);
        assert_eq!(seen.len(), 1);
        assert_eq!(seen[0].key, two.key);
    });
}

#[tokio::test]
async fn a_witness_answers_as_the_specification_says() {
    let log = NoteSecret::new("log.test", SecretKey::generate().unwrap()).unwrap();
    let other = NoteSecret::new("other.test", SecretKey::generate().unwrap()).unwrap();
    let imposter = NoteSecret::new("log.test", SecretKey::generate().unwrap()).unwrap();
    let mut witness = TestWitness::start("w.test/1", &log.log_key()).await;

    let tree = |leaves: &[&str]| {
        let mut frontier = Frontier::default();
        leaves
            .iter()
            .for_each(|leaf| drop(frontier.push(leaf.as_bytes())));
        frontier
    };
    let note = |secret: &NoteSecret, frontier: &Frontier| {
        Checkpoint::sign(secret, frontier).unwrap().to_bytes()
    };
    let body = |old: u64, path: Vec<TreeHash>, note: Vec<u8>| {
        let consistency = Consistency { old, path };
        AddCheckpoint { consistency, note }.to_bytes()
    };
    let (one, two) = (tree(&["a"]), tree(&["a", "b"]));
    let fork = tree(&["a", "x"]);
    // The proof from one leaf to two is the hash of the second.
    let second = Frontier::default().push(b"b")[0].1;

    let (status, _, answer) = witness.add(body(0, vec![], note(&log, &one))).await;
    assert_eq!(status, 200, "{answer}");
    let mut checkpoint = Checkpoint::sign(&log, &one).unwrap();
    assert!(checkpoint.admit(&witness.key, answer.as_bytes()));

    let far = body(0, vec![], note(&log, &two));
    let (status, media, answer) = witness.add(far).await;
    assert_eq!(
        (status, media.as_str(), answer.as_str()),
        (409, "text/x.tlog.size", "1\n")
    );

    let long = [b"old 1\n".as_slice(), &[b'A'; 100_000]].concat();
    let refused = [
        (404, body(1, vec![second], note(&other, &two))),
        (403, body(1, vec![second], note(&imposter, &two))),
        (400, body(2, vec![], note(&log, &one))),
        (422, body(1, vec![second], note(&log, &fork))),
        (422, body(1, vec![], note(&log, &two))),
        (422, body(1, vec![second; 63], note(&log, &two))),
        (400, body(1, vec![second; 64], note(&log, &two))),
        (409, body(1, vec![], note(&log, &tree(&["x"])))),
        (400, Vec::new()),
        (400, b"old 1\n\nlog.test\nnonsense\n".to_vec()),
        (400, vec![0xff; 1000]),
        (413, long),
    ];
    for (at, (status, body)) in refused.into_iter().enumerate() {
        let (found, _, answer) = witness.add(body).await;
        assert_eq!(found, status, "case {at}: {answer}");
        assert!(!answer.contains('—'), "case {at}: {answer}");
    }

    // What it has seen outlives it.
    witness.kill();
    witness.restart().await;
    let (status, _, answer) = witness.add(body(0, vec![], note(&log, &two))).await;
    assert_eq!((status, answer.as_str()), (409, "1\n"));
    let (status, _, answer) = witness.add(body(1, vec![second], note(&log, &two))).await;
    assert_eq!(status, 200, "{answer}");
    let (status, _, answer) = witness.add(body(1, vec![], note(&log, &one))).await;
    assert_eq!((status, answer.as_str()), (409, "2\n"));
    // Of many at once no two go different ways.
    let (left, right) = (tree(&["a", "b", "l"]), tree(&["a", "b", "r"]));
    let ask = |frontier: &Frontier, leaf: &str| {
        let path = vec![Frontier::default().push(leaf.as_bytes())[0].1];
        witness.add(body(2, path, note(&log, frontier)))
    };
    let (left, right) = tokio::join!(ask(&left, "l"), ask(&right, "r"));
    let mut statuses = [left.0, right.0];
    statuses.sort_unstable();
    assert_eq!(statuses, [200, 409]);
}
