//! Blocks of code in the documents, for tests that do what they say.

use std::path::Path;

/// The one block of a document that contains this text, with these words replaced.
///
/// # Panics
/// When not exactly one does, or when a word to replace is not there: then the test would prove nothing.
pub fn block(document: &str, containing: &str, replaced: &[(&str, &str)]) -> String {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join(document);
    let text = std::fs::read_to_string(path).unwrap();
    let blocks = text.split("\n```").skip(1).step_by(2).filter_map(|block| block.split_once('\n'));
    let mut found: Vec<String> =
        blocks.map(|(_, block)| format!("{block}\n")).filter(|block| block.contains(containing)).collect();
    assert_eq!(found.len(), 1, "blocks of {document} with {containing}: {found:?}");
    replaced.iter().fold(found.remove(0), |block, (old, new)| {
        assert!(block.contains(old), "{old} is not in {block}");
        block.replace(old, new)
    })
}
