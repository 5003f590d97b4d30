//! The tests link cfitsio, which like bzip2-sys defines bz_internal_error; either ends the program, so any will do.

fn main() {
    println!("cargo:rerun-if-changed=build.rs");
    println!("cargo:rustc-link-arg-tests=-Wl,--allow-multiple-definition");
}
