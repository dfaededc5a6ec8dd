//! Files that are not as they were left.

use super::*;

/// A journal with a log for each of these groups of users.
fn written(directory: &Path, groups: &[std::ops::Range<u64>]) {
    for group in groups {
        let mut run = Running::start(directory, 1 << 20);
        run.put(group.clone().map(|user| registration(user, 1)));
        run.end();
    }
}

fn bend(path: &Path, at: impl Fn(usize) -> usize) {
    let mut bytes = fs::read(path).expect("a log");
    let at = at(bytes.len());
    bytes[at] ^= 0x10;
    fs::write(path, bytes).expect("written");
}

fn log(directory: &Path, number: u64) -> PathBuf {
    Place::look(directory).log(number)
}

#[test]
fn a_write_that_was_cut_short_is_cut_off() {
    let desk = Desk::new("cut");
    let directory = desk.path("journal");
    written(&directory, std::slice::from_ref(&(0..20)));
    let whole = fs::read(log(&directory, 1)).expect("a log");
    for cut in [1, 5, 13, 100, 1_000] {
        let directory = desk.path(&format!("cut-{cut}"));
        fs::create_dir_all(&directory).expect("made");
        fs::write(log(&directory, 1), &whole[..whole.len() - cut]).expect("written");
        let found = opened(&directory, 1 << 20);
        let users = found.restored.registrations.len();
        assert!((10..20).contains(&users), "{users}");
        assert!(found.figures.read().damaged_bytes > 0);
        drop(found);
        // It is in order again, and goes on from there.
        written(&directory, std::slice::from_ref(&(20..21)));
        let found = opened(&directory, 1 << 20);
        assert_eq!(found.restored.registrations.len(), users + 1);
        assert_eq!(found.figures.read().damaged_bytes, 0);
        assert!(
            names(&directory)
                .iter()
                .all(|name| !name.starts_with("damaged"))
        );
    }
}

#[test]
fn a_log_that_was_never_begun_is_removed() {
    let desk = Desk::new("begun");
    let directory = desk.path("journal");
    written(&directory, std::slice::from_ref(&(0..2)));
    fs::write(log(&directory, 2), [0; 20]).expect("written");
    let found = opened(&directory, 1 << 20);
    assert_eq!(found.restored.registrations.len(), 2);
    assert!(!log(&directory, 2).exists());
}

#[test]
fn damage_in_the_middle_costs_that_log_s_rest_and_a_copy_is_kept() {
    let desk = Desk::new("middle");
    let directory = desk.path("journal");
    written(&directory, &[0..20, 20..30, 30..40]);
    bend(&log(&directory, 1), |length| length / 2);
    let bent = fs::read(log(&directory, 1)).expect("a log");
    let run = Running::start(&directory, 1 << 20);
    let found = versions(&run.restored);
    let (first, others) = found
        .keys()
        .partition::<Vec<_>, _>(|user| user[1..].parse::<u64>().is_ok_and(|user| user < 20));
    assert!(
        (1..19).contains(&first.len()) && others.len() == 20,
        "{found:?}"
    );
    // A snapshot of what is left takes the place of all logs at once.
    run.wait(|numbers| numbers.snapshots == 1);
    run.end();
    let kept = directory.join("damaged-log-0000000001.journal");
    assert_eq!(fs::read(kept).expect("a copy"), bent);
    assert!(!log(&directory, 1).exists() && !log(&directory, 3).exists());
    let again = opened(&directory, 1 << 20);
    assert_eq!(versions(&again.restored), found);
    assert_eq!(again.figures.read().damaged_bytes, 0);
}

#[test]
fn damage_in_the_middle_of_the_last_log_is_cut_off_with_a_copy() {
    let desk = Desk::new("last");
    let directory = desk.path("journal");
    written(&directory, std::slice::from_ref(&(0..20)));
    bend(&log(&directory, 1), |length| length / 2);
    let found = opened(&directory, 1 << 20);
    assert!((1..19).contains(&found.restored.registrations.len()));
    assert!(directory.join("damaged-log-0000000001.journal").exists());
    let figures = found.figures.read();
    let length = fs::metadata(log(&directory, 1)).expect("there").len();
    assert!(figures.damaged_bytes > 0 && figures.log_bytes == length);
}

#[test]
fn a_file_that_is_no_journal_is_kept_and_passed_over() {
    let desk = Desk::new("foreign");
    let directory = desk.path("journal");
    written(&directory, &[0..3, 3..6]);
    fs::write(log(&directory, 1), vec![b'x'; 9_000]).expect("written");
    let found = opened(&directory, 1 << 20);
    assert_eq!(found.restored.registrations.len(), 3);
    assert!(directory.join("damaged-log-0000000001.journal").exists());
}

#[test]
fn what_a_log_was_left_without_is_not_read() {
    let desk = Desk::new("left");
    let directory = desk.path("journal");
    written(&directory, &[0..3, 3..6]);
    // As a write that failed, and could not be taken back, leaves it.
    let mut bytes = fs::read(log(&directory, 1)).expect("a log");
    let again = bytes[bytes.len() - 500..].to_vec();
    bytes.extend_from_slice(&again);
    fs::write(log(&directory, 1), bytes).expect("written");
    let found = opened(&directory, 1 << 20);
    assert_eq!(found.restored.registrations.len(), 6);
    assert_eq!(found.figures.read().damaged_bytes, 0);
}

#[test]
fn an_unfinished_snapshot_and_what_a_whole_one_replaced_are_removed() {
    let desk = Desk::new("leftovers");
    let directory = desk.path("journal");
    written(&directory, &[0..3, 3..6]);
    let place = Place::look(&directory);
    fs::write(place.unfinished(3), b"half").expect("written");
    let mut snapshot = Vec::new();
    ::journal::Header {
        sort: ::journal::Sort::Snapshot,
        number: 2,
        begun_ms: 0,
        before: None,
        listeners: vec![([127, 0, 0, 1], 5060).into()],
    }
    .append(&mut snapshot);
    ::journal::append_end(&mut snapshot, 0, 0);
    fs::write(place.snapshot(2), snapshot).expect("written");
    let found = opened(&directory, 1 << 20);
    // The snapshot says that the first log came to nothing.
    assert_eq!(found.restored.registrations.len(), 3);
    assert!(!place.unfinished(3).exists() && !place.log(1).exists() && place.log(2).exists());
}
