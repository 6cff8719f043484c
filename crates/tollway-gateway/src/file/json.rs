//! TOML as JSON and back: whatever stands in the file, so that no key is ever lost by nobody having
//! thought of it here.

use serde_json::{Map, Number, Value as Json};
use toml_edit::{Array, InlineTable, Item, Value};

/// What a key holds.
pub(crate) fn to_json(item: &Item) -> Json {
    match item {
        Item::None => Json::Null,
        Item::Value(value) => value_to_json(value),
        Item::Table(table) => {
            let entries = table.iter().map(|(key, item)| (key.to_owned(), to_json(item)));
            Json::Object(entries.collect())
        }
        Item::ArrayOfTables(tables) => {
            tables.iter().map(|table| to_json(&Item::Table(table.clone()))).collect()
        }
    }
}

fn value_to_json(value: &Value) -> Json {
    match value {
        Value::String(text) => Json::String(text.value().clone()),
        Value::Integer(number) => Json::Number((*number.value()).into()),
        Value::Float(number) => Number::from_f64(*number.value()).map_or(Json::Null, Json::Number),
        Value::Boolean(flag) => Json::Bool(*flag.value()),
        Value::Datetime(time) => Json::String(time.value().to_string()),
        Value::Array(array) => array.iter().map(value_to_json).collect(),
        Value::InlineTable(table) => {
            let entries = table.iter().map(|(key, value)| (key.to_owned(), value_to_json(value)));
            Json::Object(entries.collect())
        }
    }
}

/// A value in one line. `None` where JSON has something that TOML has not: `null`, and numbers beyond
/// its own.
pub(crate) fn from_json(json: &Json) -> Option<Value> {
    Some(match json {
        Json::Null => return None,
        Json::Bool(flag) => Value::from(*flag),
        Json::Number(number) if number.is_f64() => Value::from(number.as_f64()?),
        Json::Number(number) => Value::from(number.as_i64()?),
        Json::String(text) => Value::from(text.as_str()),
        Json::Array(items) => {
            let mut array = Array::new();
            for item in items {
                array.push(from_json(item)?);
            }
            Value::Array(array)
        }
        Json::Object(entries) => {
            let mut table = InlineTable::new();
            for (key, value) in entries {
                table.insert(key, from_json(value)?);
            }
            Value::InlineTable(table)
        }
    })
}

/// The objects of a list that is written as tables, `[[service.rule]]`: one or more, and nothing else.
pub(super) fn tables(json: &Json) -> Option<Vec<&Map<String, Json>>> {
    let items = json.as_array().filter(|items| !items.is_empty())?;
    items.iter().map(Json::as_object).collect()
}
