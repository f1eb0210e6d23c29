//! Link options: how much of a small batch's time goes before `main`.

use std::path::PathBuf;
use std::process::Command;
use std::{env, fs};

fn main() {
    println!("cargo::rerun-if-changed=build.rs");
    println!("cargo::rerun-if-env-changed=CC");
    let target = |part| env::var(format!("CARGO_CFG_TARGET_{part}")).unwrap_or_default();
    if target("OS") != "linux" || target("ENV") != "gnu" {
        return;
    }
    // A program at a fixed address starts without relocating itself: of the time that a small batch
    // takes, a fifth. `just dist` does the same for static binaries.
    println!("cargo::rustc-link-arg-bins=-no-pie");
    if env::var("HOST") == env::var("TARGET") {
        link_unwinder_statically();
    }
}

/// Every shared library has to be found, mapped and bound before `main`: for the one that unwinds
/// the stack that takes a tenth of a small batch's time.
///
/// The C library itself stays a shared one. A program that holds it crashes when a lookup of a
/// host's name loads the modules that `/etc/nsswitch.conf` names, which bring their own.
fn link_unwinder_statically() {
    let archives: Option<Vec<PathBuf>> =
        ["libgcc_eh.a", "libgcc.a"].into_iter().map(find).collect();
    let Some(archives) = archives else { return };
    let archives: Vec<_> = archives.iter().map(|path| format!("{path:?}")).collect();
    let out = format!("{}/unwinder", env::var("OUT_DIR").expect("cargo sets it"));
    fs::create_dir_all(&out).expect("cargo's own directory is writable");
    // rustc asks for the shared one by name, and a linker script under that name comes first.
    let script = format!("GROUP({})\n", archives.join(" "));
    fs::write(format!("{out}/libgcc_s.so"), script).expect("cargo's own directory is writable");
    println!("cargo::rustc-link-arg-bins=-L{out}");
}

/// Where the C compiler keeps an archive.
fn find(name: &str) -> Option<PathBuf> {
    let compiler = env::var("CC").unwrap_or_else(|_| "cc".to_owned());
    let asked = Command::new(compiler)
        .arg(format!("-print-file-name={name}"))
        .output()
        .ok()?;
    let path = PathBuf::from(String::from_utf8(asked.stdout).ok()?.trim());
    // What it does not know, it repeats.
    (path.is_absolute() && path.is_file()).then_some(path)
}
