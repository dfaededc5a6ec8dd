//! `cargo xtask page`: the operator's page in a headless Chromium, before a router with calls and phones. It is
//! used as people use it, by mouse, keys and writing; what it shows must be what goes on. Pictures of it, dark
//! and light, wide and narrow, are left beside the logs to be looked at.

mod browser;
mod world;

use crate::failure::{Failure, check};
use crate::house;
use browser::Browser;
use clap::Args;
use std::path::{Path, PathBuf};
use std::time::Instant;
use world::{AGENT, NUMBER, OPERATE, READ, USERS, World};

/// How to check the page.
#[derive(Debug, Args)]
pub(crate) struct Options {
    /// The router's binary.
    #[arg(long)]
    router: PathBuf,
}

/// Checks the page; true when all was as it should be.
pub(crate) fn run(options: &Options) -> Result<bool, Failure> {
    let directory = house::logs().join("page");
    let _ = std::fs::remove_dir_all(&directory);
    std::fs::create_dir_all(&directory).map_err(Failure::machine(format!(
        "cannot make {}",
        directory.display()
    )))?;
    let program = std::fs::canonicalize(&options.router).map_err(Failure::machine(format!(
        "no router at {}",
        options.router.display()
    )))?;
    let begun = Instant::now();
    let world = World::new(&program, &directory)?;
    let mut page = Page {
        browser: Browser::start(&directory)?,
        pictures: directory.clone(),
    };
    let outcome = show(&world, &mut page);
    if outcome.is_err() {
        let _ = page.picture("failed");
    }
    outcome?;
    let (complaints, asked) = page.browser.seen();
    check(complaints.is_empty(), || {
        format!("the browser complains: {complaints:?}")
    })?;
    let own = format!("http://{}/", world.api);
    let foreign = asked.iter().find(|address| !address.starts_with(&own));
    check(foreign.is_none(), || {
        format!("the page asked for {foreign:?}")
    })?;
    println!(
        "page: all was shown in {:.0} s; pictures in {}",
        begun.elapsed().as_secs_f64(),
        directory.display()
    );
    Ok(true)
}

fn show(world: &World, page: &mut Page) -> Result<(), Failure> {
    let router = world.router()?;
    let _phone = world.register(&router)?;
    let load = world.load(&router)?;
    let call = world.call(&router)?;
    page.browser.dress(1280, 900, "light")?;
    page.browser.open(&format!("http://{}/", world.api))?;
    page.signs_in()?;
    page.shows_numbers()?;
    page.finds_the_call()?;
    page.is_pictured("calls")?;
    page.draws_the_ladder()?;
    page.hangs_up()?;
    call.expect_end()?;
    page.knows_that_it_ended()?;
    page.lists_phones()?;
    page.tells_events()?;
    page.reloads(world)?;
    drop(load);
    router.stop()?;
    page.misses_the_router()?;
    let router = world.router()?;
    page.is_live()?;
    page.signs_out()?;
    router.stop()
}

/// The page as its user sees it.
struct Page {
    browser: Browser,
    pictures: PathBuf,
}

/// Shorthands in the expressions that are asked on the page.
fn text_of(selector: &str) -> String {
    format!("document.querySelector({selector:?}).innerText")
}

fn is_shown(selector: &str) -> String {
    format!("!!document.querySelector({selector:?})?.checkVisibility()")
}

fn rows(table: &str) -> String {
    format!("document.querySelectorAll('#{table} tbody tr').length")
}

impl Page {
    fn wait(&mut self, expression: &str) -> Result<(), Failure> {
        self.browser.wait_for(expression)
    }

    fn picture(&mut self, name: &str) -> Result<(), Failure> {
        let path: &Path = &self.pictures.join(format!("{name}.png"));
        self.browser.photograph(path)
    }

