//! Tables in memory filled, joined, grouped and updated through SQL.

use super::text::{checksum, word, words};
use fastrand::Rng;
use gluesql_core::prelude::{Glue, Payload};
use gluesql_memory_storage::MemoryStorage;

const QUERIES: [&str; 5] = [
    "SELECT city, COUNT(*), SUM(age) FROM person GROUP BY city HAVING COUNT(*) > 1",
    "SELECT p.name, o.item FROM purchase o JOIN person p ON p.id = o.person WHERE o.price > 90 LIMIT 60",
    "SELECT name FROM person WHERE age BETWEEN 30 AND 40 ORDER BY name LIMIT 25",
    "UPDATE purchase SET price = price + 1 WHERE price < 20",
    "DELETE FROM purchase WHERE price > 97",
];

pub(crate) fn run(scale: u32) -> u64 {
    let mut rng = Rng::with_seed(11);
    let mut sum = 0_u64;
    for _ in 0..scale {
        let mut glue = Glue::new(MemoryStorage::default());
        let mut execute = |sql: &str| {
            let payloads = glue.execute(sql).expect("valid SQL");
            payloads.iter().fold(0, |sum, payload| match payload {
                Payload::Select { rows, .. } => sum + checksum(format!("{rows:?}").as_bytes()),
                _ => sum + 1,
            })
        };
        execute("CREATE TABLE person (id INTEGER PRIMARY KEY, name TEXT, city TEXT, age INTEGER)");
        execute("CREATE TABLE purchase (id INTEGER, person INTEGER, item TEXT, price INTEGER)");
        for first in (0..300).step_by(20) {
            let rows: Vec<String> = (first..first + 20)
                .map(|id| {
                    let (name, city) = (words(&mut rng, 2), word(&mut rng));
                    format!("({id}, '{name}', '{city}', {})", rng.u8(18..80))
                })
                .collect();
            sum ^= execute(&format!("INSERT INTO person VALUES {}", rows.join(", ")));
            let rows: Vec<String> = (first * 2..first * 2 + 40)
                .map(|id| {
                    let (person, item) = (rng.u32(..300), words(&mut rng, 2));
                    format!("({id}, {person}, '{item}', {})", rng.u8(1..100))
                })
                .collect();
            sum ^= execute(&format!("INSERT INTO purchase VALUES {}", rows.join(", ")));
        }
        for query in QUERIES {
            sum = sum.rotate_left(7) ^ execute(query);
        }
    }
    sum
}
