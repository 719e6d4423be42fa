//! A code generator: Rust source parsed, rewritten and printed.

use super::text::{checksum, word};
use fastrand::Rng;
use std::fmt::Write;
use syn::visit_mut::{visit_expr_mut, visit_item_fn_mut, VisitMut};

fn source(rng: &mut Rng) -> String {
    let mut text = String::from("//! Generated.\n");
    for index in 0..40 {
        let (name, field) = (word(rng), word(rng));
        let _ = write!(
            text,
            "#[derive(Clone, Debug)] pub struct S{index}_{name} {{ x_{field}: Vec<u32>, y: Option<Box<str>> }}\n\
             impl S{index}_{name} {{ pub fn get(&self, n: usize) -> Option<&u32> {{ self.x_{field}.get(n) }} }}\n\
             fn f{index}(a: u32, b: &str) -> Result<u32, String> {{\n\
                 let mut total = a * {} + 1;\n\
                 for i in 0..total {{ if i % {} == 0 {{ total += i; }} else {{ match b.len() {{ 0 => break, 1 | 2 => continue, n if n > 9 => total = n as u32, _ => {{}} }} }} }}\n\
                 let text = format!(\"{{}} {name}\", total);\n\
                 if text.is_empty() {{ Err(text) }} else {{ Ok(total.wrapping_sub({})) }}\n\
             }}\n",
            rng.u8(1..),
            rng.u8(1..),
            rng.u16(..)
        );
    }
    text
}

/// Doubles numbers, renames functions and gives each an attribute.
struct Rewrite {
    renamed: usize,
}

impl VisitMut for Rewrite {
    fn visit_expr_mut(&mut self, node: &mut syn::Expr) {
        if let syn::Expr::Lit(syn::ExprLit { lit: syn::Lit::Int(number), .. }) = node {
            let value: u64 = number.base10_parse().unwrap_or(1);
            *node = syn::parse_str(&format!("({value} << 1)")).expect("an expression");
            return;
        }
        visit_expr_mut(self, node);
    }

    fn visit_item_fn_mut(&mut self, node: &mut syn::ItemFn) {
        self.renamed += 1;
        let name = format!("renamed_{}_{}", node.sig.ident, self.renamed);
        node.sig.ident = syn::Ident::new(&name, node.sig.ident.span());
        visit_item_fn_mut(self, node);
    }
}

pub(crate) fn run(scale: u32) -> u64 {
    let mut rng = Rng::with_seed(10);
    let mut sum = 0;
    for _ in 0..scale {
        let mut rewrite = Rewrite { renamed: 0 };
        let mut crate_files: Vec<syn::File> =
            (0..3).map(|_| syn::parse_file(&source(&mut rng)).expect("Rust source")).collect();
        for file in &mut crate_files {
            let copy = file.clone();
            rewrite.visit_file_mut(file);
            file.items.extend(copy.items.into_iter().take(10));
            sum ^= checksum(prettyplease::unparse(file).as_bytes());
        }
    }
    sum
}
