//! From `[[domain]]` and the files of users it names to the directory that the shards have: of each secret only what proves
//! it is kept.

use std::sync::Arc;

use router::{Credentials, Directory};

use super::fault::{Fault, Faults};
use super::load::{LoadError, Origin, beside, read};
use super::registrar::{Domain, is_user_name};

/// Mistakes shown of one file of users.
const FAULTS_MAX: usize = 20;

/// The directory of these domains. Files are meant beside the configuration `origin`.
pub(super) fn of(domains: &[Domain], origin: &Origin) -> Result<Arc<Directory>, LoadError> {
    let (mut directory, mut parts) = (Directory::default(), Vec::new());
    for domain in domains {
        match entries(domain, origin) {
            Ok(users) => {
                let users = users
                    .iter()
                    .map(|(name, credentials)| (name.as_str(), *credentials));
                let domain = router::Domain::new(&domain.name, domain.control.as_deref(), users);
                directory.put_domain(domain);
            }
            Err(error) => parts.extend(error.parts),
        }
    }
    match parts.is_empty() {
        true => Ok(Arc::new(directory)),
        false => Err(LoadError { parts }),
    }
}

type Entry = (String, Credentials);

fn entries(domain: &Domain, origin: &Origin) -> Result<Vec<Entry>, LoadError> {
    let realm = domain.name.to_ascii_lowercase();
    let entry = |name: &str, secret: &str| (name.to_owned(), Credentials::of(name, &realm, secret));
    let own = domain.users.iter();
    let mut users: Vec<Entry> = own
        .map(|user| entry(&user.username, &user.secret.0))
        .collect();
    let Some(file) = &domain.users_file else {
        return Ok(users);
    };
    let path = beside(origin, file);
    let text = read(&path)?;
    let mut faults = Vec::new();
    for (number, line) in lines(&text) {
        match line.split_once(':').filter(|(name, _)| is_user_name(name)) {
            Some((name, secret)) => users.push(entry(name, secret)),
            None => faults.push(fault(number)),
        }
    }
    faults.truncate(FAULTS_MAX);
    // Without its text, which is full of secrets.
    match Faults::of(path.display().to_string(), String::new(), faults) {
        None => Ok(users),
        Some(faults) => Err(LoadError {
            parts: vec![faults],
        }),
    }
}

/// Lines that name a user, with their numbers from 1: not empty ones, and not those that begin with `#`.
fn lines(text: &str) -> impl Iterator<Item = (usize, &str)> {
    let numbered = text.lines().enumerate().map(|(at, line)| (at + 1, line));
    numbered.filter(|(_, line)| !line.trim().is_empty() && !line.starts_with('#'))
}

fn fault(line: usize) -> Fault {
    Fault {
        span: None,
        key: format!("line {line}"),
        message: "must be a user's name, a colon and the secret".to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn domain(file: &str) -> Vec<Domain> {
        let text = format!("name = 'Example.com'\nusers_file = '{file}'\n");
        vec![toml::from_str(&text).expect("a domain")]
    }

    /// A file of users beside a configuration of its own; the configuration's place.
    fn beside_users(test: &str, users: &str) -> Origin {
        let name = format!("tipring-users-{test}-{}", std::process::id());
        let directory = std::env::temp_dir().join(name);
        std::fs::create_dir_all(&directory).expect("a directory");
        std::fs::write(directory.join("users"), users).expect("a file");
        Origin::File(directory.join("tipring.toml"))
    }

    #[test]
    fn a_file_of_users_is_sought_beside_the_one_that_names_it() {
        let origin = beside_users("good", "# people\n1001:cor:rect\n\n1002:\n");
        let loaded = of(&domain("users"), &origin).expect("users");
        let domain = loaded.domain("example.com").expect("the domain");
        let proof = |user, secret| Some(Credentials::of(user, "example.com", secret));
        assert_eq!(
            domain.credentials("1001").copied(),
            proof("1001", "cor:rect")
        );
        assert_eq!(domain.credentials("1002").copied(), proof("1002", ""));
        assert_eq!(domain.user_count(), 2);
    }

    #[test]
    fn mistakes_in_it_are_told_by_line_and_without_its_text() {
        let origin = beside_users("bad", "1001 hunter2\n1002:fine\n:hunter3\n");
        let error = of(&domain("users"), &origin)
            .expect_err("mistakes")
            .to_string();
        for line in ["line 1", "line 3"] {
            assert!(error.contains(line), "{error}");
        }
        assert!(
            !error.contains("hunter") && !error.contains("line 2"),
            "{error}"
        );
        let missing = of(&domain("nothing"), &origin).expect_err("a mistake");
        assert!(missing.to_string().contains("cannot be read"));
    }
}
