//! The arrows that must never exist between crates. A crate boundary that can be crossed by
//! accident buys nothing, so each rule here is held against what cargo resolves, and a break prints
//! the path that was found and the reason for the rule.

use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::path::{Path, PathBuf};

use cargo_metadata::{DependencyKind, Metadata, MetadataCommand};

/// `from` must not reach `to`, by normal and build dependencies.
struct Rule {
    from: &'static [&'static str],
    to: &'static [&'static str],
    /// Whether a dependency's own dependency counts.
    how_far: HowFar,
    because: &'static str,
}

#[derive(Clone, Copy, PartialEq)]
enum HowFar {
    Direct,
    AnyPath,
}

const LIBRARIES: &[&str] =
    &["l402", "tollway-client", "tollway-gateway", "tollway-purse", "tollway-nodes", "tollway-ldk"];

const RULES: &[Rule] = &[
    Rule {
        from: &["l402"],
        to: &[
            "tokio",
            "hyper",
            "reqwest",
            "rusqlite",
            "testkit",
            "tollway",
            "tollway-client",
            "tollway-gateway",
            "tollway-purse",
            "tollway-nodes",
            "tollway-ldk",
        ],
        how_far: HowFar::AnyPath,
        because: "the protocol does no I/O, and other programs embed it",
    },
    Rule {
        from: &["tollway-client"],
        to: &["tollway-gateway", "tollway-purse", "tollway-nodes", "tollway-ldk"],
        how_far: HowFar::AnyPath,
        because: "a buyer is not a seller, and holds an Arc<dyn Payer>, not a driver",
    },
    Rule {
        from: &["tollway-gateway"],
        to: &["tollway-client", "tollway-purse", "tollway-nodes", "tollway-ldk"],
        how_far: HowFar::AnyPath,
        because: "a seller is not a buyer, and holds an Arc<dyn Invoicer>, not a driver",
    },
    Rule {
        from: &["tollway-purse"],
        to: &["tollway-client", "tollway-gateway", "tollway-nodes", "tollway-ldk"],
        how_far: HowFar::AnyPath,
        because: "a purse decides who may spend, and holds an Arc<dyn Payer>, not a driver",
    },
    Rule {
        from: &["tollway-nodes"],
        to: &["tollway-ldk"],
        how_far: HowFar::AnyPath,
        because: "the embedded node is heavy: only the binary and tests pay for it",
    },
    Rule {
        from: LIBRARIES,
        to: &["testkit", "tollway"],
        how_far: HowFar::AnyPath,
        because: "a library does not ship its tests, nor know the program that uses it",
    },
    Rule {
        from: LIBRARIES,
        to: &["anyhow"],
        how_far: HowFar::Direct,
        because: "callers of a library need types to decide by",
    },
];

/// Words that must not stand in a crate's source.
struct Banned {
    crates: &'static [&'static str],
    words: &'static [&'static str],
    because: &'static str,
}

const BANNED: &[Banned] = &[
    Banned {
        crates: &["tollway-gateway"],
        words: &["Payer"],
        because: "a seller cannot spend: what its types do not name, no bug in it can do",
    },
    Banned {
        crates: LIBRARIES,
        words: &["std::env", "env::var", "use std::env"],
        because: "configuration is an argument; only the binary reads the environment",
    },
];

/// One version each, in the whole lock file.
const ONE_VERSION: &[(&str, &str)] = &[
    ("libsqlite3-sys", "two SQLite libraries in one process corrupt each other's locks"),
    ("bitcoin", "two sets of transaction and key types do not fit together"),
];

#[test]
fn no_forbidden_arrow_exists() {
    let graph = Graph::of(&metadata());
    let mut found = Vec::new();
    for rule in RULES {
        for from in rule.from {
            assert!(graph.edges.contains_key(*from), "the rules name `{from}`, which is no crate");
            for to in rule.to {
                if let Some(path) = graph.path(from, to, rule.how_far) {
                    found.push(format!("{}\n    because {}", path.join(" → "), rule.because));
                }
            }
        }
    }
    assert!(found.is_empty(), "forbidden arrows:\n{}", found.join("\n"));
}

