//! The environment variables of SRGo, which override the file, so that a start line written for SRGo
//! works. They are read once into a value; nothing else looks at the process's environment.

use std::collections::BTreeMap;
use std::fmt;
use std::io;
use std::net::{IpAddr, Ipv4Addr, SocketAddr, UdpSocket};
use std::path::{Path, PathBuf};

use super::fault::Fault;
use super::schema::{Config, Listen, Transport};
use super::value::{ListenAddress, MetricsAddress, ServerAddress};

/// The variables, as SRGo spells them.
pub(crate) const NAMES: [&str; 8] = [
    "server_ipv4",
    "auto_server_ipv4",
    "sip_udp_port",
    "http_port",
    "as_sip_udp",
    "proxy_udp_server",
    "ka_interval",
    "indialogue_interval",
];

/// The port of SIP over UDP where a variable names none (RFC 3261 19.1.2).
const SIP_PORT: u16 = 5060;

/// What systemd calls the directories of StateDirectory= (systemd.exec(5)), with colons between.
const STATE_DIRECTORY: &str = "STATE_DIRECTORY";

fn first(list: &std::ffi::OsStr) -> Option<PathBuf> {
    std::env::split_paths(list).find(|path| path.is_absolute())
}

/// The variables that are set, and how to find this machine's own address.
#[derive(Clone)]
pub(crate) struct Environment {
    values: BTreeMap<&'static str, String>,
    own_ipv4: fn() -> io::Result<Ipv4Addr>,
    state_directory: Option<PathBuf>,
}

impl Environment {
    /// What the process was started with.
    pub(crate) fn of_process() -> Environment {
        let set = |name| Some((name, std::env::var_os(name)?));
        let text = |(name, value): (_, std::ffi::OsString)| (name, value.to_string_lossy().into());
        Environment {
            values: NAMES.into_iter().filter_map(set).map(text).collect(),
            own_ipv4,
            state_directory: std::env::var_os(STATE_DIRECTORY).and_then(|list| first(&list)),
        }
    }

    /// Where the service manager lets this process keep its state; `None` without one.
    pub(crate) fn state_directory(&self) -> Option<&Path> {
        self.state_directory.as_deref()
    }

    /// The value of a variable that is set, to something or to nothing.
    fn get(&self, name: &str) -> Option<&str> {
        self.values.get(name).map(|value| value.trim())
    }

    /// Puts what is set in the place of what the file says.
    pub(crate) fn apply(&self, config: &mut Config) -> (Overrides, Vec<Fault>) {
        let mut applied = Applied {
            environment: self,
            overrides: Overrides::default(),
            faults: Vec::new(),
        };
        applied.listen(config);
        applied.metrics(config);
        applied.application_server(config);
        applied.proxy(config);
        applied.keep_alive(config);
        applied.in_dialog_probe(config);
        (applied.overrides, applied.faults)
    }
}

impl fmt::Debug for Environment {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.values.fmt(f)
    }
}

/// Which keys have their value from which variables.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Overrides(BTreeMap<String, String>);

impl Overrides {
    fn note(&mut self, key: &str, variables: impl Into<String>) {
        self.0.insert(key.to_owned(), variables.into());
    }

    /// The variables a key has its value from: the key's own, or those of what it stands in.
    pub(crate) fn of(&self, key: &str) -> Option<&str> {
        let mut key = key;
        loop {
            if let Some(variables) = self.0.get(key) {
                return Some(variables);
            }
            key = &key[..key.rfind(['.', '['])?];
        }
    }

    /// All variables that had a say, each once.
    pub(crate) fn variables(&self) -> Vec<&str> {
        let all = self.0.values().flat_map(|names| names.split(", "));
        let all: std::collections::BTreeSet<&str> = all.collect();
        all.into_iter().collect()
    }
}

/// Empty and 0 switch off what the file has on.
fn is_off(text: &str) -> bool {
    matches!(text, "" | "0")
}

/// A pass over the variables.
struct Applied<'e> {
    environment: &'e Environment,
    overrides: Overrides,
    faults: Vec<Fault>,
}

