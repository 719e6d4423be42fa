//! One module per program.

mod archive;
mod codegen;
mod entities;
mod graph;
mod javascript;
mod json;
mod markdown;
mod messages;
mod search;
mod server;
mod sql;
mod templates;
mod text;
mod toml;
mod xml;

/// A program.
pub struct Program {
    /// Name of its trace.
    pub name: &'static str,
    /// One line for people.
    pub description: &'static str,
    /// Does the work this many times over and returns a checksum.
    pub run: fn(scale: u32) -> u64,
    /// How many times over makes about a tenth of a second of work.
    pub end_to_end: u32,
}

/// All programs.
pub const ALL: &[Program] = &[
    Program {
        name: "archive",
        description: "zip archives of text files written and read (zip), images encoded and \
                      decoded (png)",
        run: archive::run,
        end_to_end: 8,
    },
    Program {
        name: "codegen",
        description: "Rust source parsed (syn), rewritten and printed (prettyplease)",
        run: codegen::run,
        end_to_end: 5,
    },
    Program {
        name: "entities",
        description: "a game's entities spawned, moved, fought over and removed (hecs)",
        run: entities::run,
        end_to_end: 8,
    },
    Program {
        name: "graph",
        description: "routes through a road network, its components and its spanning tree \
                      (petgraph)",
        run: graph::run,
        end_to_end: 6,
    },
    Program {
        name: "javascript",
        description: "a script with objects, closures, maps and sorting (boa_engine)",
        run: javascript::run,
        end_to_end: 4,
    },
    Program {
        name: "json",
        description: "orders parsed, grouped, edited and written (serde_json)",
        run: json::run,
        end_to_end: 6,
    },
    Program {
        name: "markdown",
        description: "documents rendered to HTML with a table of contents (pulldown-cmark)",
        run: markdown::run,
        end_to_end: 6,
    },
    Program {
        name: "messages",
        description: "telemetry through protocol buffers (prost) and CBOR (ciborium)",
        run: messages::run,
        end_to_end: 5,
    },
    Program {
        name: "search",
        description: "patterns compiled and run over log lines (regex)",
        run: search::run,
        end_to_end: 2,
    },
    Program {
        name: "server",
        description: "HTTP requests with JSON bodies on one thread (tokio, hyper)",
        run: server::run,
        end_to_end: 16,
    },
    Program {
        name: "sql",
        description: "tables in memory filled, joined, grouped and updated (gluesql)",
        run: sql::run,
        end_to_end: 12,
    },
    Program {
        name: "templates",
        description: "pages rendered from templates with inheritance and loops (minijinja)",
        run: templates::run,
        end_to_end: 8,
    },
    Program {
        name: "toml",
        description: "manifests parsed, edited in place and written (toml_edit)",
        run: toml::run,
        end_to_end: 2,
    },
    Program {
        name: "xml",
        description: "a catalogue read into a tree, changed and written (quick-xml)",
        run: xml::run,
        end_to_end: 8,
    },
];
