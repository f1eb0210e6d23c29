//! Link options.

/// A program at a fixed address starts without relocating itself: of the time that a small batch
/// takes, a fifth. `just dist` does the same for static binaries.
fn main() {
    let target = |part| std::env::var(format!("CARGO_CFG_TARGET_{part}")).unwrap_or_default();
    if target("OS") == "linux" && target("ENV") == "gnu" {
        println!("cargo::rustc-link-arg-bins=-no-pie");
    }
    println!("cargo::rerun-if-changed=build.rs");
}