    /// Light and dark, and at the width of a telephone, where nothing may stand out at the side.
    fn is_pictured(&mut self, name: &str) -> Result<(), Failure> {
        for (width, height, scheme, as_what) in [
            (1280, 900, "light", "light"),
            (1280, 900, "dark", "dark"),
            (360, 740, "dark", "narrow-dark"),
            (360, 740, "light", "narrow"),
        ] {
            self.browser.dress(width, height, scheme)?;
            self.wait(&format!("innerWidth === {width}"))?;
            self.browser
                .evaluate("new Promise(requestAnimationFrame)")?;
            self.picture(&format!("{name}-{as_what}"))?;
            let stands_out = "document.documentElement.scrollWidth > innerWidth";
            let stands_out = self.browser.evaluate(stands_out)? == true;
            check(!stands_out, || format!("{name} is wider than {width} px"))?;
        }
        self.browser.dress(1280, 900, "light")
    }

    fn is_live(&mut self) -> Result<(), Failure> {
        self.wait(&format!("{} === 'Live'", text_of("#connection")))
    }

    fn gives_token(&mut self, token: &str) -> Result<(), Failure> {
        self.wait(&is_shown("#sign-in"))?;
        self.browser.write("#token", token)?;
        self.browser.press("Enter")
    }

    /// A wrong token is said to be one; who only looks has no buttons that do something.
    fn signs_in(&mut self) -> Result<(), Failure> {
        self.wait(&is_shown("#sign-in"))?;
        self.is_pictured("sign-in")?;
        self.gives_token("nobodys-nobodys-nobodys")?;
        self.wait(&format!(
            "{}.includes('does not take this token')",
            text_of("#sign-in-why")
        ))?;
        self.gives_token(READ)?;
        self.is_live()?;
        self.wait(&format!("!{}", is_shown("#reload")))?;
        self.signs_out()?;
        self.gives_token(OPERATE)?;
        self.is_live()?;
        self.wait(&is_shown("#reload"))?;
        let kept = "[sessionStorage.length, Object.keys(localStorage).length, document.cookie]";
        let kept = self.browser.evaluate(kept)?;
        check(kept == serde_json::json!([1, 0, ""]), || {
            format!("kept: {kept}")
        })
    }

    fn signs_out(&mut self) -> Result<(), Failure> {
        self.browser.click("#sign-out")?;
        self.wait("sessionStorage.length === 0 && document.activeElement.id === 'token'")
    }

    fn shows_numbers(&mut self) -> Result<(), Failure> {
        let value = |tile: &str| text_of(&format!(".tile-{tile} .value"));
        self.wait(&format!("Number({}) > 5", value("caps")))?;
        self.wait(&format!("Number({}) > 20", value("calls")))?;
        self.wait(&format!("{} === '{USERS}'", value("users")))?;
        let delays = "[...document.querySelectorAll('.tile-delay .value')]\
                      .every((it) => parseFloat(it.innerText) > 0)";
        self.wait(delays)?;
        let line =
            "document.querySelector('.tile-calls .line').getAttribute('d').split('L').length > 3";
        self.wait(line)?;
        self.wait("document.querySelectorAll('#shards tr').length === 2")?;
        let loads = "[...document.querySelectorAll('#shards tr')]\
                     .every((row) => Number(row.children[3].innerText) > 1 && row.querySelector('meter').value > 0)";
        self.wait(loads)?;
        let peers = text_of("#peers");
        self.wait(&format!(
            "{peers}.includes('north carrier') && {peers}.includes('192.0.2.0/24')"
        ))?;
        let names = "[...document.querySelectorAll('button, input, select, meter, [role=img]')]\
            .filter((it) => it.checkVisibility() && !it.innerText && !it.ariaLabel && !it.labels?.length)\
            .map((it) => it.outerHTML).join()";
        let nameless = self.browser.evaluate(names)?;
        check(nameless == "", || format!("without a name: {nameless}"))
    }

    fn finds_the_call(&mut self) -> Result<(), Failure> {
        self.wait(&format!("{} >= 20", rows("calls")))?;
        self.browser.write("#calls-user", NUMBER)?;
        self.wait(&format!("{} === 1", rows("calls")))?;
        let row = text_of("#calls tbody tr");
        for word in ["alice", NUMBER, "answered"] {
            self.wait(&format!("{row}.includes('{word}')"))?;
        }
        self.browser.write("#calls-user", "nobody")?;
        self.wait(&format!("{}.includes('matches')", text_of("#calls .empty")))?;
        self.browser.write("#calls-user", "")?;
        self.wait(&format!("{} >= 20", rows("calls")))
    }

