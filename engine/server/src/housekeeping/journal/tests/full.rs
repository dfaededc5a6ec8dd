//! A disk that is full: the journal says so, calls go on, and it goes on when there is room again. The
//! limit of a process's files takes the place of a small disk.

use std::io::{BufRead, Write as _};
use std::process::Command;

use super::crash::{child, given, tell, told};
use super::*;

/// Not a test by itself: the process with the limit.
#[test]
#[ignore = "the child of the test beside it"]
fn writer() {
    let Some(directory) = given() else { return };
    let mut run = Running::start(&directory, 1 << 30);
    run.put((0..10).map(|user| registration(user, 1)));
    assert_eq!(run.keep(DirectoryChange::Domain(domain(2, 1))), Ok(()));
    // Longer than the limit.
    run.put((10..3_000).map(|user| registration(user, 1)));
    run.wait(|numbers| numbers.failing);
    assert_eq!(
        run.keep(DirectoryChange::Removed("example.com".into())),
        Err(NotKept::Disk)
    );
    run.put([registration(1, 2)]);
    run.wait(|numbers| numbers.failures >= 2 && numbers.waiting == 2_991);
    tell("full");
    let mut line = String::new();
    std::io::stdin()
        .lock()
        .read_line(&mut line)
        .expect("a word");
    let numbers = run.wait(|numbers| !numbers.failing);
    assert_eq!(numbers.waiting, 0);
    assert_eq!(run.keep(DirectoryChange::Domain(domain(3, 1))), Ok(()));
    tell("room");
    run.end();
}

#[test]
fn a_full_disk_is_told_and_nothing_is_lost_when_there_is_room_again() {
    let desk = Desk::new("full");
    let directory = desk.path("journal");
    // 256 blocks of 512 bytes, and an error instead of the signal that would end the process.
    let mut child = child(
        "full::writer",
        &directory,
        "trap '' XFSZ; ulimit -S -f 256; ",
    );
    let mut told = told(&mut child);
    assert_eq!(told.next().as_deref(), Some("full"));
    let pid = child.id().to_string();
    let raised = Command::new("prlimit")
        .args(["--pid", &pid, "--fsize=unlimited:"])
        .status();
    assert!(raised.expect("prlimit(1)").success());
    let mut ear = child.stdin.take().expect("piped");
    writeln!(ear, "go on").expect("a child");
    assert_eq!(told.next().as_deref(), Some("room"));
    assert!(child.wait().expect("gone").success());
    let found = opened(&directory, 1 << 20);
    assert_eq!(found.restored.registrations.len(), 3_000);
    assert_eq!(versions(&found.restored).get("u1"), Some(&2));
    assert_eq!(
        found.restored.directory.domain("example.com"),
        Some(&domain(3, 1))
    );
    assert_eq!(found.figures.read().damaged_bytes, 0);
}
