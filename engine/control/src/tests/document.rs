//! The OpenAPI document says what there is, all of it.

use serde_json::Value;

use super::World;

async fn document() -> Value {
    let (status, document) = World::new().get("/api/v1/openapi.json").await;
    assert_eq!((status, document["openapi"].as_str()), (200, Some("3.1.0")));
    document
}

#[tokio::test]
async fn every_operation_says_how_it_is_refused_and_by_whom_it_is_used() {
    let document = document().await;
    let mut ids = Vec::new();
    for (path, item) in document["paths"].as_object().expect("paths") {
        for (method, operation) in item.as_object().expect("operations") {
            ids.push(operation["operationId"].to_string());
            let open = matches!(path.as_str(), "/" | "/api/v1/openapi.json");
            assert_eq!(operation["security"].is_null(), open, "{method} {path}");
            for status in ["400", "401", "403", "429", "503"] {
                let content = &operation["responses"][status]["content"];
                assert!(
                    content["application/problem+json"].is_object(),
                    "{method} {path} {status}"
                );
            }
        }
    }
    let count = ids.len();
    ids.sort();
    ids.dedup();
    assert_eq!((count, ids.len()), (27, 27));
    assert!(document["components"]["schemas"]["Problem"].is_object());
    assert_eq!(
        document["components"]["securitySchemes"]["bearer"]["scheme"],
        "bearer"
    );
}

#[tokio::test]
async fn every_reference_leads_somewhere() {
    let document = document().await;
    fn walk(value: &Value, document: &Value) {
        match value {
            Value::Object(map) => {
                if let Some(Value::String(reference)) = map.get("$ref") {
                    let pointer = reference
                        .strip_prefix('#')
                        .expect("a reference into the document");
                    assert!(document.pointer(pointer).is_some(), "{reference}");
                }
                map.values().for_each(|value| walk(value, document));
            }
            Value::Array(list) => list.iter().for_each(|value| walk(value, document)),
            _ => {}
        }
    }
    walk(&document, &document);
}
