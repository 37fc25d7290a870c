//! Sets the run path to libtorch, and the torch minor that is compiled in.

use std::path::Path;
use std::{env, fs, process};

fn main() {
    if env::var_os("CARGO_FEATURE_TENSOR").is_some() {
        // The path is relative to the installed extension, which is beside the torch package.
        // Windows has no run path; it finds the libraries because torch is imported first.
        let origin = match env::var("CARGO_CFG_TARGET_OS").as_deref() {
            Ok("macos") => Some("@loader_path"),
            Ok("windows") => None,
            _ => Some("$ORIGIN"),
        };
        if let Some(origin) = origin {
            println!("cargo:rustc-cdylib-link-arg=-Wl,-rpath,{origin}/../torch/lib");
        }
        let Some(minor) = torch_minor() else {
            eprintln!("neurofreq: no version.py of torch beside the libtorch that torch-sys found");
            process::exit(1);
        };
        println!("cargo:rustc-env=NEUROFREQ_TORCH={minor}");
    }
}

/// The minor of the torch package whose libtorch `torch-sys` links.
fn torch_minor() -> Option<String> {
    let libraries = env::var("DEP_TCH_LIBTORCH_LIB").ok()?;
    let file = Path::new(&libraries).parent()?.join("version.py");
    println!("cargo:rerun-if-changed={}", file.display());
    let text = fs::read_to_string(file).ok()?;
    let version = text
        .lines()
        .find_map(|line| line.strip_prefix("__version__ = '"))?;
    let mut numbers = version.split('.');
    Some(format!("{}.{}", numbers.next()?, numbers.next()?))
}
