//! What the documents say of the program and of each other is so.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, reason = "a test fails by panicking")]

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use external_dns_rfc2136_webhook::config::table;

fn root() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR"))
}

/// Every document by its path.
fn documents() -> BTreeMap<PathBuf, String> {
    let mut found = BTreeMap::new();
    for directory in ["", "deploy", "tests", "tests/conformance", "tests/fuzz"] {
        for entry in fs::read_dir(root().join(directory)).unwrap() {
            let path = entry.unwrap().path();
            if path.extension().is_some_and(|extension| extension == "md") {
                found.insert(path.clone(), fs::read_to_string(path).unwrap());
            }
        }
    }
    assert!(found.len() > 15, "{:?}", found.keys());
    found
}

/// The text without its blocks of code, and the blocks with what stands behind their fence.
fn split(text: &str) -> (String, Vec<(&str, String)>) {
    let (mut prose, mut blocks, mut open) = (String::new(), Vec::new(), None);
    for line in text.lines() {
        match (line.trim_start().strip_prefix("```"), &mut open) {
            (Some(kind), None) => open = Some((kind, String::new())),
            (Some(_), Some(_)) => blocks.extend(open.take()),
            (None, Some((_, block))) => *block += &format!("{line}\n"),
            (None, None) => prose += &format!("{line}\n"),
        }
    }
    assert!(open.is_none(), "a block is not closed");
    (prose, blocks)
}

/// A heading as a link names it.
fn anchor(heading: &str) -> String {
    let kept = heading.to_lowercase();
    let kept = kept.chars().filter(|c| c.is_alphanumeric() || matches!(c, ' ' | '-' | '_'));
    kept.map(|c| if c == ' ' { '-' } else { c }).collect()
}

fn anchors(text: &str) -> BTreeSet<String> {
    let (prose, _) = split(text);
    let headings = prose.lines().filter(|line| line.starts_with('#'));
    headings.map(|line| anchor(line.trim_start_matches('#').trim())).collect()
}

#[test]
fn every_link_leads_somewhere() {
    let documents = documents();
    let mut checked = 0;
    for (path, text) in &documents {
        let (prose, _) = split(text);
        for link in prose.split("](").skip(1).filter_map(|rest| rest.split(')').next()) {
            if link.contains("://") {
                continue;
            }
            checked += 1;
            let (file, heading) = link.split_once('#').unwrap_or((link, ""));
            let target = if file.is_empty() { path.clone() } else { path.parent().unwrap().join(file) };
            assert!(target.exists(), "{}: {link}", path.display());
            if !heading.is_empty() {
                let text = fs::read_to_string(&target).unwrap();
                assert!(anchors(&text).contains(heading), "{}: {link} has no such heading", path.display());
            }
        }
    }
    assert!(checked > 60, "{checked}");
}

#[test]
fn readme_is_a_front_door() {
    let text = fs::read_to_string(root().join("README.md")).unwrap();
    assert!(text.lines().count() <= 150);
    let values = fs::read_to_string(root().join("deploy/helm-values.yaml")).unwrap();
    let (_, blocks) = split(&text);
    let yaml: Vec<&String> = blocks.iter().filter(|(kind, _)| *kind == "yaml").map(|(_, block)| block).collect();
    assert_eq!(yaml.len(), 1);
    assert!(values.contains(yaml[0].as_str()), "README's values are no piece of deploy/helm-values.yaml:\n{}", yaml[0]);
}

/// Words of capital letters, digits and `_`.
fn words(text: &str) -> impl Iterator<Item = &str> {
    text.split(|c: char| !(c.is_ascii_uppercase() || c.is_ascii_digit() || c == '_'))
}

