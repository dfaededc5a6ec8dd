//! A headless Chromium that is driven over its DevTools protocol: one page, whose scripts are asked, whose keys
//! and mouse are pressed, and which is photographed. What the page must show is the caller's business.

use crate::failure::{Failure, check};
use crate::spawned::Spawned;
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use serde_json::{Value, json};
use std::io::{self, ErrorKind};
use std::net::TcpStream;
use std::path::Path;
use std::thread;
use std::time::{Duration, Instant};
use tungstenite::{Message, WebSocket};

/// What Debian calls it, and others do.
const PROGRAMS: &[&str] = &["chromium", "chromium-browser", "google-chrome"];
/// How long the browser may take to start, to do something, and the page to show something.
const STARTED: Duration = Duration::from_secs(20);
const ANSWERED: Duration = Duration::from_secs(20);
const SHOWN: Duration = Duration::from_secs(12);

/// A browser with one page.
#[derive(Debug)]
pub(crate) struct Browser {
    socket: WebSocket<TcpStream>,
    _process: Spawned,
    session: String,
    serial: u64,
    /// What the page's console, its scripts and the browser had to complain of.
    complaints: Vec<String>,
    /// Addresses of everything that was asked for.
    asked: Vec<String>,
}

impl Browser {
    /// Starts one with an empty page.
    pub(crate) fn start(directory: &Path) -> Result<Browser, Failure> {
        let installed = |program: &&&str| crate::spawned::is_installed(program);
        let program = PROGRAMS
            .iter()
            .find(installed)
            .ok_or_else(|| Failure::Check("no chromium: apt-get install chromium".into()))?;
        let profile = directory.join("profile");
        let arguments = [
            "--headless=new".to_owned(),
            format!("--user-data-dir={}", profile.display()),
            "--remote-debugging-port=0".to_owned(),
            // Its own sandbox does not run as root; what it shows is ours.
            "--no-sandbox".to_owned(),
            "--disable-gpu".to_owned(),
            "--disable-dev-shm-usage".to_owned(),
            "--disable-background-networking".to_owned(),
            "--disable-component-update".to_owned(),
            "--disable-sync".to_owned(),
            "--no-first-run".to_owned(),
            "--hide-scrollbars".to_owned(),
            "about:blank".to_owned(),
        ];
        let process = Spawned::start("chromium", program.as_ref(), &arguments, directory)?;
        let (port, path) = debugging_port(&profile)?;
        let mut browser = Browser {
            socket: connect(port, &path)?,
            _process: process,
            session: String::new(),
            serial: 0,
            complaints: Vec::new(),
            asked: Vec::new(),
        };
        browser.attach()?;
        Ok(browser)
    }

    fn attach(&mut self) -> Result<(), Failure> {
        let made = self.command("Target.createTarget", json!({"url": "about:blank"}))?;
        let attach = json!({"targetId": made["targetId"], "flatten": true});
        let attached = self.command("Target.attachToTarget", attach)?;
        self.session = attached["sessionId"].as_str().unwrap_or_default().into();
        for domain in ["Page", "Runtime", "Log", "Network"] {
            self.command(&format!("{domain}.enable"), json!({}))?;
        }
        Ok(())
    }

    /// Opens an address.
    pub(crate) fn open(&mut self, address: &str) -> Result<(), Failure> {
        let opened = self.command("Page.navigate", json!({"url": address}))?;
        check(opened.get("errorText").is_none(), || {
            format!("{address}: {}", opened["errorText"])
        })?;
        self.wait_for("document.readyState === 'complete'")
    }

    /// Makes the window this large, in CSS pixels, and its user one who likes this colour scheme.
    pub(crate) fn dress(&mut self, width: u32, height: u32, scheme: &str) -> Result<(), Failure> {
        let size =
            json!({"width": width, "height": height, "deviceScaleFactor": 1, "mobile": false});
        self.command("Emulation.setDeviceMetricsOverride", size)?;
        let feature = json!({"name": "prefers-color-scheme", "value": scheme});
        self.command("Emulation.setEmulatedMedia", json!({"features": [feature]}))?;
        Ok(())
    }

    /// What an expression is on the page.
    pub(crate) fn evaluate(&mut self, expression: &str) -> Result<Value, Failure> {
        let asked = json!({"expression": expression, "returnByValue": true, "awaitPromise": true});
        let told = self.command("Runtime.evaluate", asked)?;
        match told.get("exceptionDetails") {
            None => Ok(told["result"]["value"].clone()),
            Some(exception) => Err(Failure::Check(format!("{expression}: {exception}"))),
        }
    }

    /// Waits until an expression is true on the page.
    pub(crate) fn wait_for(&mut self, expression: &str) -> Result<(), Failure> {
        let until = Instant::now() + SHOWN;
        while self.evaluate(expression)? != Value::Bool(true) {
            if Instant::now() > until {
                let shown = self.evaluate("document.body.innerText.slice(0, 1500)")?;
                return Err(Failure::Timeout(format!("{expression}; the page: {shown}")));
            }
            thread::sleep(Duration::from_millis(50));
        }
        Ok(())
    }

    /// Presses the left button of the mouse on what a selector finds, where it is seen.
    pub(crate) fn click(&mut self, selector: &str) -> Result<(), Failure> {
        let place = self.evaluate(&format!(
            "(() => {{ const it = document.querySelector({selector:?}); if (!it) return null; \
             it.scrollIntoView({{block: 'center'}}); const box = it.getBoundingClientRect(); \
             const [x, y] = [box.x + box.width / 2, box.y + box.height / 2]; \
             const top = document.elementFromPoint(x, y); \
             return top && (it === top || it.contains(top)) ? [x, y] : null; }})()"
        ))?;
        check(place.is_array(), || format!("{selector} cannot be pressed"))?;
        for kind in ["mousePressed", "mouseReleased"] {
            let press = json!({"type": kind, "x": place[0], "y": place[1], "button": "left", "clickCount": 1});
            self.command("Input.dispatchMouseEvent", press)?;
        }
        Ok(())
    }

