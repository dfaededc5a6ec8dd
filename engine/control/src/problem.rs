//! What a client is told when something is wrong: RFC 9457 problem details. Every refusal of this room,
//! also those of the web framework's own extractors, leaves as one of these.

use axum::extract::rejection::{BytesRejection, PathRejection, QueryRejection};
use axum::http::{HeaderValue, StatusCode, header};
use axum::response::{IntoResponse, Response};
use serde::Serialize;
use utoipa::ToSchema;

/// A refusal, with whose fault it is in its status: 4xx the client's, 503 this machine's at the moment.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Problem {
    status: StatusCode,
    detail: String,
    field: Option<String>,
    reasons: Vec<String>,
    retry_after_s: Option<u32>,
}

/// RFC 9457 problem details.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = Problem)]
pub(crate) struct ProblemBody<'p> {
    /// Always `about:blank`: the status says what kind of problem it is (RFC 9457 4.2.1).
    r#type: &'static str,
    /// The status in words.
    title: &'p str,
    /// The HTTP status code.
    #[schema(minimum = 400, maximum = 599)]
    status: u16,
    /// What is wrong, and what is allowed.
    detail: &'p str,
    /// The field, parameter or header it is about.
    #[serde(skip_serializing_if = "Option::is_none")]
    field: Option<&'p str>,
    /// Where there is more than one mistake: each of them.
    #[serde(skip_serializing_if = "<[String]>::is_empty")]
    reasons: &'p [String],
}

/// The media type of problem details.
pub(crate) const PROBLEM_JSON: &str = "application/problem+json";

impl Problem {
    /// A problem of this status.
    pub(crate) fn new(status: StatusCode, detail: impl Into<String>) -> Problem {
        Problem {
            status,
            detail: detail.into(),
            field: None,
            reasons: Vec::new(),
            retry_after_s: None,
        }
    }

    /// 400: this field is wrong.
    pub(crate) fn field(field: impl Into<String>, detail: impl Into<String>) -> Problem {
        Problem::new(StatusCode::BAD_REQUEST, detail).about(field)
    }

    /// 404: there is none of this name.
    pub(crate) fn not_found(field: &str, detail: impl Into<String>) -> Problem {
        Problem::new(StatusCode::NOT_FOUND, detail).about(field)
    }

    /// 503: not now.
    pub(crate) fn busy(detail: impl Into<String>) -> Problem {
        Problem::new(StatusCode::SERVICE_UNAVAILABLE, detail).retry_after(1)
    }

    /// The same about a field.
    pub(crate) fn about(mut self, field: impl Into<String>) -> Problem {
        self.field = Some(field.into());
        self
    }

    /// The same in this line of a body of lines.
    pub(crate) fn in_line(mut self, line: usize) -> Problem {
        self.detail = format!("line {line}: {}", self.detail);
        self
    }

    /// The same with every mistake.
    pub(crate) fn because(mut self, reasons: Vec<String>) -> Problem {
        self.reasons = reasons;
        self
    }

    /// The same with a Retry-After (RFC 9110 10.2.3).
    pub(crate) fn retry_after(mut self, seconds: u32) -> Problem {
        self.retry_after_s = Some(seconds);
        self
    }
}

impl IntoResponse for Problem {
    fn into_response(self) -> Response {
        let body = ProblemBody {
            r#type: "about:blank",
            title: self.status.canonical_reason().unwrap_or("Problem"),
            status: self.status.as_u16(),
            detail: &self.detail,
            field: self.field.as_deref(),
            reasons: &self.reasons,
        };
        // Texts and numbers always have a JSON form.
        let text = serde_json::to_vec(&body).unwrap_or_default();
        let kind = [(header::CONTENT_TYPE, PROBLEM_JSON)];
        let mut response = (self.status, kind, text).into_response();
        let headers = response.headers_mut();
        if let Some(seconds) = self.retry_after_s {
            headers.insert(header::RETRY_AFTER, HeaderValue::from(seconds));
        }
        // RFC 9110 11.6.1: a 401 says how to prove oneself.
        if self.status == StatusCode::UNAUTHORIZED {
            let bearer = HeaderValue::from_static("Bearer realm=\"tipring\"");
            headers.insert(header::WWW_AUTHENTICATE, bearer);
        }
        response
    }
}

impl From<PathRejection> for Problem {
    fn from(rejection: PathRejection) -> Problem {
        Problem::new(rejection.status(), rejection.body_text()).about("path")
    }
}

impl From<QueryRejection> for Problem {
    fn from(rejection: QueryRejection) -> Problem {
        Problem::new(rejection.status(), rejection.body_text()).about("query")
    }
}

impl From<BytesRejection> for Problem {
    fn from(rejection: BytesRejection) -> Problem {
        let detail = match rejection.status() {
            StatusCode::PAYLOAD_TOO_LARGE => {
                "the body is longer than http.body_bytes; many users go as application/x-ndjson"
                    .into()
            }
            _ => rejection.body_text(),
        };
        Problem::new(rejection.status(), detail).about("body")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_problem_says_what_and_where() {
        let problem = Problem::field("users[1].secret", "is missing").because(vec!["a".into()]);
        let response = problem.into_response();
        assert_eq!(response.status(), StatusCode::BAD_REQUEST);
        assert_eq!(response.headers()[header::CONTENT_TYPE], PROBLEM_JSON);
        let unproven = Problem::new(StatusCode::UNAUTHORIZED, "").into_response();
        assert!(unproven.headers().contains_key(header::WWW_AUTHENTICATE));
        let busy = Problem::busy("").into_response();
        assert_eq!(busy.headers()[header::RETRY_AFTER], "1");
    }
}