impl Applied<'_> {
    fn fault(&mut self, variable: &str, message: impl Into<String>) {
        self.faults.push(Fault {
            span: None,
            key: variable.to_owned(),
            message: message.into(),
        });
    }

    /// `server_ipv4`, `auto_server_ipv4` and `sip_udp_port`: one UDP listener in the place of all.
    fn listen(&mut self, config: &mut Config) {
        let port = self.port("sip_udp_port");
        let (variable, ip) = match self.own_address() {
            Some(found) => found,
            None => return self.listen_port(config, port),
        };
        let address = SocketAddr::new(ip.into(), port.unwrap_or(SIP_PORT));
        config.listen = vec![Listen {
            transport: Transport::Udp,
            address: ListenAddress(address),
            advertise: None,
        }];
        self.overrides.note("listen", variable);
        if port.is_some() {
            let both = format!("{variable}, sip_udp_port");
            self.overrides.note("listen[0].address", both);
        }
    }

    /// A port without an address is that of the only listener there is.
    fn listen_port(&mut self, config: &mut Config, port: Option<u16>) {
        let Some(port) = port else { return };
        match config.listen.as_mut_slice() {
            [only] => {
                only.address.0.set_port(port);
                self.overrides.note("listen[0].address", "sip_udp_port");
            }
            _ => self.fault(
                "sip_udp_port",
                "a port for which address? Set server_ipv4 or auto_server_ipv4 too, or have one \
                 [[listen]] in the file",
            ),
        }
    }

    /// The address the variables ask for, and by which of them.
    fn own_address(&mut self) -> Option<(&'static str, Ipv4Addr)> {
        let given = self.environment.get("server_ipv4");
        if let Some(text) = given.filter(|text| !is_off(text)) {
            let ip = text.parse::<Ipv4Addr>().ok();
            let ip = ip.filter(|ip| !ip.is_unspecified());
            if ip.is_none() {
                let message = format!(
                    "\"{text}\" is not an IPv4 address that peers can call; write it like \
                     \"192.0.2.1\", with the port in sip_udp_port"
                );
                self.fault("server_ipv4", message);
            }
            return ip.map(|ip| ("server_ipv4", ip));
        }
        // SRGo looks whether it is set, not to what: empty is on.
        let wanted = self.environment.get("auto_server_ipv4")?;
        if matches!(wanted, "0" | "false" | "no" | "off") {
            return None;
        }
        match (self.environment.own_ipv4)() {
            Ok(ip) => Some(("auto_server_ipv4", ip)),
            Err(error) => {
                let message = format!(
                    "no address was found, there is no default route ({error}); set server_ipv4"
                );
                self.fault("auto_server_ipv4", message);
                None
            }
        }
    }

    fn port(&mut self, name: &'static str) -> Option<u16> {
        let text = self.environment.get(name).filter(|text| !is_off(text))?;
        let port = text.parse().ok();
        if port.is_none() {
            self.fault(
                name,
                format!("\"{text}\" is not a port; allowed: 1 to 65535"),
            );
        }
        port
    }

    /// `http_port`: on the address that the file gives the metrics, else on that of the first listener,
    /// where SRGo has its web server.
    fn metrics(&mut self, config: &mut Config) {
        let name = "http_port";
        let Some(text) = self.environment.get(name) else {
            return;
        };
        if is_off(text) {
            config.metrics.address = None;
            return self.overrides.note("metrics.address", name);
        }
        let Some(port) = self.port(name) else { return };
        let own = config.metrics.address.map(|address| address.0.ip());
        let first = config.listen.first().map(|listen| listen.address.0.ip());
        if let Some(ip) = own.or(first) {
            config.metrics.address = Some(MetricsAddress(SocketAddr::new(ip, port)));
            let listen = self
                .overrides
                .of("listen[0].address")
                .filter(|_| own.is_none());
            let variables = [Some(name), listen].into_iter().flatten();
            let variables = variables.collect::<Vec<_>>().join(", ");
            self.overrides.note("metrics.address", variables);
        }
    }

    fn application_server(&mut self, config: &mut Config) {
        if let Some(address) = self.address("as_sip_udp", "application_server.address") {
            config.application_server.address = address;
        }
    }

    fn proxy(&mut self, config: &mut Config) {
        if let Some(address) = self.address("proxy_udp_server", "routing.outbound_proxy") {
            config.routing.outbound_proxy = address;
        }
    }

    fn keep_alive(&mut self, config: &mut Config) {
        let key = "application_server.keep_alive_s";
        if let Some(seconds) = self.seconds("ka_interval", key) {
            config.application_server.keep_alive_s = seconds;
        }
    }

    fn in_dialog_probe(&mut self, config: &mut Config) {
        let key = "timers.in_dialog_probe_s";
        if let Some(seconds) = self.seconds("indialogue_interval", key) {
            config.timers.in_dialog_probe_s = seconds;
        }
    }

    /// `None` when the variable is not set or wrong; `Some(None)` when it says off.
    fn address(&mut self, name: &'static str, key: &str) -> Option<Option<ServerAddress>> {
        let text = self.environment.get(name)?;
        self.overrides.note(key, name);
        if is_off(text) {
            return Some(None);
        }
        let address = match text.parse::<IpAddr>() {
            Ok(ip) => SocketAddr::new(ip, SIP_PORT).to_string(),
            Err(_) => text.to_owned(),
        };
        match ServerAddress::try_from(address) {
            Ok(address) => Some(Some(address)),
            Err(message) => {
                self.fault(name, message);
                None
            }
        }
    }

    fn seconds(&mut self, name: &'static str, key: &str) -> Option<u64> {
        let text = self.environment.get(name)?;
        self.overrides.note(key, name);
        if is_off(text) {
            return Some(0);
        }
        let seconds = text.parse().ok();
        if seconds.is_none() {
            let message = format!("\"{text}\" is not a number of seconds; 0 is off");
            self.fault(name, message);
        }
        seconds
    }
}

