//! What the page is to show: a router with its API, calls that come and go, phones that are registered, and one
//! call whose both ends are in this process, so that its end is seen.

use crate::agent::{Agent, Request, SDP};
use crate::failure::Failure;
use crate::house;
use crate::router::{Router, Setup};
use crate::scenarios::sipp::{Play, Sipp};
use serde_json::{Value, json};
use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::path::{Path, PathBuf};

/// Tokens of the two roles.
pub(crate) const READ: &str = "somebody-who-only-looks";
pub(crate) const OPERATE: &str = "somebody-who-operates-it";
/// Users that are registered: more than a page of the table has.
pub(crate) const USERS: usize = 60;
/// The number of the one call.
pub(crate) const NUMBER: &str = "7777";
/// What the agent of every phone calls itself: markup that must stay text.
pub(crate) const AGENT: &str = "<img src=x onerror=alert(1)> & <b>phone</b>";

const LOCALHOST: IpAddr = IpAddr::V4(Ipv4Addr::LOCALHOST);
const LOAD: &str = "1000";
const CALLS_PER_S: u32 = 20;

/// Where everything is.
#[derive(Debug)]
pub(crate) struct World {
    program: PathBuf,
    directory: PathBuf,
    /// The API.
    pub(crate) api: SocketAddr,
    load: SocketAddr,
    callee: SocketAddr,
}

impl World {
    /// Chooses addresses; nothing runs yet.
    pub(crate) fn new(program: &Path, directory: &Path) -> Result<World, Failure> {
        Ok(World {
            program: program.to_owned(),
            directory: directory.to_owned(),
            api: house::free_address(LOCALHOST)?,
            load: house::free_address(LOCALHOST)?,
            callee: house::free_address(LOCALHOST)?,
        })
    }

    /// Starts the router.
    pub(crate) fn router(&self) -> Result<Router, Failure> {
        let (rdb, settings) = (self.rdb(), self.settings());
        Router::start(&Setup {
            program: &self.program,
            directory: &self.directory,
            shards: 2,
            rdb: &rdb,
            settings: &settings,
            environment: &[],
        })
    }

    fn rdb(&self) -> Value {
        let record = |number: &str, target: SocketAddr| {
            json!({"userpartPattern": format!("^{number}$"), "routingRecord": {
                "outRuriHostport": target.to_string(), "outCallFlow": "Transparent",
            }})
        };
        json!([record(LOAD, self.load), record(NUMBER, self.callee)])
    }

    fn settings(&self) -> toml::Table {
        let address = self.api.to_string();
        let user = |n: usize| {
            let (username, secret) = (user_name(n), format!("secret-of-{n}"));
            toml::toml! {
                username = username
                secret = secret
            }
        };
        let users: Vec<toml::Table> = (0..USERS).map(user).collect();
        toml::toml! {
            peer = [
                { name = "north carrier", addresses = ["192.0.2.0/24"], class = "trunk" },
                { name = "office", addresses = ["198.51.100.7"], class = "phone" }
            ]
            domain = [{ name = "example.com", users = users }]

            [engine]
            drain_s = 1

            [auth]
            register = false

            [latency]
            interval_s = 1

            [http]
            address = address
            tokens = [{ role = "read", token = READ }, { role = "operate", token = OPERATE }]
        }
    }

    /// Calls that come and go.
    pub(crate) fn load(&self, router: &Router) -> Result<[Sipp; 2], Failure> {
        let none = Vec::new();
        let held = ["-d", "3000"].map(str::to_owned);
        let callee = Play {
            role: "callee",
            file: "stock",
            own: self.load,
            target: None,
            number: "",
            calls: 1_000_000,
            rate: 0,
            traced: false,
            limit_s: 300,
            options: &none,
        };
        let caller = Play {
            role: "caller",
            own: house::free_address(LOCALHOST)?,
            target: Some(router.address),
            number: LOAD,
            rate: CALLS_PER_S,
            options: &held,
            ..callee
        };
        let mut answering = Sipp::start(&callee, &self.directory)?;
        answering.wait_until_bound(self.load)?;
        Ok([answering, Sipp::start(&caller, &self.directory)?])
    }

    /// Registers every user; the phone they share must live for as long as they do.
    pub(crate) fn register(&self, router: &Router) -> Result<Agent, Failure> {
        let phone = Agent::bind("phone", LOCALHOST, router.address)?;
        for n in 0..USERS {
            let user = user_name(n);
            let register = Request {
                uri: "sip:example.com".into(),
                from: format!("<sip:{user}@example.com>;tag=phone-{n}"),
                to: format!("<sip:{user}@example.com>"),
                extra: format!("Expires: 600\r\nUser-Agent: {AGENT}\r\n"),
                ..phone.request("REGISTER", "")
            };
            phone.send(&register)?;
            phone.expect_answer(&register, 200)?;
        }
        Ok(phone)
    }

    /// The one call, answered.
    pub(crate) fn call(&self, router: &Router) -> Result<Call, Failure> {
        let callee = Agent::bind_at("bob", self.callee, router.address)?;
        let caller = Agent::bind("alice", LOCALHOST, router.address)?;
        let invite = caller.invite(NUMBER);
        caller.send(&invite)?;
        let offered = callee.expect_request("INVITE")?;
        callee.answer(&offered, 180, "bob", "")?;
        caller.expect_provisional(&invite, 180)?;
        callee.answer(&offered, 200, "bob", SDP)?;
        let answer = caller.expect_answer(&invite, 200)?;
        caller.acknowledge(&invite, &answer)?;
        callee.expect_request("ACK")?;
        Ok(Call { caller, callee })
    }

    /// Writes a mistake into the configuration.
    pub(crate) fn spoil(&self) -> Result<(), Failure> {
        let path = self.directory.join("tipring.toml");
        let cannot = || Failure::machine(format!("cannot change {}", path.display()));
        let text = std::fs::read_to_string(&path).map_err(cannot())?;
        let text = text.replace("drain_s", "darin_s");
        std::fs::write(&path, text).map_err(cannot())
    }
}

/// The name of a user.
pub(crate) fn user_name(n: usize) -> String {
    format!("{}", 1_000 + n)
}

/// Both ends of a call.
#[derive(Debug)]
pub(crate) struct Call {
    caller: Agent,
    callee: Agent,
}

impl Call {
    /// Both ends are hung up on, and say yes to it.
    pub(crate) fn expect_end(&self) -> Result<(), Failure> {
        for end in [&self.caller, &self.callee] {
            let bye = end.expect_request("BYE")?;
            end.answer(&bye, 200, "", "")?;
        }
        Ok(())
    }
}
