//! Link flags of the shared library, and the manual for who installs it.

mod header;
mod manual;
mod roff;
mod text;

use std::path::{Path, PathBuf};
use std::{env, fs, io};

fn main() -> io::Result<()> {
    println!("cargo:rerun-if-changed=build");
    // A port deleted from inside a callback finishes on its own threads, which nobody can wait for: unloading the
    // library would take the code away under them. So `dlclose` leaves it in place.
    if env::var("CARGO_CFG_TARGET_OS").is_ok_and(|system| system == "linux") {
        println!("cargo:rustc-cdylib-link-arg=-Wl,-z,nodelete");
    }
    let header = header_file();
    println!("cargo:rerun-if-changed={}", header.display());
    println!("cargo:rustc-env=SOCKET_IOCP_HEADER={}", header.display());
    // Who installs sets this feature.
    if env::var_os("CARGO_FEATURE_CAPI").is_some() {
        write_manual(&fs::read_to_string(header)?)?;
    }
    Ok(())
}

/// The header: in the repository it is where C programmers look for it, in a package it is the crate's own.
fn header_file() -> PathBuf {
    let root = PathBuf::from(env::var_os("CARGO_MANIFEST_DIR").unwrap_or_default());
    let shared = root.join("../include/socket_iocp.h");
    if shared.exists() { shared } else { root.join("include/socket_iocp.h") }
}

/// Where cargo-c finds what goes into PREFIX/share.
fn write_manual(header: &str) -> io::Result<()> {
    let folder = Path::new(&env::var_os("OUT_DIR").unwrap_or_default()).join("capi/share/man/man3");
    fs::create_dir_all(&folder)?;
    for (name, page) in manual::pages(&header::Header::read(header), env!("CARGO_PKG_VERSION")) {
        fs::write(folder.join(name), page)?;
    }
    Ok(())
}
