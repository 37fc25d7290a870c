//! Replaces the absolute path to libtorch by one relative to the installed
//! wheel, so that the extension finds the torch package beside it.

fn main() {
    println!("cargo:rerun-if-changed=build.rs");
    if std::env::var_os("CARGO_FEATURE_TENSOR").is_some() {
        println!("cargo:rustc-cdylib-link-arg=-Wl,-rpath,$ORIGIN/../torch/lib");
    }
}
