//! The registrars that are loaded: how each is started, with and without digest, the router with and without its journal.

use std::fmt::Write as _;
use std::fs::{self, File};
use std::io::{self, BufWriter, Write as _};
use std::path::Path;
use std::process::Command;

use clap::ValueEnum;

use super::RegisterArgs;
use super::phones::{DOMAIN, secret_of, user_name};

/// Who is loaded.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(crate) enum Registrar {
    /// The router, bindings in memory alone.
    Tipring,
    /// The same, which asks for proof.
    TipringDigest,
    /// The router with its journal: bindings outlive it.
    TipringJournal,
    /// The same, which asks for proof.
    TipringJournalDigest,
    /// Kamailio, one child, bindings in memory alone.
    Kamailio,
    /// The same, which asks for proof.
    KamailioDigest,
}

impl Registrar {
    /// The router's four.
    pub(crate) const OWN: [Registrar; 4] = [
        Registrar::Tipring,
        Registrar::TipringJournal,
        Registrar::TipringDigest,
        Registrar::TipringJournalDigest,
    ];
    /// Everybody: those without digest, then those with it.
    pub(crate) const ALL: [Registrar; 6] = [
        Registrar::Tipring,
        Registrar::TipringJournal,
        Registrar::Kamailio,
        Registrar::TipringDigest,
        Registrar::TipringJournalDigest,
        Registrar::KamailioDigest,
    ];

    /// The name in tables and paths.
    pub(crate) fn name(self) -> &'static str {
        match self {
            Registrar::Tipring => "tipring",
            Registrar::TipringDigest => "tipring-digest",
            Registrar::TipringJournal => "tipring-journal",
            Registrar::TipringJournalDigest => "tipring-journal-digest",
            Registrar::Kamailio => "kamailio",
            Registrar::KamailioDigest => "kamailio-digest",
        }
    }

    /// Whether it asks for proof.
    pub(crate) fn asks_for_proof(self) -> bool {
        matches!(
            self,
            Registrar::TipringDigest | Registrar::TipringJournalDigest | Registrar::KamailioDigest
        )
    }

    fn keeps_a_journal(self) -> bool {
        matches!(
            self,
            Registrar::TipringJournal | Registrar::TipringJournalDigest
        )
    }

    /// The command that starts it, with its configuration written into `directory`.
    pub(crate) fn command(self, args: &RegisterArgs, directory: &Path) -> io::Result<Command> {
        fs::create_dir_all(directory)?;
        match self {
            Registrar::Kamailio | Registrar::KamailioDigest => {
                Ok(kamailio(args, self.asks_for_proof(), directory))
            }
            _ => self.router(args, directory),
        }
    }

    fn router(self, args: &RegisterArgs, directory: &Path) -> io::Result<Command> {
        write_users(args.phones().users, &directory.join("users"))?;
        let config = directory.join("tipring.toml");
        fs::write(&config, self.router_config(args))?;
        let mut command = Command::new(&args.router);
        command.arg("run").arg("--config").arg(config);
        Ok(command)
    }

    fn router_config(self, args: &RegisterArgs) -> String {
        let (phones, target) = (args.phones(), args.target);
        let cpus = match args.shards {
            1 => format!("cpus = [{}]\n", args.server_cpu),
            _ => String::new(),
        };
        let mut text = format!(
            "[engine]\nshards = {}\n{cpus}\n\
             [[listen]]\ntransport = \"udp\"\naddress = \"{target}\"\n\n\
             [[domain]]\nname = \"{DOMAIN}\"\nusers_file = \"users\"\n\n\
             [limits]\nregistrations = {}\nbindings = {}\ncontacts = {}\n\n",
            args.shards, phones.users, phones.count, phones.contacts
        );
        let keeps = match self.keeps_a_journal() {
            true => "directory = \"journal\"",
            false => "enabled = false",
        };
        // A nonce of each phone stays good: what a second challenge costs is known from the first.
        let _ = write!(
            text,
            "[journal]\n{keeps}\n\n\
             [auth]\nregister = {}\nalgorithms = [\"{}\"]\nnonce_lifetime_s = 3600\nnonces_max = {}\n",
            self.asks_for_proof(),
            args.algorithm.name(),
            2 * phones.count.max(1)
        );
        text
    }
}

fn write_users(users: u32, path: &Path) -> io::Result<()> {
    let mut file = BufWriter::new(File::create(path)?);
    for user in 0..users {
        let name = user_name(user);
        writeln!(file, "{name}:{}", secret_of(&name))?;
    }
    file.flush()
}

fn kamailio(args: &RegisterArgs, digest: bool, directory: &Path) -> Command {
    let mut command = Command::new(&args.kamailio);
    command
        .arg("-f")
        .arg(args.kamailio_configs.join("registrar.cfg"))
        // fm is its fast allocator; Debian's default (qm, with checks) costs it two to three times the CPU.
        .args(["-x", "fm", "-DD", "-E", "-n", "1", "-m", "2048", "-M", "32"])
        // Its probing for a receive buffer stops at 256 KiB by itself, which a pause of 3 ms fills.
        .args(["-b", "16777216"])
        .args(["-l", &format!("udp:{}", args.target)]);
    if digest {
        let algorithm = format!("ALGORITHM=\"{}\"", args.algorithm.name());
        command.args(["-A", "DIGEST", "-A", &algorithm]);
    }
    command.arg("-Y").arg(directory);
    command
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::cli;
    use clap::Parser;

    fn args(words: &[&str]) -> RegisterArgs {
        let words = ["tipring-bench", "register"].iter().chain(words);
        match cli::Command::parse_from(words) {
            cli::Command::Register(args) => args,
            _ => unreachable!("the words say register"),
        }
    }

    #[test]
    fn registrars_are_named_on_the_command_line_as_in_the_table() {
        for registrar in Registrar::ALL {
            assert_eq!(Registrar::from_str(registrar.name(), false), Ok(registrar));
        }
        assert!(
            Registrar::OWN
                .iter()
                .all(|one| Registrar::ALL.contains(one))
        );
    }

    #[test]
    fn the_router_has_room_for_every_phone() {
        let args = args(&["--users", "50", "--contacts", "3", "--algorithm", "SHA-256"]);
        let text = Registrar::TipringJournalDigest.router_config(&args);
        for line in [
            "cpus = [0]",
            "registrations = 50",
            "bindings = 150",
            "contacts = 3",
            "register = true",
            "algorithms = [\"SHA-256\"]",
            "nonces_max = 300",
            "directory = \"journal\"",
        ] {
            assert!(text.lines().any(|l| l == line), "{line} in\n{text}");
        }
        let plain = Registrar::Tipring.router_config(&args);
        assert!(plain.contains("register = false") && plain.contains("enabled = false"));
    }

    #[test]
    fn kamailio_asks_for_proof_when_it_should() {
        let words = |digest| {
            let command = kamailio(&args(&[]), digest, Path::new("/x"));
            let words = command.get_args().map(|a| a.to_string_lossy().into_owned());
            words.collect::<Vec<_>>()
        };
        assert!(words(true).iter().any(|word| word == "ALGORITHM=\"MD5\""));
        assert!(!words(false).iter().any(|word| word == "DIGEST"));
    }
}
