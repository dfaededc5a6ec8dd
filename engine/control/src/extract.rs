//! Reading requests: bodies, paths and queries into values, with every mistake a [`Problem`] that names the
//! field. The framework's own extractors answer in plain text, so none of them stands in a handler.

use axum::extract::{FromRequest, FromRequestParts, Request};
use axum::http::request::Parts;
use axum::http::{HeaderMap, StatusCode, header};
use bytes::Bytes;
use serde::de::DeserializeOwned;

use crate::problem::Problem;

/// A JSON body.
#[derive(Debug)]
pub(crate) struct Json<T>(pub(crate) T);

impl<S: Send + Sync, T: DeserializeOwned> FromRequest<S> for Json<T> {
    type Rejection = Problem;

    async fn from_request(request: Request, state: &S) -> Result<Self, Problem> {
        if !is_type(request.headers(), "application/json") {
            let detail = "the body must be application/json";
            return Err(
                Problem::new(StatusCode::UNSUPPORTED_MEDIA_TYPE, detail).about("content-type")
            );
        }
        let body = Bytes::from_request(request, state).await?;
        parse(&body).map(Json)
    }
}

/// The parameters behind the `?`.
#[derive(Debug)]
pub(crate) struct Query<T>(pub(crate) T);

impl<S: Send + Sync, T: DeserializeOwned> FromRequestParts<S> for Query<T> {
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, state: &S) -> Result<Self, Problem> {
        let query = axum::extract::Query::from_request_parts(parts, state).await?;
        Ok(Query(query.0))
    }
}

/// What stands in the path.
#[derive(Debug)]
pub(crate) struct Path<T>(pub(crate) T);

impl<S: Send + Sync, T: DeserializeOwned + Send> FromRequestParts<S> for Path<T> {
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, state: &S) -> Result<Self, Problem> {
        let path = axum::extract::Path::from_request_parts(parts, state).await?;
        Ok(Path(path.0))
    }
}

/// Whether the body is said to be of this media type, parameters aside.
pub(crate) fn is_type(headers: &HeaderMap, wanted: &str) -> bool {
    let kind = headers.get(header::CONTENT_TYPE);
    let kind = kind.and_then(|value| value.to_str().ok()).unwrap_or("");
    let essence = kind.split(';').next().unwrap_or("").trim();
    essence.eq_ignore_ascii_case(wanted)
}

/// JSON text to a value; 400 naming the field.
pub(crate) fn parse<T: DeserializeOwned>(text: &[u8]) -> Result<T, Problem> {
    let mut reader = serde_json::Deserializer::from_slice(text);
    let value = serde_path_to_error::deserialize(&mut reader).map_err(|error| explain(&error))?;
    reader.end().map_err(|error| {
        let detail = format!("the body goes on behind its JSON value: {error}");
        Problem::field("body", detail)
    })?;
    Ok(value)
}

fn explain(error: &serde_path_to_error::Error<serde_json::Error>) -> Problem {
    let place = error.path().to_string();
    let message = error.inner().to_string();
    let missing = message
        .strip_prefix("missing field `")
        .and_then(|rest| rest.split('`').next());
    let field = match (place.as_str(), missing) {
        (".", Some(missing)) => missing.to_owned(),
        (place, Some(missing)) => format!("{place}.{missing}"),
        (".", None) => "body".to_owned(),
        (place, None) => place.to_owned(),
    };
    // What was sent as a secret is not sent back.
    let secret = field.ends_with("secret") && missing.is_none();
    match secret && error.inner().is_data() {
        true => Problem::field(field, "must be a text"),
        false => Problem::field(field, message),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde::Deserialize;

    #[derive(Debug, Deserialize)]
    #[serde(deny_unknown_fields)]
    #[allow(dead_code)]
    struct Outer {
        users: Vec<Inner>,
    }

    #[derive(Debug, Deserialize)]
    #[allow(dead_code)]
    struct Inner {
        secret: String,
    }

    fn wrong(text: &str) -> String {
        format!("{:?}", parse::<Outer>(text.as_bytes()).unwrap_err())
    }

    #[test]
    fn the_field_is_named() {
        assert!(wrong("{}").contains("field: Some(\"users\")"));
        assert!(wrong("{\"users\":[{}]}").contains("field: Some(\"users[0].secret\")"));
        assert!(wrong("{\"users\":3}").contains("field: Some(\"users\")"));
        assert!(wrong("{\"users\":[]} x").contains("field: Some(\"body\")"));
        assert!(wrong("[").contains("EOF"));
    }

    #[test]
    fn a_secret_is_not_sent_back() {
        let told = wrong("{\"users\":[{\"secret\":12345}]}");
        assert!(
            told.contains("users[0].secret") && !told.contains("12345"),
            "{told}"
        );
    }

    #[test]
    fn a_media_type_may_have_parameters() {
        let headers = |kind: &'static str| {
            HeaderMap::from_iter([(header::CONTENT_TYPE, kind.parse().expect(kind))])
        };
        assert!(is_type(
            &headers("application/JSON; charset=utf-8"),
            "application/json"
        ));
        assert!(!is_type(&headers("application/jsonp"), "application/json"));
        assert!(!is_type(&HeaderMap::new(), "application/json"));
    }
}