/// The address that datagrams to the rest of the world would leave from, which is that of the interface
/// with the default route. Connecting a UDP socket looks the route up and sends nothing; the address
/// asked for is one of documentation (RFC 5737).
fn own_ipv4() -> io::Result<Ipv4Addr> {
    let socket = UdpSocket::bind((Ipv4Addr::UNSPECIFIED, 0))?;
    socket.connect((Ipv4Addr::new(192, 0, 2, 1), 9))?;
    match socket.local_addr()?.ip() {
        IpAddr::V4(ip) if !ip.is_unspecified() => Ok(ip),
        ip => Err(io::Error::other(format!("the kernel offers {ip}"))),
    }
}

#[cfg(test)]
impl Environment {
    /// These variables, on a machine whose address is 10.9.8.7.
    pub(crate) fn of(variables: &[(&str, &str)]) -> Environment {
        let known = |name: &str| NAMES.into_iter().find(|known| *known == name);
        let values = variables.iter().map(|(name, value)| {
            (
                known(name).expect("a variable of SRGo"),
                (*value).to_owned(),
            )
        });
        Environment {
            values: values.collect(),
            own_ipv4: || Ok(Ipv4Addr::new(10, 9, 8, 7)),
            state_directory: None,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// What the variables make of a file with one listener: all that differs from it, and the faults.
    fn applied(variables: &[(&str, &str)]) -> (Config, Overrides, Vec<String>) {
        let mut config: Config =
            toml::from_str("[[listen]]\naddress = '127.0.0.1:5070'\nadvertise = 'a.example'\n")
                .expect("a configuration");
        let (overrides, faults) = Environment::of(variables).apply(&mut config);
        let fault = |fault: Fault| format!("{}: {}", fault.key, fault.message);
        (config, overrides, faults.into_iter().map(fault).collect())
    }

    fn listen(variables: &[(&str, &str)]) -> String {
        let (config, _, faults) = applied(variables);
        assert_eq!(faults, [""; 0], "{variables:?}");
        let shown = |listen: &Listen| {
            let advertise = listen.advertise.as_ref().map(|host| format!(" as {host}"));
            format!("{}{}", listen.address, advertise.unwrap_or_default())
        };
        config
            .listen
            .iter()
            .map(shown)
            .collect::<Vec<_>>()
            .join(" ")
    }

    #[test]
    fn nothing_set_changes_nothing() {
        let (config, overrides, faults) = applied(&[]);
        assert_eq!(listen(&[]), "127.0.0.1:5070 as a.example");
        assert_eq!((overrides, faults), (Overrides::default(), Vec::new()));
        assert_eq!(config.metrics.address, None);
    }

    #[test]
    fn one_listener_takes_the_place_of_all() {
        for (variables, expected) in [
            (vec![("server_ipv4", "10.0.0.1")], "10.0.0.1:5060"),
            (
                vec![("server_ipv4", " 10.0.0.1 "), ("sip_udp_port", "5080")],
                "10.0.0.1:5080",
            ),
            (vec![("auto_server_ipv4", "")], "10.9.8.7:5060"),
            (vec![("auto_server_ipv4", "true")], "10.9.8.7:5060"),
            (
                vec![("server_ipv4", "10.0.0.1"), ("auto_server_ipv4", "true")],
                "10.0.0.1:5060",
            ),
            (
                vec![("server_ipv4", ""), ("auto_server_ipv4", "1")],
                "10.9.8.7:5060",
            ),
            (
                vec![("auto_server_ipv4", "0"), ("server_ipv4", "0")],
                "127.0.0.1:5070 as a.example",
            ),
            (
                vec![("sip_udp_port", "5080")],
                "127.0.0.1:5080 as a.example",
            ),
            (vec![("sip_udp_port", "")], "127.0.0.1:5070 as a.example"),
        ] {
            assert_eq!(listen(&variables), expected, "{variables:?}");
        }
    }

    #[test]
    fn metrics_are_where_srgo_has_its_web_server_unless_the_file_says_where() {
        let all = [("server_ipv4", "10.0.0.1"), ("http_port", "8080")];
        let (config, overrides, _) = applied(&all);
        let address = |config: Config| config.metrics.address.map(|address| address.to_string());
        assert_eq!(address(config).as_deref(), Some("10.0.0.1:8080"));
        assert_eq!(
            overrides.of("metrics.address"),
            Some("http_port, server_ipv4")
        );
        let mut config = Config::default();
        config.metrics.address = "127.0.0.1:9060".to_owned().try_into().ok();
        Environment::of(&all).apply(&mut config);
        assert_eq!(address(config.clone()).as_deref(), Some("127.0.0.1:8080"));
        Environment::of(&[("http_port", "0")]).apply(&mut config);
        assert_eq!(address(config), None);
    }

    #[test]
    fn servers_and_intervals() {
        let (config, overrides, faults) = applied(&[
            ("as_sip_udp", "10.0.0.5:5070"),
            ("proxy_udp_server", "10.0.0.9"),
            ("ka_interval", "20"),
            ("indialogue_interval", "60"),
        ]);
        assert_eq!(faults, [""; 0]);
        let server = &config.application_server;
        let text = |address: Option<ServerAddress>| address.map(|address| address.to_string());
        assert_eq!(text(server.address).as_deref(), Some("10.0.0.5:5070"));
        assert_eq!(
            text(config.routing.outbound_proxy).as_deref(),
            Some("10.0.0.9:5060")
        );
        assert_eq!(server.keep_alive_s, 20);
        assert_eq!(config.timers.in_dialog_probe_s, 60);
        assert_eq!(
            overrides.variables(),
            [
                "as_sip_udp",
                "indialogue_interval",
                "ka_interval",
                "proxy_udp_server"
            ]
        );
    }

    #[test]
    fn empty_and_zero_switch_off_what_the_file_has_on() {
        for off in ["", "0", " "] {
            let mut config: Config = toml::from_str(
                "[application_server]\naddress = '10.0.0.5:5060'\n[timers]\nin_dialog_probe_s = 9\n\
                 [routing]\noutbound_proxy = '10.0.0.9:5060'\n",
            )
            .expect("a configuration");
            let names = [
                "as_sip_udp",
                "proxy_udp_server",
                "ka_interval",
                "indialogue_interval",
            ];
            let (_, faults) = Environment::of(&names.map(|name| (name, off))).apply(&mut config);
            assert_eq!(faults, []);
            assert_eq!(config.application_server.address, None);
            assert_eq!(config.application_server.keep_alive_s, 0);
            assert_eq!(config.routing.outbound_proxy, None);
            assert_eq!(config.timers.in_dialog_probe_s, 0);
        }
    }

    #[test]
    fn every_wrong_value_is_told_with_what_is_allowed() {
        let (_, _, faults) = applied(&[
            ("server_ipv4", "10.0.0.1:5060"),
            ("sip_udp_port", "70000"),
            ("http_port", "web"),
            ("as_sip_udp", "as.example.com"),
            ("proxy_udp_server", "10.0.0.9:0"),
            ("ka_interval", "soon"),
            ("indialogue_interval", "-1"),
        ]);
        insta::assert_snapshot!(faults.join("\n"), @r#"
        sip_udp_port: "70000" is not a port; allowed: 1 to 65535
        server_ipv4: "10.0.0.1:5060" is not an IPv4 address that peers can call; write it like "192.0.2.1", with the port in sip_udp_port
        http_port: "web" is not a port; allowed: 1 to 65535
        as_sip_udp: "as.example.com" is not an address with a port; write it like "192.0.2.1:5060" or "[2001:db8::1]:5060"
        proxy_udp_server: "10.0.0.9:0" cannot be called: it names no address or no port
        ka_interval: "soon" is not a number of seconds; 0 is off
        indialogue_interval: "-1" is not a number of seconds; 0 is off
        "#);
        let (_, faults) =
            Environment::of(&[("sip_udp_port", "5060")]).apply(&mut Config::default());
        assert!(faults[0].message.contains("Set server_ipv4"), "{faults:?}");
    }

    #[test]
    fn a_machine_without_a_default_route_is_told_what_to_set() {
        let mut environment = Environment::of(&[("auto_server_ipv4", "")]);
        environment.own_ipv4 = || Err(io::Error::from(io::ErrorKind::NetworkUnreachable));
        let (_, faults) = environment.apply(&mut Config::default());
        assert!(faults[0].message.ends_with("set server_ipv4"), "{faults:?}");
    }

    #[test]
    fn a_key_has_its_value_from_its_own_variable_or_from_that_of_what_is_around_it() {
        let mut overrides = Overrides::default();
        overrides.note("listen", "server_ipv4");
        overrides.note("listen[0].address", "server_ipv4, sip_udp_port");
        assert_eq!(overrides.of("listen[0].transport"), Some("server_ipv4"));
        assert_eq!(
            overrides.of("listen[0].address"),
            Some("server_ipv4, sip_udp_port")
        );
        assert_eq!(overrides.of("engine.shards"), None);
    }
}
