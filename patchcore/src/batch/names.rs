//! The known name that an unknown one may stand for.

/// Names that other formats and models use for ours.
const ALIASES: &[(&str, &str)] = &[
    ("path", "file"),
    ("filename", "file"),
    ("file_path", "file"),
    ("type", "op"),
    ("operation", "op"),
    ("action", "op"),
    ("id", "batch_id"),
    ("edits", "operations"),
    ("changes", "operations"),
    ("patches", "operations"),
    ("new", "content"),
    ("new_text", "content"),
    ("new_string", "content"),
    ("replace", "content"),
    ("replacement", "content"),
    ("text", "content"),
    ("old", "expect"),
    ("old_text", "expect"),
    ("old_string", "find"),
    ("search", "find"),
    ("new_path", "to"),
    ("destination", "to"),
    ("target", "to"),
    ("regex", "match"),
    ("pattern", "match"),
    ("mode", "executable"),
    ("range", "lines"),
    ("location", "at"),
    ("address", "at"),
    ("lines", "at"),
    ("line", "at"),
    ("hash", "base"),
    ("sha256", "base"),
    ("replace", "replace-text"),
    ("delete", "delete-file"),
    ("remove-file", "delete-file"),
    ("create", "create-file"),
    ("rename", "rename-file"),
    ("move-file", "rename-file"),
    ("copy", "copy-file"),
    ("chmod", "set-mode"),
    ("insert", "insert-after"),
];

/// The nearest known name, if one is near enough to be worth telling.
pub(crate) fn nearest(unknown: &str, known: &[&'static str]) -> Option<&'static str> {
    if unknown.len() > 40 {
        return None;
    }
    let folded = fold(unknown);
    if let Some(same) = known.iter().find(|name| fold(name) == folded) {
        return Some(same);
    }
    let alias = ALIASES
        .iter()
        .find(|(alias, name)| (*alias == unknown || fold(alias) == folded) && known.contains(name));
    if let Some((_, name)) = alias {
        return Some(name);
    }
    known
        .iter()
        .map(|name| (strsim::osa_distance(&folded, &fold(name)), name))
        .filter(|(distance, name)| *distance <= name.len().max(unknown.len()).div_ceil(4))
        .min_by_key(|(distance, _)| *distance)
        .map(|(_, name)| *name)
}

/// Without case and separators: `batchId`, `batch-id` and `batch_id` are one name.
fn fold(name: &str) -> String {
    name.chars()
        .filter(|c| c.is_alphanumeric())
        .flat_map(char::to_lowercase)
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn near_names_are_found_and_far_ones_are_not() {
        let known = &["file", "content", "content_base64", "expect", "at", "base"];
        for (unknown, near) in [
            ("contnet", Some("content")),
            ("Content", Some("content")),
            ("contentBase64", Some("content_base64")),
            ("path", Some("file")),
            ("lines", Some("at")),
            ("xpect", Some("expect")),
            ("", None),
            ("colour", None),
            ("zz", None),
        ] {
            assert_eq!(nearest(unknown, known), near, "{unknown}");
        }
        assert_eq!(nearest(&"a".repeat(1 << 20), known), None);
    }
}