    /// Presses a key that writes nothing, like `Escape`.
    pub(crate) fn press(&mut self, key: &str) -> Result<(), Failure> {
        let code = match key {
            "Tab" => 9,
            "Enter" => 13,
            "Escape" => 27,
            "ArrowRight" => 39,
            _ => 0,
        };
        let text = if key == "Enter" { "\r" } else { "" };
        for kind in ["keyDown", "keyUp"] {
            let press = json!({"type": kind, "key": key, "code": key, "text": text,
                "windowsVirtualKeyCode": code});
            self.command("Input.dispatchKeyEvent", press)?;
        }
        Ok(())
    }

    /// Writes into a field, in the place of what is there.
    pub(crate) fn write(&mut self, selector: &str, text: &str) -> Result<(), Failure> {
        self.evaluate(&format!(
            "(() => {{ const it = document.querySelector({selector:?}); it.focus(); it.select(); }})()"
        ))?;
        match text {
            "" => {
                self.evaluate("document.execCommand('delete')")?;
            }
            text => {
                self.command("Input.insertText", json!({"text": text}))?;
            }
        }
        Ok(())
    }

    /// A picture of the window.
    pub(crate) fn photograph(&mut self, path: &Path) -> Result<(), Failure> {
        let taken = self.command("Page.captureScreenshot", json!({"format": "png"}))?;
        let picture = STANDARD.decode(taken["data"].as_str().unwrap_or_default());
        let picture = picture.map_err(|error| Failure::Check(format!("a picture: {error}")))?;
        let what = format!("cannot write {}", path.display());
        std::fs::write(path, picture).map_err(Failure::machine(what))
    }

    /// What there was to complain of, and everything that was asked for.
    pub(crate) fn seen(&self) -> (&[String], &[String]) {
        (&self.complaints, &self.asked)
    }

    fn command(&mut self, method: &str, parameters: Value) -> Result<Value, Failure> {
        self.serial += 1;
        let mut command = json!({"id": self.serial, "method": method, "params": parameters});
        if !self.session.is_empty() {
            command["sessionId"] = self.session.clone().into();
        }
        let sent = self.socket.send(Message::text(command.to_string()));
        sent.map_err(lost)?;
        let until = Instant::now() + ANSWERED;
        while Instant::now() < until {
            let said = match self.socket.read() {
                Ok(message) => message,
                Err(tungstenite::Error::Io(error)) if is_patience(&error) => continue,
                Err(error) => return Err(lost(error)),
            };
            let Ok(said) = serde_json::from_slice::<Value>(&said.into_data()) else {
                continue;
            };
            if said["id"] != self.serial {
                self.note(&said);
            } else if let Some(error) = said.get("error") {
                return Err(Failure::Check(format!("{method}: {error}")));
            } else {
                return Ok(said["result"].clone());
            }
        }
        Err(Failure::Timeout(format!(
            "the browser's answer to {method}"
        )))
    }

    fn note(&mut self, event: &Value) {
        let parameters = &event["params"];
        match event["method"].as_str() {
            Some("Runtime.exceptionThrown") => {
                self.complaints
                    .push(parameters["exceptionDetails"].to_string());
            }
            // That a request was refused is what some of the checks want.
            Some("Log.entryAdded") if parameters["entry"]["source"] != "network" => {
                self.complaints.push(parameters["entry"].to_string());
            }
            Some("Runtime.consoleAPICalled") if parameters["type"] == "error" => {
                self.complaints.push(parameters["args"].to_string());
            }
            Some("Network.requestWillBeSent") => {
                let address = parameters["request"]["url"].as_str();
                self.asked.extend(address.map(str::to_owned));
            }
            _ => {}
        }
    }
}

fn lost(error: tungstenite::Error) -> Failure {
    Failure::Check(format!("the browser: {error}"))
}

fn is_patience(error: &io::Error) -> bool {
    matches!(error.kind(), ErrorKind::WouldBlock | ErrorKind::TimedOut)
}

/// The port and path that a browser writes into its profile.
fn debugging_port(profile: &Path) -> Result<(u16, String), Failure> {
    let until = Instant::now() + STARTED;
    while Instant::now() < until {
        let text = std::fs::read_to_string(profile.join("DevToolsActivePort")).unwrap_or_default();
        if let Some((port, path)) = text.split_once('\n')
            && let Ok(port) = port.parse()
            && !path.is_empty()
        {
            return Ok((port, path.trim().to_owned()));
        }
        thread::sleep(Duration::from_millis(20));
    }
    Err(Failure::Timeout("the browser: see chromium.log".into()))
}

fn connect(port: u16, path: &str) -> Result<WebSocket<TcpStream>, Failure> {
    let machine = || Failure::machine("cannot connect to the browser");
    let stream = TcpStream::connect(("127.0.0.1", port)).map_err(machine())?;
    stream
        .set_read_timeout(Some(Duration::from_millis(500)))
        .map_err(machine())?;
    let address = format!("ws://127.0.0.1:{port}{path}");
    let (socket, _) = tungstenite::client(address, stream)
        .map_err(|error| Failure::Check(format!("the browser: {error}")))?;
    Ok(socket)
}
