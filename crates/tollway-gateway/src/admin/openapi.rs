//! The routes as an OpenAPI 3.1 document, made from the table that the router is made from.

use schemars::SchemaGenerator;
use schemars::generate::SchemaSettings;
use serde_json::{Map, Value, json};

use super::answer::Failure;
use super::routes::{Answer, Body, Route, routes};
use crate::config;

/// The document.
pub(super) fn document() -> Value {
    let settings = SchemaSettings::draft2020_12().with(|settings| {
        settings.definitions_path = "/components/schemas".into();
        settings.meta_schema = None;
    });
    let mut generator = settings.into_generator();
    let failure = generator.subschema_for::<Failure>();
    let mut paths: Map<String, Value> = Map::new();
    for route in routes() {
        let operation = operation(&route, &mut generator, &json!(failure));
        let path = paths.entry(route.path).or_insert_with(|| json!({}));
        path[route.method.as_str().to_ascii_lowercase()] = operation;
    }
    let mut schemas: Map<String, Value> = generator.take_definitions(true);
    schemas.insert("Service".to_owned(), service());
    json!({
        "openapi": "3.1.0",
        "info": {
            "title": "Tollway gateway administration",
            "version": env!("CARGO_PKG_VERSION"),
            "description": "Every request carries `Authorization: Bearer <credential>`, made by \
                            `tollway admin bake`; what each needs to be allowed is its `x-capability`. \
                            Amounts are in millisatoshi, times in UTC.",
        },
        "components": {
            "schemas": schemas,
            "securitySchemes": { "credential": { "type": "http", "scheme": "bearer" } },
        },
        "paths": paths,
    })
}

/// A `[[service]]`: its keys, of which the file's own documentation says what they take.
fn service() -> Value {
    let keys = config::service_keys().iter().map(|key| ((*key).to_owned(), json!({})));
    json!({
        "type": "object",
        "description": "The keys of a `[[service]]` table; gateway.example.toml explains each.",
        "properties": keys.collect::<Map<_, _>>(),
        "required": ["name"],
        "additionalProperties": false,
    })
}

fn operation(route: &Route, generator: &mut SchemaGenerator, failure: &Value) -> Value {
    let mut parameters: Vec<Value> = in_path(route.path).collect();
    let changes = route.refuses.contains(&428);
    if changes {
        parameters.push(json!({
            "name": "If-Match", "in": "header", "required": true, "schema": { "type": "string" },
            "description": "The `ETag` of what was read, or `*`",
        }));
    }
    if let Some(query) = route.query {
        let schema = query(generator);
        parameters.extend(in_query(&resolved(json!(schema), generator)));
    }
    let mut operation = json!({
        "summary": route.summary,
        "parameters": parameters,
        "responses": answers(route, generator, failure),
    });
    match route.may {
        Some(may) => {
            operation["security"] = json!([{ "credential": [] }]);
            operation["x-capability"] = json!(may.name());
        }
        None => operation["security"] = json!([]),
    }
    if let Some(body) = &route.body {
        let (kind, schema, required) = match body {
            Body::Json(kind) => ("application/json", json!(kind(generator)), true),
            Body::Service => ("application/json", json!({ "$ref": SERVICE }), true),
            Body::Toml => ("text/plain", json!({ "type": "string" }), false),
        };
        operation["requestBody"] =
            json!({ "required": required, "content": { kind: { "schema": schema } } });
    }
    operation
}

const SERVICE: &str = "#/components/schemas/Service";

fn answers(route: &Route, generator: &mut SchemaGenerator, failure: &Value) -> Value {
    let mut answers = Map::new();
    let failed = json!({ "description": "Not done, and why",
        "content": { "application/json": { "schema": failure } } });
    let with_credential: &[u16] = if route.may.is_some() { &[401, 403] } else { &[] };
    for status in route.refuses.iter().chain(with_credential).chain(&[500, 503]) {
        answers.insert(status.to_string(), failed.clone());
    }
    let (status, content) = match &route.answer {
        Answer::Json(status, kind) => {
            (*status, json!({ "application/json": { "schema": kind(generator) } }))
        }
        Answer::Table(kind) => {
            let json = json!({ "schema": kind(generator) });
            let csv = json!({ "schema": { "type": "string" } });
            (200, json!({ "application/json": json, "text/csv": csv }))
        }
        Answer::Service(status) => {
            (*status, json!({ "application/json": { "schema": { "$ref": SERVICE } } }))
        }
        Answer::Nothing(status) => (*status, Value::Null),
    };
    if status < 400 {
        let mut answer = json!({ "description": "Done" });
        if !content.is_null() {
            answer["content"] = content;
        }
        answers.insert(status.to_string(), answer);
    }
    Value::Object(answers)
}

/// What a path names, `{like_this}`.
fn in_path(path: &str) -> impl Iterator<Item = Value> {
    let names = path.split('/').filter_map(|part| part.strip_prefix('{')?.strip_suffix('}'));
    names.map(|name| {
        json!({ "name": name, "in": "path", "required": true, "schema": { "type": "string" } })
    })
}

/// The fields of a query, each a parameter.
fn in_query(schema: &Value) -> Vec<Value> {
    let properties = schema["properties"].as_object().into_iter().flatten();
    properties
        .map(|(name, schema)| {
            let mut schema = schema.clone();
            let description = schema.as_object_mut().and_then(|it| it.remove("description"));
            let mut parameter = json!({ "name": name, "in": "query", "schema": schema });
            if let Some(description) = description {
                parameter["description"] = description;
            }
            parameter
        })
        .collect()
}

/// The schema itself, where it is a reference to one.
fn resolved(schema: Value, generator: &SchemaGenerator) -> Value {
    let name = schema["$ref"].as_str().and_then(|place| place.rsplit('/').next());
    let found = name.and_then(|name| generator.definitions().get(name));
    found.cloned().unwrap_or(schema)
}
