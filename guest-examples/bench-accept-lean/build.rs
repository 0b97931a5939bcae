//! A small stack: the host looks through all of an instance's memory for what the instance has written.

fn main() {
    println!("cargo::rerun-if-changed=build.rs");
    if std::env::var("TARGET").is_ok_and(|target| target == "wasm32-unknown-unknown") {
        for part in ["-z", "stack-size=65536"] {
            println!("cargo::rustc-link-arg-cdylib={part}");
        }
    }
}
