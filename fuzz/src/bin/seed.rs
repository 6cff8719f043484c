//! Writes the corpus anew from `vectors/`: `cargo run --bin seed`.

use std::path::Path;
use std::{fs, io};

fn main() -> io::Result<()> {
    let fuzz = Path::new(env!("CARGO_MANIFEST_DIR"));
    let corpus = fuzz.join("corpus");
    if corpus.exists() {
        fs::remove_dir_all(&corpus)?;
    }
    let files = tollway_fuzz::seeds::corpus(&fuzz.join("../vectors"));
    for (path, bytes) in &files {
        let path = corpus.join(path);
        fs::create_dir_all(path.parent().expect("a file in a target's folder"))?;
        fs::write(path, bytes)?;
    }
    println!("{} files", files.len());
    Ok(())
}
