//! The operator's page: files that are part of the program, given to everybody. They have nothing of the router
//! in them; what they show they ask of the API, with their reader's token.

use axum::extract::Path;
use axum::http::{HeaderName, header};
use axum::response::{IntoResponse, Response};

use crate::problem::Problem;

/// Below this all its files but the first are found.
pub(crate) const FOLDER: &str = "/page/";
/// The same as a pattern for the router.
pub(crate) const FILE: &str = "/page/{file}";

/// Only what this program sends is loaded and run, nothing written into the page is, and nobody frames it.
const POLICY: &str = "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self'; \
                      connect-src 'self'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'; \
                      require-trusted-types-for 'script'";

const SCRIPT: &str = "text/javascript; charset=utf-8";

/// Name, media type and content.
type File = (&'static str, &'static str, &'static [u8]);

macro_rules! files {
    ($($name:literal $kind:expr),+ $(,)?) => {
        [$(($name, $kind, include_bytes!(concat!("../page/", $name)))),+]
    };
}

const INDEX: &[u8] = include_bytes!("../page/index.html");

const FILES: [File; 10] = files![
    "page.css" "text/css; charset=utf-8",
    "icon.svg" "image/svg+xml",
    "main.js" SCRIPT,
    "api.js" SCRIPT,
    "build.js" SCRIPT,
    "numbers.js" SCRIPT,
    "tables.js" SCRIPT,
    "call.js" SCRIPT,
    "ladder.js" SCRIPT,
    "events.js" SCRIPT,
];

/// The page itself.
pub(crate) fn index() -> Response {
    respond("text/html; charset=utf-8", INDEX)
}

/// One of the files it loads.
pub(crate) async fn file(Path(name): Path<String>) -> Response {
    match FILES.iter().find(|file| file.0 == name) {
        Some((_, kind, content)) => respond(kind, content),
        None => Problem::not_found("path", "the page has no such file").into_response(),
    }
}

fn respond(kind: &'static str, content: &'static [u8]) -> Response {
    const OPENER: HeaderName = HeaderName::from_static("cross-origin-opener-policy");
    let headers = [
        (header::CONTENT_TYPE, kind),
        (header::CONTENT_SECURITY_POLICY, POLICY),
        (header::X_CONTENT_TYPE_OPTIONS, "nosniff"),
        (header::REFERRER_POLICY, "no-referrer"),
        (OPENER, "same-origin"),
        // Another version of the router has other files under the same names.
        (header::CACHE_CONTROL, "no-cache"),
        (header::VARY, "Accept"),
    ];
    (headers, content).into_response()
}
