//! Who may do what: tokens, roles, and the door every request passes first. It looks at the head of a
//! request only, before any of its body is read.

mod rate;

use std::net::IpAddr;
use std::time::Instant;

use axum::extract::{Request, State};
use axum::http::{HeaderMap, Method, StatusCode, Uri, header};
use axum::middleware::Next;
use axum::response::{IntoResponse, Response};
use subtle::{Choice, ConstantTimeEq};

pub(crate) use self::rate::Rates;
use crate::page;
use crate::plane::Plane;
use crate::problem::Problem;
use crate::settings::Role;

/// Who sends a request.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Peer(pub(crate) IpAddr);

/// The tokens that are good.
pub(crate) struct Tokens(Vec<(Role, String)>);

impl Tokens {
    /// These.
    pub(crate) fn new(tokens: Vec<(Role, String)>) -> Tokens {
        Tokens(tokens)
    }

    /// What the owner of a token may do; `None`: it is no token. All are compared in full, so that the time
    /// it takes tells no more than lengths.
    fn role_of(&self, presented: &str) -> Option<Role> {
        let mut found = None;
        for (role, token) in &self.0 {
            let same: Choice = token.as_bytes().ct_eq(presented.as_bytes());
            if bool::from(same) {
                found = found.max(Some(*role));
            }
        }
        found
    }

    /// There are none.
    pub(crate) fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// What the sender of these headers may do; without any tokens everybody may do everything.
    pub(crate) fn role(&self, headers: &HeaderMap) -> Option<Role> {
        if self.0.is_empty() {
            return Some(Role::Admin);
        }
        let value = headers.get(header::AUTHORIZATION)?.to_str().ok()?;
        let (scheme, token) = value.split_once(' ')?;
        let bearer = scheme.eq_ignore_ascii_case("bearer");
        self.role_of(token.trim()).filter(|_| bearer)
    }
}

/// What a request needs; `None`: nothing, it is for everybody. What is not listed needs the most.
fn needed(method: &Method, path: &str) -> Option<Role> {
    let looks = *method == Method::GET || *method == Method::HEAD;
    match path {
        "/" | "/api/v1/openapi.json" if looks => None,
        path if looks && path.starts_with(page::FOLDER) => None,
        _ if looks => Some(Role::Read),
        path if path.starts_with("/api/v1/") => Some(Role::Operate),
        _ => Some(Role::Admin),
    }
}

/// The door: how often, from where, who.
pub(crate) async fn guard(State(plane): State<Plane>, request: Request, next: Next) -> Response {
    match admit(&plane, &request) {
        Ok(()) => next.run(request).await,
        Err(problem) => problem.into_response(),
    }
}

fn admit(plane: &Plane, request: &Request) -> Result<(), Problem> {
    let now = Instant::now();
    let peer = request.extensions().get::<Peer>().map(|peer| peer.0);
    if let Some(wait_s) = plane.rates.take(peer, now) {
        metrics::counter!("tipring_http_refused_total", "reason" => "rate").increment(1);
        let problem = Problem::new(
            StatusCode::TOO_MANY_REQUESTS,
            "more than http.requests_per_s",
        );
        return Err(problem.retry_after(wait_s));
    }
    let security = plane.security.load();
    if security.tokens.is_empty() {
        from_here(request.headers(), request.uri())?;
    }
    let Some(needed) = needed(request.method(), request.uri().path()) else {
        return Ok(());
    };
    match security.tokens.role(request.headers()) {
        Some(role) if role >= needed => Ok(()),
        Some(_) => Err(refused(
            StatusCode::FORBIDDEN,
            format!("needs the role {needed:?}"),
        )),
        None => {
            plane.rates.punish(peer, now);
            let detail = "needs a token: Authorization: Bearer TOKEN".to_owned();
            Err(refused(StatusCode::UNAUTHORIZED, detail))
        }
    }
}

fn refused(status: StatusCode, detail: String) -> Problem {
    metrics::counter!("tipring_http_refused_total", "reason" => "role").increment(1);
    Problem::new(status, detail).about("authorization")
}