    /// The call is opened by keys alone.
    fn draws_the_ladder(&mut self) -> Result<(), Failure> {
        self.browser.write("#calls-user", NUMBER)?;
        self.wait(&format!("{} === 1", rows("calls")))?;
        self.browser.press("Tab")?;
        self.browser.press("Tab")?;
        self.wait("document.activeElement.matches('#calls tbody button')")?;
        self.browser.press("Enter")?;
        self.wait("document.querySelectorAll('.ladder .life').length === 3")?;
        let names = "[...document.querySelectorAll('.ladder .message text')].map((it) => it.textContent).join()";
        let names = self.browser.evaluate(names)?;
        let names = names.as_str().unwrap_or_default().to_owned();
        for (name, times) in [
            ("INVITE +body", 4),
            ("180 INVITE", 2),
            ("200 INVITE +body", 2),
            ("ACK", 2),
        ] {
            let found = names.matches(name).count();
            check(found == times, || {
                format!("{found} times {name} in the ladder: {names}")
            })?;
        }
        let body = text_of("#call-body");
        for word in ["^7777$", "audio RTP/AVP", "call-alice", "Callee's leg"] {
            self.wait(&format!("{body}.includes({word:?})"))?;
        }
        self.is_pictured("ladder")
    }

    fn hangs_up(&mut self) -> Result<(), Failure> {
        self.browser.click("#hang-up")?;
        self.wait(&format!("{} === 'Hang up now?'", text_of("#hang-up")))?;
        self.browser.click("#hang-up")
    }

    fn knows_that_it_ended(&mut self) -> Result<(), Failure> {
        self.wait(&format!("{}.includes('has ended')", text_of("#call-state")))?;
        self.wait(&format!("!{}", is_shown("#hang-up")))?;
        self.browser.press("Escape")?;
        self.wait("!document.querySelector('#call').open")?;
        self.wait(&format!("{} === 0", rows("calls")))
    }

    /// The tab is changed by keys; what a phone says of itself stays text.
    fn lists_phones(&mut self) -> Result<(), Failure> {
        self.browser
            .evaluate("document.querySelector('#tab-calls').focus()")?;
        self.browser.press("ArrowRight")?;
        self.wait(&format!("{} === 50", rows("phones")))?;
        let agent = "document.querySelector('#phones tbody tr').children[4].textContent";
        self.wait(&format!(
            "{agent} === {AGENT:?} && !document.querySelector('img, b')"
        ))?;
        self.is_pictured("phones")?;
        self.browser.click("#phones .pager button:last-child")?;
        self.wait(&format!("{} === {}", rows("phones"), USERS - 50))?;
        self.browser.click("#phones .pager button")?;
        self.wait(&format!("{} === 50", rows("phones")))?;
        let last = world::user_name(USERS - 1);
        self.browser.write("#phones-user", &last)?;
        self.wait(&format!("{} === 1", rows("phones")))?;
        self.wait(&format!(
            "{}.includes('{last}@example.com')",
            text_of("#phones tbody")
        ))
    }

    fn tells_events(&mut self) -> Result<(), Failure> {
        self.browser.click("#tab-events")?;
        for word in ["call started", "call answered", "call ended"] {
            self.wait(&format!("{}.includes('{word}')", text_of("#events")))?;
        }
        self.is_pictured("events")
    }

    /// A good file is taken over; a bad one is named with its line, and nothing changes.
    fn reloads(&mut self, world: &World) -> Result<(), Failure> {
        let notice = text_of("#notice");
        self.browser.click("#reload")?;
        self.wait(&format!("{notice}.includes('was read again: 2 records')"))?;
        self.wait(&format!("{}.includes('reload')", text_of("#events tbody")))?;
        world.spoil()?;
        self.browser.click("#reload")?;
        self.wait(&format!(
            "{notice}.includes('Not reloaded') && {notice}.includes('darin_s')"
        ))?;
        self.is_pictured("not-reloaded")?;
        self.browser.click("#notice-close")?;
        self.browser.click("#tab-calls")
    }

    fn misses_the_router(&mut self) -> Result<(), Failure> {
        let said = text_of("#connection");
        self.wait(&format!(
            "{said}.includes('No answer from the router. Reconnecting')"
        ))?;
        self.is_pictured("gone")
    }
}
