//! What a million bindings cost: memory of the values and of each shard's table, and the time a shard takes to restore
//! them. Prints; nothing is judged. `cargo bench -p tipring-router --bench location [-- NUMBER]`.
#![allow(clippy::print_stdout, reason = "what it finds is for the reader")]

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use stack::{Flow, Outbox, Time};
use tipring_router::rdb::Table;
use tipring_router::{Aor, Binding, Command, Config, Listener, Registration, Router};

/// How many shards restore one after the other.
const SHARDS: u8 = 4;

fn main() {
    let number = std::env::args().find_map(|it| it.parse().ok());
    let number: u32 = number.unwrap_or(1_000_000);
    let before = resident();
    let all: Arc<[Arc<Registration>]> = (0..number).map(registration).collect();
    let list = u64::from(number) * 8;
    let values = resident().saturating_sub(before).saturating_sub(list);
    report("the bindings themselves", values, number, None);
    let mut shards = Vec::new();
    for shard in 0..SHARDS {
        let mut router = router(shard);
        let (before, began) = (resident(), on_cpu());
        let command = Command::Restore(Arc::clone(&all));
        router.command(Time::ZERO, &command, &mut Outbox::new());
        let took = on_cpu().saturating_sub(began);
        let bytes = resident().saturating_sub(before);
        assert_eq!(router.counters().location.bindings, u64::from(number));
        report(&format!("shard {shard}"), bytes, number, Some(took));
        shards.push(router);
    }
}

fn report(what: &str, bytes: u64, number: u32, took: Option<Duration>) {
    let each = bytes as f64 / f64::from(number);
    let took = took.map_or(String::new(), |took| format!(", restored in {took:.2?}"));
    println!(
        "{what}: {:.1} MiB, {each:.0} bytes a binding{took}",
        bytes as f64 / 1_048_576.0
    );
}

/// The processor's time that this thread has had: other programs do not count.
fn on_cpu() -> Duration {
    let text = std::fs::read_to_string("/proc/self/schedstat").unwrap_or_default();
    let nanos = text.split(' ').next().and_then(|nanos| nanos.parse().ok());
    Duration::from_nanos(nanos.expect("a Linux"))
}

/// Bytes of this process that are in memory.
fn resident() -> u64 {
    let statm = std::fs::read_to_string("/proc/self/statm").unwrap_or_default();
    let pages = statm
        .split(' ')
        .nth(1)
        .and_then(|pages| pages.parse::<u64>().ok());
    pages.expect("a Linux") * 4096
}

fn router(shard: u8) -> Router {
    let listener = Listener {
        address: SocketAddr::from(([127, 0, 0, 1], 5060)),
        advertise_host: "127.0.0.1".to_owned(),
        advertise_port: 5060,
    };
    let table = Table::parse("[]").expect("an empty table");
    let mut config = Config::new(vec![listener], Arc::new(table));
    (config.shard, config.shards) = (shard, SHARDS);
    Router::new(config, Time::ZERO)
}

/// A user with one contact, as a desk phone behind NAT registers it.
fn registration(number: u32) -> Arc<Registration> {
    let user = format!("{number:07}");
    let [_, a, b, c] = number.to_be_bytes();
    let text = |text: String| text.into_bytes().into_boxed_slice();
    let binding = Binding {
        contact: text(format!(
            "sip:{user}@192.168.{a}.{b}:{};transport=udp;ob",
            1024 + number % 60_000
        )),
        parameters: text(";methods=\"INVITE, ACK, BYE, CANCEL, OPTIONS, INFO, NOTIFY\"".to_owned()),
        q: 1000,
        instance: Some(text(format!(
            "urn:uuid:00000000-0000-1000-8000-{number:012x}"
        ))),
        reg_id: Some(1),
        call_id: text(format!("{number:08x}-a5c1-4e2b-9d1f-0123456789ab")),
        cseq: 2,
        path: Box::default(),
        source: Flow {
            listener: 0,
            remote: SocketAddr::from(([10, a, b, c], 5060)),
        },
        at_source: true,
        user_agent: text("Desk Phone T46 108.86.0.20".to_owned()),
        registered: Time::ZERO,
        // Spread over an hour, no two alike.
        expires: Time::from_nanos(
            1 + u64::from(number).wrapping_mul(2_654_435_761) % 3_600_000_000_000,
        ),
        unanswered: 0,
        unreachable: false,
    };
    Arc::new(Registration {
        aor: Aor::new(&user, "example.com").expect("an AOR"),
        version: 1,
        bindings: Box::new([binding]),
    })
}
