//! Calls without a capsule around them.

use soma_capability::Prices;
use wasmtime::component::Component;

use super::*;
use crate::engine::code_config;
use crate::imports;

/// A guest that counts down from a number, of which chance makes a part and the clock the rest.
const COUNTDOWN: &str = r#"(component
    (import "soma:capsule/clock@0.1.0" (instance $clock
        (export "now" (func (result u64)))))
    (import "soma:capsule/random@0.1.0" (instance $random
        (export "bytes" (func (param "len" u32) (result (list u8))))))
    (core module $libc
        (memory (export "memory") 1)
        (func (export "realloc") (param i32 i32 i32 i32) (result i32) (i32.const 64)))
    (core instance $libc (instantiate $libc))
    (core func $now (canon lower (func $clock "now")))
    (core func $bytes (canon lower (func $random "bytes")
        (memory (core memory $libc "memory")) (realloc (core func $libc "realloc"))))
    (core module $guest
        (import "host" "now" (func $now (result i64)))
        (import "host" "bytes" (func $bytes (param i32 i32)))
        (import "host" "memory" (memory 1))
        (func (export "run")
            (local $left i32)
            ;; Four bytes; where they are is at 0.
            (call $bytes (i32.const 4) (i32.const 0))
            (local.set $left (i32.add
                (i32.and (i32.load (i32.load (i32.const 0))) (i32.const 0xfffff))
                (i32.and (i32.wrap_i64 (call $now)) (i32.const 0xfff))))
            (block $end
                (loop $again
                    (br_if $end (i32.eqz (local.get $left)))
                    (local.set $left (i32.sub (local.get $left) (i32.const 1)))
                    (br $again)))))
    (core instance $guest (instantiate $guest (with "host" (instance
        (export "now" (func $now))
        (export "bytes" (func $bytes))
        (export "memory" (memory $libc "memory"))))))
    (func (export "run") (canon lift (core func $guest "run"))))"#;

fn state(surroundings: Surroundings) -> InvocationState {
    InvocationState::new(
        &Limits::default(),
        Allowance::unbounded(Prices::default()),
        surroundings,
        Given::default(),
        Effects::default(),
        None,
    )
}

#[tokio::test]
async fn a_panic_ends_its_call_and_nothing_else() {
    let state = state(Surroundings::real());
    let mut store = Store::new(&Engine::default(), state);
    let panics = async |_: &mut Store<_>| -> wasmtime::Result<()> { panic!("on purpose") };
    let failure = bounded(&mut store, panics).await;
    assert!(matches!(failure, Err(Failure::Host(_))), "{failure:?}");
    assert_eq!(bounded(&mut store, async |_| Ok(7)).await, Ok(7));
}

#[tokio::test]
async fn the_same_clock_and_chance_take_the_same_fuel() {
    let engine = Engine::new(&code_config()).unwrap();
    let binary = wat::parse_str(COUNTDOWN).unwrap();
    let component = Component::new(&engine, binary).unwrap();
    let linker = imports::link(&engine).unwrap();
    let fuel = async |surroundings: Surroundings| {
        let mut store = fresh_store(&engine, state(surroundings)).unwrap();
        let ran = bounded(&mut store, async |store| {
            let instance = linker.instantiate_async(&mut *store, &component).await?;
            let run = instance.get_typed_func::<(), ()>(&mut *store, "run")?;
            run.call_async(&mut *store, ()).await
        });
        ran.await.unwrap();
        usage(store.data(), Instant::now()).fuel
    };
    let first = fuel(Surroundings::Fixed).await;
    // As many rounds as the first bytes of the sequence say, and some more.
    assert!(first > 0x2_0100, "{first}");
    for _ in 0..3 {
        assert_eq!(fuel(Surroundings::Fixed).await, first);
    }
    // Of a million numbers it is another, in one of three runs at least.
    let mut others = Vec::new();
    for _ in 0..3 {
        others.push(fuel(Surroundings::real()).await);
    }
    assert!(others.iter().any(|fuel| *fuel != first), "{others:?}");
}
