//! Link options: how much of a small batch's time goes before `main`.
//!
//! A program at a fixed address starts without relocating itself, and one that is linked statically
//! starts without the dynamic linker, which takes longer than the batch. `just dist` has both from
//! its target; here the same is done with the GNU C library, where its archives are at hand.

use std::path::{Path, PathBuf};
use std::process::Command;
use std::{env, fs, io};

/// What the standard library is linked against, and the archives that serve instead.
const LIBRARIES: [(&str, &[&str]); 7] = [
    ("gcc_s", &["libgcc_eh.a", "libgcc.a"]),
    ("c", &["libc.a", "libgcc_eh.a", "libgcc.a"]),
    ("m", &["libm.a"]),
    ("dl", &["libdl.a"]),
    ("pthread", &["libpthread.a"]),
    ("rt", &["librt.a"]),
    ("util", &["libutil.a"]),
];

fn main() {
    println!("cargo::rerun-if-changed=build.rs");
    println!("cargo::rerun-if-env-changed=CC");
    let target = |part| env::var(format!("CARGO_CFG_TARGET_{part}")).unwrap_or_default();
    if target("OS") != "linux" || target("ENV") != "gnu" {
        return;
    }
    println!("cargo::rustc-link-arg-bins=-no-pie");
    let is_native = env::var("HOST") == env::var("TARGET");
    if is_native
        && !target("FEATURE")
            .split(',')
            .any(|name| name == "crt-static")
    {
        let out = PathBuf::from(env::var_os("OUT_DIR").expect("cargo sets it"));
        if let Some(archives) = archives() {
            stand_in(&archives, &out).expect("cargo's own directory can be written to");
            println!("cargo::rustc-link-arg-bins=-static");
            println!("cargo::rustc-link-arg-bins=-L{}", out.display());
        }
    }
}

/// For each library, the archives; `None` where the C library cannot be linked statically.
fn archives() -> Option<Vec<(&'static str, Vec<PathBuf>)>> {
    let all = LIBRARIES.map(|(library, names)| {
        let paths: Option<Vec<_>> = names.iter().map(|name| find(name)).collect();
        Some((library, paths?))
    });
    let all: Vec<_> = all.into_iter().collect::<Option<_>>()?;
    // Since 2.34 threads are in `libc.a`, and so is all that names of hosts are looked up with:
    // before, a static program found neither reliably.
    let (_, threads) = all.iter().find(|(library, _)| *library == "pthread")?;
    let is_empty = |path: &PathBuf| fs::metadata(path).is_ok_and(|meta| meta.len() <= 8);
    threads.iter().all(is_empty).then_some(all)
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

/// Writes linker scripts under the libraries' names: rustc asks for shared ones, which come first
/// wherever the linker looks for them.
fn stand_in(archives: &[(&str, Vec<PathBuf>)], out: &Path) -> io::Result<()> {
    for (library, paths) in archives {
        let paths: Vec<_> = paths.iter().map(|path| format!("{path:?}")).collect();
        let script = format!("GROUP({})\n", paths.join(" "));
        fs::write(out.join(format!("lib{library}.so")), script)?;
    }
    Ok(())
}
