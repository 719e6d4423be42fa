//! Pages rendered from templates with inheritance, loops and filters.

use super::text::{checksum, word, words};
use fastrand::Rng;
use minijinja::{context, Environment, Value};

const BASE: &str = "<html><title>{% block title %}{% endblock %}</title><body>\
    {% for link in links %}<a href='/{{ link|lower }}'>{{ link|title }}</a>{% endfor %}\
    {% block body %}{% endblock %}</body></html>";

const PAGE: &str = "{% extends 'base' %}{% block title %}{{ shop.name|upper }}{% endblock %}\
    {% block body %}{% for product in products if product.price > 10 %}\
    <div class='{{ loop.cycle('odd', 'even') }}'><h2>{{ loop.index }}. {{ product.name }}</h2>\
    {% set tags = product.tags|sort %}<p>{{ product.text|replace('a', 'A')|trim }}</p>\
    <ul>{% for tag in tags %}<li>{{ tag }}{% endfor %}</ul>{{ money(product.price) }}</div>\
    {% else %}nothing{% endfor %}{% endblock %}\
    {% macro money(x) %}<b>{{ x|round(2) }}</b>{% endmacro %}";

fn product(rng: &mut Rng) -> Value {
    let tags: Vec<String> = (0..rng.usize(..6)).map(|_| word(rng)).collect();
    context! {
        name => words(rng, 3),
        text => words(rng, 25),
        tags,
        price => f64::from(rng.u16(..5000)) / 100.0,
    }
}

pub(crate) fn run(scale: u32) -> u64 {
    let mut rng = Rng::with_seed(6);
    let mut sum = 0;
    for _ in 0..scale {
        let mut environment = Environment::new();
        environment.add_template("base", BASE).expect("a template");
        // Macros must be known before they are used.
        let (page, money) = PAGE.rsplit_once("{% macro").expect("a macro");
        let page = format!(
            "{{% extends 'base' %}}{{% macro{money}{}",
            page.trim_start_matches("{% extends 'base' %}")
        );
        environment.add_template_owned("page", page).expect("a template");
        let links = Value::from((0..8).map(|_| word(&mut rng)).collect::<Vec<_>>());
        for _ in 0..40 {
            let products: Vec<Value> = (0..30).map(|_| product(&mut rng)).collect();
            let page = environment.get_template("page").expect("added above");
            let html = page
                .render(context! { shop => context! { name => word(&mut rng) }, links => links.clone(), products })
                .expect("rendered");
            sum ^= checksum(html.as_bytes());
        }
    }
    sum
}
