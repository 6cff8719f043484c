//! Which documents the gateway serves about itself.

use super::raw::{Keys, Reader};
use crate::discovery::{ALWAYS, DOCUMENTS};

/// The paths of those besides the price list, which is always there. All of them unless told.
pub(super) fn read(reader: &mut Reader<'_>, keys: &mut Keys<'_>) -> Vec<&'static str> {
    let known = || DOCUMENTS.iter().map(|document| document.path).filter(|path| *path != ALWAYS);
    if !keys.has("discovery") {
        return known().collect();
    }
    let written = reader.texts(keys, "discovery");
    let mut paths = Vec::new();
    for at in &written {
        match known().find(|path| *path == at.value) {
            Some(path) => paths.push(path),
            None => {
                let all: Vec<_> = known().map(|path| format!("`{path}`")).collect();
                reader.bad("discovery", at, format!("a list of some of {}", all.join(", ")));
            }
        }
    }
    paths
}