#[test]
fn every_variable_that_is_named_is_one_of_the_programs() {
    let sections = table::SECTIONS.iter().flat_map(|section| section.variables);
    let known: BTreeSet<&str> = sections.map(|variable| variable.name).collect();
    // An example of a misspelt one.
    let others = ["RFC2136_PREREQUISITE"];
    let mut checked = 0;
    for (path, text) in documents() {
        let named = words(&text).filter(|word| word.starts_with("RFC2136_") || word.starts_with("WEBHOOK_"));
        for word in named {
            let is_beginning = word.ends_with('_') && known.iter().any(|name| name.starts_with(word));
            assert!(known.contains(word) || others.contains(&word) || is_beginning, "{}: {word}", path.display());
            checked += 1;
        }
    }
    assert!(checked > 120, "{checked}");
}

#[test]
fn every_target_of_make_that_is_named_exists() {
    let makefile = fs::read_to_string(root().join("Makefile")).unwrap();
    let targets: BTreeSet<&str> =
        makefile.lines().filter_map(|line| line.split_once(':')).map(|(name, _)| name).collect();
    let mut checked = 0;
    for (path, text) in documents() {
        let (prose, blocks) = split(&text);
        let in_prose = prose.split("`make ").skip(1).filter_map(|rest| rest.split('`').next());
        let in_blocks =
            blocks.iter().flat_map(|(_, block)| block.lines().filter_map(|line| line.strip_prefix("make ")));
        for command in in_prose.chain(in_blocks) {
            let names = command.split_whitespace().take_while(|word| !word.starts_with('#'));
            for name in names.filter(|word| !word.contains('=') && !word.starts_with('-')) {
                assert!(targets.contains(name), "{}: make {name}", path.display());
                checked += 1;
            }
        }
    }
    assert!(checked > 20, "{checked}");
}

#[test]
fn every_block_for_a_shell_can_be_read_by_one() {
    let mut checked = 0;
    for (path, text) in documents() {
        for (kind, block) in split(&text).1.iter().filter(|(kind, _)| *kind == "sh") {
            let read = Command::new("sh").args(["-n", "-c", block]).output().unwrap();
            let said = String::from_utf8_lossy(&read.stderr);
            assert!(read.status.success(), "{} ({kind}): {said}\n{block}", path.display());
            checked += 1;
        }
    }
    assert!(checked > 8, "{checked}");
}

/// Blocks for a shell that a test types in, by what stands in them: `interop/documents.rs`, or how a server is set up.
const TYPED: [(&str, &str); 6] = [
    ("deploy/bind.md", "kadmin.local"),
    ("deploy/knot-powerdns.md", "pdnsutil"),
    ("deploy/knot-powerdns.md", "RFC2136_TSIG_KEYNAME"),
    ("deploy/samba.md", "samba-tool user create"),
    ("deploy/samba.md", "samba-tool dsacl"),
    ("tests/README.md", "cargo run -- check"),
];

#[test]
fn every_block_for_a_shell_is_typed_by_a_test_or_said_to_be_untested() {
    let typing = ["tests/interop/documents.rs", "tests/support/samba.rs", "tests/support/other.rs"];
    let typing: String = typing.map(|file| fs::read_to_string(root().join(file)).unwrap()).concat();
    for (document, text) in TYPED {
        assert!(typing.contains(document) && typing.contains(&format!("{text:?}")), "{document}: {text}");
    }
    for (path, text) in documents() {
        let (prose, blocks) = split(&text);
        for (_, block) in blocks.iter().filter(|(kind, _)| *kind == "sh") {
            let is_typed = TYPED.iter().any(|(document, text)| path.ends_with(document) && block.contains(text));
            // Those are what CI calls, and what a reader sees at work.
            let is_make = block.lines().all(|line| line.starts_with("make "));
            assert!(is_typed || is_make || prose.contains("\nNot tested"), "{}: {block}", path.display());
        }
    }
}

/// What `--help` lists is explained somewhere.
#[test]
fn every_subcommand_stands_in_a_document() {
    let all: String = documents().into_values().collect();
    for command in ["serve", "check", "explain", "config"] {
        assert!(all.contains(&format!("`{command}")) || all.contains(&format!("webhook {command}")), "{command}");
    }
}
