//! How long a start with very many bindings takes. A measurement, not a test: nothing is decided by it.
//!
//! `TIPRING_TEST_JOURNAL=DIR tipring-tests million --ignored --nocapture` leaves the journal in DIR.

use super::crash::given;
use super::*;

const USERS: u64 = 1_000_000;

fn megabytes(directory: &Path) -> u64 {
    let size = |name: &String| fs::metadata(directory.join(name)).map_or(0, |it| it.len());
    names(directory).iter().map(size).sum::<u64>() >> 20
}

#[test]
#[ignore = "a measurement"]
fn a_million_bindings_are_read() {
    let desk = Desk::new("million");
    let directory = given().unwrap_or_else(|| desk.path("journal"));
    let mut run = Running::start(&directory, 64 << 20);
    let begun = Instant::now();
    for version in 1..=2 {
        for users in 0..USERS / 50_000 {
            run.put((users * 50_000..(users + 1) * 50_000).map(|user| registration(user, version)));
            std::thread::sleep(Duration::from_millis(50));
        }
    }
    run.wait(|numbers| numbers.waiting == 0 && numbers.records >= USERS);
    let written = begun.elapsed();
    let numbers = run.end();
    eprintln!(
        "written twice in {written:?}: {numbers:?}, {} MB",
        megabytes(&directory)
    );
    for _ in 0..3 {
        let begun = Instant::now();
        let found = opened(&directory, 64 << 20);
        eprintln!(
            "{} registrations read in {:?}",
            found.restored.registrations.len(),
            begun.elapsed()
        );
        assert_eq!(found.restored.registrations.len() as u64, USERS);
        let begun = Instant::now();
        drop(State::new(
            &found.restored.registrations,
            &found.restored.directory,
        ));
        eprintln!("the journal's own table of them in {:?}", begun.elapsed());
    }
}