/// Without tokens only this machine's own programs are served. A web page that its user looks at is none: its
/// requests carry its Origin, or another Host when it has its name resolve to this machine.
fn from_here(headers: &HeaderMap, uri: &Uri) -> Result<(), Problem> {
    let named = |name| headers.get(name).map(|value| value.to_str().unwrap_or(""));
    let host = named(header::HOST).or_else(|| uri.authority().map(|it| it.as_str()));
    let origin = named(header::ORIGIN);
    let origin_host = origin.map(|origin| origin.split_once("://").map_or("", |(_, host)| host));
    let own = host.is_none_or(is_local) && origin_host.is_none_or(|from| Some(from) == host);
    match own {
        true => Ok(()),
        false => {
            let detail =
                "without http.tokens only requests to 127.0.0.1, [::1] or localhost are served";
            Err(Problem::new(StatusCode::FORBIDDEN, detail).about("host"))
        }
    }
}

fn is_local(host: &str) -> bool {
    let name = match host.rsplit_once(':') {
        Some((name, port)) if !port.ends_with(']') => name,
        _ => host,
    };
    let bare = name.trim_start_matches('[').trim_end_matches(']');
    name.eq_ignore_ascii_case("localhost")
        || bare
            .parse::<IpAddr>()
            .is_ok_and(|ip| ip.to_canonical().is_loopback())
}

#[cfg(test)]
mod tests {
    use super::*;

    const ADMIN: &str = "admin-admin-admin";

    fn role(authorization: &str) -> Option<Role> {
        let token = |role, text: &str| (role, text.to_owned());
        let tokens = Tokens::new(vec![
            token(Role::Read, "read-read-read-read"),
            token(Role::Admin, ADMIN),
        ]);
        let value = authorization.parse().expect("a header");
        tokens.role(&HeaderMap::from_iter([(header::AUTHORIZATION, value)]))
    }

    #[test]
    fn only_a_whole_token_is_one() {
        assert_eq!(role("Bearer admin-admin-admin"), Some(Role::Admin));
        assert_eq!(role("bearer  read-read-read-read"), Some(Role::Read));
        for wrong in [
            "Bearer admin-admin-admi",
            "Bearer ",
            "Basic admin-admin-admin",
            ADMIN,
            "",
        ] {
            assert_eq!(role(wrong), None, "{wrong}");
        }
        let open = Tokens::new(Vec::new());
        assert_eq!(open.role(&HeaderMap::new()), Some(Role::Admin));
    }

    #[test]
    fn what_changes_more_needs_more() {
        let of = |method: Method, path| needed(&method, path);
        assert_eq!(of(Method::GET, "/"), None);
        assert_eq!(of(Method::GET, "/api/v1/openapi.json"), None);
        assert_eq!(of(Method::GET, "/page/page.css"), None);
        assert_eq!(of(Method::DELETE, "/page/page.css"), Some(Role::Admin));
        assert_eq!(of(Method::POST, "/"), Some(Role::Admin));
        assert_eq!(of(Method::GET, "/metrics"), Some(Role::Read));
        assert_eq!(of(Method::GET, "/dir/a"), Some(Role::Read));
        assert_eq!(of(Method::PATCH, "/api/v1/config"), Some(Role::Operate));
        assert_eq!(of(Method::DELETE, "/api/v1/session/x"), Some(Role::Operate));
        assert_eq!(of(Method::PUT, "/dir/a"), Some(Role::Admin));
        assert_eq!(of(Method::TRACE, "/anything"), Some(Role::Admin));
    }

    #[test]
    fn a_page_from_elsewhere_is_not_this_machine() {
        let served = |host: &'static str, origin: Option<&'static str>| {
            let mut headers = HeaderMap::from_iter([(header::HOST, host.parse().expect(host))]);
            if let Some(origin) = origin {
                headers.insert(header::ORIGIN, origin.parse().expect(origin));
            }
            from_here(&headers, &Uri::from_static("/")).is_ok()
        };
        for own in ["localhost", "127.0.0.1:8060", "[::1]:8060", "[::1]"] {
            assert!(served(own, None), "{own}");
        }
        for other in [
            "evil.example",
            "192.0.2.1:8060",
            "localhost.evil.example",
            "",
        ] {
            assert!(!served(other, None), "{other}");
        }
        assert!(served("127.0.0.1:8060", Some("http://127.0.0.1:8060")));
        assert!(!served("127.0.0.1:8060", Some("http://evil.example")));
        assert!(!served("127.0.0.1:8060", Some("null")));
    }
}
