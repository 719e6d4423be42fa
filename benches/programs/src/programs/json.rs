//! A document store: orders parsed, grouped, edited and written.

use super::text::{checksum, word, words};
use fastrand::Rng;
use serde_json::{json, Map, Value};
use std::collections::BTreeMap;

fn order(rng: &mut Rng, id: usize) -> Value {
    let items: Vec<Value> = (0..rng.usize(1..8))
        .map(|_| {
            json!({
                "sku": format!("{}-{}", word(rng), rng.u32(100..10_000)),
                "name": words(rng, 3),
                "quantity": rng.u32(1..20),
                "price": f64::from(rng.u32(100..100_000)) / 100.0,
                "tags": (0..rng.usize(0..4)).map(|_| word(rng)).collect::<Vec<_>>(),
            })
        })
        .collect();
    json!({
        "id": id,
        "customer": { "name": words(rng, 2), "city": word(rng), "vip": rng.bool() },
        "note": if rng.bool() { Value::Null } else { Value::String(words(rng, 12)) },
        "items": items,
    })
}

fn total(order: &Value) -> f64 {
    let items = order["items"].as_array().map(Vec::as_slice).unwrap_or_default();
    items
        .iter()
        .map(|item| {
            item["price"].as_f64().unwrap_or(0.0) * item["quantity"].as_f64().unwrap_or(0.0)
        })
        .sum()
}

pub(crate) fn run(scale: u32) -> u64 {
    let mut rng = Rng::with_seed(1);
    let mut sum = 0;
    for _ in 0..scale {
        let orders: Vec<Value> = (0..800).map(|id| order(&mut rng, id)).collect();
        let text = serde_json::to_string(&orders).expect("values can be written");
        drop(orders);

        let mut store: BTreeMap<u64, Value> = BTreeMap::new();
        for order in serde_json::from_str::<Vec<Value>>(&text).expect("just written") {
            store.insert(order["id"].as_u64().unwrap_or(0), order);
        }
        let mut by_city: BTreeMap<String, Vec<(u64, f64)>> = BTreeMap::new();
        for (&id, order) in &store {
            let city = order["customer"]["city"].as_str().unwrap_or_default().to_owned();
            by_city.entry(city).or_default().push((id, total(order)));
        }
        for _ in 0..800 {
            let id = rng.u64(0..800);
            if rng.u8(0..4) == 0 {
                store.remove(&id);
            } else if let Some(order) = store.get_mut(&id) {
                let mut log = Map::new();
                log.insert("state".into(), Value::String(word(&mut rng)));
                log.insert("by".into(), Value::String(words(&mut rng, 2)));
                order["log"] = Value::Object(log);
                if let Some(items) = order["items"].as_array_mut() {
                    items.retain(|item| item["quantity"].as_u64() > Some(3));
                }
            }
        }
        let report =
            json!({ "cities": by_city, "orders": store.into_values().collect::<Vec<_>>() });
        sum ^= checksum(serde_json::to_string_pretty(&report).expect("a value").as_bytes());
    }
    sum
}