#[test]
fn the_search_finds_the_arrows_that_do_exist() {
    let graph = Graph::of(&metadata());
    let path = graph.path("tollway", "lightning", HowFar::AnyPath);
    assert_eq!(path.unwrap(), ["tollway", "tollway-ldk", "lightning"]);
    assert_eq!(graph.path("tollway", "lightning", HowFar::Direct), None);
    // A dev-dependency is no arrow.
    assert_eq!(graph.path("tollway", "testkit", HowFar::AnyPath), None);
}

#[test]
fn no_banned_word_stands_in_a_crate() {
    let mut found = Vec::new();
    for ban in BANNED {
        for name in ban.crates {
            for file in sources(&workspace().join("crates").join(name).join("src")) {
                let text = std::fs::read_to_string(&file).unwrap();
                for (index, line) in text.lines().enumerate() {
                    let code = line.split("//").next().unwrap_or_default();
                    if let Some(word) = ban.words.iter().find(|word| code.contains(**word)) {
                        let at = format!("{}:{}", file.display(), index + 1);
                        found.push(format!("{at}: `{word}`\n    because {}", ban.because));
                    }
                }
            }
        }
    }
    assert!(found.is_empty(), "banned words:\n{}", found.join("\n"));
}

#[test]
fn what_must_be_there_once_is_there_once() {
    let lock = std::fs::read_to_string(workspace().join("Cargo.lock")).unwrap();
    for (name, because) in ONE_VERSION {
        let wanted = format!("name = \"{name}\"");
        let count = lock.lines().filter(|line| *line == wanted).count();
        assert_eq!(count, 1, "`{name}` is {count} times in Cargo.lock, not once: {because}");
    }
}

/// Who depends on whom, by name, without dev-dependencies.
struct Graph {
    edges: BTreeMap<String, BTreeSet<String>>,
}

impl Graph {
    fn of(metadata: &Metadata) -> Self {
        let names: BTreeMap<_, _> = metadata
            .packages
            .iter()
            .map(|package| (&package.id, package.name.to_string()))
            .collect();
        let mut edges: BTreeMap<String, BTreeSet<String>> = BTreeMap::new();
        for node in &metadata.resolve.as_ref().expect("cargo resolves").nodes {
            let to = node.deps.iter().filter(|dep| {
                dep.dep_kinds.iter().any(|info| info.kind != DependencyKind::Development)
            });
            // Two versions of one crate are one name here, which can only find more.
            edges
                .entry(names[&node.id].clone())
                .or_default()
                .extend(to.map(|dep| names[&dep.pkg].clone()));
        }
        Self { edges }
    }

    /// The shortest path.
    fn path(&self, from: &str, to: &str, how_far: HowFar) -> Option<Vec<String>> {
        let mut queue = VecDeque::from([vec![from.to_owned()]]);
        let mut seen = BTreeSet::new();
        while let Some(path) = queue.pop_front() {
            let last = path.last().expect("a path has a beginning");
            for next in self.edges.get(last).into_iter().flatten() {
                let longer = [&path[..], std::slice::from_ref(next)].concat();
                if next == to {
                    return Some(longer);
                }
                if how_far == HowFar::AnyPath && seen.insert(next) {
                    queue.push_back(longer);
                }
            }
        }
        None
    }
}

/// What cargo resolves for this machine: other platforms' crates may not be on this disk.
fn metadata() -> Metadata {
    let rustc = std::process::Command::new("rustc").arg("-vV").output().expect("rustc runs");
    let version = String::from_utf8(rustc.stdout).expect("rustc speaks UTF-8");
    let host = version.lines().find_map(|line| line.strip_prefix("host: ")).expect("rustc -vV");
    MetadataCommand::new()
        .cargo_path(env!("CARGO"))
        .manifest_path(workspace().join("Cargo.toml"))
        .other_options(["--filter-platform".to_owned(), host.to_owned()])
        .exec()
        .expect("cargo metadata runs")
}

fn workspace() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../..")
}

fn sources(folder: &Path) -> Vec<PathBuf> {
    let mut files = Vec::new();
    for entry in std::fs::read_dir(folder).unwrap_or_else(|e| panic!("{}: {e}", folder.display())) {
        let path = entry.unwrap().path();
        if path.is_dir() {
            files.extend(sources(&path));
        } else if path.extension().is_some_and(|extension| extension == "rs") {
            files.push(path);
        }
    }
    files.sort();
    files
}
