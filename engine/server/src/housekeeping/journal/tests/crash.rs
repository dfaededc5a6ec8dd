//! kill -9 in the middle of a storm of changes: a process of its own writes, this one kills it and looks
//! what is there.

use std::io::{BufRead, BufReader};
use std::process::{Child, Command, Stdio};

use super::*;

const DIRECTORY: &str = "TIPRING_TEST_JOURNAL";
const USERS: u64 = 2_000;

/// This test binary, running one test that is otherwise ignored.
pub(super) fn child(test: &str, directory: &Path, shell: &str) -> Child {
    let path = module_path!().split_once("::").expect("a module").1;
    let path = path.rsplit_once("::").expect("a parent").0;
    let test = format!("{path}::{test}");
    let program = std::env::current_exe().expect("this program");
    let script = format!("{shell}exec \"$0\" \"$@\"");
    let mut command = Command::new("sh");
    command.args(["-c", &script]).arg(program);
    command.args(["--exact", &test, "--ignored", "--nocapture"]);
    command.env(DIRECTORY, directory);
    command.stdin(Stdio::piped()).stdout(Stdio::piped());
    command.spawn().expect("a child")
}

/// The child's directory; `None` when nobody made this process a child.
pub(super) fn given() -> Option<PathBuf> {
    std::env::var_os(DIRECTORY).map(PathBuf::from)
}

/// Says something to the parent.
pub(super) fn tell(line: &str) {
    use std::io::Write as _;
    let mut out = std::io::stdout().lock();
    writeln!(out, "\n> {line}")
        .and_then(|()| out.flush())
        .expect("a parent");
}

/// What a child says.
pub(super) fn told(child: &mut Child) -> impl Iterator<Item = String> + use<> {
    let out = BufReader::new(child.stdout.take().expect("piped"));
    let lines = out.lines().map_while(Result::ok);
    lines.filter_map(|line| line.strip_prefix("> ").map(str::to_owned))
}

fn unix_ms() -> u64 {
    ::journal::Clocks::clone(&keeper::clocks(&Clock::start())).unix_ms
}

/// Not a test by itself: the process that is killed. Every round renews all users and says so; and says
/// which round the journal has called durable.
#[test]
#[ignore = "the child of the tests beside it"]
fn storm() {
    let Some(directory) = given() else { return };
    let mut run = Running::start(&directory, 1 << 20);
    let mut round = 0;
    loop {
        round += 1;
        run.put((0..USERS).map(|user| registration(user, round)));
        tell(&format!("put {round} {}", unix_ms()));
        if round % 7 == 0 {
            // What was laid down before a change of the directory is durable with it.
            let barrier = DirectoryChange::Removed("a".into());
            assert_eq!(run.keep(barrier), Ok(()));
            tell(&format!("durable {round} {}", unix_ms()));
        }
    }
}

#[test]
fn a_killed_process_has_lost_nothing_that_was_durable() {
    for (kill, rounds) in [30, 47, 90].into_iter().enumerate() {
        let desk = Desk::new(&format!("storm-{kill}"));
        let directory = desk.path("journal");
        let mut child = child("crash::storm", &directory, "");
        let (mut durable, mut put) = (0, BTreeMap::new());
        for line in told(&mut child) {
            let mut words = line.split(' ');
            let what = words.next().expect("a word");
            let mut number = || words.next().and_then(|word| word.parse::<u64>().ok());
            let (round, at) = (number().expect("a round"), number().expect("a time"));
            match what {
                "durable" => durable = round,
                _ => drop(put.insert(round, at)),
            }
            if round >= rounds && durable > 0 {
                break;
            }
        }
        child.kill().expect("killed");
        let killed = unix_ms();
        child.wait().expect("gone");
        let found = versions(&opened(&directory, 1 << 20).restored);
        assert_eq!(found.len() as u64, USERS);
        let oldest = *found.values().min().expect("users");
        assert!(
            oldest >= durable,
            "{oldest} is older than {durable}, which was durable"
        );
        // Said, not judged: a busy machine may keep any thread waiting.
        let lost = put.range(oldest + 1..).next();
        let lost_ms = lost.map_or(0, |(_, at)| killed.saturating_sub(*at));
        eprintln!(
            "killed in round {:?}: {oldest} was there; the oldest change lost was {lost_ms} ms old",
            put.keys().next_back()
        );
    }
}
