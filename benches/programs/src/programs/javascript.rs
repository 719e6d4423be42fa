//! A script with objects, closures, maps, strings and sorting, interpreted.

use boa_engine::{Context, Source};

const SCRIPT: &str = r#"
let seed = 12345;
function random(n) { seed = (seed * 1103515245 + 12345) % 2147483648; return seed % n; }
class Account {
    constructor(name) { this.name = name; this.history = []; this.balance = 0; }
    post(amount, text) {
        this.history.push({ amount, text, at: this.history.length });
        this.balance += amount;
    }
}
const accounts = new Map();
for (let i = 0; i < 60; i++) {
    const name = "account" + i;
    accounts.set(name, new Account(name));
}
const names = [...accounts.keys()];
for (let i = 0; i < 1500; i++) {
    const from = accounts.get(names[random(60)]), to = accounts.get(names[random(60)]);
    const amount = random(500);
    from.post(-amount, `to ${to.name}`);
    to.post(amount, `from ${from.name}`);
}
const rows = names.map(name => {
    const account = accounts.get(name);
    const largest = account.history.filter(h => h.amount > 100).sort((a, b) => b.amount - a.amount);
    return { name, balance: account.balance, largest: largest.slice(0, 3) };
});
rows.sort((a, b) => b.balance - a.balance);
const words = "the quick brown fox jumps over the lazy dog again and again".split(" ");
const counts = {};
for (let i = 0; i < 1500; i++) {
    const word = words[random(words.length)] + (i % 7);
    counts[word] = (counts[word] || 0) + 1;
}
function fib(n) { return n < 2 ? n : fib(n - 1) + fib(n - 2); }
const memo = (f => { const seen = {}; return n => seen[n] ?? (seen[n] = f(n)); })(n => n * n);
let total = fib(15);
for (let i = 0; i < 1500; i++) { total += memo(i % 300); }
JSON.stringify({ rows, counts, total }).length + total;
"#;

pub(crate) fn run(scale: u32) -> u64 {
    let mut sum = 0;
    for _ in 0..scale {
        let mut context = Context::default();
        let result = context.eval(Source::from_bytes(SCRIPT)).expect("the script runs");
        sum += result.as_number().unwrap_or(0.0) as u64;
        drop((result, context));
        boa_gc_collect();
    }
    sum
}

/// Objects in cycles are only freed by a collection.
fn boa_gc_collect() {
    boa_engine::gc::force_collect();
}
